//! What a checkpoint's model sees of pictures, and what its classes are called.

use std::path::Path;

use gsb_data::{EvalTransform, Normalization, Transform};
use gsb_train::RunConfig;
use gsb_vit::VitConfig;

use crate::config::{self, by_option};
use crate::error::Error;
use crate::output::say;

/// Class names and preprocessing of a checkpoint.
pub struct ModelInput {
    /// A name for each class; none if they are known by their numbers alone.
    pub classes: Vec<String>,
    /// What makes the model's input of a picture.
    pub transform: EvalTransform,
    /// Where both are from: "are ...".
    pub source: String,
}

impl ModelInput {
    /// Those of the run that a checkpoint lies in, else numbers and the published transform.
    ///
    /// # Errors
    /// If the configuration of the run cannot be read.
    pub fn of(checkpoint: &Path, config: &VitConfig) -> Result<Self, Error> {
        let run = config::of_checkpoint(checkpoint)?;
        let why = match run {
            None => "the checkpoint lies in no run",
            Some(_) => "the run that the checkpoint lies in is of other images or classes",
        };
        let fits = |run: &RunConfig| {
            let (classes, [channels, size, _]) =
                (run.recipe.model.classes, run.recipe.evaluation.shape());
            (classes, channels, size) == (config.classes, config.channels, config.image_size)
        };
        let Some(run) = run.filter(fits) else {
            let normalization = match config.channels {
                3 => Normalization::imagenet(),
                channels => Normalization::half(channels),
            };
            return Ok(Self {
                classes: Vec::new(),
                transform: EvalTransform::new(config.image_size, normalization),
                source: format!("are the standard ones: {why}"),
            });
        };
        // The machine that asks need not have the images.
        let (classes, source) = match run.class_names() {
            Ok(classes) => {
                let set = run
                    .data
                    .as_ref()
                    .map_or("images".into(), |data| data.set.to_string());
                (classes, format!("are those of the run's {set}"))
            }
            Err(error) => {
                let error = by_option(error);
                say(format_args!("classes get their numbers as names: {error}"));
                (Vec::new(), "are numbers and those of the run".into())
            }
        };
        Ok(Self {
            classes,
            transform: run.recipe.evaluation,
            source,
        })
    }
}
