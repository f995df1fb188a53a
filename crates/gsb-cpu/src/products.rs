//! What matrix products multiply.

use std::cell::Cell;
use std::fmt;

use serde::{Deserialize, Serialize};

/// What the matrix products of the CPU backend (`flex`) multiply, in linear layers and attention, forward and backward.
///
/// Tensors stay `f32`, and so do sums: it is the factors that are rounded to bfloat16, which has the range of a float
/// and 8 bits of precision. A factor is rounded by at most 2^-8 of itself; as the sum of two numbers of bfloat16, by at
/// most 2^-16; as the sum of three, not at all. That holds for factors, and products of two of them, of 2^-102 or more:
/// numbers below 2^-126 count as 0, also as parts of larger ones.
///
/// A factor whose elements all are 0 or have one magnitude of 2^-32 to 2^32, as binarized ones of one scale have, is not
/// rounded: signs are exact, and sums are multiplied by the magnitude.
///
/// Products too small to gain from it stay products of floats, and so do those with a factor that is not finite or rounds to
/// infinity: so there is no NaN or infinity that floats would not have, unless sums, or those without the magnitudes, come
/// near the largest float.
///
/// They are computed by the tile instructions of the processor (AMX), which multiply some sixteen times as many pairs of
/// bfloat16 as vector instructions do of floats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Products {
    /// Floats.
    #[default]
    Float,
    /// The nearest numbers of bfloat16.
    Bfloat16,
    /// Each float as the sum of two numbers of bfloat16, of whose four products the three larger ones are added up.
    Bfloat16x3,
    /// Each float as the sum of three numbers of bfloat16, of whose nine products the six larger ones are added up: as exact
    /// as products of floats, down to those sizes.
    Bfloat16x6,
}

impl Products {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::Float,
        Self::Bfloat16,
        Self::Bfloat16x3,
        Self::Bfloat16x6,
    ];

    /// The name, as it is displayed and serialized.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Float => "float",
            Self::Bfloat16 => "bfloat16",
            Self::Bfloat16x3 => "bfloat16x3",
            Self::Bfloat16x6 => "bfloat16x6",
        }
    }

    /// Whether this machine computes them.
    ///
    /// # Errors
    /// [`MissingProducts`] if it lacks what they take.
    pub fn check(self) -> Result<(), MissingProducts> {
        if self == Self::Float {
            return Ok(());
        }
        #[cfg(feature = "flex")]
        let reason = crate::flex::missing_tiles();
        #[cfg(not(feature = "flex"))]
        let reason = Some("this program was built without the CPU backend flex");
        match reason {
            None => Ok(()),
            Some(reason) => Err(MissingProducts {
                products: self,
                reason,
            }),
        }
    }

    /// Those that this thread was told to compute.
    #[cfg(any(feature = "flex", test))]
    pub(crate) fn chosen() -> Self {
        CHOSEN.get()
    }

    /// Runs `task` on this thread with these, which the machine is known to compute.
    pub(crate) fn during<R>(self, task: impl FnOnce() -> R) -> R {
        /// Restored on a panic, too.
        struct Before(Products);
        impl Drop for Before {
            fn drop(&mut self) {
                CHOSEN.set(self.0);
            }
        }
        let _before = Before(CHOSEN.replace(self));
        task()
    }
}

thread_local! {
    static CHOSEN: Cell<Products> = const { Cell::new(Products::Float) };
}

impl fmt::Display for Products {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The machine or the program lacks what products take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MissingProducts {
    products: Products,
    reason: &'static str,
}

impl fmt::Display for MissingProducts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { products, reason } = self;
        write!(f, "{products} products are not computed here: {reason}")
    }
}

impl std::error::Error for MissingProducts {}

/// Runs `task` with matrix products of this kind.
///
/// It holds for operations that the task starts on this thread or by [`on_worker`](crate::on_worker), however many
/// threads then share them, and for the backward pass, which runs on the thread that starts it. Other threads, and other
/// backends than `flex`, are not affected. (A thread of rayon's that waits may take up a task of somebody else: such a task
/// computes what the thread was told to, unless it was started by `on_worker`.)
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use gsb_cpu::{Products, linear, with_products};
///
/// let ones = |shape| Tensor::<2>::ones(shape, &Device::default());
/// let y = || linear(ones([64, 128]), ones([128, 256]), Some(Tensor::zeros([256], &Device::default())));
/// // Ones are numbers of bfloat16, so their products are exact. Not every machine has them.
/// if let Ok(y) = with_products(Products::Bfloat16, y) {
///     assert_eq!(y.into_data().try_to_vec::<f32>().unwrap(), vec![128.0; 64 * 256]);
/// }
/// ```
///
/// # Errors
/// As [`Products::check`]; the task has not been run then.
pub fn with_products<R>(
    products: Products,
    task: impl FnOnce() -> R,
) -> Result<R, MissingProducts> {
    products.check()?;
    Ok(products.during(task))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_ends_with_its_task() {
        let inner = Products::Bfloat16.during(|| {
            let nested = Products::Bfloat16x3.during(Products::chosen);
            assert_eq!(nested, Products::Bfloat16x3);
            Products::chosen()
        });
        assert_eq!(inner, Products::Bfloat16);
        let panicked = std::panic::catch_unwind(|| {
            Products::Bfloat16.during(|| std::panic::resume_unwind(Box::new(())));
        });
        assert!(panicked.is_err());
        assert_eq!(Products::chosen(), Products::Float);
        let elsewhere = Products::Bfloat16.during(|| std::thread::spawn(Products::chosen).join());
        assert_eq!(elsewhere.unwrap(), Products::Float);
    }

    #[test]
    fn workers_take_over_the_choice_of_their_caller() {
        let chosen = Products::Bfloat16.during(|| crate::on_worker(Products::chosen));
        assert_eq!(chosen, Products::Bfloat16);
        assert_eq!(crate::on_worker(Products::chosen), Products::Float);
    }

    #[test]
    fn floats_are_everywhere_and_what_is_missing_is_said() {
        assert_eq!(
            with_products(Products::Float, Products::chosen),
            Ok(Products::Float)
        );
        for products in [
            Products::Bfloat16,
            Products::Bfloat16x3,
            Products::Bfloat16x6,
        ] {
            match with_products(products, Products::chosen) {
                Ok(chosen) => assert_eq!(chosen, products),
                Err(error) => {
                    let error = error.to_string();
                    let start = format!("{products} products are not computed here: ");
                    assert!(
                        error.starts_with(&start) && error.len() > start.len(),
                        "{error}"
                    );
                }
            }
        }
    }
}
