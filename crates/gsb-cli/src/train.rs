//! `gsb train`.

use std::path::{Path, PathBuf};

use gsb_data::DataSplits;
use gsb_train::{Error as TrainError, Hooks, Interrupter, Plan, Report, Run};
use serde::Serialize;

use crate::args::TrainArgs;
use crate::config::RunConfig;
use crate::error::Error;
use crate::packed::{PackedReport, after_training};
use crate::progress;

/// Trains, or goes on; the table of results.
///
/// # Errors
/// If an option is impossible, the data or the device are not there, or the training fails.
pub fn run(args: &TrainArgs) -> Result<String, Error> {
    if let Some(json) = &args.json {
        // Better now than after hours.
        writable(json)?;
    }
    let (mut run, splits, folder) = match &args.resume {
        Some(folder) => {
            let config = RunConfig::of_folder(folder)?;
            let devices = config.device.open_all(config.devices, config.strategy)?;
            let run = Run::resume(folder, devices)?;
            (run, config.data.open()?, folder.clone())
        }
        None => {
            let (config, splits) = RunConfig::of(args)?;
            let devices = config.device.open_all(config.devices, config.strategy)?;
            let folder = match &args.output_dir {
                Some(folder) => folder.clone(),
                None => free_folder(&config.data.set.to_string()),
            };
            let plan = plan(&config)?;
            (Run::new(&folder, plan, devices)?, splits, folder)
        }
    };
    eprintln!("run in {}", folder.display());
    let hooks = hooks(args);
    let interrupter = hooks.interrupter.clone();
    // A second handler cannot be set within one process; then Ctrl-C does as it always did.
    let _ = ctrlc::set_handler(move || interrupter.stop(Some("stopped by the user")));
    run.train(&splits, &hooks).map_err(|error| match error {
        TrainError::Stopped { .. } => Error::Resumable {
            error,
            folder: folder.clone(),
        },
        error => error.into(),
    })?;
    let (report, packed) = (run.report(), packed_student(&run, &splits, &folder));
    let text = report.to_string() + &packed.as_ref().map(ToString::to_string).unwrap_or_default();
    if let Some(json) = &args.json {
        write_json(json, &Results { report, packed })?;
    }
    Ok(text)
}

/// What a run came to, as `--json` writes it.
#[derive(Serialize)]
struct Results<'a> {
    #[serde(flatten)]
    report: &'a Report,
    /// The packed student, of runs that train stage 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    packed: Option<PackedReport>,
}

/// Packs and tests the student of stage 2. What goes wrong here does not cost the results of the training.
fn packed_student(run: &Run, splits: &DataSplits, folder: &Path) -> Option<PackedReport> {
    let packed = after_training(run, splits, folder);
    packed.unwrap_or_else(|error| {
        eprintln!("the student is not packed: {error}");
        None
    })
}

fn plan(config: &RunConfig) -> Result<Plan, Error> {
    let value = serde_json::to_value(config).map_err(std::io::Error::from)?;
    Ok(serde_json::from_value(value).map_err(std::io::Error::from)?)
}

fn hooks(args: &TrainArgs) -> Hooks {
    let interrupter = Interrupter::new();
    #[cfg(feature = "dashboard")]
    if args.dashboard {
        let stop = interrupter.clone();
        return Hooks {
            renderer: Box::new(move |_| {
                gsb_train::burn_train::renderer::default_renderer(stop.clone(), None)
            }),
            interrupter,
        };
    }
    #[cfg(not(feature = "dashboard"))]
    let _ = args;
    Hooks {
        renderer: Box::new(|phase| Box::new(progress::Bars::new(phase))),
        interrupter,
    }
}

/// The first of `runs/<name>-1`, `-2`, ... that is not there.
fn free_folder(name: &str) -> PathBuf {
    let folder = |number: usize| Path::new("runs").join(format!("{name}-{number}"));
    let mut number = 1;
    while folder(number).exists() {
        number += 1;
    }
    folder(number)
}

fn writable(path: &Path) -> Result<(), Error> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    if folder.is_dir() {
        return Ok(());
    }
    Err(Error::file(
        path,
        format!("{} is no folder", folder.display()),
    ))
}

/// Writes the report whole or not at all.
fn write_json(path: &Path, report: &impl Serialize) -> Result<(), Error> {
    gsb_train::write_json(path, report).map_err(Error::from)
}
