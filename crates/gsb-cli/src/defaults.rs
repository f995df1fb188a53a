//! What a run does where nothing is said.

use burn::nn::Initializer;
use gsb::binarize::{InitialScales, ThresholdScope};
use gsb_data::{Crop, DataSetName, DataSplits, Normalization, TrainTransform};
use gsb_train::{PhaseRecipe, Recipe};
use gsb_vit::{Phase, VitConfig};

use crate::config::ModelName;
use crate::data::DataConfig;
use crate::error::Error;

/// Images in a batch of the published recipe on one device.
const PUBLISHED_BATCH: usize = 64;

/// The recipe for a data set: the published one, but for the digits, small enough to be trained
/// from nothing in minutes, which have their own.
///
/// # Errors
/// If there is no such model, or images cannot be read.
pub fn recipe(
    data: &DataConfig,
    splits: &DataSplits,
    model: Option<ModelName>,
    input_size: Option<usize>,
) -> Result<Recipe, Error> {
    let small = matches!(data.set, DataSetName::Digits | DataSetName::Mnist);
    let mut config = match model {
        Some(ModelName::Config(config)) => *config,
        Some(ModelName::Preset(name)) => VitConfig::preset(&name, splits.classes().len())?,
        None => default_model(data.set, splits.classes().len())?,
    };
    config.classes = splits.classes().len();
    config.channels = splits.channels();
    if let Some(size) = input_size {
        config.image_size = size;
    }
    let normalization = if small {
        Normalization::of(&*splits.train)?
    } else {
        Normalization::imagenet()
    };
    config.channels = normalization.channels();
    if small {
        return Ok(small_recipe(config, normalization));
    }
    Ok(Recipe::published(config, normalization, PUBLISHED_BATCH))
}

fn default_model(set: DataSetName, classes: usize) -> Result<VitConfig, Error> {
    // The published deviation of 0.02 suits wide tokens: narrow ones take many epochs to get off it.
    // Thresholds of rows and residual scales are what the ablation found best.
    let small = VitConfig::micro()
        .with_initializer(Initializer::XavierUniform { gain: 1.0 })
        .with_scope(ThresholdScope::Row)
        .with_initial_scales(InitialScales::Residual);
    let config = match set {
        DataSetName::Digits => small,
        DataSetName::Mnist => VitConfig {
            image_size: 28,
            patch_size: 4,
            ..small
        },
        DataSetName::Cifar10 | DataSetName::Cifar100 => {
            VitConfig::preset("deit_small_distilled_patch4_32", classes)?
        }
        _ => VitConfig::preset("deit_small_distilled_patch16_224", classes)?,
    };
    Ok(config)
}

/// The recipe of small gray images. Their order and shifts by a pixel are all that is random.
fn small_recipe(model: VitConfig, normalization: Normalization) -> Recipe {
    let mut recipe = Recipe::published(model, normalization.clone(), 32);
    let size = recipe.model.image_size;
    recipe.augmentation = TrainTransform {
        crop: Crop::Padded { padding: size / 8 },
        ..TrainTransform::plain(size, normalization)
    };
    recipe.evaluation_batch_size = 256;
    recipe.workers = 1;
    for (phase, epochs, lr) in [
        (Phase::Teacher, 40, 2e-3),
        (Phase::Stage1, 20, 2e-3),
        (Phase::Stage2, 40, 3e-3),
    ] {
        let settings = recipe.phase_mut(phase);
        *settings = PhaseRecipe {
            epochs,
            lr,
            ..settings.clone()
        };
    }
    recipe
}
