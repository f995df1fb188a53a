//! Pictures that wait for a model.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::answer::Answer;
use crate::body::Share;
use crate::refusal::Refusal;
use crate::request::{Picture, Turn, Wanted};

/// A picture that waits.
#[derive(Debug)]
pub struct Job {
    pub picture: Picture,
    pub attention: Wanted,
    pub orientation: Turn,
    /// Where its request waits for the answer.
    pub answer: oneshot::Sender<Result<Answer, Refusal>>,
    /// The memory that its bytes take.
    pub _share: Share,
}

impl Job {
    /// Whether nobody waits any more: the client has left, or its time is over.
    fn is_forsaken(&self) -> bool {
        self.answer.is_closed()
    }

    /// Whether to go on with it.
    ///
    /// # Errors
    /// A refusal that nobody reads, if nobody waits any more.
    pub fn wanted(&self) -> Result<(), Refusal> {
        match self.is_forsaken() {
            true => Err(Refusal::internal("nobody waits for it any more")),
            false => Ok(()),
        }
    }
}

/// Pictures in the order of their coming, of a bounded number.
#[derive(Debug)]
pub struct Queue {
    state: Mutex<State>,
    changed: Condvar,
    most: usize,
}

#[derive(Debug, Default)]
struct State {
    jobs: VecDeque<Job>,
    closed: bool,
}

impl Queue {
    /// An empty queue with room for a number of pictures.
    pub fn new(most: usize) -> Self {
        Self {
            state: Mutex::default(),
            changed: Condvar::new(),
            most,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Pictures that wait.
    pub fn len(&self) -> usize {
        self.state().jobs.len()
    }

    /// Whether a number of pictures more would find room.
    pub fn has_room(&self, count: usize) -> bool {
        self.state().room(self.most, count)
    }

    /// Forgets pictures that nobody waits for any more, which gives back the memory of their bytes.
    pub fn purge(&self) {
        self.state().purge();
    }

    /// Adds the pictures of a request, all of them or none.
    ///
    /// # Errors
    /// 503 if there is no room.
    pub fn push(&self, jobs: Vec<Job>) -> Result<(), Refusal> {
        let mut state = self.state();
        if state.closed || !state.room(self.most, jobs.len()) {
            return Err(Refusal::busy(format!(
                "{} pictures wait already, {} may",
                state.jobs.len(),
                self.most
            )));
        }
        state.jobs.extend(jobs);
        drop(state);
        self.changed.notify_one();
        Ok(())
    }

    /// Waits for pictures and takes all that are there, up to a number; none once the queue is closed and
    /// empty.
    pub fn batch(&self, most: usize) -> Option<Vec<Job>> {
        let mut state = self.state();
        loop {
            let mut batch = Vec::new();
            while batch.len() < most
                && let Some(job) = state.jobs.pop_front()
            {
                if !job.is_forsaken() {
                    batch.push(job);
                }
            }
            match (batch.is_empty(), state.closed) {
                (false, _) => return Some(batch),
                (true, true) => return None,
                (true, false) => {
                    let waited = self.changed.wait(state);
                    state = waited.unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
    }

    /// Takes no more; what waits is still given out.
    pub fn close(&self) {
        self.state().closed = true;
        self.changed.notify_all();
    }
}

impl State {
    fn room(&mut self, most: usize, count: usize) -> bool {
        if self.jobs.len() + count > most {
            self.purge();
        }
        self.jobs.len() + count <= most
    }

    fn purge(&mut self) {
        self.jobs.retain(|job| !job.is_forsaken());
    }
}

#[cfg(test)]
pub mod tests {
    use std::sync::Arc;

    use axum::body::Bytes;
    use tokio::sync::Semaphore;

    use super::*;

    type Waiting = oneshot::Receiver<Result<Answer, Refusal>>;

    fn job(name: &str) -> (Job, Waiting) {
        job_of(name, b"")
    }

    /// A picture of these bytes, and who waits for it.
    pub fn job_of(name: &str, bytes: &[u8]) -> (Job, Waiting) {
        let (answer, waiting) = oneshot::channel();
        let share = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
        let job = Job {
            picture: Picture {
                name: name.into(),
                bytes: Bytes::copy_from_slice(bytes),
            },
            attention: Wanted::None,
            orientation: Turn::Upright,
            answer,
            _share: Arc::new(share),
        };
        (job, waiting)
    }

    fn names(batch: Option<Vec<Job>>) -> Vec<String> {
        batch
            .unwrap()
            .into_iter()
            .map(|job| job.picture.name)
            .collect()
    }

    #[test]
    fn those_who_left_make_room() {
        let queue = Queue::new(3);
        let (jobs, mut waiting): (Vec<_>, Vec<_>) = ["a", "b", "c"].map(job).into_iter().unzip();
        queue.push(jobs).unwrap();
        assert!(queue.push(vec![job("d").0]).is_err());
        waiting.remove(1);
        let (late, _waiting) = job("d");
        queue.push(vec![late]).unwrap();
        assert_eq!(queue.len(), 3);
        assert_eq!(names(queue.batch(2)), ["a", "c"]);
        assert_eq!(names(queue.batch(2)), ["d"]);
    }

    #[test]
    fn those_who_left_are_forgotten() {
        let queue = Queue::new(3);
        let (jobs, mut waiting): (Vec<_>, Vec<_>) = ["a", "b"].map(job).into_iter().unzip();
        let share = jobs[0]._share.clone();
        queue.push(jobs).unwrap();
        waiting.remove(0);
        queue.purge();
        assert_eq!((queue.len(), Arc::strong_count(&share)), (1, 1));
        assert_eq!(names(queue.batch(3)), ["b"]);
    }

    #[test]
    fn a_closed_queue_gives_out_what_waits() {
        let queue = Queue::new(3);
        let (first, _waiting) = job("a");
        queue.push(vec![first]).unwrap();
        queue.close();
        assert!(queue.push(vec![job("b").0]).is_err());
        assert_eq!(names(queue.batch(5)), ["a"]);
        assert!(queue.batch(5).is_none());
    }
}
