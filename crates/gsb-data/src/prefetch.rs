//! Work done ahead by threads, handed out in order.

use std::any::Any;
use std::collections::BTreeMap;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{JoinHandle, available_parallelism};

use crate::DataSet;

/// How many results may wait for the caller, for each worker.
const AHEAD: usize = 2;

/// Makes the result of a step; `None` if it noticed that it shall stop.
type Make<T> = dyn Fn(usize, &dyn Fn() -> bool) -> Option<T> + Send + Sync;

/// Results of a range of steps, in order.
pub(crate) struct Prefetch<T> {
    shared: Arc<Shared<T>>,
    workers: Vec<JoinHandle<()>>,
    next: usize,
    end: usize,
}

struct Shared<T> {
    make: Box<Make<T>>,
    state: Mutex<State<T>>,
    /// Something was made.
    made: Condvar,
    /// Something was taken, or all shall stop.
    taken: Condvar,
}

struct State<T> {
    /// The first step that nobody has begun.
    unclaimed: usize,
    /// Steps before this one may be begun.
    limit: usize,
    end: usize,
    stopped: bool,
    ready: BTreeMap<usize, std::thread::Result<T>>,
}

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        // No code that can panic runs under the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self) {
        loop {
            let mut state = self.lock();
            while !state.stopped && state.unclaimed >= state.limit && state.unclaimed < state.end {
                state = self
                    .taken
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
            }
            if state.stopped || state.unclaimed >= state.end {
                return;
            }
            let step = state.unclaimed;
            state.unclaimed += 1;
            drop(state);
            let stopped = || self.lock().stopped;
            let result = catch_unwind(AssertUnwindSafe(|| (self.make)(step, &stopped)));
            let result: Result<T, Box<dyn Any + Send>> = match result {
                Ok(Some(value)) => Ok(value),
                Ok(None) => return,
                Err(panic) => Err(panic),
            };
            self.lock().ready.insert(step, result);
            self.made.notify_all();
        }
    }
}

impl<T: Send + 'static> Prefetch<T> {
    /// Starts the workers; without any, each step is made when it is asked for.
    pub fn new(
        make: impl Fn(usize, &dyn Fn() -> bool) -> Option<T> + Send + Sync + 'static,
        steps: Range<usize>,
        workers: usize,
    ) -> Self {
        let ahead = workers.saturating_mul(AHEAD);
        let shared = Arc::new(Shared {
            make: Box::new(make),
            state: Mutex::new(State {
                unclaimed: steps.start,
                limit: steps.start.saturating_add(ahead),
                end: steps.end,
                stopped: false,
                ready: BTreeMap::new(),
            }),
            made: Condvar::new(),
            taken: Condvar::new(),
        });
        // A system that has no threads left leaves the work to those there are, or to the caller.
        let workers = (0..workers.min(steps.len()))
            .map_while(|index| {
                let shared = shared.clone();
                std::thread::Builder::new()
                    .name(format!("loader-{index}"))
                    .spawn(move || shared.work())
                    .ok()
            })
            .collect();
        Self {
            shared,
            workers,
            next: steps.start,
            end: steps.end,
        }
    }

    /// Results that are still to come.
    pub fn left(&self) -> usize {
        self.end - self.next
    }
}

impl<T> Prefetch<T> {
    fn wait(&self, step: usize) -> std::thread::Result<T> {
        let mut state = self.shared.lock();
        loop {
            if let Some(result) = state.ready.remove(&step) {
                state.limit = state.limit.saturating_add(1);
                drop(state);
                self.shared.taken.notify_all();
                return result;
            }
            state = self
                .shared
                .made
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl<T> Iterator for Prefetch<T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        if self.next == self.end {
            return None;
        }
        let step = self.next;
        self.next += 1;
        if self.workers.is_empty() {
            return (self.shared.make)(step, &|| false);
        }
        match self.wait(step) {
            Ok(value) => Some(value),
            Err(panic) => resume_unwind(panic),
        }
    }
}

impl<T> Drop for Prefetch<T> {
    fn drop(&mut self) {
        self.shared.lock().stopped = true;
        self.shared.taken.notify_all();
        for worker in self.workers.drain(..) {
            // Its panic, if any, was caught.
            let _ = worker.join();
        }
    }
}

/// Pictures of a step of [`each_picture`].
const PICTURES: usize = 64;
/// Threads that read files even where there are fewer cores: most of the time goes into waiting.
const READERS: usize = 8;

/// What a function says of each picture of a set, in order, found out by all cores.
pub(crate) fn each_picture<T: Send + 'static>(
    set: &Arc<dyn DataSet>,
    look: impl Fn(&dyn DataSet, usize) -> T + Send + Sync + 'static,
) -> impl Iterator<Item = T> {
    let (set, len) = (set.clone(), set.len());
    let make = move |step: usize, stopped: &dyn Fn() -> bool| {
        let pictures = step * PICTURES..len.min((step + 1) * PICTURES);
        let looks = pictures.map(|index| (!stopped()).then(|| look(&*set, index)));
        looks.collect::<Option<Vec<T>>>()
    };
    let workers = available_parallelism().map_or(READERS, |cores| cores.get().max(READERS));
    Prefetch::new(make, 0..len.div_ceil(PICTURES), workers).flatten()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;

    #[test]
    fn results_come_in_order() {
        for workers in [0, 1, 2, 5, 50] {
            let make = |step: usize, _: &dyn Fn() -> bool| {
                // Later steps of a group finish first.
                std::thread::sleep(Duration::from_micros(300 * (3 - step as u64 % 4)));
                Some(step * step)
            };
            let squares: Vec<usize> = Prefetch::new(make, 3..23, workers).collect();
            assert_eq!(squares, (3..23).map(|i| i * i).collect::<Vec<_>>());
        }
    }

    #[test]
    fn workers_do_not_run_away() {
        let begun = Arc::new(AtomicUsize::new(0));
        let counter = begun.clone();
        let make = move |step: usize, _: &dyn Fn() -> bool| {
            counter.fetch_add(1, Ordering::SeqCst);
            Some(step)
        };
        let mut prefetch = Prefetch::new(make, 0..1000, 2);
        for _ in 0..3 {
            prefetch.next();
        }
        std::thread::sleep(Duration::from_millis(50));
        assert!(begun.load(Ordering::SeqCst) <= 3 + 2 * AHEAD);
    }

    #[test]
    fn dropping_stops_the_workers() {
        let alive = Arc::new(());
        let held = alive.clone();
        let make = move |step: usize, stopped: &dyn Fn() -> bool| {
            let _held = &held;
            while step > 0 && !stopped() {
                std::thread::yield_now();
            }
            Some(step)
        };
        let mut prefetch = Prefetch::new(make, 0..10, 3);
        assert_eq!(prefetch.next(), Some(0));
        drop(prefetch);
        assert_eq!(Arc::strong_count(&alive), 1);
    }

    #[test]
    fn a_panic_reaches_the_caller() {
        let make = |step: usize, _: &dyn Fn() -> bool| {
            assert!(step != 2, "step two");
            Some(step)
        };
        let mut prefetch = Prefetch::new(make, 0..4, 2);
        assert_eq!((prefetch.next(), prefetch.next()), (Some(0), Some(1)));
        let panic = catch_unwind(AssertUnwindSafe(|| prefetch.next())).unwrap_err();
        assert_eq!(panic.downcast_ref::<&str>(), Some(&"step two"));
        assert_eq!(prefetch.next(), Some(3));
    }
}
