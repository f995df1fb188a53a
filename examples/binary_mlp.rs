//! Put a binary layer into an ordinary Burn model and train it on handwritten digits.
//!
//! `cargo run --release -p gsb-examples --example binary_mlp`
//!
//! In a project of your own: `gsb = { version = "0.1", features = ["data"] }`.

use gsb::burn; // the derive macro looks for a crate of this name
use gsb::burn::module::Module;
use gsb::burn::nn::loss::CrossEntropyLossConfig;
use gsb::burn::nn::{Linear, LinearConfig};
use gsb::burn::optim::{AdamWConfig, GradientsParams};
use gsb::burn::tensor::activation::relu;
use gsb::burn::tensor::{Device, Int, Tensor, TensorData};
use gsb::data::{DataSet, Error};
use gsb::nn::{BinaryLinear, BinaryLinearConfig};

/// The first and the last layer stay float; between them, weights and inputs have one bit.
#[derive(Module, Debug)]
struct Mlp {
    first: Linear,
    binary: BinaryLinear,
    last: Linear,
}

impl Mlp {
    fn new(device: &Device) -> Self {
        Self {
            first: LinearConfig::new(64, 128).init(device),
            binary: BinaryLinearConfig::new(128, 128).init(device),
            last: LinearConfig::new(128, 10).init(device),
        }
    }

    fn forward(&self, images: Tensor<2>) -> Tensor<2> {
        let hidden = self.binary.forward(self.first.forward(images));
        self.last.forward(relu(hidden))
    }
}

fn tensors(set: &dyn DataSet, device: &Device) -> Result<(Tensor<2>, Tensor<1, Int>), Error> {
    let (mut pixels, mut labels) = (Vec::new(), Vec::new());
    for index in 0..set.len() {
        let image = set.image(index)?;
        pixels.extend(image.pixels.iter().map(|&value| f32::from(value) / 255.0));
        labels.push(set.label(index) as i64);
    }
    let images = TensorData::new(pixels, [set.len(), 64]);
    let labels = TensorData::new(labels, [set.len()]);
    Ok((
        Tensor::from_data(images, device),
        Tensor::from_data(labels, device),
    ))
}

fn main() -> Result<(), Error> {
    let device = Device::flex().autodiff();
    device.seed(0);
    let split = gsb::data::digits()?.split(0.2, 0)?;
    let (images, labels) = tensors(&*split.train, &device)?;
    let (test_images, test_labels) = tensors(&*split.test, &device.clone().inner())?;
    let mut model = Mlp::new(&device);
    // The scale of the binary layer comes from data: once, before training.
    let hidden = model.first.forward(images.clone());
    model.binary = model.binary.calibrate(&hidden);
    let mut optimizer = AdamWConfig::new().init();
    let loss = CrossEntropyLossConfig::new().init(&device);
    for epoch in 1..=10 {
        let batches = images.clone().split(32, 0).into_iter();
        for (images, labels) in batches.zip(labels.clone().split(32, 0)) {
            let grads = loss.forward(model.forward(images), labels).backward();
            let grads = GradientsParams::from_grads(grads, &model);
            model = optimizer.step(2e-3, model, grads);
        }
        let logits = model.valid().forward(test_images.clone());
        let decisions = logits.argmax(1).squeeze_dim::<1>(1);
        let right = decisions.equal(test_labels.clone()).float();
        let accuracy = 100.0 * right.mean().into_scalar::<f32>();
        println!("epoch {epoch:2}: {accuracy:.1} % of held-out digits");
    }
    Ok(())
}
