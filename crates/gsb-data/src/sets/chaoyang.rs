//! Chaoyang: colon slides with noisy labels.

use std::path::Path;

use serde::Deserialize;

use super::files::{FileSplits, Labelled};
use crate::{DataSplits, Error, Orientation, lists};

/// Classes in the order of their labels.
const CLASSES: [&str; 4] = ["normal", "serrated", "adenocarcinoma", "adenoma"];
const EXPECTED: &str = r#"a list of {"name": FILE, "label": 0 to 3}"#;

#[derive(Deserialize)]
struct Entry {
    name: String,
    label: usize,
}

/// Reads Chaoyang from its official folder: `train.json`, `test.json` and the files they list.
///
/// By C. Zhu et al. (2022), "Hard Sample Aware Noise Robust Learning for Histopathology Image
/// Classification", <https://bupt-ai-cz.github.io/HSA-NRL/>. Training labels are noisy.
///
/// # Errors
/// Names the list that is missing, broken, empty, or has a label above 3. Pictures are read later,
/// when they are asked for.
pub fn chaoyang(root: &Path) -> Result<DataSplits, Error> {
    read(root)?.open(Orientation::default())
}

pub(crate) fn read(root: &Path) -> Result<FileSplits, Error> {
    lists::folder(root, "a folder with train.json and test.json")?;
    Ok(FileSplits {
        classes: CLASSES.map(String::from).to_vec(),
        train: part(root, "train.json")?,
        test: part(root, "test.json")?,
        validation: None,
        remarks: Vec::new(),
    })
}

fn part(root: &Path, name: &str) -> Result<Labelled, Error> {
    let path = root.join(name);
    let entries: Vec<Entry> = lists::read_json(&path, EXPECTED)?;
    if entries.is_empty() {
        return Err(Error::format(&path, "the list is empty"));
    }
    let mut pictures = Vec::with_capacity(entries.len());
    for Entry { name, label } in entries {
        if label >= CLASSES.len() {
            let problem = format!("{name:?} has the label {label}: expected 0 to 3");
            return Err(Error::format(&path, problem));
        }
        pictures.push((lists::listed(root, &name, &path)?, label));
    }
    Ok(pictures)
}
