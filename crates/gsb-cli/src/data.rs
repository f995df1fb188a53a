//! The images of a run.

use gsb_data::DataSplits;
use gsb_train::{DataConfig, Error as TrainError, Purpose, RunConfig};

use crate::args::DataArgs;
use crate::config::{in_options, overlay};
use crate::error::Error;
use crate::say;

/// Data with what options say instead.
///
/// # Errors
/// If the options and the rest are nothing that can be opened.
pub fn with_options(data: &DataConfig, args: &DataArgs) -> Result<DataConfig, Error> {
    let mut value = serde_json::to_value(data).map_err(std::io::Error::from)?;
    overlay(
        &mut value,
        serde_json::to_value(args).map_err(std::io::Error::from)?,
    );
    in_options(value, "data")
}

/// Opens and checks data; what a user should know about them goes to stderr.
///
/// # Errors
/// If they are not there or broken, or have fewer images than asked for.
pub fn open(data: &DataConfig, purpose: Purpose) -> Result<DataSplits, Error> {
    data.open(purpose, |remark| say(remark)).map_err(told)
}

/// As [`open`], those of a run.
///
/// # Errors
/// As [`open`]; if they have other classes than they had.
pub fn open_of(run: &RunConfig, purpose: Purpose) -> Result<DataSplits, Error> {
    run.open_data(purpose, |remark| say(remark)).map_err(told)
}

/// The options that entries of a configuration have, where they cannot be told from the entry.
const OPTIONS: [(&str, &str); 8] = [
    ("data", "--data-set"),
    ("data.path", "--data-path"),
    ("data.per_class", "--per-class"),
    ("data.label_noise", "--label-noise"),
    ("device", "--device"),
    ("devices", "--devices"),
    ("strategy", "--strategy"),
    ("recipe.augmentation.rand_augment", "--aa"),
];

/// What is wrong with a run, by its options, and what to do about it.
pub fn told(error: TrainError) -> Error {
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
