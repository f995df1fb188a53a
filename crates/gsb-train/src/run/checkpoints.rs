//! The checkpoints of a phase: for an epoch three files, and one with their checksums that is written
//! last. Where that is, the checkpoint is complete.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use burn::lr_scheduler::LrSchedulerRecord;
use burn::optim::OptimizerRecord;
use burn::store::ModuleRecord;
use burn::tensor::Bytes;
use burn_train::checkpoint::{Checkpoint, Checkpointer, CheckpointerError};
use gsb_files::remove_leftovers;

use crate::error::Error;
use crate::files::{create_folder, write_json};

/// What is kept of an epoch: model and average, optimizer, schedule.
const PARTS: [&str; 3] = ["model", "optim", "scheduler"];

/// The checksums of the files of an epoch by their names: CRC-32, eight hexadecimal digits.
type Sums = BTreeMap<String, String>;

/// The folder of a phase's checkpoints.
#[derive(Debug, Clone)]
pub(crate) struct Checkpoints(PathBuf);

impl Checkpoints {
    /// The checkpoints in the folder of a phase, which is made.
    pub fn new(phase: &Path) -> Result<Self, Error> {
        let folder = phase.join("checkpoint");
        create_folder(&folder)?;
        Ok(Self(folder))
    }

    /// The epochs that can be gone on from, ascending. Whatever else there is goes; what is damaged is
    /// told to `note`.
    ///
    /// # Errors
    /// If a file cannot be read, which may be whole: then nothing is removed.
    pub fn usable(&self, note: impl Fn(&str)) -> Result<Vec<usize>, Error> {
        remove_leftovers(&self.0);
        let names = self.names()?;
        let mut sealed = numbered(&names, "epoch-", ".json");
        if sealed.is_empty() {
            sealed = self.adopt(&numbered(&names, "model-", ".bpk"))?;
        }
        let mut usable = Vec::new();
        for epoch in sealed {
            match self.damage(epoch)? {
                None => usable.push(epoch),
                Some(error) => note(&format!(
                    "{error}; the checkpoint of epoch {epoch} is left out"
                )),
            }
        }
        usable.sort_unstable();
        let mut found = numbered(&names, "epoch-", ".json");
        for part in PARTS {
            found.extend(numbered(&names, &format!("{part}-"), ".bpk"));
        }
        found.retain(|epoch| !usable.contains(epoch));
        for epoch in found {
            for part in PARTS {
                self.remove(epoch, part)?;
            }
        }
        Ok(usable)
    }

    /// What saves the files of an epoch.
    pub fn checkpointers(&self) -> [PartCheckpointer; 3] {
        let sums = Arc::default();
        PARTS.map(|part| PartCheckpointer {
            folder: self.clone(),
            part,
            sums: Arc::clone(&sums),
        })
    }

    /// The model and its average after an epoch.
    pub fn model(&self, epoch: usize) -> Result<ModuleRecord, Error> {
        let path = self.file("model", epoch);
        ModuleRecord::from_bytes(self.read("model", epoch)?)
            .map_err(|error| Error::file(&path, error))
    }

    /// Where the model of an epoch is.
    pub fn model_path(&self, epoch: usize) -> PathBuf {
        self.file("model", epoch)
    }

    /// Epochs of a version that wrote no checksums: what can be read there is taken as it is.
    fn adopt(&self, epochs: &[usize]) -> Result<Vec<usize>, Error> {
        // Of all before the first of them is sealed: who finds a seal does not come here again.
        let mut whole = Vec::new();
        for &epoch in epochs {
            let mut parts = PARTS.into_iter();
            match parts.try_for_each(|part| contents(&self.file(part, epoch)).map(drop)) {
                Ok(()) => whole.push(epoch),
                Err(Unreadable::Damaged(_)) => {}
                Err(Unreadable::Now(error)) => return Err(error),
            }
        }
        let mut adopted = Vec::new();
        for epoch in whole {
            let file = |part| self.file(part, epoch);
            let readable = ModuleRecord::load(file("model")).is_ok()
                && OptimizerRecord::load(file("optim")).is_ok()
                && LrSchedulerRecord::load(file("scheduler")).is_ok();
            if !readable {
                continue;
            }
            let sums = PARTS.into_iter().map(|part| {
                let path = file(part);
                let bytes = std::fs::read(&path).map_err(|error| Error::file(&path, error))?;
                Ok((name(part, epoch), sum(&bytes)))
            });
            write_json(&self.seal(epoch), &sums.collect::<Result<Sums, Error>>()?)?;
            adopted.push(epoch);
        }
        Ok(adopted)
    }

    /// What is wrong with the files of an epoch, if anything is.
    fn damage(&self, epoch: usize) -> Result<Option<Error>, Error> {
        let mut parts = PARTS.into_iter().map(|part| self.intact(part, epoch));
        match parts.try_for_each(|part| part.map(drop)) {
            Ok(()) => Ok(None),
            Err(Unreadable::Damaged(error)) => Ok(Some(error)),
            Err(Unreadable::Now(error)) => Err(error),
        }
    }

    /// The bytes of a file as they were written.
    fn read(&self, part: &str, epoch: usize) -> Result<Bytes, Error> {
        self.intact(part, epoch)
            .map_err(|unreadable| match unreadable {
                Unreadable::Damaged(error) | Unreadable::Now(error) => error,
            })
    }

    fn intact(&self, part: &str, epoch: usize) -> Result<Bytes, Unreadable> {
        let (path, seal) = (self.file(part, epoch), self.seal(epoch));
        let damaged = |path, reason| Unreadable::Damaged(Error::file(path, reason));
        let sums: Sums = serde_json::from_slice(&contents(&seal)?)
            .map_err(|error| damaged(&seal, format!("damaged: {error}")))?;
        let bytes = contents(&path)?;
        if sums.get(&name(part, epoch)) != Some(&sum(&bytes)) {
            let reason = format!(
                "damaged: it does not match its checksum in {}",
                seal.display()
            );
            return Err(damaged(&path, reason));
        }
        Ok(Bytes::from_bytes_vec(bytes))
    }

    /// Removes a file of an epoch, which then is not complete any more.
    fn remove(&self, epoch: usize, part: &str) -> Result<(), Error> {
        for path in [self.seal(epoch), self.file(part, epoch)] {
            match std::fs::remove_file(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(Error::file(&path, error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn file(&self, part: &str, epoch: usize) -> PathBuf {
        self.0.join(name(part, epoch))
    }

    fn seal(&self, epoch: usize) -> PathBuf {
        self.0.join(format!("epoch-{epoch}.json"))
    }

    fn names(&self) -> Result<Vec<String>, Error> {
        let failed = |error| Error::file(&self.0, error);
        let entries = std::fs::read_dir(&self.0).map_err(failed)?;
        let names = entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
        names.collect::<Result<_, _>>().map_err(failed)
    }
}

/// Why there is nothing to be had from a file.
enum Unreadable {
    /// It is not there, or not as it was written.
    Damaged(Error),
    /// It cannot be read, for now at least.
    Now(Error),
}

fn contents(path: &Path) -> Result<Vec<u8>, Unreadable> {
    std::fs::read(path).map_err(|error| {
        let is_gone = error.kind() == std::io::ErrorKind::NotFound;
        let error = Error::file(path, error);
        match is_gone {
            true => Unreadable::Damaged(error),
            false => Unreadable::Now(error),
        }
    })
}

fn name(part: &str, epoch: usize) -> String {
    format!("{part}-{epoch}.bpk")
}

fn sum(bytes: &[u8]) -> String {
    format!("{:08x}", crc32fast::hash(bytes))
}

/// The numbers in names of a kind.
fn numbered(names: &[String], before: &str, after: &str) -> Vec<usize> {
    let number = |name: &String| {
        let number = name.strip_prefix(before)?.strip_suffix(after)?;
        number.parse().ok()
    };
    names.iter().filter_map(number).collect()
}

/// Saves one of the files of each epoch; who saves the last one of an epoch writes their checksums.
pub(crate) struct PartCheckpointer {
    folder: Checkpoints,
    part: &'static str,
    /// Of epochs that are not complete, by their numbers.
    sums: Arc<Mutex<BTreeMap<usize, Sums>>>,
}

impl<R: Checkpoint> Checkpointer<R> for PartCheckpointer {
    fn save(&self, epoch: usize, record: R) -> Result<(), CheckpointerError> {
        let bytes = record
            .checkpoint_into_bytes()
            .map_err(CheckpointerError::Record)?;
        let path = self.folder.file(self.part, epoch);
        gsb_files::replace(&path, |file| file.write_all(&bytes))
            .map_err(|error| failed(Error::file(&path, error)))?;
        let mut sums = self.sums.lock().expect("nobody panics with it");
        let of_epoch = sums.entry(epoch).or_default();
        of_epoch.insert(name(self.part, epoch), sum(&bytes));
        if of_epoch.len() == PARTS.len() {
            write_json(&self.folder.seal(epoch), of_epoch).map_err(failed)?;
            sums.remove(&epoch);
        }
        Ok(())
    }

    fn delete(&self, epoch: usize) -> Result<(), CheckpointerError> {
        self.folder.remove(epoch, self.part).map_err(failed)
    }

    fn restore(&self, epoch: usize) -> Result<R, CheckpointerError> {
        let bytes = self.folder.read(self.part, epoch).map_err(failed)?;
        R::checkpoint_from_bytes(bytes).map_err(CheckpointerError::Record)
    }
}

fn failed(error: Error) -> CheckpointerError {
    CheckpointerError::IOError(std::io::Error::other(error.to_string()))
}
