//! Kernels, and the one place that chooses an instruction set for them.
#![allow(clippy::needless_range_loop)] // Indices are lanes, of several vectors at once.

pub(crate) mod attended;
pub(crate) mod attention;
pub(crate) mod choice;
pub(crate) mod instruction_set;
pub(crate) mod linear;
pub(crate) mod micro;
pub(crate) mod norm;
pub(crate) mod patches;
pub(crate) mod product;
#[cfg(any(
    target_arch = "aarch64",
    all(target_arch = "wasm32", target_feature = "simd128")
))]
pub(crate) mod quarters;
#[cfg(any(
    target_arch = "aarch64",
    target_arch = "x86_64",
    all(target_arch = "wasm32", target_feature = "simd128")
))]
pub(crate) mod registers;
pub(crate) mod scalar;
pub(crate) mod shifts;
pub(crate) mod simd;
pub(crate) mod value;

#[cfg(test)]
mod tests;

#[cfg(target_arch = "aarch64")]
pub(crate) mod aarch64;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
pub(crate) mod wasm32;
#[cfg(target_arch = "x86_64")]
pub(crate) mod x86_64;

use crate::Error;
use instruction_set::Task;
use product::Product;
#[cfg(not(all(
    target_arch = "wasm32",
    target_os = "unknown",
    target_feature = "simd128"
)))]
use scalar::Scalar;

/// Name of the environment variable that chooses an instruction set.
const FORCE: &str = "GSB_FORCE_ISA";

/// An instruction set that kernels exist for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Isa {
    /// Plain arithmetic. Left out of WebAssembly for browsers that is built with SIMD128, where nothing could choose it
    /// and it would be a sixth of the program.
    Scalar,
    /// AVX2, of x86-64.
    Avx2,
    /// AVX-512 with VPOPCNTDQ, BITALG and VNNI, of x86-64.
    Avx512,
    /// NEON, of aarch64.
    Neon,
    /// SIMD128, of WebAssembly.
    Simd128,
}

impl Isa {
    /// All, the fastest first.
    const ALL: [Self; 5] = [
        Self::Avx512,
        Self::Avx2,
        Self::Neon,
        Self::Simd128,
        Self::Scalar,
    ];

    /// Its name, as `GSB_FORCE_ISA` takes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
            Self::Neon => "neon",
            Self::Simd128 => "simd128",
        }
    }

    /// Those that this machine has, the fastest first.
    pub fn available() -> impl Iterator<Item = Self> {
        Self::ALL
            .into_iter()
            .filter(|&isa| Kernels::with(isa, Product::default()).is_some())
    }

    /// The one that the environment variable `GSB_FORCE_ISA` names or, if it is not set, the fastest.
    ///
    /// # Errors
    /// [`Error::Isa`] if there is none of that name here.
    pub fn detect() -> Result<Self, Error> {
        let Some(name) = std::env::var_os(FORCE) else {
            return Ok(Self::available().next().unwrap_or(Self::Scalar));
        };
        let named = Self::ALL.into_iter().find(|isa| name == isa.name());
        match named {
            Some(isa) if Kernels::with(isa, Product::default()).is_some() => Ok(isa),
            Some(isa) => Err(isa.unavailable()),
            None => Err(refusal(name.to_string_lossy().into_owned(), "unknown")),
        }
    }

    /// The complaint that the machine lacks it.
    pub(crate) fn unavailable(self) -> Error {
        refusal(self.name().into(), "not available on this machine")
    }
}

impl std::fmt::Display for Isa {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

fn refusal(name: String, problem: &'static str) -> Error {
    let available: Vec<&str> = Isa::available().map(Isa::name).collect();
    Error::Isa {
        name,
        problem,
        available: available.join(", "),
    }
}

/// The kernels of an instruction set that the machine has.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kernels {
    #[cfg(not(all(
        target_arch = "wasm32",
        target_os = "unknown",
        target_feature = "simd128"
    )))]
    Scalar(Scalar),
    #[cfg(target_arch = "x86_64")]
    Avx2(x86_64::avx2::Avx2),
    #[cfg(target_arch = "x86_64")]
    Avx512(x86_64::avx512::Avx512),
    #[cfg(target_arch = "aarch64")]
    Neon(aarch64::neon::Neon),
    #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
    Simd128(wasm32::simd128::Simd128),
}

impl Kernels {
    /// Those of an instruction set with each way of products that the machine has, of some.
    pub(crate) fn ways(isa: Isa, products: &[Product]) -> impl Iterator<Item = Self> {
        let ways = match isa {
            Isa::Avx512 => products,
            _ => &products[..1],
        };
        ways.iter().filter_map(move |&way| Self::with(isa, way))
    }

    /// Those of an instruction set, if the machine has it, with a way of products if it has several.
    pub(crate) fn with(isa: Isa, product: Product) -> Option<Self> {
        let _ = product;
        match isa {
            #[cfg(not(all(
                target_arch = "wasm32",
                target_os = "unknown",
                target_feature = "simd128"
            )))]
            Isa::Scalar => Some(Self::Scalar(Scalar)),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => x86_64::avx2::Avx2::new().map(Self::Avx2),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => x86_64::avx512::Avx512::new(product).map(Self::Avx512),
            #[cfg(target_arch = "aarch64")]
            Isa::Neon => aarch64::neon::Neon::new().map(Self::Neon),
            #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
            Isa::Simd128 => Some(Self::Simd128(wasm32::simd128::Simd128)),
            #[allow(unreachable_patterns)] // Those of other machines.
            _ => None,
        }
    }

    /// Rows that products take at once.
    pub(crate) fn rows(self) -> usize {
        self.run(instruction_set::Rows)
    }

    /// Runs a task, compiled for the instruction set.
    pub(crate) fn run<T: Task>(self, task: T) -> T::Output {
        match self {
            #[cfg(not(all(
                target_arch = "wasm32",
                target_os = "unknown",
                target_feature = "simd128"
            )))]
            Self::Scalar(s) => task.run(s),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(s) => s.run(task),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(s) => s.run(task),
            #[cfg(target_arch = "aarch64")]
            Self::Neon(s) => s.run(task),
            #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
            Self::Simd128(s) => task.run::<quarters::Quarters<_>>(registers::Vectors(s)),
        }
    }
}
