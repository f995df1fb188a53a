//! What ends a run.

/// Errors of a run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The machine lacks the device.
    #[error("--device {0}: there is no such device on this machine")]
    #[cfg_attr(
        not(any(feature = "wgpu", feature = "vulkan", feature = "cuda")),
        expect(dead_code, reason = "CPU devices are always there")
    )]
    NoDevice(&'static str),
    /// The training diverged.
    #[error("the loss of {phase} is {loss} in epoch {epoch}; try a smaller --lr")]
    Diverged {
        /// The phase.
        phase: &'static str,
        /// The epoch, counted from 1.
        epoch: usize,
        /// The loss.
        loss: f32,
    },
    /// The schedule of the learning rate is impossible.
    #[error("learning rate: {0}")]
    Schedule(String),
    /// The data are broken.
    #[error(transparent)]
    Data(#[from] gsb_data::Error),
    /// The model is impossible.
    #[error(transparent)]
    Model(#[from] gsb_vit::Error),
    /// The loss is impossible.
    #[error(transparent)]
    Loss(#[from] gsb::Error),
    /// A file that is no configuration.
    #[error("{}: {reason}", path.display())]
    File {
        /// The file.
        path: std::path::PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The result cannot be written.
    #[error("cannot write the result: {0}")]
    Output(#[from] std::io::Error),
}
