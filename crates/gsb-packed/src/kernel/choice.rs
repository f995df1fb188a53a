//! The choice among ways of binary products that give the same, by measuring them.

use std::hint::black_box;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use super::linear::{Linear, ToCounts};
use super::micro::linear::{Inputs, PANEL, ROW_PADDING, Weights};
use super::simd::Line;
use super::{Isa, Kernels, linear::Arrange};
use crate::Error;

/// Name of the environment variable that chooses a way.
const FORCE: &str = "GSB_FORCE_PRODUCT";

/// A way to multiply, where an instruction set has several.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Product {
    /// Bits that differ are counted word by word.
    #[default]
    Plain,
    /// Those of three words are added up before they are counted.
    Threes,
}

impl Product {
    pub(crate) const ALL: [Self; 2] = [Self::Plain, Self::Threes];

    fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Threes => "threes",
        }
    }

    /// That which the environment variable names, if it is set.
    fn forced() -> Result<Option<Self>, Error> {
        let Some(name) = std::env::var_os(FORCE) else {
            return Ok(None);
        };
        let named = Self::ALL.into_iter().find(|way| name == way.name());
        named.map(Some).ok_or_else(|| Error::Product {
            name: name.to_string_lossy().into_owned(),
            known: Self::ALL.map(Self::name).join(", "),
        })
    }
}

/// The kernels of an instruction set with the fastest way of products on this machine, or that of the
/// environment variable.
pub(super) fn choose(isa: Isa) -> Result<Kernels, Error> {
    let forced = Product::forced()?;
    let mut ways = Kernels::ways(isa);
    let first = ways.next().ok_or_else(|| isa.unavailable())?;
    let others: Vec<Kernels> = ways.collect();
    if others.is_empty() {
        return Ok(first);
    }
    if let Some(product) = forced {
        return Kernels::with(isa, product).ok_or_else(|| isa.unavailable());
    }
    // One instruction set at most has several.
    static FASTEST: OnceLock<Kernels> = OnceLock::new();
    Ok(*FASTEST.get_or_init(|| fastest(first, &others)))
}

/// Words of a row and panels of the product that is measured: a layer of DeiT-S, in the nearest cache.
const WORDS: usize = 12;
const PANELS: usize = 6;
/// Rows: whole tiles of every way.
const ROWS: usize = 24;
/// Turns of every way, of which the shortest counts: a few microseconds each.
const TURNS: usize = 24;

/// That which takes the least time.
fn fastest(first: Kernels, others: &[Kernels]) -> Kernels {
    let ways: Vec<Kernels> = [first].into_iter().chain(others.iter().copied()).collect();
    let arrange = |kernels: &Kernels| {
        kernels.run(Arrange {
            channels: PANELS * PANEL,
            words: WORDS,
            row: |channel: usize, out: &mut [u32]| out.fill(channel as u32),
        })
    };
    let weights: Vec<Vec<[Line; 4]>> = ways.iter().map(arrange).collect();
    let rows: Vec<u32> = (0..).take((ROWS + ROW_PADDING) * WORDS).collect();
    let mut counts = vec![Default::default(); PANELS];
    let mut least = vec![Duration::MAX; ways.len()];
    for _ in 0..TURNS {
        for (index, kernels) in ways.iter().enumerate() {
            let start = Instant::now();
            kernels.run(Linear {
                inputs: Inputs::new(black_box(&rows), WORDS, 0..ROWS),
                weights: Weights {
                    panels: &weights[index],
                    words: WORDS,
                },
                epilogue: &mut ToCounts(&mut counts),
            });
            black_box(&counts);
            least[index] = least[index].min(start.elapsed());
        }
    }
    let best = (0..ways.len()).min_by_key(|&index| least[index]);
    best.map_or(first, |index| ways[index])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_instruction_set_has_a_way() {
        for isa in Isa::available() {
            let chosen = choose(isa).unwrap();
            let ways: Vec<String> = Kernels::ways(isa).map(|way| format!("{way:?}")).collect();
            assert!(ways.contains(&format!("{chosen:?}")), "{isa}: {ways:?}");
        }
    }

    // An interpreter would take minutes to measure.
    #[cfg_attr(miri, ignore)]
    #[test]
    fn measuring_chooses_among_those_there_are() {
        let ways: Vec<Kernels> = Isa::available().flat_map(Kernels::ways).collect();
        let chosen = format!("{:?}", fastest(ways[0], &ways[1..]));
        assert!(ways.iter().any(|way| format!("{way:?}") == chosen));
        // Plain arithmetic comes last.
        if ways.len() > 1 {
            assert_ne!(chosen, format!("{:?}", ways[ways.len() - 1]));
        }
    }
}
