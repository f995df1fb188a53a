//! The evaluation transform against pictures that Pillow and torchvision prepared.
//!
//! Reads `h_*.safetensors` of `tests/golden`, or of the folder that `GSB_GOLDEN_DIR` names.

use std::path::{Path, PathBuf};

use gsb_image::{EvalTransform, Normalization, read_image};
use safetensors::{Dtype, SafeTensors};
use serde_json::{Map, Value};

fn folder() -> PathBuf {
    std::env::var_os("GSB_GOLDEN_DIR").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden"),
        PathBuf::from,
    )
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    let words = bytes.as_chunks().0.iter();
    words.map(|&word| f32::from_le_bytes(word)).collect()
}

/// The largest difference, in levels, of normalized values.
fn levels(ours: &[f32], theirs: &[f32], normalization: &Normalization) -> f64 {
    assert_eq!(ours.len(), theirs.len());
    let area = ours.len() / normalization.channels();
    let differences = ours.iter().zip(theirs).enumerate().map(|(i, (a, b))| {
        let level = 1.0 / 255.0 / normalization.deviation[i / area];
        f64::from((a - b).abs() / level)
    });
    differences.fold(0.0, f64::max)
}

/// The rows and columns from 96 to 128 of each channel.
fn center(values: &[f32], size: usize) -> Vec<f32> {
    let rows = (0..3).flat_map(|c| (96..128).map(move |y| (c * size + y) * size + 96));
    rows.flat_map(|start| &values[start..start + 32])
        .copied()
        .collect()
}

fn case(file: &SafeTensors, name: &str, config: &Map<String, Value>) {
    let number = |key: &str| config.get(key).and_then(Value::as_u64).map(|n| n as usize);
    let size = number("input_size").expect("every case has an input size");
    let source = config["source"].as_str().expect("every case has a source");
    let image = read_image(&folder().join(source)).unwrap();
    let normalization = Normalization::imagenet();
    let transform = EvalTransform::new(size, normalization.clone());
    let mut compared = 0;
    for key in config["tensors"].as_array().into_iter().flatten() {
        let key = key.as_str().expect("tensors have names");
        let tensor = file.tensor(&format!("{name}/{key}")).unwrap();
        // A little more than one level: the values have rounding of their own.
        let check = |ours: &[f32]| {
            let difference = levels(ours, &floats(tensor.data()), &normalization);
            assert!(difference < 1.01, "{name}/{key}: {difference} levels");
        };
        match (key, tensor.dtype()) {
            ("resized_size", Dtype::I64) => {
                let words = tensor.data().as_chunks().0.iter();
                let theirs: Vec<i64> = words.map(|&word| i64::from_le_bytes(word)).collect();
                let [height, width] = transform.resized(&image);
                assert_eq!(theirs, [width as i64, height as i64], "{name}");
            }
            ("out", Dtype::F32) => check(&transform.apply(&image)),
            ("out_center32", Dtype::F32) => check(&center(&transform.apply(&image), size)),
            ("crop_u8", Dtype::U8) => {
                let ours = transform.pixels(&image);
                assert_eq!(tensor.shape(), [ours.height, ours.width, ours.channels]);
                let mut counts = [0usize; 256];
                for (a, b) in ours.pixels.iter().zip(tensor.data()) {
                    counts[usize::from(a.abs_diff(*b))] += 1;
                }
                assert_eq!(counts[2..].iter().sum::<usize>(), 0, "{name}: {counts:?}");
            }
            (_, dtype) => panic!("{name}/{key}: no test reads {dtype:?}"),
        }
        compared += 1;
    }
    assert!(compared > 0, "{name} has nothing to compare");
}

#[test]
fn evaluation_equals_pillow_and_torchvision() {
    let folder = folder();
    let mut cases = 0;
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if !(name.starts_with("h_") && name.ends_with(".safetensors")) {
            continue;
        }
        let bytes = std::fs::read(&path).unwrap();
        let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
        let metadata = header.metadata().as_ref().expect("the header has metadata");
        let configs: Map<String, Value> = serde_json::from_str(&metadata["cases"]).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        for (name, config) in configs {
            case(
                &file,
                &name,
                config.as_object().expect("a case is an object"),
            );
            cases += 1;
        }
    }
    assert!(cases > 0, "{} has no h_* case", folder.display());
}
