//! The order of an epoch.

use std::ops::Range;

use rand::seq::SliceRandom;

use crate::random::{Stream, stream};

/// A place in an epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Draw {
    /// The picture.
    pub index: usize,
    /// How often it came before in this epoch.
    pub copy: usize,
}

/// What is drawn in an epoch, batch after batch.
#[derive(Debug, Clone)]
pub(crate) struct Sampler {
    /// Number of pictures.
    pub len: usize,
    pub batch_size: usize,
    pub shuffle: bool,
    pub drop_last: bool,
    /// Copies of a picture in an epoch.
    pub repeats: usize,
}

impl Sampler {
    /// Pictures drawn in an epoch.
    pub fn drawn(&self) -> usize {
        if self.drop_last {
            self.len - self.len % self.batch_size
        } else {
            self.len
        }
    }

    /// Batches of an epoch.
    pub fn steps(&self) -> usize {
        self.drawn().div_ceil(self.batch_size)
    }

    /// The pictures of an epoch, in order.
    ///
    /// With repeats, the epoch keeps its length: of each run of `repeats` equal draws in the
    /// shuffled order, the first `len` draws are taken (Hoffer et al. 2020, as in DeiT).
    pub fn order(&self, seed: u64, epoch: u64) -> Vec<Draw> {
        let mut order: Vec<usize> = (0..self.len).collect();
        if self.shuffle {
            order.shuffle(&mut stream(seed, epoch, Stream::Order));
        }
        let draws = order
            .into_iter()
            .flat_map(|index| (0..self.repeats).map(move |copy| Draw { index, copy }));
        draws.take(self.drawn()).collect()
    }

    /// Where the joint batch of a step is in the order.
    pub fn batch(&self, step: usize) -> Range<usize> {
        let start = step * self.batch_size;
        start..(start + self.batch_size).min(self.drawn())
    }
}

/// The part of a range that a shard has: all shards together, in order, are the range.
pub(crate) fn shard(range: Range<usize>, index: usize, of: usize) -> Range<usize> {
    let len = range.len();
    range.start + index * len / of..range.start + (index + 1) * len / of
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sampler(len: usize, drop_last: bool, repeats: usize) -> Sampler {
        Sampler {
            len,
            batch_size: 4,
            shuffle: true,
            drop_last,
            repeats,
        }
    }

    fn sorted(order: &[Draw]) -> Vec<usize> {
        let mut indices: Vec<usize> = order.iter().map(|draw| draw.index).collect();
        indices.sort_unstable();
        indices
    }

    #[test]
    fn an_epoch_has_every_picture_once() {
        let sampler = sampler(10, false, 1);
        assert_eq!((sampler.steps(), sampler.batch(2)), (3, 8..10));
        let first = sampler.order(5, 0);
        assert_eq!(sorted(&first), (0..10).collect::<Vec<_>>());
        assert_ne!(first, sampler.order(5, 1));
        assert_ne!(first, sampler.order(6, 0));
        assert_eq!(first, sampler.order(5, 0));
    }

    #[test]
    fn the_last_batch_can_be_dropped() {
        let sampler = sampler(10, true, 1);
        assert_eq!((sampler.steps(), sampler.order(0, 0).len()), (2, 8));
    }

    #[test]
    fn repeats_keep_the_length() {
        for len in [10, 3, 1] {
            let order = sampler(len, false, 3).order(0, 0);
            assert_eq!(order.len(), len);
            let distinct = sorted(&order).chunk_by(|a, b| a == b).count();
            assert_eq!(distinct, len.div_ceil(3));
            for (place, draw) in order.iter().enumerate() {
                assert_eq!(draw.copy, place % 3);
            }
        }
    }

    #[test]
    fn shards_cover_a_batch_in_order() {
        for (len, of) in [(8, 2), (7, 3), (1, 2), (0, 2)] {
            let parts: Vec<usize> = (0..of).flat_map(|i| shard(5..5 + len, i, of)).collect();
            assert_eq!(parts, (5..5 + len).collect::<Vec<_>>());
        }
    }
}
