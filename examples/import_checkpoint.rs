//! Imports a stage-2 student from PyTorch, says what became of its tensors, and classifies a
//! photograph.
//!
//! ```sh
//! cargo run --release -p gsb-examples --example import_checkpoint [CHECKPOINT [PHOTOGRAPH]]
//! ```
//!
//! Without arguments: a tiny student that the published code has saved, of random weights and
//! opinion, and a photograph by vultilion, CC BY 2.0.
//!
//! In a project of your own, where `image` resizes the photograph:
//!
//! ```toml
//! gsb = { version = "0.1", features = ["data"] }
//! image = { version = "0.25", default-features = false }
//! ```

use gsb::burn::Tensor;
use gsb::burn::tensor::activation::softmax;
use gsb::burn::tensor::{Device, TensorData};
use gsb::data::{Orientation, read_image_as};
use gsb::vit::checkpoint::{Published, Strictness};
use gsb::vit::{Phase, Stage2Student, VitConfig};
use image::imageops::FilterType;
use image::{DynamicImage, RgbImage};

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
    if phase != Phase::Stage2 || config.channels != 3 {
        let channels = config.channels;
        return Err(format!("{phase} of {channels} channels, expected stage2 of 3").into());
    }
    println!("{}", config.cost(phase)?.summary());

    let (strictness, device) = (Strictness::Strict, Device::default());
    let (student, report) = published.into_model::<Stage2Student>(&config, strictness, &device)?;
    println!("{report}\n");

    let logits = student.infer(normalized(&photograph, &config, &device)?);
    let chances: Vec<f32> = softmax(logits, 1).into_data().iter().collect();
    let mut classes: Vec<usize> = (0..chances.len()).collect();
    classes.sort_by(|&a, &b| chances[b].total_cmp(&chances[a]));
    for class in classes.into_iter().take(5) {
        println!("class {class}: {:.1} %", 100.0 * chances[class]);
    }
    Ok(())
}

/// The middle of a photograph at the size of the model, `[1, 3, height, width]`.
fn normalized(path: &str, config: &VitConfig, device: &Device) -> Result<Tensor<4>> {
    let size = config.image_size;
    let picture = read_image_as(path.as_ref(), Orientation::Upright)?;
    let picture = picture.to_channels(3).into_owned();
    let (width, height) = (picture.width as u32, picture.height as u32);
    let photograph = RgbImage::from_raw(width, height, picture.pixels).expect("its shape");
    let photograph = DynamicImage::from(photograph).resize_to_fill(
        size as u32,
        size as u32,
        FilterType::CatmullRom,
    );
    let pixels = photograph.to_rgb32f();
    let plane = |colour: usize| {
        let (mean, deviation) = COLOURS[colour];
        let values = pixels.pixels().map(move |pixel| pixel[colour]);
        values.map(move |value| (value - mean) / deviation)
    };
    let values: Vec<f32> = (0..3).flat_map(plane).collect();
    let data = TensorData::new(values, [1, 3, size, size]);
    Ok(Tensor::from_data(data, device))
}
