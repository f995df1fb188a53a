//! Random numbers that are the same on every machine.

use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;

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
}
