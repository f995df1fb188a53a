//! Imports a PyTorch checkpoint, says what became of its tensors, and classifies a photograph.
//!
//! ```sh
//! cargo run --release -p gsb-examples --example import_checkpoint [CHECKPOINT [PHOTOGRAPH]]
//! ```
//!
//! Without arguments: a tiny student of stage 2 that the published code has saved, of random weights
//! and opinion, and a photograph by vultilion, CC BY 2.0.

use burn::Tensor;
use burn::tensor::activation::softmax;
use burn::tensor::{Device, TensorData};
use gsb_vit::checkpoint::{Published, Strictness};
use gsb_vit::{
    Classifier, Model, Phase, Stage1Student, Stage2Student, VisionTransformer, VitConfig,
};
use image::imageops::FilterType;

const CHECKPOINT: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../tests/golden/d_ckpt_stage2.pth"
);
const PHOTOGRAPH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/flower.jpg");
/// Mean and deviation of the colours of ImageNet.
const COLOURS: [(f32, f32); 3] = [(0.485, 0.229), (0.456, 0.224), (0.406, 0.225)];

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let checkpoint = arguments.next().unwrap_or(CHECKPOINT.into());
    let photograph = arguments.next().unwrap_or(PHOTOGRAPH.into());

    let published = Published::read(&checkpoint)?;
    let (phase, config) = published.describe()?;
    println!("{}", config.cost(phase)?.summary());
    let image = normalized(&photograph, &config)?;
    let logits = match phase {
        Phase::Teacher => classify::<VisionTransformer>(published, &config, image),
        Phase::Stage1 => classify::<Stage1Student>(published, &config, image),
        Phase::Stage2 => classify::<Stage2Student>(published, &config, image),
    }?;
    let chances: Vec<f32> = softmax(logits, 1).into_data().iter().collect();
    let mut classes: Vec<usize> = (0..chances.len()).collect();
    classes.sort_by(|&a, &b| chances[b].total_cmp(&chances[a]));
    for class in classes.into_iter().take(5) {
        println!("class {class}: {:.1} %", 100.0 * chances[class]);
    }
    Ok(())
}

fn classify<M: Model + Classifier>(
    published: Published,
    config: &VitConfig,
    image: Tensor<4>,
) -> Result<Tensor<2>> {
    let (model, report) =
        published.into_model::<M>(config, Strictness::Lenient, &image.device())?;
    println!("{report}\n");
    Ok(model.infer(image))
}

/// The middle of a photograph at the size of the model, `[1, 3, height, width]`.
fn normalized(path: &str, config: &VitConfig) -> Result<Tensor<4>> {
    if config.channels != 3 {
        return Err(format!(
            "the model takes {} channels, a photograph has 3",
            config.channels
        )
        .into());
    }
    let size = config.image_size as u32;
    let photograph = image::open(path)?.resize_to_fill(size, size, FilterType::CatmullRom);
    let pixels = photograph.to_rgb32f();
    let plane = |colour: usize| {
        let (mean, deviation) = COLOURS[colour];
        pixels
            .pixels()
            .map(move |pixel| (pixel[colour] - mean) / deviation)
    };
    let values: Vec<f32> = (0..3).flat_map(plane).collect();
    let shape = [1, 3, config.image_size, config.image_size];
    Ok(Tensor::from_data(
        TensorData::new(values, shape),
        &Device::default(),
    ))
}
