//! Everything that describes a run, from defaults, file and options.

mod file;
mod merge;
mod options;

use std::path::Path;

use gsb_core::distill::Distillation;
use gsb_data::{DataSplits, Mixup};
use gsb_train::{DataConfig, Error as TrainError, PhaseRecipe, Purpose, Recipe, RunConfig, Start};
use gsb_vit::{Phase, VitConfig};
use serde_json::Value;

use self::file::{merged, parsed, read};
pub use self::merge::overlay;
pub use self::options::{by_option, laid_over};
use crate::data;
use crate::defaults;
use crate::error::Error;
use crate::model::ModelName;
use crate::options::TrainArgs;

/// The run that options describe, and its images: what is given there counts more than what a file says, and that
/// more than the defaults of the data set.
///
/// # Errors
/// If a file cannot be read, an option is impossible, or the data are not there.
pub fn of_options(args: &TrainArgs) -> Result<(RunConfig, DataSplits), Error> {
    let options = args.overrides().map_err(std::io::Error::from)?;
    let mut file = match &args.config {
        Some(path) => read(path)?,
        None => Value::Object(serde_json::Map::new()),
    };
    let data = match (file.get_mut("data").map(Value::take), &args.config) {
        (Some(value), Some(path)) => parsed(value, path, "data")?,
        _ => DataConfig::default(),
    };
    let data = data::with_options(&data, &args.data)?;
    let splits = data::open(&data, Purpose::Training)?;
    let names_groups = [&file, &options]
        .into_iter()
        .any(|given| given["recipe"]["model"].get("attention_groups").is_some());
    let model = model(args, &mut file, &data, &splits)?;
    let recipe = defaults::recipe(&data, &splits, model)?;
    let mut config = RunConfig {
        data: Some(data.clone()),
        ..RunConfig::new(recipe.clone())
    };
    if let Some(path) = &args.config {
        config = merged(&config, file.clone(), path, "")?;
    }
    config.data = Some(data.absolute());
    config = with_options(config, &options)?;
    let stage2 = &mut config.recipe.model.stage2;
    if stage2.attention_bits > 1 && !names_groups {
        // Levels take the place of groups, which nobody has to say twice.
        stage2.attention_groups = 1;
    }
    let mut given = file;
    overlay(&mut given, options.clone());
    adapt_rates(&mut config.recipe, &recipe, &given, &options);
    // A distillation token that nobody teaches is left out.
    if args.stages.distillation.kind == Some(Distillation::None) && args.model.is_none() {
        config.recipe.model.distillation_token = false;
    }
    if args.recipe.phases.is_empty() {
        leave_out_given(&mut config.recipe, &config.start);
    }
    if !args.recipe.mixup_phases.is_empty() {
        check_mixed(&config.recipe)?;
    }
    check_rates(&config.recipe, &given)?;
    config.recipe.validate()?;
    let (found, expected) = (splits.classes().len(), config.recipe.model.classes);
    if found != expected {
        let reason = format!("the data have {found} classes, the model {expected}");
        let option = "model.classes".into();
        return Err(TrainError::Option { option, reason }.into());
    }
    config.note_images(&splits).map_err(by_option)?;
    Ok((config, splits))
}

/// The student: the size of the images decides about much else, so it comes first.
fn model(
    args: &TrainArgs,
    file: &mut Value,
    data: &DataConfig,
    splits: &DataSplits,
) -> Result<VitConfig, Error> {
    let name = args.model.as_deref().map(ModelName::new).transpose()?;
    let mut model = defaults::model(data, splits, name)?;
    if let Some(path) = &args.config
        && let Some(recipe) = file.get_mut("recipe").and_then(Value::as_object_mut)
        && let Some(over) = recipe.remove("model")
        && args.model.is_none()
    {
        VitConfig::check_fields(&over)
            .map_err(|error| Error::file(path, format!("recipe.model: {error}")))?;
        model = merged(&model, over, path, "recipe.model")?;
    }
    model.image_size = args.student.image_size.unwrap_or(model.image_size);
    Ok(model)
}

/// A run with what options say instead.
fn with_options(mut config: RunConfig, options: &Value) -> Result<RunConfig, Error> {
    let mixes = options["recipe"].get("mixup").is_some();
    if mixes && config.recipe.mixup.is_none() {
        // One kind of mixing does not bring the other.
        config.recipe.mixup = Some(Mixup {
            mixup_alpha: 0.0,
            cutmix_alpha: 0.0,
            ..Mixup::default()
        });
    }
    let data = config.data.take();
    config = RunConfig {
        data,
        ..laid_over(&config, options.clone(), "")?
    };
    if mixes {
        let is_some = |mixup: &Mixup| mixup.mixup_alpha != 0.0 || mixup.cutmix_alpha != 0.0;
        config.recipe.mixup = config.recipe.mixup.filter(is_some);
    }
    Ok(config)
}

/// Refuses phases to mix the images of if none are mixed.
fn check_mixed(recipe: &Recipe) -> Result<(), Error> {
    let mut phases = recipe.phases.iter();
    let reason = match recipe.mixup {
        None => "nothing is mixed: expected --mixup or --cutmix with it",
        Some(_) if phases.any(|&phase| recipe.mixup_of(phase).is_some()) => return Ok(()),
        Some(_) => "expected a phase that is trained",
    };
    let (option, reason) = ("--mixup-phase", reason.into());
    Err(Error::Option { option, reason })
}

/// Learning rates that neither file nor options give follow the number of images in a step; a default end or start of
/// the schedule gives way to the rate that was asked for.
fn adapt_rates(recipe: &mut Recipe, default: &Recipe, given: &Value, options: &Value) {
    let says = |what: &Value, phase: Phase, rate: &str| {
        let schedule = &what["recipe"][phase.name()]["schedule"];
        schedule.get(rate).is_some()
    };
    for phase in Phase::ALL {
        let (settings, default) = (recipe.phase_mut(phase), default.phase(phase));
        let images = |of: &PhaseRecipe| of.batch_size.saturating_mul(of.accumulation);
        let (batch, default_batch) = (images(settings), images(default));
        let schedule = &mut settings.schedule;
        if !says(given, phase, "lr") && batch != default_batch {
            schedule.lr = default.schedule.lr * batch as f64 / default_batch as f64;
        }
        if !says(options, phase, "min_lr") {
            schedule.min_lr = schedule.min_lr.min(schedule.lr);
        }
        if !says(options, phase, "warmup_lr") {
            schedule.warmup_lr = schedule.warmup_lr.min(schedule.lr);
        }
    }
}

/// Refuses rates above 1 that follow from the images of a step, which whoever asked for so many has not seen.
fn check_rates(recipe: &Recipe, given: &Value) -> Result<(), Error> {
    for phase in &recipe.phases {
        let (settings, entry) = (recipe.phase(*phase), &given["recipe"][phase.name()]);
        let rate = settings.schedule.lr;
        if rate > 1.0 && entry["schedule"].get("lr").is_none() {
            let images = settings.batch_size.saturating_mul(settings.accumulation);
            let option = match settings.accumulation {
                1 => "--batch-size",
                _ => "--accumulation",
            };
            let reason = format!(
                "{phase}: the learning rate of {images} images a step would be {rate}, expected at most 1: give --lr as well"
            );
            return Err(Error::Option { option, reason });
        }
    }
    Ok(())
}

/// What is there is not trained, unless it is asked for; then the run refuses.
fn leave_out_given(recipe: &mut Recipe, start: &Start) {
    recipe.phases.retain(|phase| match phase {
        Phase::Teacher => start.teacher.is_none(),
        Phase::Stage1 => start.stage1.is_none(),
        Phase::Stage2 => true,
    });
}

/// The run of a folder's `config.json`, if there is one.
///
/// # Errors
/// If it cannot be read.
pub fn of_folder(folder: &Path) -> Result<Option<RunConfig>, Error> {
    let path = folder.join("config.json");
    if !path.exists() {
        return Ok(None);
    }
    parsed(read(&path)?, &path, "").map(Some)
}

/// The run that a checkpoint lies in, if it lies in one: beside downloaded models, there is a `config.json` of another kind.
///
/// # Errors
/// As [`of_folder`].
pub fn of_checkpoint(checkpoint: &Path) -> Result<Option<RunConfig>, Error> {
    let path = checkpoint
        .parent()
        .unwrap_or(Path::new(""))
        .join("config.json");
    if !path.exists() {
        return Ok(None);
    }
    let value = read(&path)?;
    match value.get("recipe") {
        Some(_) => parsed(value, &path, "").map(Some),
        None => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::PhaseArgs;
    use gsb_data::Normalization;

    /// The file of a run, and what its number would be in a file of TOML, say the run again.
    #[test]
    fn rates_survive_their_file_to_the_last_bit() {
        let folder = tempfile::tempdir().unwrap();
        let (json, toml) = (
            folder.path().join("config.json"),
            folder.path().join("run.toml"),
        );
        let repeated = |path: &Path| {
            let args = TrainArgs {
                config: Some(path.into()),
                ..TrainArgs::default()
            };
            of_options(&args).unwrap().0
        };
        for batch in 1..=512 {
            let args = TrainArgs {
                phase: PhaseArgs {
                    batch_size: Some(batch),
                    ..PhaseArgs::default()
                },
                ..TrainArgs::default()
            };
            let (config, _) = of_options(&args).unwrap();
            crate::output::write_json(&json, &config).unwrap();
            assert_eq!(repeated(&json), config, "batches of {batch}");

            let lr = config.recipe.teacher.schedule.lr;
            std::fs::write(&toml, format!("[recipe.teacher.schedule]\nlr = {lr}\n")).unwrap();
            let again = repeated(&toml).recipe.teacher.schedule.lr;
            assert_eq!(again.to_bits(), lr.to_bits());
        }
    }

    #[test]
    fn a_part_of_a_group_leaves_the_rest_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("run.json");
        let text = r#"{"recipe": {"stage2": {"distillation": {"type": "Soft"}}}}"#;
        std::fs::write(&file, text).unwrap();
        let args = TrainArgs {
            config: Some(file),
            ..TrainArgs::default()
        };
        let recipe = of_options(&args).unwrap().0.recipe;
        let expected = gsb_train::DistillationRecipe {
            kind: Distillation::Soft,
            ..recipe.stage1.distillation
        };
        assert_eq!(recipe.stage2.distillation, expected);
    }

    #[test]
    fn levels_take_the_place_of_groups_that_nobody_names() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("run.json");
        let of = |model: &str, bits: Option<u8>| {
            std::fs::write(&file, format!(r#"{{"recipe": {{"model": {{{model}}}}}}}"#)).unwrap();
            let mut args = TrainArgs {
                config: Some(file.clone()),
                ..TrainArgs::default()
            };
            args.student.attention_bits = bits;
            let config = of_options(&args).map_err(|error| error.to_string())?.0;
            Ok::<_, String>(config.recipe.model.stage2.attention_groups)
        };
        assert_eq!(of("", None), Ok(3));
        assert_eq!(of("", Some(2)), Ok(1));
        assert_eq!(of(r#""attention_bits": 2"#, None), Ok(1));
        assert_eq!(of(r#""attention_bits": 2"#, Some(1)), Ok(3));
        let error = of(r#""attention_groups": 3"#, Some(2)).unwrap_err();
        assert!(error.contains("attention_groups must be 1"), "{error}");
    }

    #[test]
    fn recipes_are_of_the_configuration() {
        let recipes = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../recipes");
        // Of images large enough for the augmentation of photographs.
        let model = VitConfig {
            image_size: 112,
            channels: 3,
            ..VitConfig::micro()
        };
        let recipe = Recipe::published(model, Normalization::imagenet(), 64);
        let config = RunConfig::new(recipe);
        let mut count = 0;
        for file in std::fs::read_dir(recipes).unwrap() {
            let path = file.unwrap().path();
            if path.extension().is_none_or(|extension| extension != "json") {
                continue;
            }
            let with_file = merged(&config, read(&path).unwrap(), &path, "").unwrap();
            assert_ne!(with_file.recipe, config.recipe);
            count += 1;
        }
        assert!(count > 0);
    }
}
