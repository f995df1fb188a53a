//! `gsb test`.

use std::iter;
use std::path::PathBuf;

use burn::tensor::Device;
use gsb_data::{DataSplits, Transform};
use gsb_packed::PackedModel;
use gsb_train::{
    DataConfig, Evaluation, Heads, Purpose, Recipe, RunConfig, evaluation_loader, load_model,
};
use gsb_vit::checkpoint::describe;
use gsb_vit::{
    Classifier, Model, Phase, Stage1Student, Stage2Student, VisionTransformer, VitConfig,
};
use serde_json::json;

use crate::compute::DeviceName;
use crate::config::{self, by_option};
use crate::error::Error;
use crate::model::is_packed;
use crate::options::{DataArgs, numbers, path};
use crate::{data, defaults, output, packed};

/// Options of `gsb test`.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "Examples:\n  gsb test runs/digits-1/stage2.bpk\n  \
                  gsb test student.safetensors --data-set flowers102 --data-path data/flowers")]
pub struct TestArgs {
    /// A checkpoint of a model of any phase, or a packed model
    #[arg(value_parser = path::argument())]
    pub checkpoint: PathBuf,

    /// Images in a batch, of a checkpoint; a packed model takes one after the other
    #[arg(long, value_name = "IMAGES", value_parser = numbers::positive())]
    pub batch_size: Option<usize>,

    /// Where to compute, of a checkpoint; a packed model runs on the CPU
    #[arg(long, value_enum, default_value_t)]
    pub device: DeviceName,

    /// Everything as JSON
    #[arg(long)]
    pub json: bool,

    /// What to test on [default: what the run that the checkpoint lies in was tested on]
    // Last, so that its heading is of its own options alone.
    #[command(flatten)]
    pub data: DataArgs,
}

/// Largest number of classes whose confusion matrix is printed.
const MATRIX: usize = 20;

/// The accuracy of a checkpoint, as text or JSON.
///
/// # Errors
/// If checkpoint or data cannot be read or do not go together.
pub fn run(args: &TestArgs) -> Result<String, Error> {
    if is_packed(&args.checkpoint) {
        let model = PackedModel::open(&args.checkpoint)?;
        let splits = images(args, &VitConfig::of_packed(model.config())?)?.0;
        let evaluation = packed::measure(&model, &args.checkpoint, &*splits.test)?;
        return report("packed", args, &evaluation, splits.classes());
    }
    let (phase, config) = describe(&args.checkpoint)?;
    let device = args.device.open()?;
    let measured = match phase {
        Phase::Teacher => measure::<VisionTransformer>(args, &config, &device),
        Phase::Stage1 => measure::<Stage1Student>(args, &config, &device),
        Phase::Stage2 => measure::<Stage2Student>(args, &config, &device),
    };
    let (evaluation, splits) = measured?;
    report(phase.name(), args, &evaluation, splits.classes())
}

/// The result as text or JSON.
fn report(
    phase: &str,
    args: &TestArgs,
    evaluation: &Evaluation,
    classes: &[String],
) -> Result<String, Error> {
    if args.json {
        let classes = classes.iter().zip(evaluation.per_class());
        let classes: Vec<_> = classes
            .map(|(name, (right, images))| json!({"name": name, "right": right, "images": images}))
            .collect();
        let value = json!({
            "phase": phase,
            "images": evaluation.images,
            "top1": evaluation.top1,
            "top5": evaluation.top5,
            "loss": evaluation.loss,
            "classes": classes,
            "confusion": evaluation.confusion,
        });
        return output::json(&value);
    }
    Ok(text(phase, evaluation, classes))
}

fn measure<M: Model + Classifier>(
    args: &TestArgs,
    config: &VitConfig,
    device: &Device,
) -> Result<(Evaluation, DataSplits), Error> {
    let (splits, recipe) = images(args, config)?;
    let model: M = load_model(&args.checkpoint, config, Heads::Kept, device)?;
    let loader = evaluation_loader(splits.test.clone(), &recipe)?;
    Ok((Evaluation::of(&model, &loader, device)?, splits))
}

/// What to test on, and the recipe that says how pictures become images.
fn images(args: &TestArgs, config: &VitConfig) -> Result<(DataSplits, Recipe), Error> {
    refuse_training(&args.data)?;
    let run = config::of_checkpoint(&args.checkpoint)?;
    if run.is_none() && args.data.data_set.is_none() {
        let reason = "the checkpoint lies in no run: say what to test on";
        return Err(Error::Option {
            option: "--data-set",
            reason: reason.into(),
        });
    }
    let wrong = |reason: String| Error::file(&args.checkpoint, reason);
    let own = run.as_ref().and_then(|run| run.data.clone());
    let other = args
        .data
        .data_set
        .is_some_and(|set| own.as_ref().is_none_or(|own| set != own.set));
    let data = match (&run, own) {
        (Some(_), Some(own)) if !other => own,
        (Some(run), None) if !other => run.data().map_err(by_option)?.clone(),
        _ => DataConfig::default(),
    };
    let data = data::with_options(&data, &args.data)?;
    let name = data.set;
    // The images to test on are the same whatever was left out of the training images.
    let (splits, mut recipe) = match run {
        Some(run) if !other => {
            let run = RunConfig {
                data: Some(data.clone()),
                ..run
            };
            let [channels, size, _] = run.recipe.evaluation.shape();
            if (channels, size) != (config.channels, config.image_size) {
                return Err(wrong(format!(
                    "a model for images of {} pixels and {} channels, but the run that it lies in makes {size} \
                     and {channels}",
                    config.image_size, config.channels
                )));
            }
            (data::open_of(&run, Purpose::Testing)?, run.recipe)
        }
        _ => {
            let splits = data::open(&data, Purpose::Testing)?;
            let recipe = defaults::recipe(&data, &splits, config.clone())?;
            (splits, recipe)
        }
    };
    let classes = splits.classes().len();
    if classes != config.classes {
        return Err(wrong(format!(
            "a model for {} classes, but {name} has {classes}",
            config.classes
        )));
    }
    let channels = recipe.evaluation.channels();
    if channels != config.channels {
        return Err(wrong(format!(
            "a model for images of {} channels, but those of {name} have {channels}",
            config.channels
        )));
    }
    if let Some(size) = args.batch_size {
        recipe.evaluation_batch_size = size;
    }
    Ok((splits, recipe))
}

/// Refuses options of the images to train on.
fn refuse_training(args: &DataArgs) -> Result<(), Error> {
    for (option, given) in [
        ("--per-class", args.per_class.is_some()),
        ("--label-noise", args.label_noise.is_some()),
    ] {
        if given {
            let reason = "it changes the images to train on, not those to test on".into();
            return Err(Error::Option { option, reason });
        }
    }
    Ok(())
}

fn text(phase: &str, evaluation: &Evaluation, classes: &[String]) -> String {
    let head = ["class", "images", "right", "top-1"].map(String::from);
    let per_class = classes.iter().zip(evaluation.per_class());
    let rows = per_class.map(|(name, (right, images))| {
        let share = match images {
            0 => "-".into(),
            _ => format!("{:.1} %", 100.0 * right as f64 / images as f64),
        };
        let name = output::name(name).into_owned();
        [name, images.to_string(), right.to_string(), share]
    });
    let mut text = format!(
        "{phase}: top-1 {:.2} %, top-5 {:.2} %, loss {:.4}, {} images\n\n{}",
        evaluation.top1,
        evaluation.top5,
        evaluation.loss,
        evaluation.images,
        output::table(iter::once(head).chain(rows), 1)
    );
    if classes.len() <= MATRIX {
        let rows = classes.iter().zip(&evaluation.confusion);
        let rows = rows.map(|(name, counts)| {
            let counts = counts.iter().map(ToString::to_string);
            iter::once(output::name(name).into_owned()).chain(counts)
        });
        text += "\nclass (row) taken for (column)\n";
        text += &output::table(rows, 1);
    }
    text
}
