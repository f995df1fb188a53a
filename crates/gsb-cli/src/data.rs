//! The images of a run.

use gsb_data::DataSplits;
use gsb_train::{DataConfig, Purpose, RunConfig};

use crate::config::{by_option, laid_over};
use crate::error::Error;
use crate::options::DataArgs;
use crate::output::say;

/// Data with what options say instead.
///
/// # Errors
/// If the options and the rest are nothing that can be opened.
pub fn with_options(data: &DataConfig, args: &DataArgs) -> Result<DataConfig, Error> {
    let given = serde_json::to_value(args).map_err(std::io::Error::from)?;
    laid_over(data, given, "data")
}

/// Opens and checks data; what a user should know about them goes to stderr.
///
/// # Errors
/// If they are not there or broken, or have fewer images than asked for.
pub fn open(data: &DataConfig, purpose: Purpose) -> Result<DataSplits, Error> {
    data.open(purpose, |remark| say(remark)).map_err(by_option)
}

/// As [`open`], those of a run.
///
/// # Errors
/// As [`open`]; if they have other classes than they had.
pub fn open_of(run: &RunConfig, purpose: Purpose) -> Result<DataSplits, Error> {
    run.open_data(purpose, |remark| say(remark))
        .map_err(by_option)
}
