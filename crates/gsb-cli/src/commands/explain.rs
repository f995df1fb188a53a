//! `gsb explain`.

use std::path::PathBuf;

use gsb_data::{EvalTransform, read_image_as};
use gsb_explain::{AttentionMaps, overlay, sheet};
use gsb_packed::{Image, PackedModel};

use crate::error::Error;
use crate::model::open_packed;
use crate::options::names::OrientationName;
use crate::options::path;
use crate::output::{self, check_picture, write_picture};

/// Options of `gsb explain`.
#[derive(Debug, Clone, clap::Args)]
#[command(
    after_help = "Examples:\n  gsb explain digits.safetensors three.png -o rollout.png\n  \
                  gsb explain student.safetensors flower.jpg -o head.png --layer 11 --head 2\n  \
                  gsb explain student.safetensors flower.jpg -o all.png --sheet"
)]
pub struct ExplainArgs {
    /// A packed model
    #[arg(value_parser = path::argument())]
    pub file: PathBuf,

    /// A picture
    #[arg(value_parser = path::argument())]
    pub image: PathBuf,

    /// The picture to write (PNG)
    #[arg(short, long, value_name = "FILE", value_parser = path::option())]
    pub output: PathBuf,

    /// A layer alone, counted from 0, in place of the rollout over all
    #[arg(long)]
    pub layer: Option<usize>,

    /// A head of the layer, counted from 0, in place of the mean of its heads
    #[arg(long, requires = "layer")]
    pub head: Option<usize>,

    /// All heads of all layers, and the rollout
    #[arg(long, conflicts_with_all = ["layer", "head"])]
    pub sheet: bool,

    /// Whether the picture is turned as its camera noted (EXIF)
    #[arg(long, value_enum, default_value_t = OrientationName::Upright)]
    pub orientation: OrientationName,
}

/// Pixels of a side of the picture that is drawn over, at least.
const SIDE: usize = 448;

/// The same on a sheet.
const SIDE_ON_SHEET: usize = 96;

/// Draws attention over a picture; what was drawn, and what the model takes it for.
///
/// # Errors
/// If model or picture cannot be read, there is no such layer or head, or the result cannot be written.
pub fn run(args: &ExplainArgs) -> Result<String, Error> {
    check_picture(&args.output, &args.image)?;
    check_picture(&args.output, &args.file)?;
    let model = open_packed(&args.file, |path| PackedModel::open(path))?;
    let transform = model
        .transform()
        .map_err(|error| Error::file(&args.file, error))?;
    let picture = read_image_as(&args.image, args.orientation.into());
    let picture = picture.map_err(gsb_packed::Error::from)?;
    let pixels = transform.pixels(&picture);
    let prediction = model.predict(Image::Bytes(&pixels.pixels))?;
    let maps = AttentionMaps::of(&model, &pixels)?;
    let at_least = |side| enlarged(&transform, maps.grid(), side).pixels(&picture);
    let (drawn, what) = match (args.layer, args.head) {
        _ if args.sheet => (sheet(&at_least(SIDE_ON_SHEET), &maps), "all heads".into()),
        (None, _) => (
            overlay(&at_least(SIDE), &maps.rollout()),
            "attention rollout".into(),
        ),
        (Some(layer), None) => {
            let map = maps
                .layer(layer)
                .ok_or_else(|| beyond("--layer", layer, maps.depth()))?;
            (
                overlay(&at_least(SIDE), &map),
                format!("layer {layer}, mean of its heads"),
            )
        }
        (Some(layer), Some(head)) => {
            let map = maps
                .head(layer, head)
                .ok_or_else(|| match layer < maps.depth() {
                    true => beyond("--head", head, maps.heads()),
                    false => beyond("--layer", layer, maps.depth()),
                })?;
            (
                overlay(&at_least(SIDE), &map),
                format!("layer {layer}, head {head}"),
            )
        }
    };
    write_picture(&args.output, &drawn)?;
    let best = prediction.top(1);
    let class = best.first().map_or_else(String::new, |best| {
        let name = output::name(&model.class_names()[best.class]);
        format!("{name} {:.1} %", 100.0 * best.probability)
    });
    Ok(format!(
        "{}  {class}; {what}: written to {}\n",
        args.image.display(),
        args.output.display()
    ))
}

/// The transform to the same part of a picture in more pixels: as many for each patch.
fn enlarged(transform: &EvalTransform, grid: usize, least: usize) -> EvalTransform {
    let image_size = least.div_ceil(grid) * grid;
    EvalTransform {
        image_size,
        resize: (transform.resize * image_size / transform.image_size).max(image_size),
        normalization: transform.normalization.clone(),
    }
}

fn beyond(option: &'static str, number: usize, count: usize) -> Error {
    let reason = format!("{number}, but those of the model are 0 to {}", count - 1);
    Error::Option { option, reason }
}
