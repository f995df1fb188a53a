//! `gsb predict`.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use gsb_data::{EvalTransform, Orientation, decode_image, list_readable_pictures, read_image_as};
use gsb_packed::{Image, PackedModel, Prediction};
use rayon::prelude::*;
use serde_json::{Value, json};

use crate::error::Error;
use crate::model::{is_packed, open_packed};
use crate::options::names::OrientationName;
use crate::options::numbers::positive;
use crate::options::path;
use crate::output::{self, say, stdout};
use crate::shell::quoted;

/// Options of `gsb predict`.
#[derive(Debug, Clone, clap::Args)]
#[command(
    after_help = "Examples:\n  gsb predict digits.safetensors three.png photos/\n  \
                        gsb predict student.safetensors --top-k 1 --json flower.jpg\n  \
                        curl https://example.org/flower.jpg | gsb predict student.safetensors -"
)]
pub struct PredictArgs {
    /// A packed model
    #[arg(value_parser = path::argument())]
    pub file: PathBuf,

    /// Pictures, folders of them, or - for one from standard input
    ///
    /// A file that is named may have any name. Of a folder the files are taken that are named as pictures,
    /// links followed, those in folders inside it included; hidden files are left out.
    #[arg(required = true, value_name = "IMAGE", value_parser = path::argument())]
    pub images: Vec<PathBuf>,

    /// How many classes to print, the likeliest first
    #[arg(long, value_name = "CLASSES", default_value_t = 5, value_parser = positive())]
    pub top_k: usize,

    /// Whether pictures are turned as their camera noted (EXIF)
    #[arg(long, value_enum, default_value_t = OrientationName::Upright)]
    pub orientation: OrientationName,

    /// Everything as JSON
    #[arg(long)]
    pub json: bool,
}

/// Pictures that are classified before their lines are printed.
const BATCH: usize = 64;

/// The name that stands for standard input.
const STDIN: &str = "-";

/// Bytes of standard input that are read; what is longer is no picture.
const MAX_BYTES: u64 = 1 << 30;

/// Classifies pictures and prints a line for each. One that cannot be read gets its line on stderr, and the
/// others go on.
///
/// # Errors
/// If the model cannot be read, or a picture could not be.
pub fn run(args: &PredictArgs) -> Result<String, Error> {
    let model = open_packed(&args.file, |path| PackedModel::open(path))
        .map_err(|error| swapped(args).unwrap_or(error))?;
    let transform = model
        .transform()
        .map_err(|error| Error::file(&args.file, error))?;
    let pictures = pictures(&args.images);
    let (mut tried, mut failed, mut values) = (0, 0, Vec::new());
    'all: for batch in pictures.chunks(BATCH) {
        let answers: Vec<_> = batch
            .par_iter()
            .map(|picture| classify(&model, &transform, picture, args.orientation.into()))
            .collect();
        for (picture, answer) in batch.iter().zip(answers) {
            tried += 1;
            if let Err(error) = &answer {
                say(format_args!("error: {error}"));
                failed += 1;
            }
            match (answer, args.json) {
                (answer, true) => values.push(value(&model, picture.name(), answer, args.top_k)),
                (Ok(prediction), false) => {
                    let line = line(&model, picture.name(), &prediction, args.top_k);
                    if !stdout::print(&line)? {
                        break 'all;
                    }
                }
                (Err(_), false) => {}
            }
        }
    }
    if args.json {
        stdout::print(output::json(&values)?.as_bytes())?;
    }
    match failed {
        0 => Ok(String::new()),
        _ => Err(Error::Images {
            failed,
            images: tried,
        }),
    }
}

/// What to say if the model stands among the pictures.
fn swapped(args: &PredictArgs) -> Option<Error> {
    let model = args.images.iter().find(|path| is_packed(path))?;
    let reason = format!(
        "the model comes first: gsb predict {} {}",
        quoted(model),
        quoted(&args.file)
    );
    Some(Error::file(&args.file, reason))
}

/// A picture to classify.
enum Picture {
    File(PathBuf),
    Stdin,
    /// A place that has none, and why.
    Nowhere(PathBuf, String),
}

impl Picture {
    fn name(&self) -> &Path {
        match self {
            Self::File(path) | Self::Nowhere(path, _) => path,
            Self::Stdin => Path::new(STDIN),
        }
    }

    fn read(&self, orientation: Orientation) -> Result<gsb_data::Image, String> {
        let image = match self {
            Self::File(path) => read_image_as(path, orientation),
            Self::Stdin => {
                let mut bytes = Vec::new();
                let mut stdin = std::io::stdin().lock().take(MAX_BYTES + 1);
                let read = stdin.read_to_end(&mut bytes);
                read.map_err(|error| format!("{STDIN}: {error}"))?;
                decode_image(&bytes, self.name(), orientation)
            }
            Self::Nowhere(_, reason) => return Err(reason.clone()),
        };
        image.map_err(|error| error.to_string())
    }
}

fn classify(
    model: &PackedModel,
    transform: &EvalTransform,
    picture: &Picture,
    orientation: Orientation,
) -> Result<Prediction, String> {
    let pixels = transform.pixels(&picture.read(orientation)?);
    let prediction = model.predict(Image::Bytes(&pixels.pixels));
    prediction.map_err(|error| format!("{}: {error}", picture.name().display()))
}

/// The pictures of files and folders, those of a folder by name.
fn pictures(paths: &[PathBuf]) -> Vec<Picture> {
    let mut pictures = Vec::new();
    let mut read = false;
    for path in paths {
        if path == Path::new(STDIN) {
            pictures.push(match read {
                false => Picture::Stdin,
                true => nowhere(path, "standard input can be read once"),
            });
            read = true;
        } else if path.is_dir() {
            of_folder(path, &mut pictures);
        } else {
            pictures.push(Picture::File(path.clone()));
        }
    }
    pictures
}

fn of_folder(folder: &Path, pictures: &mut Vec<Picture>) {
    let (listing, problems) = list_readable_pictures(folder);
    if let Some(remark) = listing.remark() {
        say(format_args!("{}: {remark}", folder.display()));
    }
    if listing.pictures.is_empty() && problems.is_empty() {
        pictures.push(nowhere(folder, "no pictures in this folder"));
    }
    let problems = problems.into_iter();
    pictures.extend(problems.map(|problem| Picture::Nowhere(folder.into(), problem.to_string())));
    pictures.extend(listing.pictures.into_iter().map(Picture::File));
}

fn nowhere(path: &Path, reason: &str) -> Picture {
    Picture::Nowhere(path.into(), format!("{}: {reason}", path.display()))
}

/// `path  name 87.2 %, name 5.1 %`, the path as it is.
fn line(model: &PackedModel, path: &Path, prediction: &Prediction, k: usize) -> Vec<u8> {
    let ranked = prediction.top(k);
    let classes = ranked.iter().map(|ranked| {
        let name = output::name(&model.class_names()[ranked.class]);
        format!("{name} {:.1} %", 100.0 * ranked.probability)
    });
    let classes = classes.collect::<Vec<_>>().join(", ");
    [
        path.as_os_str().as_encoded_bytes(),
        b"  ",
        classes.as_bytes(),
        b"\n",
    ]
    .concat()
}

fn value(model: &PackedModel, path: &Path, answer: Result<Prediction, String>, k: usize) -> Value {
    let mut value = json!({"image": path.to_string_lossy()});
    if path.to_str().is_none() {
        // JSON is UTF-8: the name as it is.
        value["image_bytes"] = path.as_os_str().as_encoded_bytes().into();
    }
    match answer {
        Err(error) => value["error"] = error.into(),
        Ok(prediction) => {
            let ranked = prediction.top(k);
            let classes = ranked.iter().map(|ranked| {
                json!({
                    "class": ranked.class,
                    "name": model.class_names()[ranked.class],
                    "probability": ranked.probability,
                    "logit": ranked.logit,
                })
            });
            value["classes"] = classes.collect();
        }
    }
    value
}
