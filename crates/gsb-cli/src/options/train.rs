//! Options of the training.

use std::path::PathBuf;

use gsb_vit::Phase;

use super::DataArgs;
use super::names::{DistillationName, InitialName, ScopeName};
use super::numbers::{above_zero, below_one, few, fraction, learning_rate, not_negative, positive};
use super::path;
use crate::compute::{DeviceName, Strategy};

/// Options of the training. What is not given comes from the configuration file, else from the
/// defaults of the data set.
#[derive(Debug, Clone, Default, PartialEq, clap::Args)]
pub struct TrainArgs {
    /// Configuration (.toml or .json); the config.json of a run repeats it
    #[arg(long, value_name = "FILE", value_parser = path::option(), help_heading = "Run")]
    pub config: Option<PathBuf>,

    /// Folder of the run [default: the first free one of runs/<data set>-1, -2, ...]
    #[arg(long, value_name = "FOLDER", value_parser = path::option(), help_heading = "Run")]
    pub output_dir: Option<PathBuf>,

    /// Go on with the run in a folder, as if it had not been interrupted; with --json, --quiet
    /// and --dashboard, and where moved data and files are now
    #[arg(long, value_name = "FOLDER", value_parser = path::option(), help_heading = "Run")]
    pub resume: Option<PathBuf>,

    /// Go on with --resume although the images are not those that the run began with
    #[arg(long, requires = "resume", help_heading = "Run")]
    pub changed_data: bool,

    /// Write the results as JSON; - prints them, instead of the table
    #[arg(long, value_name = "FILE", value_parser = path::option(), help_heading = "Run")]
    pub json: Option<PathBuf>,

    /// Decides initial weights, order and augmentation of the images
    #[arg(long, help_heading = "Run")]
    pub seed: Option<u64>,

    /// Where to compute
    #[arg(long, value_enum, help_heading = "Run")]
    pub device: Option<DeviceName>,

    /// Devices that share each batch, the first ones of their kind
    #[arg(long, value_name = "NUMBER", value_parser = few(), help_heading = "Run")]
    pub devices: Option<usize>,

    /// How several devices work together
    #[arg(long, value_enum, help_heading = "Run")]
    pub strategy: Option<Strategy>,

    /// Threads that read and augment images
    #[arg(long, value_name = "THREADS", help_heading = "Run")]
    pub workers: Option<usize>,

    /// Print nothing but the results, warnings and errors
    #[arg(short, long, help_heading = "Run")]
    pub quiet: bool,

    /// Show a full-screen view of the training instead of bars
    #[cfg(feature = "dashboard")]
    #[arg(long, help_heading = "Run")]
    pub dashboard: bool,

    #[command(flatten)]
    pub data: DataArgs,

    /// The student: a preset ("gsb summary help" lists them) or a configuration (.json)
    #[arg(long, value_name = "MODEL", value_parser = path::option(), help_heading = "Model")]
    pub model: Option<PathBuf>,

    /// Height and width that images are brought to
    #[arg(long, value_name = "PIXELS", value_parser = positive(), help_heading = "Model")]
    pub input_size: Option<usize>,

    /// Groups of the attention matrix, 1 (plain) to 3 (GSB)
    #[arg(long, value_name = "GROUPS", help_heading = "Model")]
    pub attention_groups: Option<usize>,

    /// Groups of the value, 1 (plain) to 3 (GSB)
    #[arg(long, value_name = "GROUPS", help_heading = "Model")]
    pub value_groups: Option<usize>,

    /// Which elements share the thresholds of the groups
    #[arg(long, value_enum, help_heading = "Model")]
    pub scope: Option<ScopeName>,

    /// How the scales of the groups start
    #[arg(long, value_enum, help_heading = "Model")]
    pub initial_scales: Option<InitialName>,

    /// Dropout
    #[arg(long, value_name = "RATE", value_parser = below_one, help_heading = "Model")]
    pub drop: Option<f64>,

    /// Drop path (stochastic depth)
    #[arg(long, value_name = "RATE", value_parser = below_one, help_heading = "Model")]
    pub drop_path: Option<f64>,

    /// Phases to train, in their order
    #[arg(
        long,
        value_name = "PHASE",
        value_delimiter = ',',
        help_heading = "Recipe"
    )]
    pub phase: Vec<Phase>,

    /// Epochs of each phase
    #[arg(long, value_parser = positive(), help_heading = "Recipe")]
    pub epochs: Option<usize>,

    /// Epochs of the teacher
    #[arg(long, value_name = "EPOCHS", value_parser = positive(), help_heading = "Recipe")]
    pub teacher_epochs: Option<usize>,

    /// Epochs of stage 1
    #[arg(long, value_name = "EPOCHS", value_parser = positive(), help_heading = "Recipe")]
    pub stage1_epochs: Option<usize>,

    /// Epochs of stage 2
    #[arg(long, value_name = "EPOCHS", value_parser = positive(), help_heading = "Recipe")]
    pub stage2_epochs: Option<usize>,

    /// Images in a batch
    #[arg(long, value_name = "IMAGES", value_parser = positive(), help_heading = "Recipe")]
    pub batch_size: Option<usize>,

    /// Batches in a step
    #[arg(long, value_name = "BATCHES", value_parser = positive(), help_heading = "Recipe")]
    pub accumulation: Option<usize>,

    /// Highest learning rate of each phase, above 0 and at most 1
    #[arg(long, value_name = "RATE", value_parser = learning_rate, help_heading = "Recipe")]
    pub lr: Option<f64>,

    /// Highest learning rate of the teacher
    #[arg(long, value_name = "RATE", value_parser = learning_rate, help_heading = "Recipe")]
    pub teacher_lr: Option<f64>,

    /// Highest learning rate of stage 1
    #[arg(long, value_name = "RATE", value_parser = learning_rate, help_heading = "Recipe")]
    pub stage1_lr: Option<f64>,

    /// Highest learning rate of stage 2
    #[arg(long, value_name = "RATE", value_parser = learning_rate, help_heading = "Recipe")]
    pub stage2_lr: Option<f64>,

    /// Learning rate at the end
    #[arg(long, value_name = "RATE", value_parser = not_negative, help_heading = "Recipe")]
    pub min_lr: Option<f64>,

    /// Epochs of linear warm-up
    #[arg(long, value_name = "EPOCHS", help_heading = "Recipe")]
    pub warmup_epochs: Option<usize>,

    /// Learning rate that the warm-up starts from
    #[arg(long, value_name = "RATE", value_parser = not_negative, help_heading = "Recipe")]
    pub warmup_lr: Option<f64>,

    /// Weight decay
    #[arg(long, value_name = "DECAY", value_parser = not_negative, help_heading = "Recipe")]
    pub weight_decay: Option<f64>,

    /// Highest norm of the gradient of a step
    #[arg(long, value_name = "NORM", value_parser = above_zero, help_heading = "Recipe")]
    pub clip_grad: Option<f64>,

    /// Evaluate and keep a moving average of the weights, with this decay
    #[arg(long, value_name = "DECAY", value_parser = below_one, help_heading = "Recipe")]
    pub model_ema: Option<f64>,

    /// Label smoothing
    #[arg(long, value_name = "SHARE", value_parser = below_one, help_heading = "Recipe")]
    pub smoothing: Option<f64>,

    /// End a phase after so many epochs without better top-1
    #[arg(long, value_name = "EPOCHS", value_parser = positive(), help_heading = "Recipe")]
    pub patience: Option<usize>,

    /// Epochs from one checkpoint to the next
    #[arg(long, value_name = "EPOCHS", value_parser = positive(), help_heading = "Recipe")]
    pub checkpoint_every: Option<usize>,

    /// A float model that the teacher starts from (.bpk, .pth, .safetensors)
    #[arg(long, value_name = "FILE", value_parser = path::option(), help_heading = "Recipe")]
    pub finetune: Option<PathBuf>,

    /// A trained stage-1 student to start stage 2 from (.bpk, .pth, .safetensors)
    #[arg(long, value_name = "FILE", value_parser = path::option(), help_heading = "Recipe")]
    pub stage1_path: Option<PathBuf>,

    /// A trained teacher (.bpk, .pth, .safetensors); none is trained then
    #[arg(long, value_name = "FILE", value_parser = path::option(), help_heading = "Distillation")]
    pub teacher_path: Option<PathBuf>,

    /// Attention heads of the model of --teacher-path or --finetune, where its file does not say it
    #[arg(long, value_name = "HEADS", value_parser = positive(), help_heading = "Recipe")]
    pub heads: Option<usize>,

    /// Take the moving average of the weights from the files to start from, where they hold one
    #[arg(long, help_heading = "Recipe")]
    pub ema: bool,

    /// How students learn from the teacher
    #[arg(long, value_enum, value_name = "TYPE", help_heading = "Distillation")]
    pub distillation_type: Option<DistillationName>,

    /// Share of the distillation in the loss
    #[arg(long, value_name = "SHARE", value_parser = fraction, help_heading = "Distillation")]
    pub distillation_alpha: Option<f64>,

    /// Temperature of soft distillation
    #[arg(long, value_name = "TAU", value_parser = above_zero, help_heading = "Distillation")]
    pub distillation_tau: Option<f64>,

    /// Ask the teacher once for each image as it is, not for every augmented one
    #[arg(long, help_heading = "Distillation")]
    pub cache_teacher: bool,

    /// Colour jitter, where there is no RandAugment; 0 for none
    #[arg(long, value_name = "STRENGTH", value_parser = not_negative, help_heading = "Augmentation")]
    pub color_jitter: Option<f64>,

    /// RandAugment, such as rand-m9-mstd0.5-inc1, or none
    #[arg(long, value_name = "POLICY", help_heading = "Augmentation")]
    pub aa: Option<String>,

    /// Probability of random erasing
    #[arg(long, value_name = "PROBABILITY", value_parser = fraction, help_heading = "Augmentation")]
    pub reprob: Option<f64>,

    /// Mixup with Beta(ALPHA, ALPHA); 0 for none
    #[arg(long, value_name = "ALPHA", value_parser = not_negative, help_heading = "Augmentation")]
    pub mixup: Option<f64>,

    /// CutMix with Beta(ALPHA, ALPHA); 0 for none
    #[arg(long, value_name = "ALPHA", value_parser = not_negative, help_heading = "Augmentation")]
    pub cutmix: Option<f64>,

    /// How often an image appears in an epoch (repeated augmentation)
    #[arg(long, value_name = "TIMES", value_parser = few(), help_heading = "Augmentation")]
    pub repeated_aug: Option<usize>,
}
