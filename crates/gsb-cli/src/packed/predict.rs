//! `gsb predict`.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use gsb_data::{EvalTransform, read_image};
use gsb_packed::{Image, PackedModel, Prediction};
use rayon::prelude::*;
use serde_json::{Value, json};

use super::transform;
use crate::args::PredictArgs;
use crate::error::Error;
use crate::say;

/// Pictures that are classified before their lines are printed.
const BATCH: usize = 64;

/// Classifies pictures and prints a line for each. One that cannot be read gets its line on stderr, and the
/// others go on.
///
/// # Errors
/// If the model cannot be read, or a picture could not be.
pub fn run(args: &PredictArgs) -> Result<String, Error> {
    let model = PackedModel::open(&args.file)?;
    let transform = transform(&model).map_err(|reason| Error::file(&args.file, reason))?;
    let pictures = pictures(&args.images);
    let mut stdout = std::io::stdout().lock();
    let (mut failed, mut values) = (0, Vec::new());
    for pictures in pictures.chunks(BATCH) {
        let answers: Vec<_> = pictures
            .par_iter()
            .map(|path| classify(&model, &transform, path))
            .collect();
        for (path, answer) in pictures.iter().zip(answers) {
            let path = path.as_deref().unwrap_or_else(|(path, _)| path);
            if let Err(error) = &answer {
                say(format_args!("error: {error}"));
                failed += 1;
            }
            match (answer, args.json) {
                (answer, true) => values.push(value(&model, path, answer, args.top_k)),
                (Ok(prediction), false) => {
                    writeln!(stdout, "{}", line(&model, path, &prediction, args.top_k))?
                }
                (Err(_), false) => {}
            }
        }
    }
    if args.json {
        let text = serde_json::to_string_pretty(&values).map_err(std::io::Error::from)?;
        writeln!(stdout, "{text}")?;
    }
    match failed {
        0 => Ok(String::new()),
        _ => Err(Error::Images {
            failed,
            images: pictures.len(),
        }),
    }
}

/// A picture to classify, or a place that has none, and why.
type Found = Result<PathBuf, (PathBuf, String)>;

fn classify(
    model: &PackedModel,
    transform: &EvalTransform,
    path: &Found,
) -> Result<Prediction, Error> {
    let path = path
        .as_ref()
        .map_err(|(path, reason)| Error::file(path, reason))?;
    let pixels = transform.pixels(&read_image(path)?);
    Ok(model.predict(Image::Bytes(&pixels.pixels))?)
}

/// The pictures of files and folders, those of a folder by name, folders inside it included.
fn pictures(paths: &[PathBuf]) -> Vec<Found> {
    let mut pictures = Vec::new();
    for path in paths {
        if !path.is_dir() {
            pictures.push(Ok(path.clone()));
            continue;
        }
        let before = pictures.len();
        list(path, &mut pictures);
        if pictures.len() == before {
            pictures.push(Err((
                path.clone(),
                "no JPEG or PNG files in this folder".into(),
            )));
        }
    }
    pictures
}

fn list(folder: &Path, pictures: &mut Vec<Found>) {
    let entries = std::fs::read_dir(folder).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let mut entries = match entries {
        Ok(entries) => entries,
        Err(error) => return pictures.push(Err((folder.into(), error.to_string()))),
    };
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        // Links to folders may lead in circles; those to files are files.
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            list(&path, pictures);
        } else if is_picture(&path) {
            pictures.push(Ok(path));
        }
    }
}

/// By its name; files that are named outright may have any.
fn is_picture(path: &Path) -> bool {
    let extension = path.extension().unwrap_or_default();
    ["jpg", "jpeg", "png"]
        .iter()
        .any(|known| extension.eq_ignore_ascii_case(known))
}

/// `path  name 87.2 %, name 5.1 %`.
fn line(model: &PackedModel, path: &Path, prediction: &Prediction, k: usize) -> String {
    let ranked = prediction.top(k);
    let classes = ranked.iter().map(|ranked| {
        let name = &model.class_names()[ranked.class];
        format!("{name} {:.1} %", 100.0 * ranked.probability)
    });
    format!(
        "{}  {}",
        path.display(),
        classes.collect::<Vec<_>>().join(", ")
    )
}

fn value(model: &PackedModel, path: &Path, answer: Result<Prediction, Error>, k: usize) -> Value {
    let image = path.display().to_string();
    let prediction = match answer {
        Ok(prediction) => prediction,
        Err(error) => return json!({"image": image, "error": error.to_string()}),
    };
    let ranked = prediction.top(k);
    let classes = ranked.iter().map(|ranked| {
        json!({
            "class": ranked.class,
            "name": model.class_names()[ranked.class],
            "probability": ranked.probability,
            "logit": ranked.logit,
        })
    });
    json!({"image": image, "classes": classes.collect::<Vec<_>>()})
}
