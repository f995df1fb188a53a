//! What can be wrong with a configuration or a checkpoint.

use std::path::PathBuf;

use burn::nn::Initializer;

use crate::Phase;
use crate::checkpoint::{CheckpointError, ImportReport};

/// Errors of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A size is zero.
    #[error("a Vision Transformer needs a positive {field}, got 0")]
    Zero {
        /// The field of the configuration.
        field: &'static str,
    },
    /// The patches do not cover the image.
    #[error("an image of {image_size} pixels cannot be cut into patches of {patch_size}")]
    Patches {
        /// Height and width of an image.
        image_size: usize,
        /// Height and width of a patch.
        patch_size: usize,
    },
    /// The heads do not share the width.
    #[error("a width of {width} cannot be shared by {heads} heads")]
    Heads {
        /// Width of a token.
        width: usize,
        /// Number of heads.
        heads: usize,
    },
    /// The hidden layer of the MLP has no width.
    #[error("an MLP ratio of {ratio} at width {width} leaves the MLP no hidden layer")]
    MlpRatio {
        /// Width of the hidden layer over that of a token.
        ratio: f64,
        /// Width of a token.
        width: usize,
    },
    /// Not a probability below one.
    #[error("the {field} must be at least 0 and below 1, got {value}")]
    Probability {
        /// The field of the configuration.
        field: &'static str,
        /// What was asked for.
        value: f64,
    },
    /// Not a small number that a variance can be added to.
    #[error("what normalizations add to the variance must be above 0 and below 1, got {epsilon}")]
    Epsilon {
        /// What was asked for.
        epsilon: f64,
    },
    /// There are no such initial weights.
    #[error("the {field} is impossible: {initializer:?}")]
    Initializer {
        /// The field of the configuration.
        field: &'static str,
        /// What was asked for.
        initializer: Initializer,
    },
    /// There is no such quantizer.
    #[error("the {part} have 1 to 8 bits, got {bits}")]
    Bits {
        /// What is quantized.
        part: &'static str,
        /// Number of bits asked for.
        bits: u8,
    },
    /// There is no such preset.
    #[error("no model is called {name:?}: expected one of {known}")]
    Preset {
        /// What was asked for.
        name: String,
        /// The names there are.
        known: String,
    },
    /// There is no such phase.
    #[error("no phase is called {name:?}: expected teacher, stage1 or stage2")]
    Phase {
        /// What was asked for.
        name: String,
    },
    /// No machine has a place for the model.
    #[error(
        "{image_size} pixels in patches of {patch_size}, width {width}, depth {depth}, MLP ratio \
         {mlp_ratio} and {classes} classes make a model too large"
    )]
    TooLarge {
        /// Height and width of an image.
        image_size: usize,
        /// Height and width of a patch.
        patch_size: usize,
        /// Width of a token.
        width: usize,
        /// Number of blocks.
        depth: usize,
        /// Width of the hidden layer over that of a token.
        mlp_ratio: f64,
        /// Number of classes.
        classes: usize,
    },
    /// A configuration that cannot be read.
    #[error("not a configuration of a Vision Transformer: {0}")]
    Json(String),
    /// There is no such superposition.
    #[error("the superposition of the {part} has 1 to 3 groups, got {groups}")]
    Groups {
        /// What is binarized.
        part: &'static str,
        /// Number of groups asked for.
        groups: usize,
    },
    /// Weights cannot carry over between models of different sizes.
    #[error(
        "stage 2 cannot start from stage 1: the {field} of stage 1 is {stage1}, that of stage 2 {stage2}"
    )]
    Transfer {
        /// The field of the configuration.
        field: &'static str,
        /// Its value in stage 1.
        stage1: usize,
        /// Its value in stage 2.
        stage2: usize,
    },
    /// Weights of the teacher cannot carry over to a student of other sizes.
    #[error(
        "a student of {phase} cannot start from the teacher: its {field} is {student}, that of the teacher {teacher}"
    )]
    Start {
        /// The phase of the student.
        phase: Phase,
        /// The field of the configuration.
        field: &'static str,
        /// Its value in the teacher.
        teacher: usize,
        /// Its value in the student.
        student: usize,
    },
    /// The tensors of a file do not fit the model.
    #[error(
        "{source_name}: not a model of {phase}: {report}{}",
        if report.loaded.is_empty() { "" } else { "; gsb import --lenient leaves what does not fit" }
    )]
    Import {
        /// Where the tensors come from.
        source_name: String,
        /// The phase of the model.
        phase: Phase,
        /// What became of the tensors.
        report: Box<ImportReport>,
    },
    /// A weight of a file is infinite or no number.
    #[error(
        "{source_name}: {name} holds values that are not finite (NaN or infinity): such a model computes \
         nothing, take an earlier checkpoint"
    )]
    NotFinite {
        /// Where the tensor comes from.
        source_name: String,
        /// The tensor.
        name: String,
    },
    /// The model depends on something that its tensors do not tell.
    #[error("{source_name}: the file does not say {what}: {remedy}")]
    Unsaid {
        /// Where the tensors come from.
        source_name: String,
        /// What is not known.
        what: &'static str,
        /// How to say it.
        remedy: &'static str,
    },
    /// What was said of a file is not so.
    #[error("{source_name}: a model of {found} {what}, not of {given}")]
    Contradiction {
        /// Where the tensors come from.
        source_name: String,
        /// What it is about.
        what: &'static str,
        /// What the file says.
        found: String,
        /// What was said.
        given: String,
    },
    /// Not the tensors of a model known here.
    #[error("{source_name}: not a Vision Transformer known here: {reason}")]
    Foreign {
        /// Where the tensors come from.
        source_name: String,
        /// What does not fit.
        reason: String,
    },
    /// A file that cannot be written.
    #[error("{}: cannot be written: {reason}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        reason: String,
    },
    /// A file that cannot be read as a checkpoint.
    #[error("{}: not a checkpoint that can be read: {reason}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        reason: String,
    },
    /// A model that a packed file cannot hold exactly.
    #[cfg(feature = "pack")]
    #[error("cannot pack {name}: {reason}")]
    Pack {
        /// The parameter or layer at fault.
        name: String,
        /// Why.
        reason: String,
    },
    /// A packed model that is impossible or cannot be written.
    #[cfg(feature = "pack")]
    #[error(transparent)]
    Packed(#[from] gsb_packed::Error),
    /// A file whose tensors cannot be read.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
}
