//! Options of the training, grouped as the configuration of a run is: what is given is laid over it.

use std::path::PathBuf;

use clap::Args;
use clap::builder::TypedValueParser;
use gsb_core::binarize::{InitialScales, ThresholdScope};
use gsb_core::distill::Distillation;
use gsb_data::ColorJitter;
use gsb_train::{DeviceName, Init, Strategy, TeacherLogits};
use gsb_vit::Phase;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};

use super::DataArgs;
use super::names::{DistillationName, InitialName, ScopeName, named};
use super::numbers::{above_zero, below_one, few, fraction, learning_rate, not_negative, positive};
use super::path;
use crate::compute;

/// Options of the training. What is not given comes from the configuration file, else from the
/// defaults of the data set.
#[derive(Debug, Clone, Default, PartialEq, Args)]
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

    #[command(flatten)]
    pub compute: ComputeArgs,

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

    #[command(flatten)]
    pub student: ModelArgs,

    #[command(flatten)]
    pub recipe: RecipeArgs,

    #[command(flatten)]
    pub phase: PhaseArgs,

    #[command(flatten)]
    pub inside: InsideArgs,

    #[command(flatten)]
    pub teacher: TeacherArgs,

    #[command(flatten)]
    pub stage1: Stage1Args,

    #[command(flatten)]
    pub stage2: Stage2Args,

    #[command(flatten)]
    pub start: StartArgs,

    #[command(flatten)]
    pub augmentation: AugmentationArgs,

    #[command(flatten)]
    pub mixup: MixupArgs,
}

/// Where to compute.
#[derive(Debug, Clone, Default, PartialEq, Args, Serialize)]
pub struct ComputeArgs {
    /// Where to compute
    #[arg(long, value_parser = named::<compute::DeviceName, DeviceName>(), help_heading = "Run")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<DeviceName>,

    /// Devices that share each batch, the first ones of their kind
    #[arg(long, value_name = "NUMBER", value_parser = few(), help_heading = "Run")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub devices: Option<usize>,

    /// How several devices work together
    #[arg(long, value_parser = named::<compute::StrategyName, Strategy>(), help_heading = "Run")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strategy: Option<Strategy>,
}

/// What is changed of the model.
#[derive(Debug, Clone, Default, PartialEq, Args, Serialize)]
pub struct ModelArgs {
    /// Height and width that images are brought to
    #[arg(long = "input-size", value_name = "PIXELS", value_parser = positive(), help_heading = "Model")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_size: Option<usize>,

    /// Groups of the attention matrix, 1 (plain) to 3 (GSB)
    #[arg(long, value_name = "GROUPS", help_heading = "Model")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attention_groups: Option<usize>,

    /// Bits of the levels of the attention matrix, 1 to 4; more than one take the place of groups
    #[arg(long, value_name = "BITS", help_heading = "Model")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attention_bits: Option<u8>,

    /// Groups of the value, 1 (plain) to 3 (GSB)
    #[arg(long, value_name = "GROUPS", help_heading = "Model")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value_groups: Option<usize>,

    /// Which elements share the thresholds of the groups
    #[arg(long, value_parser = named::<ScopeName, ThresholdScope>(), help_heading = "Model")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<ThresholdScope>,

    /// How the scales of the groups start
    #[arg(long, value_parser = named::<InitialName, InitialScales>(), help_heading = "Model")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub initial_scales: Option<InitialScales>,

    /// Bits in which shifts of attention matrices are trained and packed: 8, 16 or 32
    #[arg(long, value_name = "BITS", help_heading = "Model")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shift_bits: Option<u8>,

    /// Give query and key of the teacher one bit, with a scale for each token
    #[arg(long, help_heading = "Model")]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub binary_query_key: bool,

    /// Add copies of the neighbouring patches before each layer of the students' MLPs
    #[arg(long, help_heading = "Model")]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub token_shifts: bool,

    /// Dropout
    #[arg(long = "drop", value_name = "RATE", value_parser = below_one, help_heading = "Model")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dropout: Option<f64>,

    /// Drop path (stochastic depth)
    #[arg(long, value_name = "RATE", value_parser = below_one, help_heading = "Model")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drop_path: Option<f64>,
}

/// What all phases have in common.
#[derive(Debug, Clone, Default, PartialEq, Args, Serialize)]
pub struct RecipeArgs {
    /// Decides initial weights, order and augmentation of the images
    #[arg(long, help_heading = "Run")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,

    /// Threads that read and augment images
    #[arg(long, value_name = "THREADS", help_heading = "Run")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workers: Option<usize>,

    /// Phases to train, in their order
    #[arg(
        long = "phase",
        value_name = "PHASE",
        value_delimiter = ',',
        help_heading = "Recipe"
    )]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub phases: Vec<Phase>,

    /// Ask the teacher once for each image as it is, not for every augmented one
    #[arg(long = "cache-teacher", help_heading = "Distillation")]
    #[serde(skip_serializing_if = "std::ops::Not::not", serialize_with = "cached")]
    pub teacher_logits: bool,

    /// How often an image appears in an epoch (repeated augmentation)
    #[arg(long = "repeated-aug", value_name = "TIMES", value_parser = few(), help_heading = "Augmentation")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repeats: Option<usize>,
}

/// How each phase is trained.
#[derive(Debug, Clone, Default, PartialEq, Args, Serialize)]
pub struct PhaseArgs {
    /// Epochs of each phase
    #[arg(long, value_parser = positive(), help_heading = "Recipe")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epochs: Option<usize>,

    /// Images in a batch
    #[arg(long, value_name = "IMAGES", value_parser = positive(), help_heading = "Recipe")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch_size: Option<usize>,

    /// Batches in a step
    #[arg(long, value_name = "BATCHES", value_parser = positive(), help_heading = "Recipe")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accumulation: Option<usize>,

    /// Highest learning rate of each phase, above 0 and at most 1
    #[arg(long, value_name = "RATE", value_parser = learning_rate, help_heading = "Recipe")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lr: Option<f64>,

    /// Learning rate at the end
    #[arg(long, value_name = "RATE", value_parser = not_negative, help_heading = "Recipe")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_lr: Option<f64>,

    /// Epochs of linear warm-up
    #[arg(long, value_name = "EPOCHS", help_heading = "Recipe")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warmup_epochs: Option<usize>,

    /// Learning rate that the warm-up starts from
    #[arg(long, value_name = "RATE", value_parser = not_negative, help_heading = "Recipe")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warmup_lr: Option<f64>,

    /// Weight decay
    #[arg(long, value_name = "DECAY", value_parser = not_negative, help_heading = "Recipe")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight_decay: Option<f64>,

    /// Learning rate of scales, relative to the rest
    #[arg(long, value_name = "FACTOR", value_parser = not_negative, help_heading = "Recipe")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scale_rate: Option<f64>,

    /// Learning rate of shifts and scales of attention matrices, relative to the rest
    #[arg(long, value_name = "FACTOR", value_parser = not_negative, help_heading = "Recipe")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attention_rate: Option<f64>,

    /// Highest norm of the gradient of a step
    #[arg(long, value_name = "NORM", value_parser = above_zero, help_heading = "Recipe")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clip_grad: Option<f64>,

    /// Evaluate and keep a moving average of the weights, with this decay
    #[arg(long, value_name = "DECAY", value_parser = below_one, help_heading = "Recipe")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model_ema: Option<f64>,

    /// Label smoothing
    #[arg(long, value_name = "SHARE", value_parser = below_one, help_heading = "Recipe")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub smoothing: Option<f64>,

    /// End a phase after this number of epochs without better top-1
    #[arg(long, value_name = "EPOCHS", value_parser = positive(), help_heading = "Recipe")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patience: Option<usize>,

    /// Epochs from one checkpoint to the next
    #[arg(long, value_name = "EPOCHS", value_parser = positive(), help_heading = "Recipe")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checkpoint_every: Option<usize>,

    /// How students learn from the teacher
    #[arg(long = "distillation-type", value_parser = named::<DistillationName, Distillation>(), value_name = "TYPE", help_heading = "Distillation")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub distillation: Option<Distillation>,

    /// Share of the distillation in the loss
    #[arg(long, value_name = "SHARE", value_parser = fraction, help_heading = "Distillation")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub distillation_alpha: Option<f64>,

    /// Temperature of soft distillation
    #[arg(long, value_name = "TAU", value_parser = above_zero, help_heading = "Distillation")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub distillation_tau: Option<f64>,
}

/// How students are trained, and not their teacher.
#[derive(Debug, Clone, Default, PartialEq, Args, Serialize)]
pub struct InsideArgs {
    /// How much hidden states count that differ from the teacher's, after each block
    #[arg(long, value_name = "WEIGHT", value_parser = not_negative, help_heading = "Distillation")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub distillation_hidden: Option<f64>,

    /// How much attention matrices count that differ from the teacher's, in each block
    #[arg(long, value_name = "WEIGHT", value_parser = not_negative, help_heading = "Distillation")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub distillation_attention: Option<f64>,

    /// How much similarities of tokens count that differ from the teacher's, after each block; widths may differ
    #[arg(long, value_name = "WEIGHT", value_parser = not_negative, help_heading = "Distillation")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub distillation_similarity: Option<f64>,

    /// How much latent weights count in the end that are off their scale; rises from the middle of a phase on
    #[arg(long, value_name = "WEIGHT", value_parser = not_negative, help_heading = "Recipe")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight_pull: Option<f64>,
}

/// How the teacher is trained, apart from the others.
#[derive(Debug, Clone, Default, PartialEq, Args, Serialize)]
pub struct TeacherArgs {
    /// Epochs of the teacher
    #[arg(id = "teacher_epochs", long = "teacher-epochs", value_name = "EPOCHS", value_parser = positive(), help_heading = "Recipe")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epochs: Option<usize>,

    /// Highest learning rate of the teacher
    #[arg(id = "teacher_lr", long = "teacher-lr", value_name = "RATE", value_parser = learning_rate, help_heading = "Recipe")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lr: Option<f64>,
}

/// How stage 1 is trained, apart from the others.
#[derive(Debug, Clone, Default, PartialEq, Args, Serialize)]
pub struct Stage1Args {
    /// Epochs of stage 1
    #[arg(id = "stage1_epochs", long = "stage1-epochs", value_name = "EPOCHS", value_parser = positive(), help_heading = "Recipe")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epochs: Option<usize>,

    /// Highest learning rate of stage 1
    #[arg(id = "stage1_lr", long = "stage1-lr", value_name = "RATE", value_parser = learning_rate, help_heading = "Recipe")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lr: Option<f64>,
}

/// How stage 2 is trained, apart from the others.
#[derive(Debug, Clone, Default, PartialEq, Args, Serialize)]
pub struct Stage2Args {
    /// Epochs of stage 2
    #[arg(id = "stage2_epochs", long = "stage2-epochs", value_name = "EPOCHS", value_parser = positive(), help_heading = "Recipe")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epochs: Option<usize>,

    /// Highest learning rate of stage 2
    #[arg(id = "stage2_lr", long = "stage2-lr", value_name = "RATE", value_parser = learning_rate, help_heading = "Recipe")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lr: Option<f64>,

    /// Weight decay of stage 2
    #[arg(id = "stage2_weight_decay", long = "stage2-weight-decay", value_name = "DECAY", value_parser = not_negative, help_heading = "Recipe")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight_decay: Option<f64>,

    /// Share of stage 2 over which binarization sets in
    #[arg(long, value_name = "SHARE", value_parser = fraction, help_heading = "Recipe")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gradual: Option<f64>,
}

/// What the phases start from.
#[derive(Debug, Clone, Default, PartialEq, Args, Serialize)]
pub struct StartArgs {
    /// A float model that the teacher starts from (.bpk, .pth, .safetensors)
    #[arg(long, value_name = "FILE", value_parser = path::option(), help_heading = "Recipe")]
    #[serde(
        skip_serializing_if = "Option::is_none",
        serialize_with = "gsb_train::path_text::serialize"
    )]
    pub finetune: Option<PathBuf>,

    /// A trained stage-1 student to start stage 2 from (.bpk, .pth, .safetensors)
    #[arg(id = "stage1_path", long = "stage1-path", value_name = "FILE", value_parser = path::option(), help_heading = "Recipe")]
    #[serde(
        skip_serializing_if = "Option::is_none",
        serialize_with = "gsb_train::path_text::serialize"
    )]
    pub stage1: Option<PathBuf>,

    /// What the first student starts from: fresh weights, those of the teacher, or a float model (.bpk, .pth,
    /// .safetensors)
    #[arg(long, value_name = "fresh|teacher|FILE", value_parser = path::option().map(Init::from), help_heading = "Recipe")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub init: Option<Init>,

    /// A trained teacher (.bpk, .pth, .safetensors); none is trained then
    #[arg(id = "teacher_path", long = "teacher-path", value_name = "FILE", value_parser = path::option(), help_heading = "Distillation")]
    #[serde(
        skip_serializing_if = "Option::is_none",
        serialize_with = "gsb_train::path_text::serialize"
    )]
    pub teacher: Option<PathBuf>,

    /// Attention heads of the model of --teacher-path or --finetune, where its file does not say it
    #[arg(long, value_name = "HEADS", value_parser = positive(), help_heading = "Recipe")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub heads: Option<usize>,

    /// Take the moving average of the weights from the files to start from, where they hold one
    #[arg(long, help_heading = "Recipe")]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub ema: bool,
}

/// How training images are augmented.
#[derive(Debug, Clone, Default, PartialEq, Args, Serialize)]
pub struct AugmentationArgs {
    /// Colour jitter, where there is no RandAugment; 0 for none
    #[arg(long, value_name = "STRENGTH", value_parser = not_negative, help_heading = "Augmentation")]
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "jitter")]
    pub color_jitter: Option<f64>,

    /// RandAugment, such as rand-m9-mstd0.5-inc1, or none
    #[arg(long = "aa", value_name = "POLICY", help_heading = "Augmentation")]
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "policy")]
    pub rand_augment: Option<String>,

    /// Probability of random erasing
    #[arg(long = "reprob", value_name = "PROBABILITY", value_parser = fraction, help_heading = "Augmentation")]
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "erasing")]
    pub random_erasing: Option<f64>,
}

/// How training images are mixed.
#[derive(Debug, Clone, Default, PartialEq, Args, Serialize)]
pub struct MixupArgs {
    /// Mixup with Beta(ALPHA, ALPHA); 0 for none
    #[arg(long = "mixup", value_name = "ALPHA", value_parser = not_negative, help_heading = "Augmentation")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mixup_alpha: Option<f64>,

    /// CutMix with Beta(ALPHA, ALPHA); 0 for none
    #[arg(long = "cutmix", value_name = "ALPHA", value_parser = not_negative, help_heading = "Augmentation")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cutmix_alpha: Option<f64>,
}

impl TrainArgs {
    /// What is given, as a configuration of a run has it.
    ///
    /// # Errors
    /// If it is nothing that JSON holds.
    pub fn overrides(&self) -> serde_json::Result<Value> {
        let mut recipe = object(&self.recipe)?;
        for phase in Phase::ALL {
            let mut settings = object(&self.phase)?;
            if phase == Phase::Teacher {
                // It has no teacher of its own.
                settings.remove("distillation");
            } else {
                settings.extend(object(&self.inside)?);
            }
            settings.extend(match phase {
                Phase::Teacher => object(&self.teacher)?,
                Phase::Stage1 => object(&self.stage1)?,
                Phase::Stage2 => object(&self.stage2)?,
            });
            recipe.insert(phase.name().into(), settings.into());
        }
        for (name, settings) in [
            ("model", object(&self.student)?),
            ("augmentation", object(&self.augmentation)?),
            ("mixup", object(&self.mixup)?),
        ] {
            if !settings.is_empty() {
                recipe.insert(name.into(), settings.into());
            }
        }
        let mut run = object(&self.compute)?;
        run.extend([
            ("data".into(), object(&self.data)?.into()),
            ("recipe".into(), recipe.into()),
            ("start".into(), object(&self.start)?.into()),
        ]);
        Ok(run.into())
    }
}

fn object(args: &impl Serialize) -> serde_json::Result<Map<String, Value>> {
    match serde_json::to_value(args)? {
        Value::Object(fields) => Ok(fields),
        _ => Ok(Map::new()),
    }
}

fn cached<S: Serializer>(_: &bool, to: S) -> Result<S::Ok, S::Error> {
    TeacherLogits::Cached.serialize(to)
}

/// None for strength 0.
fn jitter<S: Serializer>(strength: &Option<f64>, to: S) -> Result<S::Ok, S::Error> {
    let strength = strength.filter(|&strength| strength > 0.0);
    strength.map(ColorJitter::uniform).serialize(to)
}

fn policy<S: Serializer>(policy: &Option<String>, to: S) -> Result<S::Ok, S::Error> {
    policy
        .as_deref()
        .filter(|&policy| policy != "none")
        .serialize(to)
}

/// None for probability 0. What else there is to say of it stays as it is.
fn erasing<S: Serializer>(probability: &Option<f64>, to: S) -> Result<S::Ok, S::Error> {
    let probability = probability.filter(|&probability| probability > 0.0);
    probability
        .map(|probability| json!({ "probability": probability }))
        .serialize(to)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Program {
        #[command(flatten)]
        train: TrainArgs,
    }

    fn overrides(options: &str) -> Value {
        let arguments = options.split_whitespace();
        let program = Program::parse_from(std::iter::once("gsb").chain(arguments));
        program.train.overrides().expect("JSON")
    }

    #[test]
    fn what_is_not_given_says_nothing() {
        assert_eq!(
            overrides(""),
            json!({"data": {}, "recipe": {"teacher": {}, "stage1": {}, "stage2": {}}, "start": {}})
        );
    }

    #[test]
    fn an_option_of_a_phase_counts_more_than_one_of_all() {
        let given = overrides("--epochs 3 --stage1-epochs 5 --distillation-type soft");
        let recipe = &given["recipe"];
        assert_eq!(recipe["teacher"], json!({"epochs": 3}));
        assert_eq!(
            recipe["stage1"],
            json!({"epochs": 5, "distillation": "Soft"})
        );
        assert_eq!(
            recipe["stage2"],
            json!({"epochs": 3, "distillation": "Soft"})
        );
    }

    #[test]
    fn what_is_switched_off_is_none() {
        let off = overrides("--aa none --color-jitter 0 --reprob 0");
        assert_eq!(
            off["recipe"]["augmentation"],
            json!({"rand_augment": null, "color_jitter": null, "random_erasing": null})
        );
    }

    /// Every name that options have in the configuration is one that it knows.
    #[test]
    fn all_options_are_of_the_configuration() {
        let given = overrides(
            "--device flex --devices 1 --strategy multi --data-set digits --data-path x \
             --inat-category genus --download --orientation upright --skip-broken --per-class 2 \
             --label-noise 0.5 --input-size 8 --attention-groups 1 --attention-bits 2 --binary-query-key --token-shifts --value-groups 1 --shift-bits 8 --scope batch \
             --initial-scales residual --drop 0.5 --drop-path 0.5 --seed 1 --workers 2 \
             --phase teacher,stage1 --cache-teacher --repeated-aug 2 --epochs 2 --batch-size 2 \
             --accumulation 2 --lr 0.5 --min-lr 0.25 --warmup-epochs 1 --warmup-lr 0.25 \
             --weight-decay 0.5 --clip-grad 0.5 --model-ema 0.5 --smoothing 0.5 --patience 2 \
             --checkpoint-every 2 --distillation-type none --distillation-alpha 0.25 \
             --distillation-tau 2 --distillation-hidden 2 --distillation-attention 3 --distillation-similarity 4 --weight-pull 0.5 \
             --scale-rate 0.5 --attention-rate 0.25 --gradual 0.5 --stage2-weight-decay 0.25 --init x --teacher-lr 0.75 --finetune x --stage1-path x --teacher-path x \
             --heads 2 --ema --color-jitter 0.5 --aa rand-m9-mstd0.5-inc1 --reprob 0.5 --mixup 0.5 \
             --cutmix 0.5",
        );
        let recipe = gsb_train::Recipe::published(
            gsb_vit::VitConfig::micro(),
            gsb_data::Normalization::half(1),
            64,
        );
        let mut value = json!(gsb_train::RunConfig::new(recipe));
        crate::config::overlay(&mut value, given.clone());
        let config: gsb_train::RunConfig = serde_json::from_value(value).expect("known names");
        // And none of them is lost.
        fn is_in(value: &Value, part: &Value) -> bool {
            match (value, part) {
                (Value::Object(all), Value::Object(some)) => some
                    .iter()
                    .all(|(key, part)| all.get(key).is_some_and(|value| is_in(value, part))),
                (value, part) => value == part || value.as_f64() == part.as_f64(),
            }
        }
        assert!(is_in(&json!(config), &given), "{given:#}\n{config:#?}");
    }
}
