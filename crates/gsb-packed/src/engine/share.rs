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
    threads::both(|| share(first, part), || share(others, part));
}

/// Calls with several threads awake, if there are several lanes.
pub(super) fn awake(lanes: usize, call: impl FnOnce() + Send) {
    match lanes {
        1 => call(),
        _ => threads::awake(lanes - 1, call),
    }
}

/// Calls both, at once if there are several lanes.
pub(super) fn both(lanes: usize, a: impl FnOnce() + Send, b: impl FnOnce() + Send) {
    match lanes {
        1 => {
            a();
            b();
        }
        _ => threads::both(a, b),
    }
}

/// One thread.
#[cfg(not(feature = "rayon"))]
mod threads {
    pub(super) fn both(a: impl FnOnce(), b: impl FnOnce()) {
        a();
        b();
    }

    pub(super) fn awake(_others: usize, call: impl FnOnce()) {
        call();
    }
}

/// Those of the current rayon pool.
///
/// An image is shared dozens of times, for tens to hundreds of microseconds each. A thread of the pool that
/// finds nothing to do yields to the system at once and soon sleeps: to be woken, or scheduled again,
/// costs more than it would have to wait. So threads that an image needs look for work without pause
/// in between, for a bounded time: nothing ever depends on one of them.
#[cfg(feature = "rayon")]
mod threads {
    use std::hint::spin_loop;
    use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

    /// How often a thread that waits for another looks: some hundreds of microseconds.
    const WAITS: usize = 1 << 14;

    /// How often a thread looks for work in vain: likewise.
    const LOOKS: usize = 1 << 12;

    const WAITING: u8 = 0;
    const BEGUN: u8 = 1;
    const DONE: u8 = 2;

    /// Calls both, the second on another thread if there is one that has nothing to do.
    pub(super) fn both(a: impl FnOnce() + Send, b: impl FnOnce() + Send) {
        let state = AtomicU8::new(WAITING);
        let first = || {
            a();
            let mut waits = 0;
            while state.load(Ordering::Acquire) == BEGUN && waits < WAITS {
                spin_loop();
                waits += 1;
            }
        };
        let second = || {
            state.store(BEGUN, Ordering::Release);
            b();
            state.store(DONE, Ordering::Release);
        };
        rayon::join(first, second);
    }

    /// Calls while a number of other threads are kept awake.
    pub(super) fn awake(others: usize, call: impl FnOnce() + Send) {
        let done = AtomicBool::new(false);
        let mut call = Some(call);
        keep(others, &done, &mut || {
            if let Some(call) = call.take() {
                call();
            }
            done.store(true, Ordering::Release);
        });
    }

    fn keep(others: usize, done: &AtomicBool, call: &mut (dyn FnMut() + Send)) {
        match others {
            0 => call(),
            _ => {
                rayon::join(|| keep(others - 1, done, call), || look(done));
            }
        }
    }

    /// Does what there is to do.
    fn look(done: &AtomicBool) {
        let mut looks = 0;
        while !done.load(Ordering::Acquire) && looks < LOOKS {
            match rayon::yield_now() {
                Some(rayon::Yield::Executed) => looks = 0,
                _ => {
                    spin_loop();
                    looks += 1;
                }
            }
        }
    }
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
