//! Accuracy on images that were not trained on.

use burn::tensor::Device;
use gsb_vit::Classifier;

use crate::batch::Data;

const BATCH_SIZE: usize = 256;

/// The fraction of the test images that a model classifies right.
///
/// The model is one for evaluation: [`Module::valid`](burn::module::Module::valid), on a device
/// without autodiff.
pub fn top1<M: Classifier>(model: &M, data: &Data, device: &Device) -> f64 {
    let (mut right, mut all) = (0, 0);
    for batch in data.test_batches(BATCH_SIZE, device) {
        all += batch.labels.dims()[0];
        let decisions = model.infer(batch.images).argmax(1).squeeze_dim::<1>(1);
        let hits = decisions.equal(batch.labels).int().sum();
        right += hits.into_scalar::<i64>();
    }
    right as f64 / all as f64
}
