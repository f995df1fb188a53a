//! Data sets as people have them, through the commands.

mod program;

use std::fs;
use std::io::Cursor;
use std::path::Path;

use image::{DynamicImage, ImageFormat, Rgb, RgbImage};
use program::{folder, ran, read_json, stderr};
use serde_json::Value;
use tempfile::TempDir;

/// A model of seconds.
const TINY: &str = r#"{"image_size": 16, "patch_size": 4, "channels": 3, "classes": 2, "width": 16,
    "depth": 1, "heads": 2, "mlp_width": 32, "distillation_token": true, "dropout": 0.0,
    "attention_dropout": 0.0, "drop_path": 0.0, "scope": "Row", "attention_groups": 3,
    "value_groups": 3, "initial_scales": "residual", "head_bits": 8, "patch_bits": 8,
    "initializer": {"XavierUniform": {"gain": 1.0}},
    "token_initializer": {"Normal": {"mean": 0.0, "std": 0.5}}}"#;

/// A gray JPEG file of 4x2 pixels.
const JPEG: &[u8] = b"\xFF\xD8\xFF\xE0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00\xFF\xE1\x00\x22Exif\x00\x00MM\
    \x00\x2A\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01\x00\x06\x00\x00\x00\x00\x00\x00\xFF\
    \xDB\x00C\x00\x28\x1C\x1E\x23\x1E\x19\x28\x23\x21\x23\x2D\x2B\x280\x3CdA\x3C77\x3C\x7BX\x5DId\x91\
    \x80\x99\x96\x8F\x80\x8C\x8A\xA0\xB4\xE6\xC3\xA0\xAA\xDA\xAD\x8A\x8C\xC8\xFF\xCB\xDA\xEE\xF5\xFF\xFF\
    \xFF\x9B\xC1\xFF\xFF\xFF\xFA\xFF\xE6\xFD\xFF\xF8\xFF\xC0\x00\x0B\x08\x00\x02\x00\x04\x01\x01\x11\x00\
    \xFF\xC4\x00\x14\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x04\xFF\xC4\x00\
    \x14\x10\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xFF\xDA\x00\x08\x01\x01\
    \x00\x00\x3F\x00\x3B\xFF\xD9";

/// `gsb` with these arguments; its exit code, and what it said on stderr.
fn gsb(folder: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let output = ran(program::gsb(folder).args(arguments));
    (output.status.code(), stderr(&output))
}

/// Trains a teacher for an epoch on `data`, in the folder `run`.
fn train(folder: &Path, set: &str, more: &[&str]) -> (Option<i32>, String) {
    let mut arguments = vec![
        "train",
        "--data-set",
        set,
        "--data-path",
        "data",
        "--model",
        "tiny.json",
        "--phase",
        "teacher",
        "--epochs",
        "1",
        "--batch-size",
        "4",
        "--output-dir",
        "run",
    ];
    arguments.extend(more);
    gsb(folder, &arguments)
}

fn succeeds((code, stderr): (Option<i32>, String)) -> String {
    assert_eq!(code, Some(0), "{stderr}");
    stderr
}

/// What is said of a run that is refused, which leaves no folder.
fn refused(folder: &Path, outcome: (Option<i32>, String)) -> String {
    let (code, stderr) = outcome;
    assert_eq!(code, Some(1), "{stderr}");
    assert!(!folder.join("run").exists(), "{stderr}");
    stderr
}

fn write(root: &Path, name: &str, bytes: impl AsRef<[u8]>) {
    let path = root.join(name);
    fs::create_dir_all(path.parent().expect("a folder")).expect("written");
    fs::write(path, bytes).expect("written");
}

fn picture(red: u8, format: ImageFormat) -> Vec<u8> {
    let image = RgbImage::from_fn(20, 20, |x, y| Rgb([red, 9 * x as u8, 9 * y as u8]));
    let mut bytes = Cursor::new(Vec::new());
    DynamicImage::from(image)
        .write_to(&mut bytes, format)
        .expect("encoded");
    bytes.into_inner()
}

fn png(red: u8) -> Vec<u8> {
    picture(red, ImageFormat::Png)
}

/// A TIFF file of four gray pixels in a row.
fn tiff() -> Vec<u8> {
    const PIXELS: [u8; 4] = [10, 20, 30, 40];
    // Size, bits, compression, gray from black, where the pixels are.
    let entries: [(u16, u32); 8] = [
        (256, 4),
        (257, 1),
        (258, 8),
        (259, 1),
        (262, 1),
        (273, 8),
        (278, 1),
        (279, 4),
    ];
    let mut bytes = [b"II*\0\x0C\0\0\0", &PIXELS[..]].concat();
    bytes.extend((entries.len() as u16).to_le_bytes());
    for (tag, value) in entries {
        bytes.extend([tag.to_le_bytes(), 4u16.to_le_bytes()].concat());
        bytes.extend([1u32.to_le_bytes(), value.to_le_bytes()].concat());
    }
    bytes.extend([0; 4]);
    bytes
}

/// A folder with the model and `data`, an image folder: four pictures of each class to train on, two to
/// test on.
fn image_folder() -> TempDir {
    let folder = folder();
    let root = folder.path();
    write(root, "tiny.json", TINY);
    for (class, red) in [("a", 0), ("b", 100)] {
        for number in 0..6 {
            let part = if number < 4 { "train" } else { "val" };
            let name = format!("data/{part}/{class}/{number}.png");
            write(root, &name, png(red + 10 * number));
        }
    }
    folder
}

fn config(folder: &Path) -> Value {
    read_json(&folder.join("run/config.json"))
}

#[test]
fn pictures_of_all_formats_are_trained_on_and_other_files_counted() {
    let folder = image_folder();
    let root = folder.path();
    for (name, format) in [("5.bmp", ImageFormat::Bmp), ("8.webp", ImageFormat::WebP)] {
        write(root, &format!("data/train/a/{name}"), picture(50, format));
    }
    write(root, "data/train/a/6.jfif", JPEG);
    write(root, "data/train/a/7.TIF", tiff());
    for name in [
        "train/a/9.avif",
        "train/a/readme.txt",
        "val/b/9.avif",
        "train/a/._1.png",
        "train/a/.ipynb_checkpoints/1-checkpoint.png",
        "train/@eaDir/x.png",
        "val/b/Thumbs.db",
    ] {
        write(root, &format!("data/{name}"), "service");
    }
    let line = "left out 3 files that are not pictures of a known format: 2 .avif, 1 .txt\n";
    let stderr = succeeds(train(root, "imagefolder", &[]));
    assert_eq!(stderr.matches("left out").count(), 1, "{stderr}");
    assert!(stderr.contains(line), "{stderr}");
    let config = config(root);
    assert_eq!(config["classes"], serde_json::json!(["a", "b"]));
    assert_eq!(config["fingerprint"]["train"], 12);
    assert_eq!(config["fingerprint"]["test"], 4);
    let stderr = succeeds(gsb(root, &["test", "run/teacher.bpk"]));
    assert!(stderr.contains(line), "{stderr}");
}

#[test]
fn broken_pictures_are_all_named_before_anything_is_written() {
    let folder = image_folder();
    let root = folder.path();
    write(root, "data/train/a/empty.png", "");
    write(root, "data/val/b/text.jpg", "no picture");
    let whole = png(7);
    write(root, "data/train/b/cut.png", &whole[..whole.len() / 2]);
    let stderr = refused(root, train(root, "imagefolder", &[]));
    assert!(
        stderr.starts_with("error: 3 of 15 pictures cannot be read\n"),
        "{stderr}"
    );
    for name in ["empty.png", "text.jpg", "cut.png"] {
        assert!(stderr.contains(name), "{stderr}");
    }
    let hint = "mend or replace them, or leave them out with --skip-broken\n";
    assert!(stderr.ends_with(hint), "{stderr}");
    let table = [
        "table",
        "--data-set",
        "imagefolder",
        "--data-path",
        "data",
        "--table-dir",
        "run",
    ];
    refused(root, gsb(root, &table));

    let stderr = succeeds(train(root, "imagefolder", &["--skip-broken"]));
    assert!(stderr.contains("left out 3 broken pictures: "), "{stderr}");
    assert_eq!(config(root)["fingerprint"]["train"], 8);
    // The run keeps the choice, and looks at the pictures to test on alone.
    let stderr = succeeds(gsb(root, &["test", "run/teacher.bpk"]));
    assert!(stderr.contains("left out 1 broken picture: "), "{stderr}");
    succeeds(gsb(root, &["train", "--resume", "run"]));
}

#[test]
fn a_picture_that_breaks_the_training_is_named_and_can_be_left_out() {
    let folder = image_folder();
    let root = folder.path();
    // Header and end are whole.
    let mut bytes = png(7);
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0xFF;
    write(root, "data/train/b/4.png", bytes);
    let (code, stderr) = train(root, "imagefolder", &[]);
    assert_eq!(code, Some(1), "{stderr}");
    assert!(stderr.contains("4.png: not a readable picture"), "{stderr}");
    assert!(
        stderr.contains("--resume run --skip-broken --changed-data"),
        "{stderr}"
    );
    succeeds(gsb(
        root,
        &[
            "train",
            "--resume",
            "run",
            "--skip-broken",
            "--changed-data",
        ],
    ));
    assert_eq!(config(root)["data"]["skip_broken"], true);
    assert_eq!(config(root)["fingerprint"]["train"], 8);
}

#[test]
fn a_run_goes_on_with_other_images_only_if_it_is_told_to() {
    let folder = image_folder();
    let root = folder.path();
    succeeds(train(root, "imagefolder", &[]));
    let resume = ["train", "--resume", "run"];
    let refusal = |stderr: &str| {
        let (code, said) = gsb(root, &resume);
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains(stderr), "{said}");
        assert!(said.contains("go on with --changed-data"), "{said}");
    };
    // Their place does not matter.
    fs::rename(root.join("data"), root.join("moved")).expect("renamed");
    succeeds(gsb(
        root,
        &["train", "--resume", "run", "--data-path", "moved"],
    ));

    fs::remove_file(root.join("moved/train/a/0.png")).expect("removed");
    refusal("began with 8 images to train on and 4 to test on; now there are 7 and 4");
    // As many as before.
    write(root, "moved/train/a/0.png", png(99));
    refusal("there are as many now, but others");
    let before = config(root)["fingerprint"].clone();
    succeeds(gsb(root, &["train", "--resume", "run", "--changed-data"]));
    assert_ne!(config(root)["fingerprint"], before);
    // From now on these are its images.
    succeeds(gsb(root, &resume));

    // Runs of earlier versions have nothing to compare with.
    let mut old = config(root);
    old.as_object_mut()
        .expect("an object")
        .remove("fingerprint");
    write(root, "run/config.json", old.to_string());
    write(root, "moved/train/a/0.png", png(0));
    succeeds(gsb(root, &resume));
    let (code, stderr) = train(root, "imagefolder", &["--changed-data"]);
    assert_eq!(code, Some(2), "{stderr}");
}

#[test]
fn changed_pixels_of_an_array_are_noticed() {
    let folder = folder();
    let root = folder.path();
    write(
        root,
        "tiny.json",
        TINY.replace("\"image_size\": 16", "\"image_size\": 8"),
    );
    let part = |name: &str, value: u8| {
        let pixels = (0..20 * 64).map(|place| (place % 250) as u8 + value);
        let head = [0, 0, 8, 3, 0, 0, 0, 20, 0, 0, 0, 8, 0, 0, 0, 8];
        let images: Vec<u8> = head.into_iter().chain(pixels).collect();
        write(
            root,
            &format!("data/MNIST/raw/{name}-images.idx3-ubyte"),
            images,
        );
        let head = [0, 0, 8, 1, 0, 0, 0, 20];
        let labels: Vec<u8> = head.into_iter().chain((0..20).map(|i| i % 10)).collect();
        write(
            root,
            &format!("data/MNIST/raw/{name}-labels-idx1-ubyte"),
            labels,
        );
    };
    part("train", 0);
    part("t10k", 1);
    succeeds(train(root, "mnist", &["--per-class", "1"]));
    assert_eq!(config(root)["fingerprint"]["train"], 10);
    part("train", 2);
    let (code, stderr) = gsb(root, &["train", "--resume", "run"]);
    assert_eq!(code, Some(1), "{stderr}");
    assert!(
        stderr.contains("there are as many now, but others"),
        "{stderr}"
    );
}

#[test]
fn lists_of_windows_programs_are_trained_on_and_missing_files_named() {
    let folder = folder();
    let root = folder.path();
    write(root, "tiny.json", TINY);
    let list = |part: &str| {
        let entries = (0..8).map(|number| {
            write(root, &format!("data/{part}/{number}.png"), png(30 * number));
            format!(
                r#"{{"name": "{part}\\{number}.PNG", "label": {}}}"#,
                number % 4
            )
        });
        let entries = entries.collect::<Vec<_>>().join(",\r\n");
        write(
            root,
            &format!("data/{part}.json"),
            format!("\u{FEFF}[{entries}]"),
        );
    };
    list("train");
    list("test");
    fs::remove_file(root.join("data/train/5.png")).expect("removed");
    let stderr = refused(root, train(root, "chaoyang", &[]));
    assert!(
        stderr.starts_with("error: 1 of 16 pictures cannot be read\n"),
        "{stderr}"
    );
    assert!(stderr.contains("5.PNG"), "{stderr}");
    write(root, "data/train/5.png", png(150));
    succeeds(train(root, "chaoyang", &[]));
}

#[test]
fn tiny_imagenet_with_a_sorted_validation_part_is_trained_on() {
    let folder = folder();
    let root = folder.path();
    write(root, "tiny.json", TINY);
    for number in 0..4 {
        for class in ["n01", "n02"] {
            write(
                root,
                &format!("data/train/{class}/images/{number}.JPEG"),
                png(30 * number),
            );
        }
        let class = if number < 2 { "n01" } else { "n02" };
        write(
            root,
            &format!("data/val/{class}/images/val_{number}.JPEG"),
            png(30 * number),
        );
    }
    let rows = (0..4).map(|n| format!("val_{n}.JPEG\tn01\t0\t0\t1\t1\n"));
    write(
        root,
        "data/val/val_annotations.txt",
        rows.collect::<String>(),
    );
    succeeds(train(root, "imagefolder", &[]));
    assert_eq!(config(root)["fingerprint"]["test"], 4);
}

#[test]
fn the_orientation_of_a_run_is_kept() {
    let folder = image_folder();
    let root = folder.path();
    succeeds(train(root, "imagefolder", &["--orientation", "upright"]));
    assert_eq!(config(root)["data"]["orientation"], "upright");
    succeeds(gsb(
        root,
        &["test", "run/teacher.bpk", "--orientation", "stored"],
    ));
}
