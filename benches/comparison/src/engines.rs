//! The same DeiT-S in each engine.

use std::collections::HashMap;

use burn::tensor::{Device, TensorData};
use candle_core::{DType, Tensor};
use candle_nn::VarBuilder;
use gsb_packed::{PackedConfig, Image, Isa, Network, PackedFile, PackedModel, Random};
use gsb_vit::checkpoint::Published;
use gsb_vit::VisionTransformer;

use crate::Fallible;
use crate::deit::Deit;

/// A model with a batch of images.
pub struct Engine {
    /// What it is called in the table.
    pub name: String,
    classify: Box<dyn Fn() -> Fallible<Vec<f32>>>,
}

impl Engine {
    fn new(name: impl Into<String>, classify: impl Fn() -> Fallible<Vec<f32>> + 'static) -> Self {
        Self {
            name: name.into(),
            classify: Box::new(classify),
        }
    }

    /// The logits of the batch, `[images, classes]`.
    pub fn classify(&self) -> Fallible<Vec<f32>> {
        (self.classify)()
    }
}

/// Random images for the float models, `[images, channels, height, width]`.
pub fn images(config: &PackedConfig, batch: usize) -> TensorData {
    let mut random = Random::new(1);
    let shape = [batch, config.channels, config.image_size, config.image_size];
    let values = (0..shape.iter().product()).map(|_| random.normal());
    TensorData::new(values.collect::<Vec<f32>>(), shape)
}

/// Packed models of random weights, one for each instruction set of the machine.
pub fn packed(config: &PackedConfig, batch: usize) -> Fallible<Vec<Engine>> {
    let mut random = Random::new(2);
    let pixels: Vec<Vec<u8>> = (0..batch).map(|_| random.image(config)).collect();
    Isa::available()
        .map(|isa| {
            let network = Network::random(config, 1)?;
            let model = PackedModel::with_isa(PackedFile::unnamed(network), isa)?;
            let pixels = pixels.clone();
            Ok(Engine::new(format!("`gsb-packed`, {isa}"), move || {
                let images: Vec<Image> = pixels.iter().map(Image::from).collect();
                Ok(model.logits_batch(&images)?)
            }))
        })
        .collect()
}

/// Our float teacher on Burn's `flex` backend.
pub fn teacher(model: VisionTransformer, images: TensorData) -> Engine {
    let images = burn::Tensor::<4>::from_data(images, &Device::flex());
    Engine::new("our teacher on Burn's `flex`, float", move || {
        Ok(model.infer(images.clone()).into_data().try_to_vec()?)
    })
}

/// A float model of candle, of weights by their names in `timm`.
pub fn candle(config: &PackedConfig, weights: &Published, images: &TensorData) -> Fallible<Engine> {
    let device = candle_core::Device::Cpu;
    let tensor = |data: &TensorData| -> Fallible<Tensor> {
        let values = data.try_to_vec::<f32>()?;
        Ok(Tensor::from_vec(values, data.shape().to_vec(), &device)?)
    };
    let weights = tensors(weights)
        .map(|(name, data)| Ok((name.to_string(), tensor(data)?)))
        .collect::<Fallible<HashMap<_, _>>>()?;
    let model = Deit::new(
        config,
        &VarBuilder::from_tensors(weights, DType::F32, &device),
    )?;
    let images = tensor(images)?;
    Ok(Engine::new("`candle`, float", move || {
        Ok(model.forward(&images)?.flatten_all()?.to_vec1()?)
    }))
}

/// The tensors by name.
pub fn tensors(published: &Published) -> impl Iterator<Item = (&str, &TensorData)> {
    published
        .names()
        .filter_map(|name| Some((name, published.get(name)?)))
}
