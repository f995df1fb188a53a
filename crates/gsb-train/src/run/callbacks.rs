//! What a run calls while it trains.

use std::fmt;

use burn_train::Interrupter;
use burn_train::renderer::MetricsRenderer;
use gsb_vit::Phase;

use super::silent::SilentRenderer;

/// What a run shows and says, and how it is stopped.
pub struct Callbacks {
    /// Makes what shows the progress of a phase.
    pub renderer: Box<dyn Fn(Phase) -> Box<dyn MetricsRenderer> + Send + Sync>,
    /// Stops the run, to be resumed later.
    pub interrupter: Interrupter,
    /// Told what a user should know and what does not end the run: a damaged checkpoint that is left
    /// out, a file system without locks.
    pub note: Box<dyn Fn(&str) + Send + Sync>,
}

impl fmt::Debug for Callbacks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Callbacks").finish_non_exhaustive()
    }
}

impl Default for Callbacks {
    /// Shows nothing.
    fn default() -> Self {
        Self {
            renderer: Box::new(|_| Box::new(SilentRenderer)),
            interrupter: Interrupter::new(),
            note: Box::new(|_| {}),
        }
    }
}
