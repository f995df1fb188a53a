//! Random numbers that are the same on every machine.

use std::f64::consts::TAU;

use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

/// The generator of a seed.
pub(crate) fn generator(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

/// What random numbers are drawn for; each has a stream of its own.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Stream {
    /// The order of an epoch.
    Order,
    /// Mixing the batch of this step.
    Mix(usize),
    /// Augmenting this picture the n-th time in an epoch.
    Sample { index: usize, copy: usize },
}

/// The generator of a stream in an epoch: the whole key is the seed, so no two streams meet.
pub(crate) fn stream(seed: u64, epoch: u64, stream: Stream) -> ChaCha8Rng {
    let [kind, number] = match stream {
        Stream::Order => [u64::MAX, 0],
        Stream::Mix(step) => [u64::MAX - 1, step as u64],
        Stream::Sample { index, copy } => [index as u64, copy as u64],
    };
    let mut key = [0; 32];
    for (place, word) in key.chunks_exact_mut(8).zip([seed, epoch, kind, number]) {
        place.copy_from_slice(&word.to_le_bytes());
    }
    ChaCha8Rng::from_seed(key)
}

/// A standard normal number (Box and Muller 1958).
pub(crate) fn normal(rng: &mut ChaCha8Rng) -> f64 {
    // 1 - u is never 0, so the logarithm is finite.
    let radius = (-2.0 * (1.0 - rng.random::<f64>()).ln()).sqrt();
    radius * (TAU * rng.random::<f64>()).cos()
}

/// A number of the gamma distribution of this shape and scale 1 (Marsaglia and Tsang 2000).
fn gamma(shape: f64, rng: &mut ChaCha8Rng) -> f64 {
    if shape < 1.0 {
        let boost = (1.0 - rng.random::<f64>()).powf(1.0 / shape);
        return gamma(shape + 1.0, rng) * boost;
    }
    let d = shape - 1.0 / 3.0;
    let c = 1.0 / (9.0 * d).sqrt();
    loop {
        let x = normal(rng);
        let v = (1.0 + c * x).powi(3);
        if v > 0.0 {
            let u = 1.0 - rng.random::<f64>();
            if u.ln() < 0.5 * x * x + d - d * v + d * v.ln() {
                return d * v;
            }
        }
    }
}

/// A number of the symmetric beta distribution, in `0..=1`.
pub(crate) fn beta(alpha: f64, rng: &mut ChaCha8Rng) -> f64 {
    if alpha.is_infinite() {
        return 0.5;
    }
    let (a, b) = (gamma(alpha, rng), gamma(alpha, rng));
    // A tiny shape can underflow both.
    if a + b > 0.0 {
        a / (a + b)
    } else {
        f64::from(rng.random::<bool>())
    }
}

#[cfg(test)]
mod tests {
    use rand::Rng;

    use super::*;

    #[test]
    fn streams_differ() {
        let sample = |index, copy| Stream::Sample { index, copy };
        let mut first: Vec<u64> = [
            stream(0, 0, Stream::Order),
            stream(0, 0, Stream::Mix(0)),
            stream(0, 0, Stream::Mix(1)),
            stream(0, 0, sample(0, 0)),
            stream(0, 0, sample(0, 1)),
            stream(0, 0, sample(1, 0)),
            stream(0, 1, sample(0, 0)),
            stream(1, 0, sample(0, 0)),
        ]
        .iter_mut()
        .map(|rng| rng.next_u64())
        .collect();
        first.sort_unstable();
        first.dedup();
        assert_eq!(first.len(), 8);
    }

    /// Mean and variance of 20,000 numbers.
    fn moments(mut number: impl FnMut(&mut ChaCha8Rng) -> f64) -> [f64; 2] {
        let mut rng = generator(1);
        let numbers: Vec<f64> = (0..20_000).map(|_| number(&mut rng)).collect();
        let mean = numbers.iter().sum::<f64>() / 20_000.0;
        let squares = numbers.iter().map(|x| (x - mean).powi(2)).sum::<f64>();
        [mean, squares / 20_000.0]
    }

    #[test]
    fn distributions_have_their_moments() {
        // Five standard errors: deviation / sqrt(n) for the mean, and for the variance
        // sqrt((kurtosis - 1) / n) times it, the kurtosis being at most 3.
        let n = 20_000f64;
        let check = |[mean, variance]: [f64; 2], expected_mean: f64, expected: f64| {
            assert!(
                (mean - expected_mean).abs() < 5.0 * (expected / n).sqrt(),
                "{mean}"
            );
            assert!(
                (variance / expected - 1.0).abs() < 5.0 * (2.0 / n).sqrt(),
                "{variance}"
            );
        };
        check(moments(normal), 0.0, 1.0);
        for alpha in [0.2, 0.8, 1.0, 3.0] {
            let variance = 1.0 / (4.0 * (2.0 * alpha + 1.0));
            check(moments(|rng| beta(alpha, rng)), 0.5, variance);
        }
        for alpha in [1e-9, 1e300] {
            assert!((0.0..=1.0).contains(&beta(alpha, &mut generator(0))));
        }
        assert_eq!(beta(f64::INFINITY, &mut generator(0)), 0.5);
    }
}
