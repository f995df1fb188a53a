//! What can be wrong with a configuration or a checkpoint.

use std::path::{Path, PathBuf};

use burn::nn::Initializer;

use crate::checkpoint::{CheckpointError, ImportReport};
use crate::phase::{ParsePhaseError, Phase};

/// What another library or the system says of a failure.
type Cause = Box<dyn std::error::Error + Send + Sync>;

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
    /// There is no such level sum.
    #[error("attention_bits: the attention matrix has levels of 1 to 4 bits, got {bits}")]
    AttentionBits {
        /// Number of bits asked for.
        bits: u8,
    },
    /// Levels and groups of an attention matrix at once.
    #[error(
        "attention_bits: levels of {bits} bits take the place of groups: attention_groups must be 1, got {groups}"
    )]
    LevelSum {
        /// Bits of the levels.
        bits: u8,
        /// Number of groups.
        groups: usize,
    },
    /// Shifts of attention matrices cannot be stored so.
    #[error("the shifts of attention matrices have 8, 16 or 32 bits, got {bits}")]
    ShiftBits {
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
    #[error(transparent)]
    Phase(#[from] ParsePhaseError),
    /// No machine has a place for the model.
    #[error(
        "{image_size} pixels in patches of {patch_size}, width {width}, depth {depth}, MLP width \
         {mlp_width} and {classes} classes make a model too large"
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
        /// Width of an MLP's hidden layer.
        mlp_width: usize,
        /// Number of classes.
        classes: usize,
    },
    /// A configuration that cannot be read.
    #[error("not a configuration of a Vision Transformer: {0}")]
    Json(#[from] serde_json::Error),
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
    #[error("{}: cannot be written: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        source: Cause,
    },
    /// A file that cannot be read as a checkpoint.
    #[error("{}: not a checkpoint that can be read: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        source: Cause,
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
    /// A student whose scales have not started from data: packed, it would be as good as random.
    #[cfg(feature = "pack")]
    #[error(
        "cannot pack a student that is not calibrated: no data have set {} of its scales ({}); train it, or \
         calibrate it with a batch of images",
        scales.len(),
        few(scales)
    )]
    Uncalibrated {
        /// The paths of those scales.
        scales: Vec<String>,
    },
    /// A packed model that is impossible or cannot be written.
    #[cfg(feature = "pack")]
    #[error(transparent)]
    Packed(#[from] gsb_packed::Error),
    /// A file whose tensors cannot be read.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
}

impl Error {
    /// That a file cannot be written.
    pub(crate) fn write(path: &Path, cause: impl Into<Cause>) -> Self {
        Self::Write {
            path: path.into(),
            source: cause.into(),
        }
    }

    /// That a file cannot be read as a checkpoint.
    pub(crate) fn read(path: &Path, cause: impl Into<Cause>) -> Self {
        Self::Read {
            path: path.into(),
            source: cause.into(),
        }
    }
}

/// Names shown of a long list.
#[cfg(feature = "pack")]
const SHOWN: usize = 3;

#[cfg(feature = "pack")]
fn few(names: &[String]) -> String {
    let dots = if names.len() > SHOWN { ", .." } else { "" };
    format!("{}{dots}", names[..names.len().min(SHOWN)].join(", "))
}
