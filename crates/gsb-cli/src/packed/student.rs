//! From a student in memory to a packed file.

use std::collections::BTreeMap;
use std::path::Path;

use burn::Tensor;
use burn::tensor::{Device, TensorData};
use gsb_data::{DataSplits, EvalTransform};
use gsb_packed::{PackedFile, PackedModel, Prediction};
use gsb_train::{Heads, Recipe, Run, evaluation_loader, load_model};
use gsb_vit::{PackOptions, Phase, Stage2Student, pack};
use serde::Serialize;

use super::evaluate::logits;
use crate::compute::DeviceName;
use crate::error::Error;

/// Name of the packed student in the folder of a run.
const NAME: &str = "stage2.packed.safetensors";

/// What a packed student came to.
#[derive(Debug, Clone, Serialize)]
pub struct PackedReport {
    /// Test images classified right, in percent.
    pub top1: f64,
    /// Size of the file.
    pub bytes: u64,
    /// Test images.
    pub images: usize,
    /// Test images that the student, as Burn runs it one by one, takes for the same class.
    pub agreeing: usize,
}

impl std::fmt::Display for PackedReport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            top1,
            bytes,
            images,
            agreeing,
        } = self;
        writeln!(
            f,
            "{:<8} {top1:>6.1} %  {bytes} bytes, agrees with stage2 on {agreeing} of {images} images",
            "packed"
        )
    }
}

/// Packs a student with what makes its input of pictures.
pub fn options(classes: Vec<String>, transform: &EvalTransform, checkpoint: &Path) -> PackOptions {
    let name = checkpoint
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    PackOptions {
        class_names: classes,
        preprocessing: Some(transform.into()),
        provenance: BTreeMap::from([
            ("checkpoint".into(), name),
            (
                "packed by".into(),
                concat!("gsb ", env!("CARGO_PKG_VERSION")).into(),
            ),
        ]),
    }
}

/// Packs the student that a run has trained into its folder, and tests the file.
///
/// # Errors
/// If it cannot be packed, written or read again, or a test image cannot be read.
pub fn after_training(
    run: &Run,
    splits: &DataSplits,
    folder: &Path,
) -> Result<Option<PackedReport>, Error> {
    let recipe = &run.config().recipe;
    let checkpoint = run.model_path(Phase::Stage2);
    if !recipe.trains(Phase::Stage2) || !checkpoint.exists() {
        return Ok(None);
    }
    let device = &DeviceName::default().open()?;
    let student: Stage2Student = load_model(&checkpoint, &recipe.model, Heads::Kept, device)?;
    let options = options(splits.classes().to_vec(), &recipe.evaluation, &checkpoint);
    let path = folder.join(NAME);
    pack(&student, options)?.save(&path)?;
    let bytes = std::fs::metadata(&path)
        .map_err(|error| Error::file(&path, error))?
        .len();
    let model = PackedModel::new(PackedFile::open(&path)?)?;
    let decisions = decisions(&student, splits, recipe, device)?;
    let (mut images, mut agreeing, mut right) = (0, 0, 0);
    for (index, answer) in logits(&model, &path, &*splits.test)?.enumerate() {
        let (logits, label) = answer?;
        let class = Prediction::new(logits).class();
        images += 1;
        agreeing += usize::from(decisions.get(index) == Some(&class));
        right += usize::from(class == label);
    }
    Ok(Some(PackedReport {
        top1: 100.0 * right as f64 / images.max(1) as f64,
        bytes,
        images,
        agreeing,
    }))
}

/// The student's classes of the test images. In the scope of a batch each image is one.
fn decisions(
    student: &Stage2Student,
    splits: &DataSplits,
    recipe: &Recipe,
    device: &Device,
) -> Result<Vec<usize>, Error> {
    let mut recipe = recipe.clone();
    if recipe.model.stage2.scope == gsb_core::binarize::ThresholdScope::Batch {
        recipe.evaluation_batch_size = 1;
    }
    let mut decisions = Vec::with_capacity(splits.test.len());
    for batch in evaluation_loader(splits.test.clone(), &recipe)?.epoch(0) {
        let batch = batch?;
        let images = Tensor::<4>::from_data(TensorData::new(batch.images, batch.shape), device);
        let logits: Vec<f32> = student.infer(images).into_data().iter::<f32>().collect();
        let classes = logits.chunks(recipe.model.classes);
        decisions.extend(classes.map(|logits| Prediction::new(logits.to_vec()).class()));
    }
    Ok(decisions)
}
