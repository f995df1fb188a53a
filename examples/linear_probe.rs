//! How much a pretrained Vision Transformer knows of photographs that it has never seen: a linear
//! classifier learns from the features of its class token, the model itself stays as it is.
//!
//! ```sh
//! cargo run --release -p gsb-examples --example linear_probe -- CHECKPOINT FOLDER [PIXELS]
//! ```
//!
//! CHECKPOINT is a `.safetensors` or `.pth` file of a plain ViT under the names of timm, Hugging Face or
//! torchvision, FOLDER a data set as `train/CLASS/*.jpg` and `test/CLASS/*.jpg`, PIXELS the height and width
//! of an image, 224 by default. Without arguments: a tiny ViT of random weights on the embedded digits.
//!
//! In a project of your own: `gsb = { version = "0.1", features = ["data"] }`.

use std::path::Path;
use std::sync::Arc;

use gsb::burn::module::Module;
use gsb::burn::nn::loss::CrossEntropyLossConfig;
use gsb::burn::nn::{Linear, LinearConfig};
use gsb::burn::optim::{AdamWConfig, GradientsParams};
use gsb::burn::tensor::{Device, Int, Tensor, TensorData, s};
use gsb::data::{
    DataSet, DataSplits, EvalTransform, Loader, LoaderConfig, Normalization, image_folder,
};
use gsb::vit::checkpoint::{Hints, Published, Strictness};
use gsb::vit::{Phase, VisionTransformer, VitConfig};

const STEPS: usize = 500;
const LEARNING_RATE: f64 = 1e-2;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let device = Device::flex();
    let (model, data, normalization) = match &arguments[..] {
        [] => {
            device.seed(0);
            let config = VitConfig::micro().with_distillation_token(false);
            let data = gsb::data::digits()?.split(0.2, 0)?;
            (config.init_teacher(&device)?, data, Normalization::half(1))
        }
        [checkpoint, folder, pixels @ ..] => {
            let pixels = pixels.first().map_or(Ok(224), |text| text.parse())?;
            let data = image_folder(Path::new(folder))?;
            let classes = data.classes().len();
            let model = pretrained(checkpoint, classes, pixels, &device)?;
            (model, data, Normalization::imagenet())
        }
        [_] => return Err("expected a checkpoint and a folder of photographs".into()),
    };
    let transform = EvalTransform {
        resize: model.config().image_size,
        ..EvalTransform::new(model.config().image_size, normalization)
    };
    let DataSplits { train, test, .. } = data;
    let features = |set| features(&model, set, &transform, &device);
    let (train, test) = (features(train)?, features(test)?);
    println!(
        "{:.1} % of the test images",
        100.0 * probe(train, test, model.config())
    );
    Ok(())
}

/// The model of a checkpoint for images of another size, its positions resampled.
fn pretrained(
    path: &str,
    classes: usize,
    pixels: usize,
    device: &Device,
) -> Result<VisionTransformer> {
    let published = Published::read(path)?;
    let hints = Hints {
        classes: Some(classes),
        ..Hints::default()
    };
    let description = published.describe_with(&hints)?;
    if description.phase != Phase::Teacher {
        return Err(format!("{path}: a {}, expected a float model", description.phase).into());
    }
    let config = VitConfig {
        image_size: pixels,
        classes,
        ..description.config
    };
    let (model, mut report) = published.into_model(&config, Strictness::Strict, device)?;
    report.assumed = description.assumed;
    println!("{report}\n{}", report.notes().join("\n"));
    Ok(model)
}

/// The class token of each image behind the last normalization, and the labels.
fn features(
    model: &VisionTransformer,
    set: Arc<dyn DataSet>,
    transform: &EvalTransform,
    device: &Device,
) -> Result<(Tensor<2>, Tensor<1, Int>)> {
    let (mut rows, mut labels) = (Vec::new(), Vec::new());
    let loader = Loader::new(set, transform.clone(), LoaderConfig::default())?;
    for batch in loader.epoch(0) {
        let batch = batch?;
        let images = Tensor::from_data(TensorData::new(batch.images, batch.shape), device);
        let features = model.activations(images).features;
        rows.push(features.slice(s![.., ..1, ..]).squeeze_dim::<2>(1));
        labels.extend(batch.labels.into_iter().map(|label| label as i64));
        eprint!("\r{} of {} images", labels.len(), loader.len());
    }
    eprintln!();
    let count = labels.len();
    let labels = Tensor::from_data(TensorData::new(labels, [count]), device);
    Ok((Tensor::cat(rows, 0), labels))
}

/// The accuracy on the test images of a linear classifier that has learned from all training images
/// at once.
fn probe(
    (train, labels): (Tensor<2>, Tensor<1, Int>),
    (test, expected): (Tensor<2>, Tensor<1, Int>),
    config: &VitConfig,
) -> f32 {
    let device = train.device().autodiff();
    device.seed(0);
    let (train, labels) = (
        Tensor::<2>::from_data(train.into_data(), &device),
        Tensor::<1, Int>::from_data(labels.into_data(), &device),
    );
    let mut probe: Linear = LinearConfig::new(config.width, config.classes).init(&device);
    let mut optimizer = AdamWConfig::new().init();
    let loss = CrossEntropyLossConfig::new().init(&device);
    for _ in 0..STEPS {
        let grads = loss
            .forward(probe.forward(train.clone()), labels.clone())
            .backward();
        let grads = GradientsParams::from_grads(grads, &probe);
        probe = optimizer.step(LEARNING_RATE, probe, grads);
    }
    let decisions = probe.valid().forward(test).argmax(1).squeeze_dim::<1>(1);
    decisions
        .equal(expected)
        .float()
        .mean()
        .into_scalar::<f32>()
}
