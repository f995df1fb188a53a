//! The commands on packed models, from training to predictions.

mod program;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use program::{misused, ran, stderr, stdout};
use serde_json::Value;
use tempfile::TempDir;

fn gsb(arguments: &[&str]) -> Command {
    let mut command = program::gsb(Path::new("."));
    command.args(arguments);
    command
}

/// What a command prints that succeeds.
fn succeeds(arguments: &[&str]) -> String {
    program::succeeds(&mut gsb(arguments))
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).expect(text)
}

/// What a command says that fails, in one line after "error: ".
fn fails(arguments: &[&str]) -> String {
    program::fails(&mut gsb(arguments))
}

/// The folder of a short run, what it printed, and its `--json`. Trained once for all tests.
fn run() -> &'static (TempDir, String, Value) {
    static RUN: OnceLock<(TempDir, String, Value)> = OnceLock::new();
    RUN.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a folder");
        let (run, results) = (
            folder.path().join("run"),
            folder.path().join("results.json"),
        );
        let [run, results] = [&run, &results].map(|path| path.to_str().expect("UTF-8"));
        let text = succeeds(&[
            "train",
            "--per-class",
            "4",
            "--epochs",
            "1",
            "--warmup-epochs",
            "0",
            "--output-dir",
            run,
            "--json",
            results,
        ]);
        let results = json(&std::fs::read_to_string(results).expect("results"));
        (folder, text, results)
    })
}

fn in_run(name: &str) -> String {
    text_of(&run().0.path().join("run").join(name))
}

fn text_of(path: &Path) -> String {
    path.to_str().expect("UTF-8").to_string()
}

/// The packed student of the run.
fn packed() -> String {
    in_run("stage2.packed.safetensors")
}

fn size(path: &str) -> u64 {
    std::fs::metadata(path).expect("a file").len()
}

/// Held-out digits as PNG files: their paths and labels.
fn digits(folder: &Path, count: usize) -> Vec<(PathBuf, usize)> {
    let splits = gsb_data::digits()
        .and_then(|set| set.split(0.2, 0))
        .expect("the digits");
    let digits = (0..count).map(|index| {
        let picture = splits.test.image(index).expect("a picture");
        let path = folder.join(format!("digit-{index:02}.png"));
        let (width, height) = (picture.width as u32, picture.height as u32);
        let gray = image::GrayImage::from_raw(width, height, picture.pixels).expect("its size");
        gray.save(&path).expect("written");
        (path, splits.test.label(index))
    });
    digits.collect()
}

#[test]
fn training_ends_with_the_packed_student() {
    let (_, text, results) = run();
    let rows: Vec<&str> = text.lines().collect();
    let firsts: Vec<&str> = rows
        .iter()
        .filter_map(|row| row.split_whitespace().next())
        .collect();
    assert_eq!(
        firsts,
        ["phase", "teacher", "stage1", "stage2", "packed"],
        "{text}"
    );
    let bytes = size(&packed());
    let end = format!("{bytes} bytes, agrees with stage2 on 360 of 360 images");
    assert!(rows[4].ends_with(&end), "{text}");

    assert_eq!(results["phases"].as_array().map(Vec::len), Some(3));
    let report = &results["packed"];
    assert_eq!(
        (&report["images"], &report["agreeing"]),
        (&360.into(), &360.into())
    );
    assert_eq!(report["bytes"], bytes);
    assert_eq!(report["top1"], results["phases"][2]["top1"]);
}

#[test]
fn packing_gives_the_same_file_and_says_what_it_did() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| text_of(&folder.path().join(name));
    let (checkpoint, exact, small) = (in_run("stage2.bpk"), path("exact"), path("small"));
    let text = succeeds(&["pack", &checkpoint, "-o", &exact]);
    let read = |path: &str| std::fs::read(path).expect("a file");
    assert!(
        read(&exact) == read(&packed()),
        "packing again gives another file"
    );
    assert!(
        text.contains("those of the run's digits") && text.contains(" bytes"),
        "{text}"
    );
    assert!(
        text.contains("196,608 weights of 1 bit, 1,536 of 8, 12,808 of 32 bits"),
        "{text}"
    );
    let text = succeeds(&["pack", &checkpoint, "-o", &small, "--shift", "i8"]);
    assert!(
        text.contains("attention shift as i8: logits of random images change by"),
        "{text}"
    );
    // 4 blocks of 4 heads of 18 x 18; what a head's level is worth is no weight.
    assert!(
        text.contains("196,608 weights of 1 bit, 6,720 of 8, 7,624 of 32 bits"),
        "{text}"
    );
    let saved = size(&exact) - size(&small);
    assert!(
        (3 * 4 * 4 * 18 * 18 - 1000..=3 * 4 * 4 * 18 * 18).contains(&saved),
        "{saved}"
    );
}

#[test]
fn a_published_checkpoint_is_packed_with_numbers_for_names() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = text_of(&folder.path().join("published.safetensors"));
    let checkpoint =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/d_ckpt_stage2.pth");
    let text = succeeds(&["pack", &text_of(&checkpoint), "-o", &output]);
    assert!(text.contains("the checkpoint lies in no run"), "{text}");
    let inspected = json(&succeeds(&["inspect", &output, "--json"]));
    assert_eq!(inspected["class_names"][5], "5");
    assert_eq!(inspected["provenance"]["checkpoint"], "d_ckpt_stage2.pth");
}

#[test]
fn what_cannot_be_packed_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = text_of(&folder.path().join("out"));
    let text = fails(&["pack", &in_run("teacher.bpk"), "-o", &output]);
    assert!(
        text.contains("teacher.bpk: a model of teacher; packed are those of stage2 alone"),
        "{text}"
    );
    assert!(!Path::new(&output).exists());
    let nowhere = text_of(&folder.path().join("no/folder/out"));
    let text = fails(&["pack", &in_run("stage2.bpk"), "-o", &nowhere]);
    assert!(text.contains("no/folder/out"), "{text}");
    let arguments = [
        "pack",
        &in_run("stage2.bpk"),
        "-o",
        &output,
        "--shift",
        "f64",
    ];
    assert!(misused(&mut gsb(&arguments)).contains("--shift"));
}

#[test]
fn the_bytes_of_the_layers_add_up_to_the_file() {
    let file = packed();
    let inspected = json(&succeeds(&["inspect", &file, "--json"]));
    let layers = inspected["layers"].as_array().expect("layers");
    let bytes = |value: &Value| value["bytes"].as_u64().expect("bytes");
    let mut total = inspected["header_bytes"].as_u64().expect("header");
    for layer in layers {
        let tensors = layer["tensors"].as_array().expect("tensors");
        assert_eq!(tensors.iter().map(bytes).sum::<u64>(), bytes(layer));
        total += bytes(layer);
    }
    assert_eq!((total, bytes(&inspected)), (size(&file), size(&file)));
    assert_eq!(inspected["class_names"].as_array().map(Vec::len), Some(10));

    let table = succeeds(&["inspect", &file]);
    let column = |row: &str| {
        let bytes = row
            .split_whitespace()
            .rev()
            .nth(usize::from(!row.starts_with('(')));
        bytes.and_then(|bytes| bytes.replace(',', "").parse::<u64>().ok())
    };
    let rows = table.split("\n\n").nth(1).expect(&table).lines().skip(1);
    let sizes: Vec<u64> = rows.map(|row| column(row).expect(row)).collect();
    let (total, rows) = sizes.split_last().expect("rows");
    assert_eq!(
        (rows.iter().sum::<u64>(), *total),
        (size(&file), size(&file)),
        "{table}"
    );
    assert!(
        table.contains("blocks.0-3.attention.qkv") && table.contains("192x64"),
        "{table}"
    );
    assert!(succeeds(&["inspect", &file, "--layers"]).contains("blocks.3.attention.qkv"));
}

#[test]
fn digits_are_predicted_and_a_broken_picture_does_not_end_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let digits = digits(folder.path(), 6);
    let (file, pictures) = (packed(), text_of(folder.path()));
    let text = succeeds(&["predict", &file, &pictures, "--top-k", "2"]);
    assert_eq!(text.lines().count(), 6, "{text}");
    assert!(
        text.lines().all(|line| line.matches('%').count() == 2),
        "{text}"
    );

    let predicted = json(&succeeds(&["predict", &file, &pictures, "--json"]));
    let predicted = predicted.as_array().expect("a list");
    for ((path, _), value) in digits.iter().zip(predicted) {
        assert_eq!(value["image"], text_of(path));
        assert_eq!(value["classes"].as_array().map(Vec::len), Some(5));
        assert_eq!(
            value["classes"][0]["name"],
            value["classes"][0]["class"].to_string()
        );
    }

    std::fs::write(folder.path().join("digit-02.png"), "no picture").expect("written");
    let missing = text_of(&folder.path().join("missing.png"));
    let arguments = ["predict", &file, &pictures, &missing];
    let output = ran(&mut gsb(&arguments));
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        output.stdout.iter().filter(|&&byte| byte == b'\n').count(),
        5
    );
    let errors = stderr(&output);
    let errors: Vec<&str> = errors.lines().collect();
    assert_eq!(errors.len(), 3, "{errors:?}");
    assert!(errors[0].contains("digit-02.png"), "{errors:?}");
    assert!(errors[1].contains("missing.png"), "{errors:?}");
    assert_eq!(errors[2], "error: 2 of 7 images could not be classified");
    let output = ran(gsb(&arguments).arg("--json"));
    let values = json(&stdout(&output));
    assert!(
        values[2]["error"]
            .as_str()
            .is_some_and(|error| error.contains("digit-02")),
        "{values}"
    );
}

#[test]
fn the_packed_file_tests_as_the_checkpoint_does() {
    let tested = |file: &str| json(&succeeds(&["test", file, "--json"]));
    let (student, file) = (tested(&in_run("stage2.bpk")), tested(&packed()));
    for entry in ["images", "top1", "top5", "confusion", "classes"] {
        assert_eq!(student[entry], file[entry], "{entry}");
    }
    let loss = |value: &Value| value["loss"].as_f64().expect("a number");
    assert!((loss(&student) - loss(&file)).abs() < 1e-3 * loss(&file));
    assert_eq!(file["phase"], "packed");
    assert!(succeeds(&["test", &packed()]).starts_with("packed: top-1 "));
}

#[test]
fn a_benchmark_has_its_layout() {
    let file = packed();
    let text = succeeds(&[
        "bench",
        &file,
        "--json",
        "--rounds",
        "3",
        "--batch",
        "2",
        "--threads",
        "2",
    ]);
    let places = ["isa", "batch", "threads", "ms_per_image", "stages"]
        .map(|key| text.find(&format!("\n  \"{key}\":")).expect(&text));
    assert!(places.is_sorted(), "{text}");
    let report = json(&text);
    assert_eq!(report.as_object().map(serde_json::Map::len), Some(5));
    assert_eq!(
        (&report["batch"], &report["threads"]),
        (&2.into(), &2.into())
    );
    for key in ["min", "p10", "median", "p90"] {
        assert!(
            report["ms_per_image"][key]
                .as_f64()
                .is_some_and(|time| time > 0.0),
            "{text}"
        );
    }
    assert!(
        report["stages"]["attention"]
            .as_f64()
            .is_some_and(|time| time > 0.0),
        "{text}"
    );

    let text = succeeds(&["bench", "--model", "micro", "--rounds", "2"]);
    assert!(
        text.contains("median") && text.contains("images per second"),
        "{text}"
    );
    assert!(text.contains("latency"), "{text}");
    let report = json(&succeeds(&[
        "bench", "--model", "micro", "--rounds", "2", "--json",
    ]));
    let of_one = &report["by_threads"][0];
    assert_eq!(of_one["threads"], 1);
    for key in ["latency_ms", "images_per_second"] {
        assert!(of_one[key].as_f64().is_some_and(|x| x > 0.0), "{report}");
    }
    assert!(fails(&["bench", "--model", "deit"]).starts_with("no model is called \"deit\""));
    let mut with_product = gsb(&["bench", "--model", "micro", "--rounds", "2"]);
    let output = with_product.env("GSB_FORCE_PRODUCT", "fours").output();
    let message = stderr(&output.expect("the program starts"));
    assert!(
        message.contains("product \"fours\" is unknown; known: plain, threes, tiles"),
        "{message}"
    );
    assert!(misused(&mut gsb(&["bench"])).contains("--model"));
    assert!(misused(&mut gsb(&["bench", &file, "--model", "micro"])).contains("--model"));
}

#[test]
fn a_broken_file_is_named_by_every_command() {
    let folder = tempfile::tempdir().expect("a folder");
    let broken = text_of(&folder.path().join("broken.safetensors"));
    let mut bytes = std::fs::read(packed()).expect("a file");
    bytes.truncate(bytes.len() / 2);
    std::fs::write(&broken, bytes).expect("written");
    let missing = text_of(&folder.path().join("missing.safetensors"));
    for file in [&broken, &missing] {
        for arguments in [
            &["predict", file, "x.png"][..],
            &["inspect", file],
            &["bench", file],
        ] {
            let text = fails(arguments);
            assert!(text.contains(&file[..]), "{arguments:?}: {text}");
        }
    }
}
