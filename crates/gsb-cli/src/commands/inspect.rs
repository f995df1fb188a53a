//! `gsb inspect`.

use std::path::{Path, PathBuf};

use gsb_explain::draw;
use gsb_packed::{PackedConfig, PackedFile, TensorLayout, Weight};
use gsb_vit::checkpoint::{TensorFile, TensorInfo};
use gsb_vit::{Cost, Phase, VitConfig};
use indicatif::HumanCount;
use serde_json::{Value, json};

use crate::error::Error;
use crate::model::open_packed;
use crate::options::path;
use crate::output::{self, check_picture, write_picture};

/// Options of `gsb inspect`.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "Examples:\n  gsb inspect digits.safetensors\n  \
                  gsb inspect digits.safetensors --bits bits.png --tensor patch_embedding")]
pub struct InspectArgs {
    /// A packed model
    #[arg(value_parser = path::argument())]
    pub file: PathBuf,

    /// A row for each layer of each block
    #[arg(long, conflicts_with = "json")]
    pub layers: bool,

    /// Everything as JSON
    #[arg(long)]
    pub json: bool,

    /// Draw a layer's weight as a picture (PNG) instead: white is 1, black is -1
    #[arg(long, value_name = "FILE", conflicts_with_all = ["layers", "json"], value_parser = path::option())]
    pub bits: Option<PathBuf>,

    /// The weight to draw, or its layer
    #[arg(
        long,
        value_name = "NAME",
        requires = "bits",
        default_value = "blocks.0.attention.qkv"
    )]
    pub tensor: String,
}

/// What a packed file holds.
struct Contents<'a> {
    packed: &'a PackedFile,
    /// The version of its format.
    version: &'a str,
    layers: Vec<Layer>,
    /// Operations of an image.
    operations: f64,
    /// Bytes that are no tensors.
    header: u64,
    /// Bytes of the file.
    size: u64,
}

/// A layer of a packed file.
struct Layer {
    name: String,
    /// Shape of the weight, or of what the layer has instead.
    shape: Vec<usize>,
    /// Bits of an entry of it.
    bits: usize,
    /// Bytes of all its tensors.
    bytes: u64,
    operations: f64,
    tensors: Vec<(String, TensorInfo)>,
}

/// What a packed file holds, as a table or JSON, or a weight of it as a picture.
///
/// # Errors
/// What is wrong with the file.
pub fn run(args: &InspectArgs) -> Result<String, Error> {
    if let Some(output) = &args.bits {
        return bits(args, output);
    }
    let packed = open_packed(&args.file, |path| PackedFile::open(path))?;
    let size = std::fs::metadata(&args.file)
        .map_err(|error| Error::file(&args.file, error))?
        .len();
    let config = &packed.network.config;
    let cost = VitConfig::of_packed(config)?.cost(Phase::Stage2)?;
    let file = TensorFile::open(&args.file).map_err(gsb_vit::Error::from)?;
    // That of the file, which may be an earlier one than is written.
    let version = file.metadata().get("version").map_or("", String::as_str);
    let layers = layers(&file, config, &cost)?;
    let header = size - layers.iter().map(|layer| layer.bytes).sum::<u64>();
    let contents = Contents {
        packed: &packed,
        version,
        layers,
        operations: cost.total.operations(),
        header,
        size,
    };
    match args.json {
        true => output::json(&contents.to_json()),
        false => Ok(contents.text(args.layers)),
    }
}

/// Draws a weight; what was drawn.
fn bits(args: &InspectArgs, output: &Path) -> Result<String, Error> {
    check_picture(output, &args.file)?;
    let packed = open_packed(&args.file, |path| PackedFile::open(path))?;
    let weights = packed.network.weights();
    let name = args.tensor.trim_end_matches(".weight");
    let is_meant = |weight: &&Weight| weight.name.trim_end_matches(".weight") == name;
    let Some(weight) = weights.iter().find(is_meant) else {
        let names: Vec<&str> = weights.iter().map(|weight| &weight.name[..]).collect();
        return Err(Error::Option {
            option: "--tensor",
            reason: format!(
                "{:?} is no weight of the model, expected one of {}",
                args.tensor,
                names.join(", ")
            ),
        });
    };
    write_picture(output, &draw(weight))?;
    let shape: Vec<String> = weight.shape.iter().map(usize::to_string).collect();
    Ok(format!(
        "{}, {}: written to {}\n",
        weight.name,
        shape.join("x"),
        output.display()
    ))
}

/// The layers in the order of the forward pass.
fn layers(file: &TensorFile, config: &PackedConfig, cost: &Cost) -> Result<Vec<Layer>, Error> {
    let tensors = config.tensors()?;
    let mut layers: Vec<Layer> = cost
        .layers
        .iter()
        .map(|layer| {
            let of_layer = tensors.iter().filter(|tensor| tensor.layer == layer.name);
            let (shape, bits) = shape(&of_layer.collect::<Vec<_>>());
            Layer {
                name: layer.name.clone(),
                shape,
                bits,
                bytes: 0,
                operations: layer.amount.operations(),
                tensors: Vec::new(),
            }
        })
        .collect();
    for name in file.names() {
        let belongs = |layer: &&mut Layer| {
            name.strip_prefix(&layer.name)
                .is_some_and(|part| part.starts_with('.'))
        };
        let (Some(layer), Some(info)) = (layers.iter_mut().find(belongs), file.info(name)) else {
            return Err(Error::file(
                file.path(),
                format!("tensor {name:?} belongs to no layer"),
            ));
        };
        if name.ends_with(".attention_shift.bias") {
            layer.bits = 8 * info.element.size();
        }
        layer.bytes += (info.shape.iter().product::<usize>() * info.element.size()) as u64;
        layer.tensors.push((name.into(), info.clone()));
    }
    Ok(layers)
}

/// Shape of a layer's weight, outputs first, and bits of an entry. Lists without a weight are taken
/// together: those of the same length as rows.
fn shape(tensors: &[&TensorLayout]) -> (Vec<usize>, usize) {
    let bits = tensors.first().map_or(0, |tensor| tensor.bits.into());
    match tensors {
        [only] => return (only.shape.clone(), bits),
        [weight, ..] if weight.part == "weight" => return (weight.shape.clone(), bits),
        _ => {}
    }
    let entries = |tensor: &&TensorLayout| tensor.shape.iter().product::<usize>();
    let total = tensors.iter().map(entries).sum::<usize>();
    let mut widths = tensors.iter().filter_map(|tensor| tensor.shape.last());
    match widths.next() {
        Some(&width) if width > 1 && widths.all(|&other| other == width) => {
            (vec![total / width, width], bits)
        }
        _ => (vec![total], bits),
    }
}

/// The same layer of all blocks as one.
fn folded(layers: Vec<Layer>, depth: usize) -> Vec<Layer> {
    let mut rows: Vec<Layer> = Vec::new();
    for layer in layers {
        let in_block = layer
            .name
            .strip_prefix("blocks.")
            .and_then(|rest| rest.split_once('.'));
        let name = match in_block {
            Some((_, part)) if depth > 1 => format!("blocks.0-{}.{part}", depth - 1),
            _ => layer.name.clone(),
        };
        match rows.iter_mut().find(|row| row.name == name) {
            Some(row) => {
                row.bytes += layer.bytes;
                row.operations += layer.operations;
            }
            None => rows.push(Layer { name, ..layer }),
        }
    }
    rows
}

impl Contents<'_> {
    /// A table, with a row for each layer of each block or for that of all blocks.
    fn text(self, every_layer: bool) -> String {
        let version = self.version;
        let unsealed = match version {
            "1" => ", which has no checksum",
            _ => "",
        };
        let properties = output::table(self.properties(), 2);
        let layers = output::table(self.rows(every_layer), 2);
        format!("packed model, format version {version}{unsealed}\n{properties}\n{layers}")
    }

    /// What the model takes and is, by name.
    fn properties(&self) -> Vec<[String; 2]> {
        let config = &self.packed.network.config;
        let preprocessing = &self.packed.preprocessing;
        let properties = [
            (
                "image",
                format!(
                    "{0}x{0} pixels, {1} channels",
                    config.image_size, config.channels
                ),
            ),
            ("classes", classes(&self.packed.class_names)),
            (
                "groups",
                format!(
                    "{} of the attention, {} of the value, scope {:?}",
                    match config.attention_bits {
                        1 => config.attention_groups.to_string(),
                        bits => format!("levels of {bits} bits in place of groups"),
                    },
                    config.value_groups,
                    config.scope
                ),
            ),
            (
                "preprocessing",
                format!(
                    "{} to {}, mean {:?}, deviation {:?}",
                    preprocessing.interpolation,
                    preprocessing.resize.unwrap_or(config.image_size),
                    preprocessing.mean,
                    preprocessing.deviation
                ),
            ),
        ];
        let properties = properties.map(|(name, value)| [name.into(), value]);
        let provenance = self.packed.provenance.iter();
        let provenance = provenance
            .map(|(name, value)| [name, value].map(|text| output::name(text).into_owned()));
        properties.into_iter().chain(provenance).collect()
    }

    /// The table of layers, which ends with their sum.
    fn rows(self, every_layer: bool) -> Vec<[String; 5]> {
        let count = |count: u64| HumanCount(count).to_string();
        let operations = |operations: f64| count(operations.round() as u64);
        let layers = match every_layer {
            true => self.layers,
            false => folded(self.layers, self.packed.network.config.depth),
        };
        let mut rows = vec![["layer", "shape", "bits", "bytes", "OPs"].map(String::from)];
        rows.extend(layers.into_iter().map(|layer| {
            let shape: Vec<String> = layer.shape.iter().map(usize::to_string).collect();
            [
                layer.name,
                shape.join("x"),
                layer.bits.to_string(),
                count(layer.bytes),
                operations(layer.operations),
            ]
        }));
        let empty = String::new;
        rows.push([
            "(header)".into(),
            empty(),
            empty(),
            count(self.header),
            empty(),
        ]);
        rows.push([
            "total".into(),
            empty(),
            empty(),
            count(self.size),
            operations(self.operations),
        ]);
        rows
    }

    fn to_json(&self) -> Value {
        let layers = self.layers.iter().map(|layer| {
            let tensors = layer.tensors.iter().map(|(name, info)| {
                let bytes = info.shape.iter().product::<usize>() * info.element.size();
                json!({"name": name, "type": format!("{:?}", info.element), "shape": info.shape, "bytes": bytes})
            });
            json!({
                "name": layer.name,
                "shape": layer.shape,
                "bits": layer.bits,
                "bytes": layer.bytes,
                "operations": layer.operations,
                "tensors": tensors.collect::<Vec<Value>>(),
            })
        });
        json!({
            "version": self.version.parse::<u32>().ok(),
            "config": self.packed.network.config,
            "class_names": self.packed.class_names,
            "preprocessing": self.packed.preprocessing,
            "provenance": self.packed.provenance,
            "layers": layers.collect::<Vec<Value>>(),
            "header_bytes": self.header,
            "bytes": self.size,
            "operations": self.operations,
        })
    }
}

/// How many classes there are, and the first of them.
fn classes(names: &[String]) -> String {
    let first = names
        .iter()
        .take(10)
        .map(|name| output::name(name))
        .collect::<Vec<_>>()
        .join(", ");
    let more = if names.len() > 10 { ", ..." } else { "" };
    format!("{}: {first}{more}", names.len())
}
