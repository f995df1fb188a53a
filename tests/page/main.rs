//! The float teacher that the page of `web/` compares students with: its logits natively, which the page's own are
//! held against.
//!
//! `GSB_WRITE_LOGITS=1 cargo test -p gsb-tests --test page` writes them into `web/models/teacher.json`, for another
//! teacher or other pictures.

use std::path::{Path, PathBuf};

use burn::Tensor;
use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Device, Distribution, TensorData};
use gsb_packed::PackedModel;
use gsb_vit::{VisionTransformer, checkpoint};
use serde::{Deserialize, Serialize};

/// What the page compares itself with.
#[derive(Serialize, Deserialize)]
struct Expected {
    /// How much float rounding may change a logit.
    rounding: f32,
    /// The logits of each picture of `samples.json`.
    logits: Vec<Vec<f32>>,
}

#[derive(Deserialize)]
struct Sample {
    pixels: Vec<f32>,
}

fn models() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../web/models")
}

/// The samples as the data set of the students is normalized, `[samples, 1, 8, 8]`.
fn images(device: &Device) -> Tensor<4> {
    let student = PackedModel::open(models().join("gsb-digits.packed")).unwrap();
    let preprocessing = student.preprocessing();
    let (mean, deviation) = (preprocessing.mean[0], preprocessing.deviation[0]);
    let samples = std::fs::read(models().join("samples.json")).unwrap();
    let samples: Vec<Sample> = serde_json::from_slice(&samples).unwrap();
    let shape = [samples.len(), 1, 8, 8];
    let pixels: Vec<f32> = samples
        .into_iter()
        .flat_map(|sample| sample.pixels)
        .collect();
    let pixels = Tensor::<4>::from_data(TensorData::new(pixels, shape), device);
    (pixels / 255.0 - mean) / deviation
}

fn logits(teacher: &VisionTransformer, images: Tensor<4>) -> Vec<f32> {
    teacher.infer(images).into_data().try_to_vec().unwrap()
}

/// Terms of the longest sum of the network: the second layer of an MLP adds up its hidden width.
const TERMS: f64 = 256.0;

/// Networks whose weights are moved.
const MOVED: usize = 8;

/// Moves each weight up or down by what rounding may do to it: a sum of n products in single precision is, whatever
/// their order, the exact one of factors that are off by at most n units of 2^-24 (Higham, Accuracy and Stability of
/// Numerical Algorithms, section 3.1).
struct Rounded;

impl ModuleMapper for Rounded {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|weight| {
            let up = weight.random_like(Distribution::Bernoulli(0.5));
            let sign = up * 2.0 - 1.0;
            weight * (sign * (TERMS * 2f64.powi(-24)) + 1.0)
        })
    }
}

fn furthest(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter()
        .zip(b)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f32::max)
}

#[test]
fn logits_of_the_teacher_are_those_that_the_page_expects() {
    let device = Device::flex();
    device.seed(0);
    let file = models().join("teacher.json");
    let path = models().join("teacher.safetensors");
    let teacher: VisionTransformer = checkpoint::load_any(path, &device).unwrap();
    let images = images(&device);
    let found = logits(&teacher, images.clone());
    let moved = || {
        let moved = teacher.clone().map(&mut Rounded);
        furthest(&logits(&moved, images.clone()), &found)
    };
    let rounding = (0..MOVED).map(|_| moved()).fold(0.0, f32::max);
    if std::env::var_os("GSB_WRITE_LOGITS").is_some() {
        let logits = found.chunks(10).map(<[f32]>::to_vec).collect();
        let expected = serde_json::to_string(&Expected { rounding, logits }).unwrap();
        std::fs::write(&file, expected + "\n").unwrap();
    }
    let expected: Expected = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let difference = furthest(&found, &expected.logits.concat());
    assert!(
        difference <= expected.rounding,
        "{difference} of {}",
        expected.rounding
    );
    // Rounding is far from what tells digits apart, and of the size that it is here.
    assert!(
        expected.rounding < 0.01 && expected.rounding < 4.0 * rounding,
        "{rounding}"
    );
}
