//! Readers that go away, signals, and what is said where there is no terminal.

#![cfg(unix)]

mod program;

use std::collections::HashSet;
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use program::{folder, gsb, ran, random_model, run, stderr, succeeds};
use serde_json::Value;

/// How a command ends whose output nobody reads, and what it says then.
fn unread(command: &mut Command) -> (Option<i32>, String) {
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    drop(child.stdout.take());
    let mut errors = String::new();
    let mut stderr = child.stderr.take().expect("it is piped");
    stderr.read_to_string(&mut errors).expect("text");
    (child.wait().expect("a child").code(), errors)
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let folder = folder();
    random_model(&folder.path().join("m.st"));
    std::fs::create_dir(folder.path().join("p")).expect("a folder");
    for name in ["p/1.png", "p/2.png"] {
        let gray = image::GrayImage::from_pixel(8, 8, image::Luma([90]));
        gray.save(folder.path().join(name)).expect("written");
    }
    let checkpoint = run().join("stage2.bpk");
    let checkpoint = checkpoint.to_str().expect("UTF-8");
    for arguments in [
        &["predict", "m.st", "p"][..],
        &["predict", "m.st", "p", "--json"],
        &["inspect", "m.st"],
        &["inspect", "m.st", "--json"],
        &["bench", "m.st", "--rounds", "1"],
        &["summary", "micro"],
        &["summary", "micro", "--json"],
        &["test", checkpoint],
        &["pack", checkpoint, "-o", "packed.st"],
        &["export", checkpoint, "-o", "published.safetensors"],
        &["import", "published.safetensors", "-o", "own.bpk"],
        &["--help"],
        &["train", "--help"],
        &["--version"],
    ] {
        let (code, errors) = unread(gsb(folder.path()).args(arguments));
        assert_eq!((code, &errors[..]), (Some(0), ""), "{arguments:?}");
    }
    // What could not be classified is a failure still.
    std::fs::write(folder.path().join("p/3.png"), "no picture").expect("written");
    let (code, errors) = unread(gsb(folder.path()).args(["predict", "m.st", "p/3.png", "p/1.png"]));
    assert_eq!(code, Some(1), "{errors}");
    assert!(!errors.contains("pipe"), "{errors}");
}

#[test]
fn a_training_goes_on_though_nobody_reads() {
    let folder = folder();
    let train = |run: &str| {
        let mut command = gsb(folder.path());
        command.args([
            "train",
            "--per-class",
            "2",
            "--epochs",
            "1",
            "--output-dir",
            run,
        ]);
        command
    };
    let (code, errors) = unread(&mut train("quiet"));
    assert_eq!(code, Some(0), "{errors}");
    assert!(!errors.contains("pipe"), "{errors}");
    // Nor its errors and progress.
    let mut child = train("silent")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    drop((child.stdout.take(), child.stderr.take()));
    assert_eq!(child.wait().expect("a child").code(), Some(0));
    for run in ["quiet", "silent"] {
        for file in ["report.json", "stage2.packed.safetensors"] {
            assert!(folder.path().join(run).join(file).is_file(), "{run}/{file}");
        }
    }
    let mut table = gsb(folder.path());
    table.args(["table", "--short", "--seeds", "1", "--epochs", "1"]);
    table.args(["--per-class", "2", "--table-dir", "t"]);
    assert_eq!(unread(&mut table).0, Some(0));
    assert!(folder.path().join("t/table.md").is_file());
}

#[test]
fn a_disk_that_is_full_is_a_failure() {
    let full = || Stdio::from(std::fs::File::create("/dev/full").expect("Linux has it"));
    if !Path::new("/dev/full").exists() {
        return;
    }
    let folder = folder();
    random_model(&folder.path().join("m.st"));
    for arguments in [&["inspect", "m.st"][..], &["summary", "micro", "--json"]] {
        let output = ran(gsb(folder.path()).args(arguments).stdout(full()));
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        assert!(stderr(&output).starts_with("error: cannot write the result: No space"));
    }
}

/// A training that does not end by itself, once it has finished an epoch.
fn endless(mut command: Command, folder: &Path) -> Child {
    command
        .args([
            "train",
            "--phase",
            "teacher",
            "--epochs",
            "2000",
            "--warmup-epochs",
            "0",
        ])
        .args(["--per-class", "4", "--output-dir", "run"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let child = command.spawn().expect("the program starts");
    more_epochs(folder);
    child
}

/// Waits until two more epochs are in the log.
fn more_epochs(folder: &Path) {
    let epochs = || {
        let log = std::fs::read_to_string(folder.join("run/log.jsonl"));
        log.map_or(0, |log| log.lines().count())
    };
    let (before, start) = (epochs(), Instant::now());
    while epochs() < before + 2 {
        assert!(start.elapsed() < Duration::from_secs(120), "no epochs");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn send(signal: &str, child: &Child) {
    let status = Command::new("kill")
        .args(["-s", signal, &child.id().to_string()])
        .status();
    assert!(status.expect("kill is there").success());
}

/// How a training ends, and what it said last.
fn ended(child: Child) -> (ExitStatus, String) {
    let output = child.wait_with_output().expect("a child");
    let errors = stderr(&output);
    let last = errors.lines().last().unwrap_or_default().to_string();
    (output.status, last)
}

#[test]
fn a_signal_stops_a_run_after_its_batch_to_be_resumed() {
    for (signal, code) in [("INT", 130), ("TERM", 143), ("HUP", 129)] {
        let folder = folder();
        let child = endless(gsb(folder.path()), folder.path());
        send(signal, &child);
        let (status, last) = ended(child);
        assert_eq!(status.code(), Some(code), "{signal}: {last}");
        assert!(
            last.starts_with("error: teacher: stopped in epoch "),
            "{last}"
        );
        assert!(
            last.ends_with("go on with: gsb train --resume run"),
            "{last}"
        );
    }
}

#[test]
fn a_run_under_nohup_outlives_its_terminal_and_still_ends_by_sigterm() {
    let folder = folder();
    let mut command = Command::new("sh");
    command.current_dir(folder.path());
    command.args([
        "-c",
        "trap '' HUP; exec \"$@\"",
        "sh",
        env!("CARGO_BIN_EXE_gsb"),
    ]);
    let child = endless(command, folder.path());
    send("HUP", &child);
    more_epochs(folder.path());
    send("TERM", &child);
    let (status, last) = ended(child);
    assert_eq!(status.code(), Some(143), "{last}");
}

#[test]
fn without_a_terminal_there_is_a_line_for_each_epoch() {
    let folder = folder();
    let train = |more: &[&str]| {
        let mut command = gsb(folder.path());
        command.args(["train", "--per-class", "4", "--epochs", "2"]);
        ran(command.args(more))
    };
    let output = train(&["--output-dir", "run"]);
    let errors = stderr(&output);
    let lines: Vec<&str> = errors.lines().collect();
    assert_eq!(lines[0], "run in run");
    let log = std::fs::read_to_string(folder.path().join("run/log.jsonl")).expect("a log");
    let epochs: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!((lines.len(), epochs.len()), (7, 6), "{errors}");
    for (line, epoch) in lines[1..].iter().zip(&epochs) {
        let number = |key: &str| epoch[key].as_f64().expect("a number");
        let start = format!(
            "{} epoch {}/2: loss {:.3}, top-1 {:.1} %, ",
            epoch["phase"].as_str().expect("a name"),
            epoch["epoch"],
            number("train_loss"),
            number("top1")
        );
        let rest = line.strip_prefix(&start[..]);
        let rest = rest.unwrap_or_else(|| panic!("{line:?}, expected {start:?}"));
        assert_eq!(rest.ends_with(" left"), epoch["epoch"] == 1, "{line}");
    }

    let output = train(&["--quiet", "--json", "-", "--output-dir", "silent"]);
    assert_eq!(stderr(&output), "");
    let results: Value = serde_json::from_slice(&output.stdout).expect("JSON alone");
    assert_eq!(results["phases"].as_array().map(Vec::len), Some(3));
    assert!(results["packed"]["bytes"].is_u64());
    // Those who resume may be quiet too.
    succeeds(gsb(folder.path()).args(["train", "--resume", "silent", "-q"]));
}

#[test]
fn a_table_says_what_it_trains_and_what_does_not_count() {
    let folder = folder();
    let file = "[recipe]\nseed = 5\nphases = [\"teacher\"]\n[recipe.model]\nvalue_groups = 1\n";
    std::fs::write(folder.path().join("run.toml"), file).expect("written");
    let mut table = gsb(folder.path());
    table.args([
        "table",
        "--short",
        "--seeds",
        "1",
        "--epochs",
        "1",
        "--per-class",
        "2",
    ]);
    table.args(["--table-dir", "t", "--json", "-", "--config", "run.toml"]);
    let output = ran(&mut table);
    let results: Value = serde_json::from_slice(&output.stdout).expect("JSON alone");
    assert_eq!(results["rows"].as_array().map(Vec::len), Some(5));
    let errors = stderr(&output);
    for (line, start) in errors.lines().zip([
        "recipe.phases of the configuration does not count",
        "recipe.seed of the configuration does not count",
        "recipe.model.value_groups of the configuration does not count",
        "training 1 of 6: seed 0: teacher",
        "training 2 of 6: seed 0: stage1-distilled",
        "training 3 of 6: seed 0: ",
    ]) {
        assert!(line.starts_with(start), "{errors}");
    }
    assert_eq!(errors.lines().count(), 3 + 6, "{errors}");
    // Each row is repeated by its file.
    let own: HashSet<String> = results["rows"].as_array().expect("rows")[1..]
        .iter()
        .map(|row| {
            let variant = &row["variant"];
            let groups = [&variant["attention_groups"], &variant["value_groups"]];
            format!(
                "a{}-v{}-distilled-2stage-row-residual.json",
                groups[0], groups[1]
            )
        })
        .chain(["float.json".into()])
        .collect();
    let rows = folder.path().join("t/rows");
    let files = std::fs::read_dir(&rows).expect("a folder").map(|file| {
        let name = file.expect("readable").file_name();
        name.into_string().expect("UTF-8")
    });
    assert_eq!(files.collect::<HashSet<_>>(), own);
    for (row, name) in [(0, "float"), (2, "a3-v1-distilled-2stage-row-residual")] {
        let config = format!("t/rows/{name}.json");
        let mut train = gsb(folder.path());
        train.args(["train", "--quiet", "--json", "-", "--config", &config]);
        let output = ran(&mut train);
        let repeated: Value = serde_json::from_slice(&output.stdout).expect("JSON alone");
        let phases = repeated["phases"].as_array().expect("phases");
        let top1 = &phases.last().expect("one")["top1"];
        assert_eq!(top1, &results["rows"][row]["top1"][0], "{name}");
    }
    assert_eq!(stderr(&ran(table.args(["--quiet"]))).lines().count(), 3);
}
