//! `gsb inspect`.

use std::fmt::Write as _;
use std::path::PathBuf;

use gsb_packed::{PackedConfig, PackedFile};
use gsb_vit::checkpoint::{TensorFile, TensorInfo};
use gsb_vit::{Cost, Phase, VitConfig};
use serde_json::{Value, json};

use crate::error::Error;
use crate::model::open_packed;
use crate::options::path;
use crate::output;
use crate::packed::grouped;

/// Options of `gsb inspect`.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "Example:\n  gsb inspect digits.safetensors")]
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

/// What a packed file holds, as a table or JSON.
///
/// # Errors
/// What is wrong with the file.
pub fn run(args: &InspectArgs) -> Result<String, Error> {
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
    if args.json {
        return json(&packed, version, &cost, &layers, header, size);
    }
    let layers = if args.layers {
        layers
    } else {
        folded(layers, config.depth)
    };
    Ok(text(&packed, version, &cost, &layers, header, size))
}

/// The layers in the order of the forward pass.
fn layers(file: &TensorFile, config: &PackedConfig, cost: &Cost) -> Result<Vec<Layer>, Error> {
    let mut layers: Vec<Layer> = cost
        .layers
        .iter()
        .map(|layer| {
            let (shape, bits) = shape(&layer.name, config);
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

/// Shape of a layer's weight, outputs first, and bits of an entry.
fn shape(name: &str, config: &PackedConfig) -> (Vec<usize>, usize) {
    let (width, tokens) = (config.width, config.tokens());
    let last = name.rsplit('.').next().unwrap_or(name);
    let (patch, head) = (config.patch_size, usize::from(config.head_bits));
    match last {
        "patch_embedding" => (
            vec![width, config.channels, patch, patch],
            config.patch_bits.into(),
        ),
        "tokens" => (vec![tokens + config.learned_tokens(), width], 32),
        "qkv" => (vec![3 * width, width], 1),
        "shifts" => (vec![3, config.heads, config.head_width()], 32),
        "scores" => (vec![2], 32),
        "attention_shift" => (vec![config.heads, tokens, tokens], 32),
        "attended" => (vec![config.attention_groups + config.value_groups], 32),
        "output" => (vec![width, width], 1),
        "fc1" => (vec![config.mlp_width, width], 1),
        "fc2" => (vec![width, config.mlp_width], 1),
        "class_head" | "distillation_head" => (vec![config.classes, width], head),
        _ => (vec![2, width], 32),
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

fn text(
    packed: &PackedFile,
    version: &str,
    cost: &Cost,
    layers: &[Layer],
    header: u64,
    size: u64,
) -> String {
    let config = &packed.network.config;
    let unsealed = match version {
        "1" => ", which has no checksum",
        _ => "",
    };
    let mut text = format!("packed model, format version {version}{unsealed}\n");
    let mut line = |name: &str, value: String| {
        let _ = writeln!(text, "{name:<14} {value}");
    };
    line(
        "image",
        format!(
            "{0}x{0} pixels, {1} channels",
            config.image_size, config.channels
        ),
    );
    line("classes", names(&packed.class_names));
    let groups = [config.attention_groups, config.value_groups];
    line(
        "groups",
        format!(
            "{} of the attention, {} of the value, scope {:?}",
            groups[0], groups[1], config.scope
        ),
    );
    let preprocessing = &packed.preprocessing;
    let resize = preprocessing.resize.unwrap_or(config.image_size);
    let (mean, deviation) = (&preprocessing.mean, &preprocessing.deviation);
    line(
        "preprocessing",
        format!(
            "{} to {resize}, mean {mean:?}, deviation {deviation:?}",
            preprocessing.interpolation
        ),
    );
    for (name, value) in &packed.provenance {
        line(name, value.clone());
    }
    let _ = writeln!(text);

    let mut rows = vec![["layer", "shape", "bits", "bytes", "OPs"].map(String::from)];
    rows.extend(layers.iter().map(|layer| {
        let shape: Vec<String> = layer.shape.iter().map(usize::to_string).collect();
        [
            layer.name.clone(),
            shape.join("x"),
            layer.bits.to_string(),
            grouped(layer.bytes),
            grouped(layer.operations.round() as u64),
        ]
    }));
    let row = |name: &str, bytes: u64, operations: String| {
        [
            name.into(),
            String::new(),
            String::new(),
            grouped(bytes),
            operations,
        ]
    };
    rows.push(row("(header)", header, String::new()));
    rows.push(row(
        "total",
        size,
        grouped(cost.total.operations().round() as u64),
    ));
    let width = |column: usize| {
        rows.iter()
            .map(|row| row[column].chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: [usize; 5] = std::array::from_fn(width);
    for [name, shape, bits, bytes, operations] in &rows {
        let line = format!(
            "{name:<0$}  {shape:<1$}  {bits:>2$}  {bytes:>3$}  {operations:>4$}",
            widths[0], widths[1], widths[2], widths[3], widths[4]
        );
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}

/// How many classes there are, and the first of them.
fn names(names: &[String]) -> String {
    let first = names
        .iter()
        .take(10)
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join(", ");
    let more = if names.len() > 10 { ", ..." } else { "" };
    format!("{}: {first}{more}", names.len())
}

fn json(
    packed: &PackedFile,
    version: &str,
    cost: &Cost,
    layers: &[Layer],
    header: u64,
    size: u64,
) -> Result<String, Error> {
    let layers = layers.iter().map(|layer| {
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
    let value = json!({
        "version": version.parse::<u32>().ok(),
        "config": packed.network.config,
        "class_names": packed.class_names,
        "preprocessing": packed.preprocessing,
        "provenance": packed.provenance,
        "layers": layers.collect::<Vec<Value>>(),
        "header_bytes": header,
        "bytes": size,
        "operations": cost.total.operations(),
    });
    output::json(&value)
}
