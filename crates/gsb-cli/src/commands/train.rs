//! `gsb train`.

#[cfg(feature = "dashboard")]
use std::io::IsTerminal;
use std::path::{Path, PathBuf, absolute};

use gsb_data::DataSplits;
use gsb_train::{
    Callbacks, Error as TrainError, Interrupter, Purpose, Report, Run, SilentRenderer, Start,
};
use serde::Serialize;

use crate::compute::open_devices;
use crate::config::{self, by_option};
use crate::data;
use crate::error::Error;
use crate::model::expect_file;
use crate::options::TrainArgs;
use crate::output::{self, say};
use crate::packed::{PackedReport, after_training};
#[cfg(feature = "dashboard")]
use crate::progress::Dashboard;
use crate::progress::Progress;
use crate::shell::quoted;
use crate::signals::stop_on_signals;

/// Trains, or goes on; the table of results.
///
/// # Errors
/// If an option is impossible, the data or the device are not there, or the training fails.
pub fn run(args: &TrainArgs) -> Result<String, Error> {
    if let Some(json) = &args.json {
        // Better now than after hours.
        check_own(json, args)?;
        match will_be_in_new_folder(json, args.output_dir.as_deref()) {
            true => output::check_format(json, "JSON", "json")?,
            false => output::check_json(json)?,
        }
    }
    if let Some(file) = &args.config {
        expect_file(file, "config.json")?;
    }
    let (mut run, splits) = match &args.resume {
        Some(folder) => resumed(args, folder)?,
        None => begun(args)?,
    };
    let folder = run.folder().to_path_buf();
    if !args.quiet {
        say(format_args!("run in {}", folder.display()));
    }
    let callbacks = callbacks(args);
    stop_on_signals(&callbacks.interrupter);
    run.train(&splits, &callbacks)
        .map_err(|error| ended(error, &folder))?;
    let (report, (packed, failure)) = (run.report(), packed_student(&run, &splits, &folder));
    let text = report.to_string() + &packed.as_ref().map(ToString::to_string).unwrap_or_default();
    if let Some(json) = &args.json {
        let results = Results { report, packed };
        if output::is_stdout(json) {
            let text = output::json(&results)?;
            return finished(text, failure);
        }
        if let Err(error) = output::write_json(json, &results) {
            // The results are not lost.
            say(text);
            if let Some(failure) = failure {
                say(failure);
            }
            return Err(error);
        }
    }
    finished(text, failure)
}

/// The results or, once they are printed, why there is no packed student.
fn finished(text: String, failure: Option<Error>) -> Result<String, Error> {
    match failure {
        None => Ok(text),
        Some(error) => {
            output::stdout::print(text.as_bytes())?;
            Err(error)
        }
    }
}

/// A new run that options describe, and its images.
fn begun(args: &TrainArgs) -> Result<(Run, DataSplits), Error> {
    let (config, splits) = config::of_options(args)?;
    let devices = open_devices(&config)?;
    let folder = match (&args.output_dir, &config.data) {
        (Some(folder), _) => folder.clone(),
        (None, data) => {
            let set = data.as_ref().map(|data| data.set).unwrap_or_default();
            free_folder(&set.to_string())
        }
    };
    // Before there is a folder that would have to be removed again.
    config.check(&splits, &devices).map_err(by_option)?;
    let run = Run::new_on(folder, config, devices).map_err(by_option)?;
    Ok((run, splits))
}

/// The run of a folder, with its images and where files are now.
fn resumed(args: &TrainArgs, folder: &Path) -> Result<(Run, DataSplits), Error> {
    expect_folder(folder)?;
    let mut config = config::of_folder(folder)?.ok_or_else(|| TrainError::NoRun {
        path: folder.into(),
        file: "config.json",
    })?;
    let data = data::with_options(config.data().map_err(by_option)?, &args.data)?;
    config.data = Some(match args.data.data_path {
        Some(_) => data.absolute(),
        None => data,
    });
    let splits = data::open_of(&config, Purpose::Training)?;
    match config.check_images(&splits) {
        Err(TrainError::ChangedData { now, .. }) if args.changed_data => {
            config.fingerprint = Some(now);
        }
        checked => checked.map_err(by_option)?,
    }
    let mut run = Run::resume_on(folder, open_devices(&config)?)?;
    run.set_start(Start {
        teacher: args.start.teacher.clone(),
        finetune: args.start.finetune.clone(),
        stage1: args.start.stage1.clone(),
        init: args.start.init.clone().unwrap_or_default(),
        ..Start::default()
    })
    .map_err(by_option)?;
    run.set_data(config.data, config.fingerprint);
    Ok((run, splits))
}

/// What ended a training, and how to go on.
fn ended(error: TrainError, folder: &Path) -> Error {
    let folder = folder.to_path_buf();
    match error {
        TrainError::Stopped { .. } => Error::Resumable { error, folder },
        TrainError::Images { .. }
        | TrainError::Data(gsb_data::Error::Picture { .. } | gsb_data::Error::Io { .. }) => {
            Error::BrokenInRun { error, folder }
        }
        error => error.into(),
    }
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

/// Packs and tests the student of stage 2, or says why not: that there is no packed form of it is no failure. What goes
/// wrong here does not cost the results of the training.
fn packed_student(
    run: &Run,
    splits: &DataSplits,
    folder: &Path,
) -> (Option<PackedReport>, Option<Error>) {
    match after_training(run, splits, folder) {
        Ok(packed) => (packed, None),
        Err(error) => {
            let error = Error::NotPacked(Box::new(error));
            match error.is_of_form() {
                true => {
                    say(error);
                    (None, None)
                }
                false => (None, Some(error)),
            }
        }
    }
}

/// How the training is shown and stopped.
fn callbacks(args: &TrainArgs) -> Callbacks {
    let interrupter = Interrupter::new();
    let (stop, quiet, full) = (interrupter.clone(), args.quiet, full_screen(args));
    Callbacks {
        renderer: Box::new(move |phase| match (quiet, full) {
            #[cfg(feature = "dashboard")]
            (_, true) => Box::new(Dashboard::new(stop.clone())),
            (true, _) => Box::new(SilentRenderer),
            (false, _) => Box::new(Progress::new(phase, stop.clone())),
        }),
        interrupter,
        note: Box::new(|text| say(text)),
    }
}

/// Whether the training fills the terminal.
fn full_screen(args: &TrainArgs) -> bool {
    #[cfg(feature = "dashboard")]
    return args.dashboard && std::io::stdout().is_terminal();
    #[cfg(not(feature = "dashboard"))]
    {
        let _ = args;
        false
    }
}

/// Refuses results in the place of the configuration that is read, or of a file of the run.
fn check_own(json: &Path, args: &TrainArgs) -> Result<(), Error> {
    let real = |path: &Path| std::fs::canonicalize(path).ok();
    let is = |path: &Path| real(path).is_some() && real(path) == real(json);
    let folder = args.resume.as_ref().or(args.output_dir.as_ref());
    let names = ["config.json", "environment.json", "report.json"];
    let in_folder = folder.is_some_and(|folder| {
        let same = |path: &Path| is(path) || absolute(path).ok() == absolute(json).ok();
        names.iter().any(|name| same(&folder.join(name)))
    });
    if in_folder || args.config.as_deref().is_some_and(is) {
        let reason = "the configuration or a file of the run would be overwritten";
        return Err(Error::file(json, reason));
    }
    Ok(())
}

/// Whether a file is to be in the folder of the run, which is not there yet.
fn will_be_in_new_folder(file: &Path, folder: Option<&Path>) -> bool {
    let same = |parent: &Path, folder: &Path| absolute(parent).ok() == absolute(folder).ok();
    folder.is_some_and(|folder| {
        !folder.exists() && file.parent().is_some_and(|parent| same(parent, folder))
    })
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

/// Refuses a file of a run in the place of its folder.
fn expect_folder(path: &Path) -> Result<(), Error> {
    if !path.is_file() {
        return Ok(());
    }
    let reason = match path.parent() {
        Some(folder) if folder.join("config.json").is_file() => {
            let folder = match folder.as_os_str().is_empty() {
                true => ".".into(),
                false => quoted(folder),
            };
            format!("is a file, expected the folder of a run: gsb train --resume {folder}")
        }
        _ => "is a file, expected the folder of a run".into(),
    };
    Err(Error::file(path, reason))
}
