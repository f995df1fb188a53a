//! Every kind of picture, against what libjpeg-turbo and Pillow make of it.

#[path = "support/pictures.rs"]
mod pictures;

use std::path::{Path, PathBuf};

use gsb_image::{Image, Orientation, decode_image, image_size, read_image};
use safetensors::tensor::TensorView;

/// The largest difference of the values. Gray may be told as three channels, or the other way.
fn difference(ours: &Image, theirs: &TensorView<'_>) -> u8 {
    let shape = theirs.shape();
    assert_eq!([ours.height, ours.width], shape[..2]);
    let theirs = Image::new(shape[1], shape[0], shape[2], theirs.data().to_vec()).unwrap();
    let (ours, theirs) = (ours.to_channels(3), theirs.to_channels(3));
    let pairs = ours.pixels.iter().zip(&theirs.pixels);
    pairs.map(|(a, b)| a.abs_diff(*b)).max().unwrap()
}

#[test]
fn pictures_equal_those_of_pillow() {
    let bundle = pictures::bundle();
    let folder = tempfile::tempdir().unwrap();
    let mut compared = [0; 2];
    let mut wrong = Vec::new();
    for (name, file) in pictures::files(&bundle) {
        let path = folder.path().join(&name);
        std::fs::write(&path, file).unwrap();
        for (which, (tensor, orientation)) in [
            ("pixels", Orientation::Stored),
            ("upright", Orientation::Upright),
        ]
        .into_iter()
        .enumerate()
        {
            let Ok(theirs) = bundle.tensor(&format!("{name}/{tensor}")) else {
                continue;
            };
            compared[which] += 1;
            match decode_image(file, &path, orientation) {
                Ok(ours) => {
                    let most = difference(&ours, &theirs);
                    if most > 0 {
                        wrong.push(format!("{name}/{tensor}: {most} levels"));
                    }
                    if orientation == Orientation::Stored {
                        assert_eq!(image_size(&path).unwrap(), (ours.width, ours.height));
                    }
                }
                Err(error) => wrong.push(error.to_string()),
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(compared, [165, 18]);
}

#[test]
fn what_is_not_read_is_named() {
    let bundle = pictures::bundle();
    let folder = tempfile::tempdir().unwrap();
    let mut refused = 0;
    for (name, file) in pictures::files(&bundle) {
        let Ok(told) = bundle.tensor(&format!("{name}/told")) else {
            continue;
        };
        let told = std::str::from_utf8(told.data()).unwrap();
        let path = folder.path().join(&name);
        std::fs::write(&path, file).unwrap();
        for error in [
            read_image(&path).unwrap_err(),
            image_size(&path).unwrap_err(),
        ] {
            let error = error.to_string();
            assert!(error.starts_with(&path.display().to_string()), "{error}");
            assert!(error.contains(told), "{error}");
        }
        refused += 1;
    }
    assert_eq!(refused, 12);
}

/// Files of `tests/data/pictures.py sweep FOLDER`, which takes minutes: set `GSB_JPEGS` to the folder.
#[test]
fn a_folder_of_jpegs_equals_djpeg() {
    let Some(folder) = std::env::var_os("GSB_JPEGS").map(PathBuf::from) else {
        return;
    };
    let mut compared = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "jpg") {
            let ours = read_image(&path).unwrap();
            let theirs = read_image(&path.with_extension("ppm")).unwrap();
            assert_eq!(ours, theirs, "{}", path.display());
            compared += 1;
        }
    }
    println!("{compared} files");
    assert!(compared > 0);
}

/// A scan for each colour decodes to the same as one scan for all.
#[test]
fn scans_of_one_colour_are_put_together() {
    let bundle = pictures::bundle();
    for sampling in ["444", "422", "420", "411", "440", "410", "441"] {
        let [one, several] = ["plain", "scans"].map(|kind| {
            let name = format!("jpeg_{sampling}_{kind}/file");
            let file = bundle.tensor(&name).unwrap();
            decode_image(file.data(), Path::new(&name), Orientation::Stored).unwrap()
        });
        assert_eq!(one, several, "{sampling}");
    }
}
