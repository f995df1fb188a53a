//! The accuracy of a packed model.

use std::path::Path;

use gsb_data::DataSet;
use gsb_packed::{Image, PackedModel};
use gsb_train::Evaluation;
use rayon::prelude::*;

use crate::error::Error;

/// Images that are in memory at once.
const BATCH: usize = 256;

/// Classifies a data set.
///
/// # Errors
/// If a picture cannot be read, or the model does not go with the data.
pub fn measure(model: &PackedModel, path: &Path, set: &dyn DataSet) -> Result<Evaluation, Error> {
    let (found, classes) = (model.config().classes, set.classes().len());
    if found != classes {
        let reason = format!("a model for {found} classes, but the data have {classes}");
        return Err(Error::file(path, reason));
    }
    let answers = logits(model, path, set)?.collect::<Result<Vec<_>, _>>()?;
    Ok(Evaluation::of_logits(answers)?)
}

/// The logits and the label of each picture of a data set, in order.
///
/// # Errors
/// If the model asks for another preprocessing than there is.
pub fn logits<'a>(
    model: &'a PackedModel,
    path: &Path,
    set: &'a dyn DataSet,
) -> Result<impl Iterator<Item = Result<(Vec<f32>, usize), Error>> + 'a, Error> {
    let transform = model
        .transform()
        .map_err(|error| Error::file(path, error))?;
    let answer = move |index: usize| {
        let pixels = transform.pixels(&set.image(index)?);
        let prediction = model.predict(Image::Bytes(&pixels.pixels))?;
        Ok((prediction.logits().to_vec(), set.label(index)))
    };
    let starts = (0..set.len()).step_by(BATCH);
    Ok(starts.flat_map(move |start| {
        let end = set.len().min(start + BATCH);
        let answers = (start..end).into_par_iter().map(&answer);
        answers.collect::<Vec<_>>()
    }))
}
