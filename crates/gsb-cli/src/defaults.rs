//! What a run does where nothing is said.

use burn::nn::Initializer;
use gsb_core::binarize::{InitialScales, ThresholdScope};
use gsb_data::{Crop, DataSetName, DataSplits, Normalization, TrainTransform};
use gsb_train::{DataConfig, Recipe};
use gsb_vit::{Phase, VitConfig};

use crate::error::Error;
use crate::model::ModelName;

/// Images in a batch of the published recipe on one device.
const PUBLISHED_BATCH: usize = 64;

/// Whether a set has a recipe of its own: small enough to be trained from nothing in minutes.
fn is_small(set: DataSetName) -> bool {
    matches!(set, DataSetName::Digits | DataSetName::Mnist)
}

/// The model for a data set, for its classes and colours.
///
/// # Errors
/// If there is no such model.
pub fn model(
    data: &DataConfig,
    splits: &DataSplits,
    name: Option<ModelName>,
) -> Result<VitConfig, Error> {
    let classes = splits.classes().len();
    let config = match name {
        Some(ModelName::Config(config)) => *config,
        Some(ModelName::Preset(name)) => VitConfig::preset(&name, classes)?,
        None => default_model(data.set, classes)?,
    };
    let channels = if is_small(data.set) {
        splits.channels()
    } else {
        Normalization::imagenet().channels()
    };
    Ok(VitConfig {
        classes,
        channels,
        ..config
    })
}

/// The recipe of a model for a data set: the published one, but for the small sets.
///
/// # Errors
/// If images cannot be read.
pub fn recipe(data: &DataConfig, splits: &DataSplits, model: VitConfig) -> Result<Recipe, Error> {
    if is_small(data.set) {
        let normalization = splits.train.normalization()?;
        let mut recipe = small_recipe(model, normalization);
        if data.set == DataSetName::Digits {
            // They are centred, and a pixel is half a patch: a shift is more than students of one bit
            // get to learn.
            recipe.augmentation.crop = Crop::Center;
            // Without shifts to learn, students are almost as good as after 40, 20 and 40 epochs.
            for (phase, epochs) in Phase::ALL.into_iter().zip([22, 11, 22]) {
                recipe.phase_mut(phase).epochs = epochs;
            }
        }
        return Ok(recipe);
    }
    let normalization = Normalization::imagenet();
    Ok(Recipe::published(model, normalization, PUBLISHED_BATCH))
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
    // Together better than neither on all digits and on few of MNIST, see the ablation in the book.
    recipe.stage2.optimizer.attention_rate = 10.0;
    recipe.stage2.binarization.gradual = 0.4;
    for (phase, epochs, lr) in [
        (Phase::Teacher, 40, 2e-3),
        (Phase::Stage1, 20, 2e-3),
        (Phase::Stage2, 40, 3e-3),
    ] {
        let settings = recipe.phase_mut(phase);
        (settings.epochs, settings.schedule.lr) = (epochs, lr);
    }
    recipe
}
