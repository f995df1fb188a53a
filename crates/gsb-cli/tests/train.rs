//! Training from the command line, end to end, in seconds.

mod program;

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use program::{fails_at_last as fails, folder, gsb, read_json, stderr, succeeds};
use serde_json::Value;

/// Options of a run of seconds.
const SHORT: [&str; 6] = ["--epochs", "2", "--per-class", "6", "--batch-size", "16"];

/// The log without the time that things took.
fn log(run: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(run.join("log.jsonl")).expect("a log");
    let lines = text.lines().map(|line| {
        let mut epoch: Value = serde_json::from_str(line).expect("JSON");
        epoch["seconds"] = Value::Null;
        epoch
    });
    lines.collect()
}

#[test]
fn a_run_prints_a_table_and_leaves_a_folder_that_says_everything() {
    let folder = folder();
    let table = succeeds(
        gsb(folder.path())
            .args(["train", "--json", "out.json"])
            .args(SHORT),
    );
    let phases: Vec<&str> = table
        .lines()
        .map(|line| line.split(' ').next().unwrap())
        .collect();
    assert_eq!(
        phases[..5],
        ["phase", "teacher", "stage1", "stage2", "packed"]
    );

    let json = read_json(&folder.path().join("out.json"));
    let rows = json["phases"].as_array().expect("phases");
    let names: Vec<_> = rows
        .iter()
        .map(|row| row["phase"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["teacher", "stage1", "stage2"]);
    for row in rows {
        for field in ["top1", "top5", "seconds"] {
            assert!(row[field].is_f64(), "{row}");
        }
        assert_eq!(row["epochs"], 2);
        assert!(row["parameters"].as_u64() > Some(200_000) && row["bytes"].as_u64() > Some(0));
    }
    let run = folder.path().join("runs/digits-1");
    for file in [
        "config.json",
        "environment.json",
        "report.txt",
        "teacher.bpk",
        "stage2.bpk",
    ] {
        assert!(run.join(file).exists(), "{file}");
    }
    assert_eq!(log(&run).len(), 6);

    // The configuration repeats the run, in a folder of its own.
    let config = run.join("config.json");
    succeeds(gsb(folder.path()).arg("train").arg("--config").arg(&config));
    let again = folder.path().join("runs/digits-2");
    assert_eq!(log(&again), log(&run));

    // And an option counts more than the file.
    let mut command = gsb(folder.path());
    command.arg("train").arg("--config").arg(&config);
    succeeds(command.args(["--phase", "teacher", "--seed", "1", "--output-dir", "other"]));
    let other = log(&folder.path().join("other"));
    assert_eq!(other.len(), 2);
    assert_ne!(other[0], log(&run)[0]);

    let tested = succeeds(gsb(folder.path()).args(["test", "runs/digits-1/stage2.bpk", "--json"]));
    let tested: Value = serde_json::from_str(&tested).expect("JSON");
    assert_eq!(tested["top1"], rows[2]["top1"]);
    assert_eq!(tested["classes"].as_array().map(Vec::len), Some(10));
    let report = succeeds(gsb(folder.path()).args(["test", "runs/digits-1/teacher.bpk"]));
    assert!(
        report.starts_with("teacher: top-1 ") && report.contains("taken for"),
        "{report}"
    );
}

/// Starts a run and kills it as soon as a file is there.
fn killed(folder: &Path, arguments: &[&str], file: &Path) {
    let mut child = gsb(folder)
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program starts");
    let start = Instant::now();
    while !file.exists() {
        let ended = child.try_wait().expect("a child");
        assert!(ended.is_none(), "the run ended before {}", file.display());
        assert!(
            start.elapsed() < Duration::from_secs(300),
            "no {}",
            file.display()
        );
        std::thread::sleep(Duration::from_millis(2));
    }
    child.kill().expect("killed");
    child.wait().expect("a child");
}

#[test]
fn a_run_that_is_killed_again_and_again_ends_as_one_that_is_not() {
    let folder = folder();
    let options = |run: &'static str| {
        let mut options = vec!["train", "--output-dir", run, "--drop-path", "0.1"];
        options.extend(SHORT);
        options.extend(["--epochs", "4", "--model-ema", "0.9"]);
        // The last one counts.
        options.retain({
            let mut seen = 0;
            move |option| {
                seen += usize::from(*option == "--epochs");
                !(*option == "--epochs" && seen == 1)
            }
        });
        options.remove(
            options
                .iter()
                .position(|option| *option == "2")
                .expect("given"),
        );
        options
    };
    succeeds(gsb(folder.path()).args(options("whole")));
    let run = folder.path().join("parts");
    let checkpoint = |phase: &str, epoch: u32| -> PathBuf {
        run.join(format!("{phase}/checkpoint/scheduler-{epoch}.bpk"))
    };
    killed(folder.path(), &options("parts"), &checkpoint("teacher", 2));
    let resume = ["train", "--resume", "parts"];
    killed(folder.path(), &resume, &checkpoint("stage1", 1));
    killed(folder.path(), &resume, &checkpoint("stage2", 3));
    succeeds(gsb(folder.path()).args(resume));
    let whole = folder.path().join("whole");
    assert_eq!(log(&run), log(&whole));
    let losses = |run: &Path| -> Vec<Value> {
        let report = read_json(&run.join("report.json"));
        let rows = report["phases"].as_array().expect("phases");
        rows.iter().map(|row| row["loss"].clone()).collect()
    };
    assert_eq!(losses(&run), losses(&whole));
}

/// Images of `size` pixels as an IDX file.
fn idx(path: &Path, count: u32, size: u32, value: impl Fn(u32) -> u8) {
    let mut bytes = vec![0, 0, 8, if size == 0 { 1 } else { 3 }];
    bytes.extend(count.to_be_bytes());
    for _ in 0..if size == 0 { 0 } else { 2 } {
        bytes.extend(size.to_be_bytes());
    }
    for index in 0..count {
        bytes.extend(vec![
            value(index);
            if size == 0 { 1 } else { (size * size) as usize }
        ]);
    }
    std::fs::write(path, bytes).expect("written");
}

fn mnist(folder: &Path) {
    for (name, count) in [("train", 40), ("t10k", 20)] {
        idx(
            &folder.join(format!("{name}-images-idx3-ubyte")),
            count,
            28,
            |i| (i * 5) as u8,
        );
        idx(
            &folder.join(format!("{name}-labels-idx1-ubyte")),
            count,
            0,
            |i| (i % 10) as u8,
        );
    }
}

#[test]
fn mnist_files_are_trained_on_and_broken_ones_are_named() {
    let folder = folder();
    mnist(folder.path());
    let arguments = [
        "--data-set",
        "mnist",
        "--data-path",
        ".",
        "--phase",
        "teacher",
    ];
    let short = ["--epochs", "1", "--batch-size", "16"];
    succeeds(gsb(folder.path()).arg("train").args(arguments).args(short));
    assert!(folder.path().join("runs/mnist-1/teacher.bpk").exists());

    let labels = folder.path().join("train-labels-idx1-ubyte");
    let bytes = std::fs::read(&labels).expect("read");
    std::fs::write(&labels, &bytes[..20]).expect("written");
    let message = fails(gsb(folder.path()).arg("train").args(arguments));
    assert!(message.contains("train-labels-idx1-ubyte"), "{message}");
    let message =
        fails(gsb(folder.path()).args(["train", "--data-set", "mnist", "--data-path", "no"]));
    assert!(message.contains("no"), "{message}");
    let message = fails(gsb(folder.path()).args(["train", "--data-set", "cifar10"]));
    assert!(message.contains("cifar10"), "{message}");
}

#[test]
fn an_image_folder_with_images_of_all_kinds_is_trained_on() {
    let folder = folder();
    for (part, class) in [("train", "a"), ("train", "b"), ("val", "a"), ("val", "b")] {
        let place = folder.path().join(part).join(class);
        std::fs::create_dir_all(&place).expect("a folder");
        image::RgbImage::from_pixel(40, 24, image::Rgb([9, 200, 7]))
            .save(place.join("c.png"))
            .unwrap();
        image::GrayImage::from_pixel(1, 1, image::Luma([80]))
            .save(place.join("g.png"))
            .unwrap();
        let deep = image::ImageBuffer::from_pixel(24, 30, image::Rgb([9u16, 60_000, 7]));
        deep.save(place.join("d.png")).unwrap();
        image::RgbImage::from_pixel(16_000, 2, image::Rgb([1, 2, 3]))
            .save(place.join("w.png"))
            .unwrap();
        let jpeg = include_bytes!("pictures/colour.jpg");
        std::fs::write(place.join("j.jpg"), jpeg).expect("written");
    }
    let config = r#"{"recipe": {"model": {"depth": 1}}}"#;
    std::fs::write(folder.path().join("small.json"), config).expect("written");
    let arguments = [
        "train",
        "--data-set",
        "imagefolder",
        "--data-path",
        ".",
        "--model",
        "micro",
        "--input-size",
        "16",
        "--config",
        "small.json",
        "--phase",
        "teacher",
        "--epochs",
        "1",
        "--batch-size",
        "4",
    ];
    succeeds(gsb(folder.path()).args(arguments));

    std::fs::write(folder.path().join("train/a/x.png"), b"no image").expect("written");
    let output = gsb(folder.path()).args(arguments).output();
    let output = output.expect("the program starts");
    assert_eq!(output.status.code(), Some(1));
    let message = stderr(&output);
    assert!(message.contains("x.png"), "{message}");

    let message = fails(gsb(folder.path()).args([
        "train",
        "--data-set",
        "imagefolder",
        "--data-path",
        "train/a",
    ]));
    assert!(message.contains("train/a"), "{message}");
}

#[test]
fn what_a_run_cannot_start_from_is_named() {
    let folder = folder();
    let path = |name: &str| folder.path().join(name);
    let write = |name: &str, text: &str| std::fs::write(path(name), text).expect("written");
    let train = |arguments: &[&str]| fails(gsb(folder.path()).arg("train").args(arguments));

    write("a.toml", "[recipe.teacher]\nepoch = 3\n");
    let message = train(&["--config", "a.toml"]);
    assert!(
        message.contains("a.toml") && message.contains("unknown field `epoch`"),
        "{message}"
    );
    write("b.toml", "recipe = [");
    assert!(train(&["--config", "b.toml"]).contains("b.toml"));
    write(
        "c.json",
        r#"{"recipe": {"teacher": {"schedule": {"lr": 7.0}}}}"#,
    );
    let message = train(&["--config", "c.json"]);
    assert!(
        message.contains("teacher.schedule.lr: must be above 0 and at most 1, got 7"),
        "{message}"
    );
    assert!(train(&["--config", "missing.json"]).contains("missing.json"));

    assert!(train(&["--resume", "nowhere"]).contains("nowhere"));
    assert!(train(&["--teacher-path", "no.bpk"]).contains("no.bpk"));
    write("no.bpk", "no checkpoint");
    assert!(train(&["--teacher-path", "no.bpk"]).contains("no.bpk"));
    let message = train(&["--phase", "stage1"]);
    assert!(
        message.contains("a student that distils needs one"),
        "{message}"
    );
    assert!(train(&["--model", "deit"]).contains("no model is called \"deit\""));
    assert!(train(&["--json", "no/out.json"]).contains("no/out.json"));

    // A student is no teacher, and a teacher of the digits knows no other classes.
    let short = ["--epochs", "1", "--per-class", "2"];
    succeeds(
        gsb(folder.path())
            .args(["train", "--output-dir", "run"])
            .args(short),
    );
    let message = train(&["--teacher-path", "run/stage2.bpk"]);
    assert!(
        message.contains("it holds a model of stage2, expected one of teacher"),
        "{message}"
    );
    let message = train(&["--output-dir", "run"]);
    assert!(message.contains("holds a run already"), "{message}");
    std::fs::create_dir_all(path("two/train/a")).expect("a folder");
    let message = fails(gsb(folder.path()).args(["test", "no.bpk"]));
    assert!(message.contains("no.bpk"), "{message}");
}

#[test]
fn options_and_files_decide_about_images() {
    let folder = folder();
    let recipe = |arguments: &[&str]| {
        let run = tempfile::tempdir_in(folder.path()).expect("a folder");
        let output = run.path().join("run");
        succeeds(
            gsb(folder.path())
                .args(["train", "--phase", "teacher", "--output-dir"])
                .arg(&output)
                .args(SHORT)
                .args(arguments),
        );
        read_json(&output.join("config.json"))["recipe"].take()
    };
    let augmentation = recipe(&[
        "--aa",
        "rand-m3-inc1",
        "--color-jitter",
        "0.2",
        "--reprob",
        "0.5",
    ])["augmentation"]
        .take();
    let policy = augmentation["rand_augment"].as_str().expect("a policy");
    assert!(policy.starts_with("rand-m3-"), "{policy}");
    assert_eq!(augmentation["color_jitter"]["contrast"], 0.2);
    assert_eq!(augmentation["random_erasing"]["probability"], 0.5);
    let none = recipe(&["--aa", "none", "--color-jitter", "0", "--reprob", "0"]);
    for field in ["rand_augment", "color_jitter", "random_erasing"] {
        assert!(none["augmentation"][field].is_null(), "{none}");
    }

    // Transforms follow the size of the model's images.
    let file = folder.path().join("run.toml");
    std::fs::write(&file, "[recipe.model]\nimage_size = 12").expect("a file");
    let larger = recipe(&["--config", "run.toml"]);
    assert_eq!(larger["augmentation"]["image_size"], 12);
    assert_eq!(
        recipe(&["--config", "run.toml", "--input-size", "10"])["model"]["image_size"],
        10
    );
    for (text, expected) in [
        (
            "[recipe.model]\nchannels = 2",
            "makes images of 8 pixels and 1 channels",
        ),
        (
            "[recipe.augmentation]\nhorizontal_flip = 2",
            "must be between 0 and 1, got 2",
        ),
        (
            "[recipe.model]\nclasses = 3",
            "the data have 10 classes, the model 3",
        ),
    ] {
        std::fs::write(&file, text).expect("a file");
        let message = fails(
            gsb(folder.path())
                .args(["train", "--config", "run.toml"])
                .args(SHORT),
        );
        assert!(message.contains(expected), "{message}");
    }
    let message = fails(
        gsb(folder.path())
            .args(["train", "--aa", "augmix"])
            .args(SHORT),
    );
    assert!(message.contains("\"augmix\": expected rand-"), "{message}");
}

#[test]
fn a_table_compares_variants_and_goes_on_where_it_stopped() {
    let folder = folder();
    let arguments = [
        "table",
        "--short",
        "--seeds",
        "2",
        "--epochs",
        "1",
        "--per-class",
        "2",
        "--table-dir",
        "t",
    ];
    let table = succeeds(gsb(folder.path()).args(arguments));
    assert_eq!(table.lines().count(), 2 + 5);
    assert!(table.contains("| GSB both | Row | Residual |"), "{table}");
    let file = |name: &str| std::fs::read_to_string(folder.path().join("t").join(name)).unwrap();
    assert_eq!(file("table.md"), table);
    assert_eq!(file("table.csv").lines().count(), 6);
    assert!(file("table.svg").starts_with("<svg"));
    // Everything is there: nothing is trained again.
    let seed = folder.path().join("t/seed-0/teacher/report.json");
    let before = std::fs::metadata(&seed).unwrap().modified().unwrap();
    assert_eq!(succeeds(gsb(folder.path()).args(arguments)), table);
    assert_eq!(
        std::fs::metadata(&seed).unwrap().modified().unwrap(),
        before
    );
    assert!(fails(gsb(folder.path()).args(["table", "--resume", "t"])).starts_with("--resume: "));
}

#[test]
fn a_table_of_a_recipe_without_stage_1_trains_none() {
    let folder = folder();
    let file = folder.path().join("two.toml");
    // Spelled as the options are.
    let text = "[recipe]\nphases = [\"teacher\", \"stage2\"]\n[recipe.model]\nscope = \"row\"\n\
                [recipe.stage2.distillation]\ntype = \"hard\"\n";
    std::fs::write(&file, text).expect("a file");
    let table = |arguments: &[&str]| {
        let mut command = gsb(folder.path());
        command.args(["table", "--short", "--seeds", "1", "--epochs", "1"]);
        command.args(["--per-class", "2", "--config"]).arg(&file);
        let output = command.args(arguments).output().expect("it runs");
        let warnings = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{warnings}");
        warnings
    };
    let warnings = table(&["--table-dir", "t"]);
    assert!(!warnings.contains("recipe.phases"), "{warnings}");
    let rows = folder.path().join("t/rows");
    let row = read_json(&rows.join("a3-v3-distilled-1stage-row-residual.json"));
    assert_eq!(
        row["recipe"]["phases"],
        serde_json::json!(["teacher", "stage2"])
    );
    assert_eq!(row["recipe"]["stage2"]["epochs"], 1);
    let seed = std::fs::read_dir(folder.path().join("t/seed-0")).expect("a folder");
    let names = seed.map(|entry| entry.expect("an entry").file_name().into_string().unwrap());
    assert!(!names.into_iter().any(|name| name.contains("stage1-")));
    // Beside students of two stages, those of one train as long.
    let warnings = table(&["--table-dir", "both", "--stages", "1,2"]);
    assert!(warnings.contains("recipe.phases"), "{warnings}");
    let rows = folder.path().join("both/rows");
    let row = read_json(&rows.join("a3-v3-distilled-1stage-row-residual.json"));
    assert_eq!(row["recipe"]["stage2"]["epochs"], 2);
}

#[test]
fn rounded_products_are_for_one_device() {
    let folder = folder();
    let mut command = gsb(folder.path());
    command.args([
        "train",
        "--products",
        "bfloat16",
        "--devices",
        "2",
        "--output-dir",
        "r",
    ]);
    assert!(fails(&mut command).starts_with("--products: bfloat16 is for one device flex"));
    assert!(!folder.path().join("r").exists());
}

#[test]
fn a_table_is_of_the_data_that_are_asked_for() {
    let folder = folder();
    let table = |arguments: &[&str]| {
        let mut command = gsb(folder.path());
        command.args(["table", "--short", "--seeds", "1", "--epochs", "1"]);
        command.args(["--per-class", "2", "--table-dir", "t"]);
        command.args(arguments);
        command
    };
    succeeds(&mut table(&["--json", "t.json", "--scopes", "row,row"]));
    let rows = read_json(&folder.path().join("t.json"))["rows"].take();
    assert_eq!(rows.as_array().expect("rows").len(), 5);
    let message = fails(&mut table(&["--label-noise", "0.9"]));
    assert!(
        message.contains("of another recipe, products, data or start"),
        "{message}"
    );
    for refused in [
        ["--distillation-type", "none"],
        ["--attention-groups", "2"],
        ["--seed", "3"],
    ] {
        let message = fails(&mut table(&refused));
        let option = refused[0].trim_start_matches('-');
        assert!(message.contains(&option[..4]), "{message}");
    }
    // Its models are tested on its data, as those of other runs are.
    let report = succeeds(gsb(folder.path()).args(["test", "t/seed-0/teacher/teacher.bpk"]));
    assert!(report.contains("360 images"), "{report}");
}

#[test]
fn rates_follow_the_batch_and_mixing_is_what_was_asked_for() {
    let folder = folder();
    let recipe = |arguments: &[&str]| {
        let run = tempfile::tempdir_in(folder.path()).expect("a folder");
        let output = run.path().join("run");
        let mut command = gsb(folder.path());
        command.args([
            "train",
            "--phase",
            "teacher",
            "--epochs",
            "1",
            "--per-class",
            "2",
        ]);
        succeeds(command.arg("--output-dir").arg(&output).args(arguments));
        read_json(&output.join("config.json"))["recipe"].take()
    };
    let rate = |arguments: &[&str]| recipe(arguments)["teacher"]["schedule"]["lr"].take();
    assert_eq!(rate(&["--batch-size", "16"]), 1e-3);
    assert_eq!(rate(&["--batch-size", "16", "--lr", "5e-4"]), 5e-4);
    assert_eq!(rate(&["--batch-size", "16", "--accumulation", "4"]), 4e-3);
    // Rates of phases that are not trained do not matter, and given ones are taken.
    let many = ["--accumulation", "1000"];
    assert_eq!(rate(&[&many[..], &["--lr", "5e-4"]].concat()), 5e-4);
    assert_eq!(rate(&[&many[..], &["--teacher-lr", "5e-4"]].concat()), 5e-4);
    let file = folder.path().join("run.toml");
    std::fs::write(&file, "[recipe.teacher]\nbatch_size = 64").expect("a file");
    assert_eq!(rate(&["--config", "run.toml"]), 4e-3);

    assert!(recipe(&["--mixup", "0"])["mixup"].is_null());
    let mixup = recipe(&["--mixup", "0.8"])["mixup"].take();
    assert_eq!(mixup["mixup_alpha"], 0.8);
    assert_eq!(mixup["cutmix_alpha"], 0.0);
    let mixed = recipe(&["--mixup", "0.8", "--mixup-phase", "teacher"]);
    assert_eq!(mixed["mixup_phases"], serde_json::json!(["teacher"]));
    assert!(recipe(&["--mixup", "0.8"]).get("mixup_phases").is_none());
}

#[test]
fn what_is_wrong_with_numbers_is_said_in_plain_words() {
    let folder = folder();
    let said = |text: &str| {
        let file = folder.path().join("run.json");
        std::fs::write(file, text).expect("a file");
        fails(gsb(folder.path()).args(["train", "--config", "run.json"]))
    };
    let epochs = said(r#"{"recipe": {"teacher": {"epochs": "two"}}}"#);
    assert!(
        epochs.ends_with(
            "recipe.teacher.epochs: invalid type: string \"two\", expected a whole number, not below 0"
        ),
        "{epochs}"
    );
    let width = said(r#"{"recipe": {"model": {"width": -3}}}"#);
    assert!(width.contains("recipe.model.width: "), "{width}");
    let many = fails(gsb(folder.path()).args(["train", "--accumulation", "1000"]));
    assert!(
        many.contains(
            "--accumulation: teacher: the learning rate of 32000 images a step would be 2"
        ),
        "{many}"
    );
    let batch = fails(gsb(folder.path()).args(["train", "--batch-size", "20000"]));
    assert!(
        batch.contains(
            "--batch-size: teacher: the learning rate of 20000 images a step would be 1.25"
        ),
        "{batch}"
    );
}

#[test]
fn phases_to_mix_the_images_of_go_with_mixing() {
    let folder = folder();
    let message = fails(gsb(folder.path()).args(["train", "--mixup-phase", "stage2"]));
    assert!(
        message.contains("--mixup-phase: nothing is mixed: expected --mixup or --cutmix"),
        "{message}"
    );
    let message = fails(gsb(folder.path()).args([
        "train",
        "--phase",
        "stage2",
        "--mixup",
        "1",
        "--mixup-phase",
        "teacher",
    ]));
    assert!(
        message.contains("--mixup-phase: expected a phase that is trained"),
        "{message}"
    );
}

#[test]
fn a_checkpoint_in_the_folder_of_another_run_is_not_taken_for_its_own() {
    let folder = folder();
    let path = |name: &str| folder.path().join(name);
    let train = |run: &str, more: &[&str]| {
        let mut command = gsb(folder.path());
        command.args([
            "train",
            "--epochs",
            "1",
            "--per-class",
            "2",
            "--output-dir",
            run,
        ]);
        succeeds(command.args(more));
    };
    train("small", &[]);
    train("large", &["--input-size", "16"]);
    let foreign = path("small/foreign.bpk");
    std::fs::copy(path("large/stage2.bpk"), &foreign).expect("copied");
    let message = fails(gsb(folder.path()).arg("test").arg(&foreign));
    assert!(
        message.contains("16 pixels and 1 channels, but the run"),
        "{message}"
    );
    let pack = |file: &Path| {
        succeeds(
            gsb(folder.path())
                .arg("pack")
                .arg(file)
                .args(["-o", "p.st"]),
        )
    };
    let text = pack(&foreign);
    assert!(text.contains("of other images or classes"), "{text}");
    assert!(pack(&path("large/stage2.bpk")).contains("are those of the run's digits"));
    let own = path("large/stage2.bpk");
    let message = fails(gsb(folder.path()).arg("pack").arg(&own).arg("-o").arg(&own));
    assert!(message.contains("would be overwritten"), "{message}");

    std::fs::write(path("large/config.json"), "{\"recipe\": ").expect("written");
    for command in ["test", "pack"] {
        let message = fails(
            gsb(folder.path())
                .arg(command)
                .arg(&own)
                .args(match command {
                    "pack" => &["-o", "p.st"][..],
                    _ => &[],
                }),
        );
        assert!(message.contains("large/config.json"), "{message}");
    }
}

#[test]
fn what_is_given_is_not_trained() {
    let folder = folder();
    let train = |arguments: &[&str]| {
        let mut command = gsb(folder.path());
        command.args(["train", "--epochs", "1", "--per-class", "2", "--output-dir"]);
        command.args(arguments);
        command
    };
    succeeds(&mut train(&["first"]));
    let mut given = vec!["second", "--teacher-path", "first/teacher.bpk"];
    given.extend(["--stage1-path", "first/stage1.bpk"]);
    let table = succeeds(&mut train(&given));
    assert!(
        !table.contains("teacher  ") && !table.contains("stage1  "),
        "{table}"
    );
    let missing = ["third", "--stage1-path", "no.bpk"];
    assert!(fails(&mut train(&missing)).contains("no.bpk"));
    // The folder is free for the corrected command.
    succeeds(&mut train(&["third", "--stage1-path", "first/stage1.bpk"]));

    let json = ["train", "--resume", "second", "--json", "second/out.json"];
    succeeds(gsb(folder.path()).args(json));
    assert!(read_json(&folder.path().join("second/out.json"))["packed"].is_object());
    let output = gsb(folder.path())
        .args(["train", "--resume", "second", "--epochs", "3"])
        .output()
        .expect("the program starts");
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn a_file_says_where_it_is_wrong() {
    let folder = folder();
    for (text, expected) in [
        (
            "[recipe.stage1]\nepochs = \"ten\"",
            "recipe.stage1.epochs: invalid type",
        ),
        (
            "[recipe.stage2.optimizer]\nclip_grad = nan",
            "recipe.stage2.optimizer.clip_grad: expected a finite",
        ),
        ("[recipe.model]\nDepth = 1", "unknown field `Depth`"),
        (
            "[recipe.model]\ndrop_path = \"much\"",
            "drop_path: invalid type",
        ),
        (
            "[recipe.model.initializer.XavierUniform]\ngain = -1.0",
            "initializer is impossible",
        ),
        ("[data]\nlabel_noise = -1.0", "label_noise"),
        ("[data]\nper_class = 0", "--per-class: must be at least 1"),
        ("\n\nrecipe = [", "run.toml: line 3"),
    ] {
        std::fs::write(folder.path().join("run.toml"), text).expect("a file");
        let message = fails(gsb(folder.path()).args(["train", "--config", "run.toml"]));
        assert!(message.contains(expected), "{message}");
        assert!(!folder.path().join("runs").exists(), "{message}");
    }
}

#[test]
fn recipes_lack_nothing_but_the_images() {
    let folder = folder();
    let recipes = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../recipes");
    let files = std::fs::read_dir(recipes).expect("recipes");
    let files = files.map(|file| file.expect("a file").path());
    let files: Vec<PathBuf> = files
        .filter(|file| {
            file.extension()
                .is_some_and(|extension| extension == "json")
        })
        .collect();
    assert!(!files.is_empty());
    for file in files {
        let message = fails(
            gsb(folder.path())
                .args(["train", "--data-path", "nowhere", "--config"])
                .arg(&file),
        );
        let lacks_images = message.contains("nowhere");
        let has_images = message.contains("the digits come with the program");
        assert!(lacks_images || has_images, "{}: {message}", file.display());
    }
}
