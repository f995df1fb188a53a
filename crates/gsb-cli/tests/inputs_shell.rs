//! Paths, models and pictures as people name them.

mod program;

use std::io::Write;
use std::path::Path;
use std::process::Stdio;

use program::{fails, folder, gsb, ran, random_model, run, stderr, stdout, succeeds};
use serde_json::Value;

fn picture(path: &Path, level: u8) {
    let gray = image::GrayImage::from_pixel(8, 8, image::Luma([level]));
    gray.save_with_format(path, image::ImageFormat::Png)
        .expect("written");
}

#[test]
fn a_tilde_is_the_home_folder_in_every_option() {
    let (folder, home) = (folder(), program::folder());
    let home = home.path();
    let start = |arguments: &[&str]| {
        let mut command = gsb(folder.path());
        command.env("HOME", home).args(arguments);
        command
    };
    // What is missing is named where it was looked for.
    let named = |arguments: &[&str], name: &str| {
        let message = fails(&mut start(arguments));
        let path = home.join(name);
        assert!(
            message.contains(&*path.to_string_lossy()),
            "{arguments:?}: {message}"
        );
    };
    for option in [
        "--config",
        "--resume",
        "--finetune",
        "--teacher-path",
        "--stage1-path",
    ] {
        named(&["train", &format!("{option}=~/no.bpk")], "no.bpk");
    }
    named(&["train", "--model=~/no.json"], "no.json");
    named(&["train", "--json=~/no/x"], "no/x");
    named(&["train", "--data-set=mnist", "--data-path=~/no"], "no");
    named(&["table", "--short", "--config=~/no.toml"], "no.toml");
    for command in ["pack", "import", "export"] {
        named(&[command, "x", "--output=~/no/x"], "no/x");
    }
    for argument in [
        &["test", "~/no.bpk"][..],
        &["inspect", "~/no.bpk"],
        &["predict", "~/no.bpk", "x.png"],
    ] {
        named(argument, "no.bpk");
    }
    // In a configuration too.
    for (text, name) in [
        ("[data]\nset = \"mnist\"\npath = \"~/no/set\"", "no/set"),
        ("[start]\nteacher = \"~/no/t.bpk\"", "no/t.bpk"),
        ("[start]\nfinetune = \"~/no/f.bpk\"", "no/f.bpk"),
        ("[start]\nstage1 = \"~/no/s.bpk\"", "no/s.bpk"),
    ] {
        std::fs::write(folder.path().join("run.toml"), text).expect("written");
        named(&["train", "--config", "run.toml"], name);
    }
    let train = [
        "train",
        "--phase",
        "teacher",
        "--epochs",
        "1",
        "--per-class",
        "2",
    ];
    succeeds(start(&train).args(["--output-dir=~/run", "--json=~/out.json"]));
    assert!(home.join("run/teacher.bpk").is_file() && home.join("out.json").is_file());
    // Nothing is called so but what somebody calls so.
    assert!(!folder.path().join("~").exists());
    std::fs::create_dir(folder.path().join("~")).expect("a folder");
    picture(&folder.path().join("~/x.png"), 9);
    random_model(&folder.path().join("m.st"));
    let text = succeeds(&mut start(&["predict", "m.st", "~/x.png"]));
    assert!(text.starts_with("~/x.png  "), "{text}");
}

#[test]
fn what_is_taken_for_a_model_by_mistake_is_told_what_it_is() {
    let folder = folder();
    let path = |name: &str| run().join(name).to_str().expect("UTF-8").to_string();
    let (checkpoint, packed) = (path("stage2.bpk"), path("stage2.packed.safetensors"));
    picture(&folder.path().join("a.png"), 50);
    let start = |arguments: &[&str]| fails(gsb(folder.path()).args(arguments));

    // A checkpoint is packed first, by a command that can be copied.
    for command in ["predict", "inspect", "bench"] {
        let pictures = if command == "predict" {
            &["a.png"][..]
        } else {
            &[]
        };
        let message = start(&[&[command, &checkpoint][..], pictures].concat());
        let hint = format!("expected a packed model: gsb pack '{checkpoint}' -o '{packed}'");
        assert!(message.trim_end().ends_with(&hint), "{message}");
        let message = start(&[&[command, &path("teacher.bpk")][..], pictures].concat());
        assert!(
            message.contains("a checkpoint of teacher; only those of stage2"),
            "{message}"
        );
    }
    let published = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/golden/d_ckpt_stage2.pth"
    );
    let message = start(&["predict", published, "a.png"]);
    assert!(message.contains("d_ckpt_stage2.pth -o "), "{message}");
}

#[test]
fn a_folder_is_no_file_but_may_have_it_inside() {
    let folder = folder();
    let run = run();
    let path = |name: &str| run.join(name).to_str().expect("UTF-8").to_string();
    let checkpoint = path("stage2.bpk");
    let run = run.to_str().expect("UTF-8");
    let start = |arguments: &[&str]| fails(gsb(folder.path()).args(arguments));
    for (arguments, file) in [
        (&["predict", run, "a.png"][..], "stage2.packed.safetensors"),
        (&["inspect", run], "stage2.packed.safetensors"),
        (&["bench", run], "stage2.packed.safetensors"),
        (&["train", "--config", run], "config.json"),
        (&["test", run], "stage2.bpk"),
        (&["pack", run, "-o", "x"], "stage2.bpk"),
        (&["export", run, "-o", "x"], "stage2.bpk"),
        (&["import", run, "-o", "x"], "stage2.bpk"),
        (&["summary", run], "stage2.bpk"),
        (&["train", "--teacher-path", run], "teacher.bpk"),
        (&["train", "--finetune", run], "teacher.bpk"),
        (&["train", "--stage1-path", run], "stage1.bpk"),
    ] {
        let message = start(arguments);
        assert!(message.starts_with(&format!("{run}: ")), "{message}");
        assert!(message.contains("a folder, expected a"), "{message}");
        assert!(message.contains(&path(file)), "{message}");
    }
    let message = start(&["inspect", "."]);
    assert_eq!(message, ".: is a folder, expected a file\n");
    let message = start(&["train", "--resume", &checkpoint]);
    assert!(
        message.ends_with(&format!("gsb train --resume '{run}'\n")),
        "{message}"
    );
}

#[test]
fn a_packed_model_is_no_checkpoint_and_a_picture_no_model() {
    let folder = folder();
    let path = |name: &str| run().join(name).to_str().expect("UTF-8").to_string();
    let (checkpoint, packed) = (path("stage2.bpk"), path("stage2.packed.safetensors"));
    picture(&folder.path().join("a.png"), 50);
    let start = |arguments: &[&str]| fails(gsb(folder.path()).args(arguments));

    for command in ["pack", "export", "import"] {
        let message = start(&[command, &packed, "-o", "x"]);
        assert!(
            message.contains("is a packed model, expected a checkpoint"),
            "{message}"
        );
    }
    let message = start(&["predict", "a.png", &packed]);
    assert!(
        message.contains(&format!(
            "the model comes first: gsb predict '{packed}' a.png"
        )),
        "{message}"
    );
    let message = start(&["inspect", "a.png"]);
    assert!(
        message.contains("is a picture, expected a packed model"),
        "{message}"
    );
    let message = start(&["pack", &checkpoint, "-o", "-"]);
    assert!(message.contains("expected the name of a file"), "{message}");
    assert!(std::fs::read_dir(folder.path()).expect("a folder").count() == 1);
}

#[test]
fn wrong_usage_has_a_near_match_and_limits() {
    let folder = folder();
    for (arguments, expected) in [
        (&["tarin"][..], "'train'"),
        (&["train", "--epoch", "3"], "'--epochs'"),
        (&["train", "--device", "fles"], "'flex'"),
        (
            &["predict", "m", "x", "--orientation", "upwright"],
            "'upright'",
        ),
        (&["train", "--devices", "9999"], "1..=1024"),
        (
            &[
                "bench",
                "--model",
                "micro",
                "--warm-up",
                "18446744073709551615",
            ],
            "--warm-up",
        ),
    ] {
        let output = ran(gsb(folder.path()).args(arguments));
        let errors = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{errors}");
        assert!(errors.contains(expected), "{errors}");
    }
    let message = fails(gsb(folder.path()).args(["train", "--workers", "100000"]));
    assert!(
        message.contains("workers: must be at most 1024"),
        "{message}"
    );
    let message = fails(gsb(folder.path()).args([
        "train",
        "--data-set=mnist",
        concat!("--data-path=", env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"),
    ]));
    assert!(
        message.contains("Cargo.toml: it is not a folder"),
        "{message}"
    );
    for command in ["train", "table"] {
        let message = fails(gsb(folder.path()).args([command, "--strategy", "ddp"]));
        assert!(message.contains("--devices 2 or more"), "{message}");
    }
    assert_eq!(
        std::fs::read_dir(folder.path()).expect("a folder").count(),
        0
    );
}

#[cfg(unix)]
#[test]
fn pictures_are_found_through_links_and_places_without_any_are_named() {
    use std::os::unix::fs::symlink;

    let folder = folder();
    let path = |name: &str| folder.path().join(name);
    random_model(&path("m.st"));
    for place in ["photos/inside", "elsewhere", "empty"] {
        std::fs::create_dir_all(path(place)).expect("a folder");
    }
    picture(&path("photos/inside/1.png"), 10);
    picture(&path("photos/._2.png"), 20);
    picture(&path("elsewhere/3.JFIF"), 30);
    picture(&path("elsewhere/named.dat"), 40);
    symlink(path("elsewhere"), path("photos/linked")).expect("a link");
    symlink(path("elsewhere/named.dat"), path("photos/4.png")).expect("a link");
    let arguments = [
        "predict",
        "m.st",
        "photos",
        "empty",
        "no.png",
        "elsewhere/named.dat",
    ];
    let output = ran(gsb(folder.path()).args(arguments));
    assert_eq!(output.status.code(), Some(1));
    let text = stdout(&output);
    let names: Vec<&str> = text
        .lines()
        .filter_map(|line| line.split("  ").next())
        .collect();
    let found = [
        "photos/4.png",
        "photos/inside/1.png",
        "photos/linked/3.JFIF",
    ];
    assert_eq!(names, [&found[..], &["elsewhere/named.dat"]].concat());
    let errors = stderr(&output);
    let errors: Vec<&str> = errors.lines().collect();
    assert_eq!(errors.len(), 4, "{errors:?}");
    assert!(
        errors[0].starts_with("photos: left out 1 ") && errors[0].contains("1 .dat"),
        "{errors:?}"
    );
    assert!(errors[1].starts_with("error: empty: "), "{errors:?}");
    assert!(errors[2].starts_with("error: no.png: "), "{errors:?}");
    assert_eq!(errors[3], "error: 2 of 6 images could not be classified");

    // A circle is said, once, and the rest goes on, inside the folder too.
    symlink(path("photos"), path("photos/inside/circle")).expect("a link");
    let output = ran(gsb(folder.path()).args(["predict", "m.st", "photos", "elsewhere/3.JFIF"]));
    assert_eq!(output.status.code(), Some(1));
    let errors = stderr(&output);
    assert!(
        errors.contains("circle") && errors.lines().count() == 3,
        "{errors}"
    );
    assert_eq!(stdout(&output).lines().count(), 4);
}

#[test]
fn a_dash_is_a_picture_from_standard_input() {
    let folder = folder();
    random_model(&folder.path().join("m.st"));
    picture(&folder.path().join("a.png"), 77);
    let bytes = std::fs::read(folder.path().join("a.png")).expect("a file");
    let piped = |arguments: &[&str], bytes: &[u8]| {
        let mut child = gsb(folder.path())
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let mut stdin = child.stdin.take().expect("it is piped");
        stdin.write_all(bytes).expect("it reads");
        drop(stdin);
        child.wait_with_output().expect("a child")
    };
    let output = piped(&["predict", "m.st", "-"], &bytes);
    let file = succeeds(gsb(folder.path()).args(["predict", "m.st", "a.png"]));
    assert_eq!(
        stdout(&output),
        file.replace("a.png", "-"),
        "{}",
        stderr(&output)
    );
    let output = piped(&["predict", "m.st", "--json", "-", "-"], &bytes);
    let values: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(values[0]["image"], "-");
    assert!(
        values[0]["classes"].is_array() && values[1]["error"].is_string(),
        "{values}"
    );
    let output = piped(&["predict", "m.st", "-"], b"no picture");
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).starts_with("error: -: "),
        "{}",
        stderr(&output)
    );
}

/// A JPEG file that says how its camera was held.
fn with_orientation(jpeg: &[u8], orientation: u8) -> Vec<u8> {
    let mut exif =
        b"\xff\xe1\x00\x22Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
    exif.extend([orientation, 0, 0, 0, 0, 0, 0]);
    [&jpeg[..2], &exif, &jpeg[2..]].concat()
}

#[test]
fn pictures_are_upright_unless_asked_otherwise() {
    let folder = folder();
    let path = |name: &str| folder.path().join(name);
    random_model(&path("m.st"));
    let jpeg = with_orientation(include_bytes!("pictures/progressive.jpg"), 6);
    std::fs::write(path("turned.jpg"), &jpeg).expect("written");
    let stored = gsb_data::read_image(&path("turned.jpg")).expect("a picture");
    let stored = image::GrayImage::from_raw(16, 16, stored.pixels).expect("its size");
    image::imageops::rotate90(&stored)
        .save(path("upright.png"))
        .expect("written");
    stored.save(path("stored.png")).expect("written");
    let classes = |arguments: &[&str]| {
        let text = succeeds(
            gsb(folder.path())
                .args(["predict", "m.st", "--json"])
                .args(arguments),
        );
        let values: Value = serde_json::from_str(&text).expect("JSON");
        values[0]["classes"].clone()
    };
    let (upright, stored) = (classes(&["upright.png"]), classes(&["stored.png"]));
    assert_ne!(upright, stored);
    assert_eq!(classes(&["turned.jpg"]), upright);
    assert_eq!(
        classes(&["turned.jpg", "--orientation", "upright"]),
        upright
    );
    assert_eq!(classes(&["turned.jpg", "--orientation", "stored"]), stored);
}

#[cfg(unix)]
#[test]
fn names_that_are_not_utf_8_are_names() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    let folder = folder();
    let name = |bytes: &'static [u8]| Path::new(OsStr::from_bytes(bytes));
    let place = folder.path().join(name(b"caf\xe9"));
    std::fs::create_dir(&place).expect("a folder");
    let (model, checkpoint) = (
        place.join(name(b"m\xfe.st")),
        place.join(name(b"t\xfe.bpk")),
    );
    random_model(&model);
    std::fs::copy(run().join("teacher.bpk"), &checkpoint).expect("copied");
    picture(&place.join(name(b"p\xff.png")), 60);
    let start = |arguments: &[&Path]| {
        let mut command = gsb(folder.path());
        command.args(arguments);
        command
    };
    let p = |text: &'static str| Path::new(text);

    // The name comes out as it is.
    let output = ran(&mut start(&[p("predict"), &model, name(b"caf\xe9")]));
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(
        output.stdout.starts_with(b"caf\xe9/p\xff.png  "),
        "{}",
        stdout(&output)
    );
    let text = succeeds(&mut start(&[
        p("predict"),
        &model,
        name(b"caf\xe9"),
        p("--json"),
    ]));
    let values: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(values[0]["image"], "caf\u{fffd}/p\u{fffd}.png");
    let bytes: Vec<u8> = serde_json::from_value(values[0]["image_bytes"].clone()).expect("bytes");
    assert_eq!(bytes, b"caf\xe9/p\xff.png");

    assert!(succeeds(&mut start(&[p("summary"), &checkpoint])).contains("teacher"));
    assert!(succeeds(&mut start(&[p("inspect"), &model])).contains("packed model"));
    let config = place.join(name(b"c\xfe.json"));
    std::fs::write(&config, "[]").expect("written");
    assert!(fails(&mut start(&[p("train"), p("--model"), &config])).contains(".json: "));

    // A run that starts from such a file says so, and goes on from there.
    let run = place.join(name(b"run\xfe"));
    let mut train = start(&[
        p("train"),
        p("--teacher-path"),
        &checkpoint,
        p("--output-dir"),
        &run,
    ]);
    succeeds(train.args(["--phase", "stage1", "--epochs", "1", "--per-class", "2"]));
    let again = place.join(name(b"again\xfe"));
    let config = run.join("config.json");
    succeeds(&mut start(&[
        p("train"),
        p("--config"),
        &config,
        p("--output-dir"),
        &again,
    ]));
    succeeds(&mut start(&[p("train"), p("--resume"), &again]));
    succeeds(&mut start(&[p("test"), &again.join("stage1.bpk")]));
}
