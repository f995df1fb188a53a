//! Where the time of a prediction goes.

use std::time::Duration;

#[cfg(not(all(target_family = "wasm", target_os = "unknown")))]
use std::time::Instant;

/// The clock of machines that have none, such as WebAssembly in a browser, where the standard library
/// panics when it is asked for the time: it stands still.
#[cfg(all(target_family = "wasm", target_os = "unknown"))]
#[derive(Debug, Clone, Copy)]
struct Instant;

#[cfg(all(target_family = "wasm", target_os = "unknown"))]
impl Instant {
    fn now() -> Self {
        Self
    }

    fn duration_since(&self, _: Self) -> Duration {
        Duration::ZERO
    }
}

/// A stage of the network, all blocks together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stage {
    /// Patch embedding and positions.
    Embedding,
    /// Both normalizations of the blocks, with shift and sign.
    Norms,
    /// Query, key and value.
    Qkv,
    /// Superposition of the value.
    Value,
    /// Scores, softmax, superposition of the attention matrix.
    Attention,
    /// Product of attention matrix and value.
    Attended,
    /// Output layer of the attention.
    Output,
    /// First layer of the MLP, with GELU.
    Fc1,
    /// Second layer of the MLP.
    Fc2,
    /// Last normalization and heads.
    Heads,
}

impl Stage {
    /// All, in the order of the network.
    pub const ALL: [Self; 10] = [
        Self::Embedding,
        Self::Norms,
        Self::Qkv,
        Self::Value,
        Self::Attention,
        Self::Attended,
        Self::Output,
        Self::Fc1,
        Self::Fc2,
        Self::Heads,
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Embedding => "embedding",
            Self::Norms => "norms",
            Self::Qkv => "qkv",
            Self::Value => "value",
            Self::Attention => "attention",
            Self::Attended => "attended",
            Self::Output => "output",
            Self::Fc1 => "fc1",
            Self::Fc2 => "fc2",
            Self::Heads => "heads",
        }
    }
}

/// Adds up the time of stages.
#[derive(Debug, Clone)]
pub(super) struct Clock {
    last: Instant,
    totals: [Duration; Stage::ALL.len()],
}

impl Clock {
    pub(super) fn new() -> Self {
        Self {
            last: Instant::now(),
            totals: Default::default(),
        }
    }

    /// Forgets the times of the image before.
    pub(super) fn reset(&mut self) {
        *self = Self::new();
    }

    /// Begins to measure.
    pub(super) fn start(&mut self) {
        self.last = Instant::now();
    }

    /// The time since the last lap belongs to a stage.
    pub(super) fn lap(&mut self, stage: Stage) {
        let now = Instant::now();
        self.totals[stage as usize] += now.duration_since(self.last);
        self.last = now;
    }

    /// The times of some clocks added up.
    pub(super) fn totals<'a>(
        clocks: impl Iterator<Item = &'a Self>,
    ) -> impl Iterator<Item = (Stage, Duration)> {
        let mut totals = [Duration::ZERO; Stage::ALL.len()];
        for clock in clocks {
            for (total, time) in totals.iter_mut().zip(clock.totals) {
                *total += time;
            }
        }
        Stage::ALL.into_iter().zip(totals)
    }
}
