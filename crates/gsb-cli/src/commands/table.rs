//! `gsb table`.

use std::path::{Path, PathBuf};

use clap::Args;
use gsb_train::{Ablation, Callbacks, Error as TrainError, Recipe, Row, Table, Variant};
use gsb_vit::Phase;
use indicatif::{ProgressBar, ProgressStyle};

use crate::compute::open_devices;
use crate::config::{self, by_option};
use crate::error::Error;
use crate::options::names::{InitialName, ScopeName};
use crate::options::numbers::few;
use crate::options::{TrainArgs, path};
use crate::output::{self, plot, say};
use crate::signals::stop_on_signals;

/// Options of `gsb table`: those of the training, for all variants alike, and these.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:\n  gsb table --seeds 5\n  \
                        gsb table --short --scopes batch,row --data-set mnist --data-path data")]
pub struct TableArgs {
    /// Number of seeds: 0, 1, 2, ...
    #[arg(long, value_name = "NUMBER", default_value_t = 3, value_parser = few(), help_heading = "Table")]
    pub seeds: usize,

    /// Which elements share the thresholds of the groups, one or several [default: as the model has it]
    #[arg(long, value_enum, value_delimiter = ',', help_heading = "Table")]
    pub scopes: Vec<ScopeName>,

    /// How the scales of the groups start, one way or several [default: as the model has it]
    #[arg(long, value_enum, value_delimiter = ',', help_heading = "Table")]
    pub initials: Vec<InitialName>,

    /// Only the students that learn from the teacher, in two stages unless --stages or the recipe says otherwise
    #[arg(long, help_heading = "Table")]
    pub short: bool,

    /// Stages of the students: 2, through one of stage 1; 1, at once and for the epochs of both [default: both; 2 with --short].
    /// If the recipe has no stage 1, the default is 1, for the epochs of stage 2
    #[arg(long, value_name = "STAGES", value_delimiter = ',', value_parser = clap::value_parser!(u8).range(1..=2), help_heading = "Table")]
    pub stages: Vec<u8>,

    /// Folder of runs and table: what is finished in it is taken as it is
    #[arg(
        long,
        value_name = "FOLDER",
        default_value = "runs/table",
        value_parser = path::option(),
        help_heading = "Table"
    )]
    pub table_dir: PathBuf,

    #[command(flatten)]
    pub train: TrainArgs,
}

/// Trains the variants of the paper's tables; the table in Markdown, which is also written to the
/// folder with `table.csv`, `table.json`, `table.svg` and, in `rows/`, a configuration for each row.
///
/// # Errors
/// If an option is impossible, the data or the device are not there, or a training fails.
pub fn run(args: &TableArgs) -> Result<String, Error> {
    refuse_decided(&args.train)?;
    if let Some(json) = &args.train.json {
        output::check_json(json)?;
    }
    let (mut config, splits) = config::of_options(&args.train)?;
    let start = &config.start;
    if start.teacher.is_some() || start.stage1.is_some() {
        let reason = "the table trains teachers and stage 1: expected neither in [start]".into();
        let option = "--config";
        return Err(Error::Option { option, reason });
    }
    if config.recipe.model.stage2.attention_bits > 1 {
        let option = "--attention-bits";
        let reason = "the table compares groups, which levels of several bits take the place of";
        return Err(Error::Option {
            option,
            reason: reason.into(),
        });
    }
    let variants = variants(args, &config.recipe);
    ignored(&config.recipe, &variants);
    if !is_of_one_stage(&config.recipe, &variants) {
        // Students of one stage train as long as those of two.
        config.recipe.phases = Phase::ALL.to_vec();
    }
    let devices = open_devices(&config)?;
    let ablation = Ablation {
        base: config,
        variants,
        seeds: (0..args.seeds as u64).collect(),
    };
    let callbacks = Callbacks {
        note: Box::new(|text| say(text)),
        ..Callbacks::default()
    };
    stop_on_signals(&callbacks.interrupter);
    let folder = &args.table_dir;
    let bar = match args.train.quiet {
        true => ProgressBar::hidden(),
        false => bar(),
    };
    let mut training = String::new();
    let table = ablation.train(folder, &splits, &devices, &callbacks, |all, done, next| {
        bar.set_length(all as u64);
        bar.set_position(done as u64);
        bar.set_message(next.to_string());
        if bar.is_hidden() && !args.train.quiet {
            say(format_args!("training {} of {all}: {next}", done + 1));
        }
        training = next.into();
    });
    let table = table.map_err(|error| match error {
        TrainError::Stopped { .. } => Error::Repeatable { error, training },
        error => by_option(error),
    })?;
    bar.finish_and_clear();
    let text = table.to_markdown();
    write(folder, &ablation, &table, &text)?;
    if let Some(json) = &args.train.json {
        if output::is_stdout(json) {
            return output::json(&table);
        }
        output::write_json(json, &table)?;
    }
    Ok(text)
}

/// How many trainings are done, and which one runs.
fn bar() -> ProgressBar {
    let bar = ProgressBar::new(0);
    match ProgressStyle::with_template("{bar:30} {pos}/{len} {elapsed} {msg}") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// Refuses options that the table decides about.
fn refuse_decided(args: &TrainArgs) -> Result<(), Error> {
    for (option, given) in [
        ("--output-dir", args.output_dir.is_some()),
        ("--resume", args.resume.is_some()),
        ("--phase", !args.recipe.phases.is_empty()),
        ("--teacher-path", args.start.teacher.is_some()),
        ("--stage1-path", args.start.stage1.is_some()),
        ("--seed", args.recipe.seed.is_some()),
        (
            "--attention-groups",
            args.student.attention_groups.is_some(),
        ),
        ("--value-groups", args.student.value_groups.is_some()),
    ] {
        if given {
            let reason = "the table decides it: see --table-dir and --seeds".into();
            return Err(Error::Option { option, reason });
        }
    }
    #[cfg(feature = "dashboard")]
    if args.dashboard {
        let reason = "the table has a bar of its own".into();
        let option = "--dashboard";
        return Err(Error::Option { option, reason });
    }
    Ok(())
}

/// The rows of the table.
fn variants(args: &TableArgs, recipe: &Recipe) -> Vec<Variant> {
    let stage2 = &recipe.model.stage2;
    let mut variants = Vec::new();
    for scope in asked(&args.scopes, stage2.scope) {
        for initial in asked(&args.initials, stage2.initial_scales) {
            variants.extend(Variant::published(scope, initial));
        }
    }
    let stages = match (&args.stages[..], args.short) {
        ([], _) if !has_stage1(recipe) => &[1][..],
        ([], true) => &[2],
        ([], false) => &[1, 2],
        (given, _) => given,
    };
    variants
        .retain(|variant| stages.contains(&variant.stages) && (variant.distilled || !args.short));
    fewer(variants)
}

/// Whether the students of a recipe start from one of stage 1, as far as it trains any.
fn has_stage1(recipe: &Recipe) -> bool {
    recipe.trains(Phase::Stage1) || !recipe.trains(Phase::Stage2)
}

/// Whether students train for the epochs of stage 2 alone: the recipe has no stage 1, and none is asked for.
fn is_of_one_stage(recipe: &Recipe, variants: &[Variant]) -> bool {
    !has_stage1(recipe) && variants.iter().all(|variant| variant.stages == 1)
}

/// Says what of a configuration file does not count.
fn ignored(recipe: &Recipe, variants: &[Variant]) {
    let stage2 = &recipe.model.stage2;
    for (entry, given) in [
        (
            "recipe.phases",
            recipe.phases != Phase::ALL && !is_of_one_stage(recipe, variants),
        ),
        ("recipe.seed", recipe.seed != 0),
        (
            "recipe.model.attention_groups",
            stage2.attention_groups != 3,
        ),
        ("recipe.model.value_groups", stage2.value_groups != 3),
    ] {
        if given {
            say(format_args!(
                "{entry} of the configuration does not count: the table decides it"
            ));
        }
    }
}

/// The values of an option, or the model's own.
fn asked<N: Copy + Into<T>, T>(names: &[N], own: T) -> Vec<T> {
    if names.is_empty() {
        return vec![own];
    }
    names.iter().map(|&name| name.into()).collect()
}

/// Each variant once. Without groups there are no thresholds, and their scope changes rounding alone: one
/// plain student of each kind of initial scale is enough.
fn fewer(variants: Vec<Variant>) -> Vec<Variant> {
    let mut kept: Vec<Variant> = Vec::new();
    for variant in variants {
        let plain = variant.attention_groups == 1 && variant.value_groups == 1;
        let known = plain
            && kept.iter().any(|other| {
                (other.attention_groups, other.value_groups) == (1, 1)
                    && (other.stages, other.distilled) == (variant.stages, variant.distilled)
                    && other.initial_scales == variant.initial_scales
            });
        if !known && !kept.contains(&variant) {
            kept.push(variant);
        }
    }
    kept
}

/// Writes the table in its forms, and for each row what `gsb train --config` repeats it with.
fn write(folder: &Path, ablation: &Ablation, table: &Table, markdown: &str) -> Result<(), Error> {
    let rows = folder.join("rows");
    std::fs::create_dir_all(&rows).map_err(|error| Error::file(&rows, error))?;
    for Row { variant, .. } in &table.rows {
        let name = variant.map_or_else(|| "float".into(), |variant| variant.slug());
        let config = ablation.run_config(variant.as_ref(), table.seeds[0]);
        output::write_json(&rows.join(format!("{name}.json")), &config)?;
    }
    table.save(folder)?;
    output::write(&folder.join("table.md"), markdown.as_bytes())?;
    output::write(&folder.join("table.csv"), table.to_csv().as_bytes())?;
    let path = folder.join("table.svg");
    let svg = plot::accuracies(table).map_err(|error| Error::file(&path, error))?;
    output::write(&path, svg.as_bytes())
}

#[cfg(test)]
mod tests {
    use gsb_core::binarize::{InitialScales, ThresholdScope};

    use super::*;

    #[test]
    fn a_plain_student_is_compared_once_for_each_kind_of_initial_scales() {
        let mut variants = Vec::new();
        for scope in [ThresholdScope::Batch, ThresholdScope::Row] {
            for initial in [InitialScales::Published, InitialScales::Residual] {
                variants.extend(Variant::published(scope, initial));
            }
        }
        let kept = fewer(variants);
        let plain = kept.iter().filter(|variant| variant.binarizer() == "plain");
        // Two kinds of initial scales, one stage and two, with and without distillation.
        assert_eq!(plain.count(), 2 * 2 * 2);
        assert_eq!(kept.len(), 8 + 2 * 2 * 4 * 3);
    }
}
