//! Labels that are wrong on purpose.

use std::collections::HashMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use rand::RngExt;
use rand::seq::SliceRandom;

use crate::random::generator;
use crate::{DataSet, Error, Image};

/// A set some of whose labels are wrong.
#[derive(Clone)]
pub struct NoisyLabels {
    set: Arc<dyn DataSet>,
    wrong: HashMap<usize, usize>,
}

impl NoisyLabels {
    /// Number of wrong labels.
    pub fn wrong(&self) -> usize {
        self.wrong.len()
    }
}

impl fmt::Debug for NoisyLabels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NoisyLabels")
            .field("wrong", &self.wrong)
            .finish_non_exhaustive()
    }
}

impl DataSet for NoisyLabels {
    fn classes(&self) -> &[String] {
        self.set.classes()
    }

    fn len(&self) -> usize {
        self.set.len()
    }

    fn label(&self, index: usize) -> usize {
        let wrong = self.wrong.get(&index).copied();
        wrong.unwrap_or_else(|| self.set.label(index))
    }

    fn image(&self, index: usize) -> Result<Image, Error> {
        self.set.image(index)
    }

    fn channels(&self) -> usize {
        self.set.channels()
    }

    fn file(&self, index: usize) -> Option<&Path> {
        self.set.file(index)
    }
}

/// Gives `rate` of the pictures, rounded to a whole number, another label: one of the other classes
/// with equal probability.
///
/// # Errors
/// [`Error::Option`] unless the rate is from 0 to 1, and there are two classes if it is not 0.
///
/// ```
/// use std::sync::Arc;
///
/// let digits = Arc::new(gsb_data::digits()?);
/// assert_eq!(gsb_data::with_label_noise(digits, 0.2, 0)?.wrong(), 359);
/// # Ok::<(), gsb_data::Error>(())
/// ```
pub fn with_label_noise(set: Arc<dyn DataSet>, rate: f64, seed: u64) -> Result<NoisyLabels, Error> {
    let refuse = |problem: String| Error::Option {
        option: "label_noise",
        problem,
    };
    if !(0.0..=1.0).contains(&rate) {
        return Err(refuse(format!("expected a rate from 0 to 1, got {rate}")));
    }
    let classes = set.classes().len();
    let count = (set.len() as f64 * rate).round() as usize;
    if count > 0 && classes < 2 {
        return Err(refuse(
            "there is no other class to label a picture with".into(),
        ));
    }
    let mut rng = generator(seed);
    let mut order: Vec<usize> = (0..set.len()).collect();
    order.shuffle(&mut rng);
    let wrong = order[..count].iter().map(|&index| {
        let other = set.label(index) + rng.random_range(1..classes);
        (index, other % classes)
    });
    Ok(NoisyLabels {
        wrong: wrong.collect(),
        set: set.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_kept_and_the_wrong_classes_are_even() {
        let digits: Arc<dyn DataSet> = Arc::new(crate::digits().unwrap());
        let noisy = with_label_noise(digits.clone(), 0.5, 1).unwrap();
        let mut distance = [0usize; 10];
        for index in 0..digits.len() {
            distance[(10 + noisy.label(index) - digits.label(index)) % 10] += 1;
        }
        assert_eq!(distance[1..].iter().sum::<usize>(), 899);
        // 899 draws of 9 equal classes: five standard deviations around 99.9.
        let deviation = (899.0 * (1.0 / 9.0) * (8.0 / 9.0f64)).sqrt();
        for count in &distance[1..] {
            assert!(
                (*count as f64 - 899.0 / 9.0).abs() < 5.0 * deviation,
                "{distance:?}"
            );
        }
        let labels = |seed| {
            let noisy = with_label_noise(digits.clone(), 0.5, seed).unwrap();
            (0..noisy.len()).map(|i| noisy.label(i)).collect::<Vec<_>>()
        };
        assert_eq!(labels(1), labels(1));
        assert_ne!(labels(1), labels(2));
    }

    #[test]
    fn senseless_rates_are_refused() {
        let digits: Arc<dyn DataSet> = Arc::new(crate::digits().unwrap());
        for rate in [-0.1, 1.1, f64::NAN] {
            assert!(with_label_noise(digits.clone(), rate, 0).is_err());
        }
        assert_eq!(with_label_noise(digits, 0.0, 0).unwrap().wrong(), 0);
    }
}
