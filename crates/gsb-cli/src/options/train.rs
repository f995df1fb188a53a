//! Options of the training, grouped as the configuration of a run is: what is given is laid over it.

mod augmentation;
mod binarization;
mod compute;
mod distillation;
mod mixup;
mod model;
mod optimizer;
mod phase;
mod recipe;
mod schedule;
mod start;

use std::path::PathBuf;

use clap::Args;
use gsb_vit::Phase;
use serde::Serialize;
use serde_json::{Map, Value};

use self::augmentation::AugmentationArgs;
use self::compute::ComputeArgs;
use self::mixup::MixupArgs;
use self::model::ModelArgs;
pub use self::phase::PhaseArgs;
use self::phase::{Stage1Args, Stage2Args, StagesArgs, TeacherArgs};
use self::recipe::RecipeArgs;
pub use self::start::StartArgs;
use super::{DataArgs, path};
use crate::config::overlay;

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

    /// Continue an interrupted run. Besides this, only --json, --quiet, --dashboard, --skip-broken, --changed-data
    /// and the new paths of files that have moved are accepted
    #[arg(long, value_name = "FOLDER", value_parser = path::option(), help_heading = "Run")]
    pub resume: Option<PathBuf>,

    /// Continue with --resume although the images are not those that the run began with
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

    /// The student: a preset ("gsb summary --list" shows them) or a configuration (.json)
    #[arg(long, value_name = "MODEL", value_parser = path::option(), help_heading = "Model")]
    pub model: Option<PathBuf>,

    #[command(flatten)]
    pub student: ModelArgs,

    #[command(flatten)]
    pub recipe: RecipeArgs,

    #[command(flatten)]
    pub phase: PhaseArgs,

    #[command(flatten)]
    pub stages: StagesArgs,

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

impl TrainArgs {
    /// What is given, as a configuration of a run has it.
    ///
    /// # Errors
    /// If it is nothing that JSON holds.
    pub fn overrides(&self) -> serde_json::Result<Value> {
        let mut recipe = object(&self.recipe)?;
        for phase in Phase::ALL {
            let mut settings = serde_json::to_value(&self.phase)?;
            // The teacher has no teacher of its own, and nothing that would become binary.
            if phase != Phase::Teacher {
                overlay(&mut settings, serde_json::to_value(&self.stages)?);
            }
            let own = match phase {
                Phase::Teacher => serde_json::to_value(&self.teacher),
                Phase::Stage1 => serde_json::to_value(&self.stage1),
                Phase::Stage2 => serde_json::to_value(&self.stage2),
            };
            overlay(&mut settings, own?);
            recipe.insert(phase.name().into(), settings);
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

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;
    use serde_json::json;

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
            json!({"epochs": 5, "distillation": {"type": "Soft"}})
        );
        assert_eq!(
            recipe["stage2"],
            json!({"epochs": 3, "distillation": {"type": "Soft"}})
        );
    }

    #[test]
    fn an_option_of_a_phase_leaves_the_others_of_its_group() {
        let given = overrides(
            "--lr 0.5 --min-lr 0.25 --stage2-lr 0.75 --attention-rate 10 --weight-decay 0.5 \
             --stage2-weight-decay 0.25 --weight-pull 2 --gradual 0.5",
        );
        let recipe = &given["recipe"];
        let common = json!({
            "schedule": {"lr": 0.5, "min_lr": 0.25},
            "optimizer": {"weight_decay": 0.5, "attention_rate": 10.0}
        });
        assert_eq!(recipe["teacher"], common);
        let mut stage1 = common;
        stage1["binarization"] = json!({"weight_pull": 2.0});
        assert_eq!(recipe["stage1"], stage1);
        assert_eq!(
            recipe["stage2"],
            json!({
                "schedule": {"lr": 0.75, "min_lr": 0.25},
                "optimizer": {"weight_decay": 0.25, "attention_rate": 10.0},
                "binarization": {"weight_pull": 2.0, "gradual": 0.5}
            })
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
            "--device flex --devices 1 --strategy multi --products bfloat16 --data-set digits --data-path x \
             --inat-category genus --download --orientation upright --skip-broken --per-class 2 \
             --label-noise 0.5 --input-size 8 --attention-groups 1 --attention-bits 2 --binary-query-key --token-shifts --value-groups 1 --shift-bits 8 --scope batch \
             --initial-scales residual --drop 0.5 --drop-path 0.5 --seed 1 --workers 2 \
             --phase teacher,stage1 --cache-teacher --mixup-phase stage2 --repeated-aug 2 --epochs 2 --batch-size 2 \
             --accumulation 2 --lr 0.5 --min-lr 0.25 --warmup-epochs 1 --warmup-lr 0.25 \
             --weight-decay 0.5 --clip-grad 0.5 --model-ema 0.5 --smoothing 0.5 --patience 2 \
             --checkpoint-every 2 --distillation-type none --distillation-alpha 0.25 \
             --distillation-tau 2 --distillation-hidden 2 --distillation-attention 3 --distillation-similarity 4 --weight-pull 0.5 \
             --scale-rate 0.5 --attention-rate 0.25 --positive-scales --gradual 0.5 --stage2-weight-decay 0.25 --init x --teacher-lr 0.75 --finetune x --stage1-path x --teacher-path x \
             --heads 2 --ema --color-jitter 0.5 --aa rand-m9-mstd0.5-inc1 --reprob 0.5 --mixup 0.5 \
             --cutmix 0.5",
        );
        let recipe = gsb_train::Recipe::published(
            gsb_vit::VitConfig::micro(),
            gsb_data::Normalization::half(1),
            64,
        );
        let mut value = json!(gsb_train::RunConfig::new(recipe));
        overlay(&mut value, given.clone());
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
