//! The files of a run in their folder.

use std::fs::{File, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};

use gsb_files::remove_leftovers;
use gsb_vit::Phase;

use super::config::{CONFIG, RunConfig};
use super::devices::Devices;
use super::environment::Environment;
use super::report::Report;
use super::{epoch_log, inspection_log};
use crate::error::Error;
use crate::files::{
    create_folder, json, parse, remove_folder, write_json, write_new_json, write_text,
};
use crate::recipe::Recipe;

const ENVIRONMENT: &str = "environment.json";
const REPORT: &str = "report.json";

/// The folder of a run.
#[derive(Debug, Clone)]
pub(crate) struct RunFolder(PathBuf);

impl RunFolder {
    /// A folder that a run lies in, or will.
    pub fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// Makes the folder and writes the first files of a run into it; of what it has made, nothing stays if that fails.
    pub fn begin(&self, config: &RunConfig, devices: &Devices) -> Result<(), Error> {
        let missing: Vec<&Path> = self
            .0
            .ancestors()
            .take_while(|path| !path.exists())
            .collect();
        self.write_first(config, devices).inspect_err(|_| {
            for folder in missing {
                // Another run may have begun there.
                let _ = std::fs::remove_dir(folder);
            }
        })
    }

    fn write_first(&self, config: &RunConfig, devices: &Devices) -> Result<(), Error> {
        create_folder(&self.0)?;
        let path = self.config();
        if !write_new_json(&path, config)? {
            return Err(Error::Occupied {
                folder: self.0.clone(),
                file: path,
            });
        }
        let environment = Environment::of(devices);
        write_json(&self.0.join(ENVIRONMENT), &environment).inspect_err(|_| {
            // What failed says more than this would.
            let _ = std::fs::remove_file(&path);
        })
    }

    /// A file or folder in it that a run with this recipe would replace, or that makes it a run.
    pub fn occupant(&self, recipe: &Recipe) -> Option<PathBuf> {
        let of_run =
            [CONFIG, REPORT, epoch_log::NAME, inspection_log::NAME].map(|name| self.0.join(name));
        let trained = Phase::ALL.into_iter().filter(|&phase| recipe.trains(phase));
        let of_phases = trained.flat_map(|phase| {
            [
                self.model(phase),
                self.best_model(phase),
                self.diverged_model(phase),
                self.phase(phase),
            ]
        });
        of_run
            .into_iter()
            .chain(of_phases)
            .find(|path| path.exists())
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    fn config(&self) -> PathBuf {
        self.0.join(CONFIG)
    }

    /// The file of a phase's model.
    pub fn model(&self, phase: Phase) -> PathBuf {
        self.0.join(format!("{phase}.bpk"))
    }

    /// The file of the model of a phase's best epoch.
    pub fn best_model(&self, phase: Phase) -> PathBuf {
        self.0.join(format!("{phase}-best.bpk"))
    }

    /// The file of the weights before a loss was not finite.
    pub fn diverged_model(&self, phase: Phase) -> PathBuf {
        self.0.join(format!("{phase}-diverged.bpk"))
    }

    /// The folder of a phase's own files.
    pub fn phase(&self, phase: Phase) -> PathBuf {
        self.0.join(phase.name())
    }

    /// The report so far.
    pub fn report(&self) -> Result<Report, Error> {
        let path = self.0.join(REPORT);
        match path.exists() {
            true => parse(&path),
            false => Ok(Report::default()),
        }
    }

    /// Writes the report, by which its phases are finished.
    pub fn write_report(&self, report: &Report) -> Result<(), Error> {
        write_text(&self.0.join("report.txt"), &report.to_string())?;
        write_json(&self.0.join(REPORT), report)
    }

    /// Keeps others from training in the folder, until the file is closed, however the process ends.
    pub fn lock(&self, note: impl Fn(&str)) -> Result<Option<File>, Error> {
        let path = self.config();
        // NFS locks only what is open for writing.
        let file = File::options()
            .read(true)
            .write(true)
            .open(&path)
            .or_else(|_| File::open(&path))
            .map_err(|error| Error::file(&path, error))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => Err(Error::Busy(self.0.clone())),
            Err(TryLockError::Error(error)) => {
                note(&format!(
                    "{}: the file system has no locks ({error}): nothing keeps a second process from \
                     training there",
                    self.0.display()
                ));
                Ok(None)
            }
        }
    }

    /// Writes `config.json` again, locked before it is in its place.
    pub fn rewrite_config(&self, config: &RunConfig) -> Result<Option<File>, Error> {
        let path = self.config();
        let text = json(&path, config)?;
        let mut lock = None;
        gsb_files::replace(&path, |file| {
            file.write_all(text.as_bytes())?;
            lock = Some(file.try_clone()?).filter(|file| file.try_lock().is_ok());
            Ok(())
        })
        .map_err(|error| Error::file(&path, error))?;
        Ok(lock)
    }

    /// Removes what a process left that was killed, and adds what it did not come to write.
    pub fn tidy(&self, recipe: &Recipe, report: &Report, devices: &Devices) -> Result<(), Error> {
        remove_leftovers(&self.0);
        let environment = self.0.join(ENVIRONMENT);
        if !environment.exists() {
            write_json(&environment, &Environment::of(devices))?;
        }
        // Right before, a phase may have become finished.
        let finished = report.phases.iter();
        finished
            .map(|row| self.phase(row.phase))
            .try_for_each(|folder| remove_folder(&folder))?;
        for row in &report.phases {
            let path = self.model(row.phase);
            if !path.exists() {
                let reason = format!("{} is finished, but its model is not there", row.phase);
                return Err(Error::file(&path, reason));
            }
        }
        for phase in Phase::ALL.into_iter().filter(|&phase| recipe.trains(phase)) {
            // A phase writes its model, then the report, and removes its checkpoints last.
            let is_reported = report.phases.iter().any(|row| row.phase == phase);
            if !is_reported && self.model(phase).exists() && !self.phase(phase).exists() {
                let reason = format!(
                    "it does not have {phase}, but there is its model, which training it again would replace: \
                     put the report back, or move {phase}.bpk away"
                );
                return Err(Error::file(&self.0.join(REPORT), reason));
            }
        }
        Ok(())
    }
}
