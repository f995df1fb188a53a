//! What options say of a run, and what is wrong with it in their words.

use gsb_train::Error as TrainError;
use gsb_train::entries::{self, Wrong};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::merge::overlay;
use crate::error::Error;

/// A configuration, or the part of one that an entry names, with what options say in its place.
///
/// # Errors
/// If one of them says what is impossible there.
pub fn laid_over<T>(config: &T, options: Value, part: &str) -> Result<T, Error>
where
    T: Serialize + DeserializeOwned,
{
    let mut value = serde_json::to_value(config).map_err(std::io::Error::from)?;
    overlay(&mut value, options);
    entries::deserialize(value).map_err(|wrong| {
        let Wrong { entry, reason } = wrong.within(part);
        by_option(TrainError::Option {
            option: entry,
            reason,
        })
    })
}

/// The options that entries of a configuration have, where they cannot be told from the entry.
const OPTIONS: [(&str, &str); 15] = [
    ("data", "--data-set"),
    ("data.path", "--data-path"),
    ("data.per_class", "--per-class"),
    ("data.label_noise", "--label-noise"),
    ("device", "--device"),
    ("devices", "--devices"),
    ("strategy", "--strategy"),
    ("products", "--products"),
    ("recipe.augmentation.rand_augment", "--aa"),
    ("start.ema", "--ema"),
    ("start.finetune", "--finetune"),
    ("start.heads", "--heads"),
    ("start.init", "--init"),
    ("start.stage1", "--stage1-path"),
    ("start.teacher", "--teacher-path"),
];

/// What is wrong with a run, by its options, and what to do about it.
pub fn by_option(error: TrainError) -> Error {
    match error {
        TrainError::Option { option, reason } => {
            match OPTIONS.iter().find(|(entry, _)| *entry == option) {
                Some(&(_, option)) => Error::Option { option, reason },
                None => TrainError::Option { option, reason }.into(),
            }
        }
        TrainError::NoDevice { name, count, found } => Error::NoDevice { name, count, found },
        error @ TrainError::ChangedData { .. } => Error::ChangedData(error),
        TrainError::Data(error) => error.into(),
        error => error.into(),
    }
}
