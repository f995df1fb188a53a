//! Work of an image in parts, which threads share.
//!
//! Every part has memory of its own, a [`Lane`], and writes what no other part does, so that any number
//! of them gives the same bits.

use std::ops::Range;

/// Work on some lanes.
pub(super) trait Parts: Send + Sized {
    /// What the lanes share.
    fn span(&self) -> &Span;

    /// The work of the first of the lanes, less than all, and that of the others.
    fn split(self, lanes: usize) -> (Self, Self);
}

/// Does the work of each lane, on the threads of the current rayon pool if the feature `rayon` is on.
pub(super) fn share<W: Parts>(work: W, part: &(impl Fn(W) + Sync)) {
    let lanes = work.span().lanes.len();
    if lanes <= 1 {
        return part(work);
    }
    let (first, others) = work.split(lanes / 2);
    both(true, || share(first, part), || share(others, part));
}

/// A run of things, of each lane nearly as many.
#[derive(Debug, Clone)]
pub(super) struct Span {
    /// All things.
    count: usize,
    /// How many of them stay together.
    whole: usize,
    /// All lanes.
    all: usize,
    /// Those whose things these are.
    lanes: Range<usize>,
}

impl Span {
    /// All of `count` things, of which `whole` stay together, for some lanes.
    pub(super) fn new(count: usize, whole: usize, lanes: usize) -> Self {
        Self {
            count,
            whole,
            all: lanes,
            lanes: 0..lanes,
        }
    }

    /// The things.
    pub(super) fn range(&self) -> Range<usize> {
        let wholes = self.count.div_ceil(self.whole);
        let start = |lane: usize| (wholes * lane / self.all * self.whole).min(self.count);
        start(self.lanes.start)..start(self.lanes.end)
    }

    /// Those of the first lanes, and those of the others.
    pub(super) fn split(&self, lanes: usize) -> (Self, Self) {
        let middle = self.lanes.start + lanes;
        let of = |lanes| Self {
            lanes,
            ..self.clone()
        };
        (of(self.lanes.start..middle), of(middle..self.lanes.end))
    }

    /// Those of a lane.
    pub(super) fn of_lane(&self, lane: usize) -> Self {
        Self {
            lanes: lane..lane + 1,
            ..self.clone()
        }
    }
}

/// Calls both, at once if several threads share the work.
pub(super) fn both(several: bool, a: impl FnOnce() + Send, b: impl FnOnce() + Send) {
    if several {
        #[cfg(feature = "rayon")]
        let ((), ()) = rayon::join(a, b);
        #[cfg(not(feature = "rayon"))]
        let ((), ()) = (a(), b());
    } else {
        a();
        b();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_cover_everything_once() {
        for (count, whole, lanes) in [(198, 6, 2), (198, 4, 16), (5, 6, 3), (0, 1, 2), (7, 2, 7)] {
            let span = Span::new(count, whole, lanes);
            let parts = (0..lanes).map(|lane| span.of_lane(lane).range());
            let mut next = 0;
            for part in parts {
                assert_eq!(part.start, next);
                assert!(part.end == count || part.end.is_multiple_of(whole));
                next = part.end;
            }
            assert_eq!((span.range(), next), (0..count, count));
            for first in 1..lanes {
                let (first, others) = span.split(first);
                assert_eq!(first.range().end, others.range().start);
                assert_eq!(others.range().end, count);
            }
        }
    }
}
