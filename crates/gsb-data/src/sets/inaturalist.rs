//! iNaturalist 2018 and 2019.

use std::collections::HashMap;
use std::fmt;
use std::path::Path;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::files::{FileSplits, Labelled};
use crate::{DataSplits, Error, Orientation, lists};

/// The level of the tree of life whose names are the classes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Category {
    /// Animals, plants and fungi.
    Kingdom,
    /// One below the kingdom.
    Phylum,
    /// One below the phylum.
    Class,
    /// One below the class.
    Order,
    /// The groups of the challenge, birds for one.
    Supercategory,
    /// One below the order.
    Family,
    /// One below the family.
    Genus,
    /// The species.
    #[default]
    Name,
}

impl Category {
    const ALL: [(Self, &str); 8] = [
        (Self::Kingdom, "kingdom"),
        (Self::Phylum, "phylum"),
        (Self::Class, "class"),
        (Self::Order, "order"),
        (Self::Supercategory, "supercategory"),
        (Self::Family, "family"),
        (Self::Genus, "genus"),
        (Self::Name, "name"),
    ];

    fn key(self) -> &'static str {
        Self::ALL[self as usize].1
    }
}

impl fmt::Display for Category {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.key())
    }
}

impl FromStr for Category {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let found = Self::ALL.iter().find(|(_, key)| *key == text);
        found.map(|&(category, _)| category).ok_or_else(|| {
            let known = Self::ALL.map(|(_, key)| key).join(", ");
            let problem = format!("{text:?} is none of {known}");
            Error::Option {
                option: "category",
                problem,
            }
        })
    }
}

#[derive(Deserialize)]
struct Listing {
    images: Vec<Picture>,
    annotations: Vec<Annotation>,
}

#[derive(Deserialize)]
struct Picture {
    id: u64,
    file_name: String,
}

#[derive(Deserialize)]
struct Annotation {
    image_id: u64,
    category_id: u64,
}

#[derive(Deserialize)]
struct Species {
    id: u64,
    #[serde(flatten)]
    names: HashMap<String, serde_json::Value>,
}

/// Reads iNaturalist of a year from its official files: `train{year}.json`, `val{year}.json`,
/// `categories.json` and the pictures they list, `train_val{year}/...`.
///
/// Classes are numbered as they first come in the training annotations, as DeiT does.
///
/// # Errors
/// Names the list that is missing or broken, a picture without a class, and a class without the
/// chosen category. Pictures are read later, when they are asked for.
pub fn inaturalist(root: &Path, year: u16, category: Category) -> Result<DataSplits, Error> {
    read(root, year, category)?.open(Orientation::default())
}

pub(crate) fn read(root: &Path, year: u16, category: Category) -> Result<FileSplits, Error> {
    let (train, val) = (format!("train{year}.json"), format!("val{year}.json"));
    lists::folder(
        root,
        &format!("a folder with {train}, {val} and categories.json"),
    )?;
    let names = category_names(&root.join("categories.json"), category)?;
    let train_path = root.join(train);
    let train = listing(&train_path)?;
    let mut classes: Vec<String> = Vec::new();
    let mut labels: HashMap<&str, usize> = HashMap::new();
    for annotation in &train.annotations {
        let name = name_of(&names, annotation.category_id, &train_path)?;
        labels.entry(name).or_insert_with(|| {
            classes.push(name.to_string());
            classes.len() - 1
        });
    }
    let part = |path: &Path, listing: &Listing| -> Result<Labelled, Error> {
        let of_image: HashMap<u64, u64> = listing
            .annotations
            .iter()
            .map(|annotation| (annotation.image_id, annotation.category_id))
            .collect();
        let mut pictures = Vec::with_capacity(listing.images.len());
        for picture in &listing.images {
            let Some(&id) = of_image.get(&picture.id) else {
                let problem = format!("{:?} has no annotation", picture.file_name);
                return Err(Error::format(path, problem));
            };
            let name = name_of(&names, id, path)?;
            let Some(&label) = labels.get(name) else {
                let problem = format!("{name:?} is no class of {}", train_path.display());
                return Err(Error::format(path, problem));
            };
            pictures.push((lists::listed(root, &picture.file_name, path)?, label));
        }
        Ok(pictures)
    };
    let val_path = root.join(val);
    let train = part(&train_path, &train)?;
    let test = part(&val_path, &listing(&val_path)?)?;
    Ok(FileSplits {
        classes,
        train,
        test,
        validation: None,
        remarks: Vec::new(),
    })
}

fn listing(path: &Path) -> Result<Listing, Error> {
    let listing: Listing = lists::read_json(path, "an object of images and annotations")?;
    if listing.images.is_empty() {
        return Err(Error::format(path, "the list of images is empty"));
    }
    Ok(listing)
}

/// What each species is called at a level.
fn category_names(path: &Path, category: Category) -> Result<HashMap<u64, String>, Error> {
    let species: Vec<Species> = lists::read_json(path, "a list of categories")?;
    let key = category.key();
    let name = |species: Species| match species.names.get(key).and_then(|name| name.as_str()) {
        Some(name) => Ok((species.id, name.to_string())),
        None => {
            let problem = format!("category {} has no {key:?}", species.id);
            Err(Error::format(path, problem))
        }
    };
    species.into_iter().map(name).collect()
}

fn name_of<'a>(names: &'a HashMap<u64, String>, id: u64, path: &Path) -> Result<&'a str, Error> {
    names
        .get(&id)
        .map(String::as_str)
        .ok_or_else(|| Error::format(path, format!("categories.json has no category {id}")))
}
