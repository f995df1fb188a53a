//! The same DeiT-S in each engine.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use burn::tensor::{Device, TensorData};
use candle_core::DType;
use candle_nn::VarBuilder;
use gsb_packed::{Image, Isa, PackedNetwork, PackedConfig, PackedFile, PackedModel, Random};
use gsb_vit::checkpoint::Published;
use gsb_vit::{VisionTransformer, VitConfig};

use crate::Fallible;
use crate::deit::Deit;

/// The file of the teacher's weights.
pub const WEIGHTS: &str = "weights.safetensors";
/// The file of an image and the logits that the teacher gives it.
pub const EXAMPLE: &str = "example.safetensors";

/// An engine that this program runs.
#[derive(Clone, Copy, PartialEq)]
pub enum EngineName {
    /// A packed model on an instruction set.
    Packed(Isa),
    /// candle.
    Candle,
    /// Our float teacher on Burn's `flex` backend.
    Teacher,
}

impl fmt::Display for EngineName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Packed(isa) => write!(f, "{isa}"),
            Self::Candle => f.write_str("candle"),
            Self::Teacher => f.write_str("teacher"),
        }
    }
}

impl FromStr for EngineName {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "candle" => Ok(Self::Candle),
            "teacher" => Ok(Self::Teacher),
            name => Isa::available()
                .find(|isa| isa.to_string() == name)
                .map(Self::Packed)
                .ok_or_else(|| format!("no engine and no instruction set of this machine: {name}")),
        }
    }
}

/// A model that classifies its image.
pub struct Engine {
    /// What it is called in the table.
    pub name: String,
    /// How far its logits are from the teacher's, relative to the largest; none of another model.
    pub difference: Option<f32>,
    classify: Box<dyn Fn() -> Fallible<Vec<f32>>>,
}

impl Engine {
    /// The logits of the image.
    pub fn classify(&self) -> Fallible<Vec<f32>> {
        (self.classify)()
    }
}

/// Makes an engine of the files in a folder.
pub fn open(name: &EngineName, folder: &Path) -> Fallible<Engine> {
    let (name, classify) = match name {
        EngineName::Packed(isa) => {
            let name = format!("`gsb-packed`, {isa}");
            return Ok(Engine {
                name,
                difference: None,
                classify: packed(*isa)?,
            });
        }
        EngineName::Candle => ("`candle`, float", candle(folder)?),
        EngineName::Teacher => ("our teacher on Burn's `flex`, float", teacher(folder)?),
    };
    let expected = example(folder)?.1.try_to_vec::<f32>()?;
    Ok(Engine {
        name: name.into(),
        difference: Some(difference(&classify()?, &expected)),
        classify,
    })
}

/// A random image, `[1, channels, height, width]`.
pub fn image(config: &PackedConfig) -> TensorData {
    let mut random = Random::new(1);
    let shape = [1, config.channels, config.image_size, config.image_size];
    let values = (0..shape.iter().product()).map(|_| random.normal());
    TensorData::new(values.collect::<Vec<f32>>(), shape)
}

/// The logits of our float teacher.
pub fn teacher_logits(model: &VisionTransformer, image: &TensorData) -> Fallible<Vec<f32>> {
    let image = burn::Tensor::<4>::from_data(image.clone(), &Device::flex());
    Ok(model.infer(image).into_data().try_to_vec()?)
}

type Classify = Box<dyn Fn() -> Fallible<Vec<f32>>>;

/// A packed model of random weights: it takes bytes and normalizes them, work that the others are spared.
fn packed(isa: Isa) -> Fallible<Classify> {
    let config = PackedConfig::deit_small(1000);
    let network = PackedNetwork::random(&config, 1)?;
    let model = PackedModel::with_isa(PackedFile::unnamed(network), isa)?;
    let pixels = Random::new(2).image(&config);
    let scratch = model.shared_scratch(rayon::current_num_threads());
    let scratch = std::cell::RefCell::new(scratch);
    Ok(Box::new(move || {
        let mut logits = vec![0.0; model.config().classes];
        model.logits_into(Image::from(&pixels), &mut scratch.borrow_mut(), &mut logits)?;
        Ok(logits)
    }))
}

fn teacher(folder: &Path) -> Fallible<Classify> {
    let model = VisionTransformer::load(folder.join(WEIGHTS), &Device::flex())?;
    let (image, _) = example(folder)?;
    Ok(Box::new(move || teacher_logits(&model, &image)))
}

fn candle(folder: &Path) -> Fallible<Classify> {
    let device = candle_core::Device::Cpu;
    let config = VitConfig::preset("deit_small_distilled_patch16_224", 1000)?.packed();
    let weights = candle_core::safetensors::load(folder.join(WEIGHTS), &device)?;
    let weights = VarBuilder::from_tensors(weights, DType::F32, &device);
    let model = Deit::new(&config, &weights)?;
    let (image, _) = example(folder)?;
    let shape = image.shape().to_vec();
    let image = candle_core::Tensor::from_vec(image.try_to_vec::<f32>()?, shape, &device)?;
    Ok(Box::new(move || {
        Ok(model.forward(&image)?.flatten_all()?.to_vec1()?)
    }))
}

/// The image and the teacher's logits.
fn example(folder: &Path) -> Fallible<(TensorData, TensorData)> {
    let file = Published::read(folder.join(EXAMPLE))?;
    let tensor = |name| {
        file.get(name)
            .cloned()
            .ok_or("an example without image or logits")
    };
    Ok((tensor("image")?, tensor("logits")?))
}

/// The largest difference, relative to the largest expected value.
fn difference(found: &[f32], expected: &[f32]) -> f32 {
    let pairs = found.iter().zip(expected);
    let most = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    most / expected.iter().map(|x| x.abs()).fold(0.0, f32::max)
}
