//! What happens to runs and their files in the real world: they are killed, moved, damaged, and lie on
//! file systems that can do less than others.

mod program;

use std::path::Path;
use std::process::Command;

use program::{fails_at_last as fails, folder, gsb, ran, read_json, stderr, stdout};

/// What a command writes to stdout and stderr that succeeds.
fn succeeds(command: &mut Command) -> (String, String) {
    let output = ran(command);
    let (stdout, stderr) = (stdout(&output), stderr(&output));
    assert!(output.status.success(), "{command:?}: {stderr}");
    (stdout, stderr)
}

/// Options of a run of a moment.
const TINY: [&str; 6] = ["--epochs", "1", "--per-class", "2", "--batch-size", "16"];

/// Images of one colour in `train/` and `val/`, in folders of the classes `cat` and `dog`.
fn pictures(folder: &Path) {
    for part in ["train", "val"] {
        for (class, value) in [("cat", 60), ("dog", 200)] {
            let place = folder.join(part).join(class);
            std::fs::create_dir_all(&place).expect("a folder");
            for number in 0..2u8 {
                image::GrayImage::from_pixel(16, 16, image::Luma([value + number]))
                    .save(place.join(format!("{number}.png")))
                    .expect("written");
            }
        }
    }
}

/// Options of a run of a moment on pictures.
const OF_PICTURES: [&str; 14] = [
    "train",
    "--data-set",
    "imagefolder",
    "--model",
    "micro",
    "--input-size",
    "16",
    "--epochs",
    "1",
    "--warmup-epochs",
    "0",
    "--batch-size",
    "4",
    "--config",
];

/// A configuration of two small blocks, for `OF_PICTURES`.
fn small(folder: &Path) {
    let text = r#"{"recipe": {"model": {"depth": 1}}}"#;
    std::fs::write(folder.join("small.json"), text).expect("written");
}

fn flip(path: &Path, at: impl Fn(usize) -> usize) {
    let mut bytes = std::fs::read(path).expect("a file");
    let at = at(bytes.len());
    bytes[at] ^= 4;
    std::fs::write(path, bytes).expect("written");
}

#[test]
fn a_configuration_repeats_its_run_to_the_last_bit() {
    let folder = folder();
    let mut command = gsb(folder.path());
    command.args(["train", "--phase", "teacher", "--output-dir", "first"]);
    command.args(["--epochs", "1", "--per-class", "2"]);
    // A rate that differs in its last digit when it is read carelessly.
    succeeds(command.args(["--batch-size", "17"]));
    let mut command = gsb(folder.path());
    command.args([
        "train",
        "--config",
        "first/config.json",
        "--output-dir",
        "second",
    ]);
    succeeds(&mut command);
    let config = |run: &str| {
        std::fs::read_to_string(folder.path().join(run).join("config.json")).expect("a file")
    };
    assert_eq!(config("second"), config("first"));
}

#[test]
fn configurations_may_begin_with_a_byte_order_mark() {
    let folder = folder();
    let mut command = gsb(folder.path());
    command.args(["train", "--phase", "teacher", "--output-dir", "first"]);
    succeeds(command.args(["--teacher-epochs", "1", "--per-class", "2"]));
    let marked = |from: &str, to: &str| {
        let text = std::fs::read_to_string(folder.path().join(from)).expect("a file");
        std::fs::write(folder.path().join(to), format!("\u{FEFF}{text}")).expect("a file");
    };
    marked("first/config.json", "run.json");
    let toml = "\u{FEFF}[data]\nper_class = 2\n[recipe]\nphases = [\"teacher\"]\n[recipe.teacher]\nepochs = 1\n";
    std::fs::write(folder.path().join("run.toml"), toml).expect("a file");
    for (config, output) in [("run.json", "second"), ("run.toml", "third")] {
        let mut command = gsb(folder.path());
        command.args(["train", "--config", config, "--output-dir", output]);
        succeeds(&mut command);
        let text = |run: &str| {
            let path = folder.path().join(run).join("config.json");
            std::fs::read_to_string(path).expect("a file")
        };
        assert_eq!(text(output), text("first"));
    }
    // An editor that saved the run's own file.
    marked("second/config.json", "second/config.json");
    let mut command = gsb(folder.path());
    succeeds(command.args(["train", "--resume", "second"]));

    let mut model = gsb_vit::VitConfig::micro().to_json();
    model.insert(0, '\u{FEFF}');
    std::fs::write(folder.path().join("model.json"), model).expect("a file");
    let mut command = gsb(folder.path());
    succeeds(command.args(["summary", "model.json"]));
}

#[test]
fn a_damaged_file_is_refused_by_whatever_reads_it() {
    let folder = folder();
    let mut train = gsb(folder.path());
    train.args(["train", "--output-dir", "run"]).args(TINY);
    succeeds(&mut train);
    let path = |name: &str| folder.path().join(name);
    for (name, commands) in [
        (
            "run/stage2.bpk",
            vec![
                vec!["test"],
                vec!["summary"],
                vec!["export", "-o", "out.safetensors"],
                vec!["pack", "-o", "out.safetensors"],
            ],
        ),
        (
            "run/stage2.packed.safetensors",
            vec![vec!["test"], vec!["inspect"], vec!["bench"]],
        ),
    ] {
        let whole = std::fs::read(path(name)).expect("a file");
        // In what says what the file holds, in the data of its tensors, at its end.
        for part in [0.01, 0.5, 1.0] {
            std::fs::write(path(name), &whole).expect("written");
            flip(&path(name), |len| ((len - 1) as f64 * part) as usize);
            for command in &commands {
                let mut gsb = gsb(folder.path());
                let message = fails(gsb.arg(command[0]).arg(name).args(&command[1..]));
                assert!(
                    message.contains(name) && message.contains("damaged"),
                    "{command:?}: {message}"
                );
            }
        }
        std::fs::write(path(name), &whole).expect("written");
    }
    assert!(!path("out.safetensors").exists());

    succeeds(gsb(folder.path()).args(["export", "run/teacher.bpk", "-o", "out.safetensors"]));
    flip(&path("out.safetensors"), |len| len / 2);
    let import = ["import", "out.safetensors", "-o", "again.bpk"];
    let message = fails(gsb(folder.path()).args(import));
    assert!(
        message.contains("out.safetensors: ") && message.contains("damaged"),
        "{message}"
    );
    flip(&path("run/teacher.bpk"), |len| len / 2);
    let message = fails(gsb(folder.path()).args(["train", "--teacher-path", "run/teacher.bpk"]));
    assert!(
        message.contains("run/teacher.bpk: ") && message.contains("damaged"),
        "{message}"
    );
    assert!(!path("again.bpk").exists() && !path("runs").exists());
}

#[test]
fn a_run_works_from_any_folder_and_after_its_data_moved() {
    let folder = folder();
    let path = |name: &str| folder.path().join(name);
    std::fs::create_dir_all(path("here/images")).expect("a folder");
    std::fs::create_dir_all(path("elsewhere")).expect("a folder");
    pictures(&path("here/images"));
    small(&path("here"));
    let mut command = gsb(&path("here"));
    command.args(OF_PICTURES).arg("small.json");
    succeeds(command.args([
        "--data-path",
        "images",
        "--phase",
        "teacher",
        "--output-dir",
        "run",
    ]));
    let mut command = gsb(&path("here"));
    command.args(OF_PICTURES).arg("small.json");
    command.args(["--data-path", "images", "--teacher-path", "run/teacher.bpk"]);
    succeeds(command.args(["--output-dir", "students"]));

    // From another folder.
    let elsewhere = || gsb(&path("elsewhere"));
    succeeds(elsewhere().args(["test", "../here/students/stage2.bpk"]));
    succeeds(elsewhere().args(["train", "--resume", "../here/students"]));
    let config = "../here/students/config.json";
    succeeds(elsewhere().args(["train", "--config", config, "--output-dir", "again"]));

    // The folders of the run and of its data are called otherwise now.
    std::fs::rename(path("here"), path("there")).expect("renamed");
    let students = "../there/students";
    let message = fails(elsewhere().args(["train", "--resume", students]));
    let images = path("here/images");
    assert!(message.starts_with("--data-path: "), "{message}");
    assert!(
        message.contains(images.to_str().expect("UTF-8")),
        "{message}"
    );
    let stage2 = "../there/students/stage2.bpk";
    assert!(fails(elsewhere().args(["test", stage2])).contains("--data-path"));
    succeeds(elsewhere().args(["test", stage2, "--data-path", "../there/images"]));
    let (text, _) = succeeds(elsewhere().args(["pack", stage2, "-o", "packed.safetensors"]));
    assert!(
        text.contains("are those of the run's imagefolder"),
        "{text}"
    );
    let (text, _) = succeeds(elsewhere().args(["inspect", "packed.safetensors"]));
    assert!(text.contains("2: cat, dog"), "{text}");

    // What is moved is said once.
    let resume = ["train", "--resume", students];
    succeeds(
        elsewhere()
            .args(resume)
            .args(["--data-path", "../there/images"]),
    );
    succeeds(elsewhere().args(resume));
    succeeds(elsewhere().args(["test", stage2]));
    let moved = &read_json(&path("there/students/config.json"))["data"]["path"];
    assert!(
        Path::new(moved.as_str().expect("a path")).is_absolute(),
        "{moved}"
    );
    let message = fails(elsewhere().args(resume).args(["--finetune", "x.bpk"]));
    assert!(message.starts_with("--finetune: "), "{message}");
    let output = elsewhere().args(resume).args(["--seed", "1"]).output();
    assert_eq!(output.expect("the program starts").status.code(), Some(2));
}

#[test]
fn a_table_goes_on_after_its_data_and_folder_moved() {
    let folder = folder();
    let path = |name: &str| folder.path().join(name);
    pictures(&path("images"));
    small(folder.path());
    let table = |data: &str, place: &str| {
        let mut command = gsb(folder.path());
        command.args(["table", "--short", "--seeds", "1"]);
        command
            .args(&OF_PICTURES[1..])
            .args(["small.json", "--data-path", data]);
        succeeds(command.args(["--table-dir", place])).0
    };
    let first = table("images", "table");
    std::fs::rename(path("images"), path("moved")).expect("renamed");
    std::fs::rename(path("table"), path("other")).expect("renamed");
    let report = path("other/seed-0/teacher/report.json");
    let written = || {
        std::fs::metadata(&report)
            .and_then(|file| file.modified())
            .expect("a file")
    };
    let before = written();
    assert_eq!(table("moved", "other"), first);
    assert_eq!(written(), before);
}

#[test]
fn a_table_of_levels_is_refused_before_anything_is_trained() {
    let folder = folder();
    let message = fails(gsb(folder.path()).args(["table", "--attention-bits", "2"]));
    assert!(
        message.contains("--attention-bits: the table compares groups"),
        "{message}"
    );
    assert!(!folder.path().join("runs").exists());
}

#[test]
fn a_refused_start_leaves_nothing() {
    let folder = folder();
    let path = |name: &str| folder.path().join(name);
    std::fs::create_dir(path("empty")).expect("a folder");
    std::fs::create_dir(path("folder.json")).expect("a folder");
    std::fs::write(path("no.bpk"), "no checkpoint").expect("written");
    std::fs::write(path("file"), "").expect("written");
    let content = |folder: &Path| {
        let entries = std::fs::read_dir(folder).expect("a folder");
        let mut names: Vec<_> = entries
            .map(|entry| entry.expect("an entry").file_name())
            .collect();
        names.sort();
        names
    };
    #[cfg(unix)]
    for (link, target) in [
        ("lost.json", "nowhere/x.json"),
        ("circle.json", "circle.json"),
    ] {
        std::os::unix::fs::symlink(target, path(link)).expect("a link");
    }
    let before = content(folder.path());
    let mut refused = vec![
        vec!["--data-set", "imagefolder", "--data-path", "empty"],
        vec!["--data-set", "imagefolder", "--data-path", "nowhere"],
        vec!["--teacher-path", "no.bpk"],
        vec!["--finetune", "nowhere.bpk"],
        vec!["--model", "deit"],
        vec!["--devices", "2", "--batch-size", "15"],
        vec!["--strategy", "ddp", "--devices", "2"],
        vec!["--json", "nowhere/out.json"],
        vec!["--json", "folder.json"],
        vec!["--json", "file/out.json"],
        vec!["--output-dir", "file/run"],
    ];
    if cfg!(unix) {
        refused.extend([vec!["--json", "lost.json"], vec!["--json", "circle.json"]]);
    }
    if cfg!(target_os = "linux") {
        refused.push(vec!["--json", "/dev/full"]);
        // Nobody, not even root, makes a file there.
        refused.push(vec!["--json", "/proc/out.json"]);
    }
    for arguments in refused {
        let message = fails(gsb(folder.path()).arg("train").args(&arguments));
        let named = arguments
            .iter()
            .any(|part| message.contains(part.trim_start_matches('-')));
        assert!(
            named || message.contains("batch_size"),
            "{arguments:?}: {message}"
        );
        assert_eq!(content(folder.path()), before, "{arguments:?}: {message}");
    }
    assert!(content(&path("empty")).is_empty());
}

#[test]
fn a_damaged_checkpoint_is_said_and_the_one_before_taken() {
    let folder = folder();
    let run = folder.path().join("run");
    let checkpoints = run.join("teacher/checkpoint");
    let mut child = gsb(folder.path())
        .args(["train", "--phase", "teacher", "--output-dir", "run"])
        .args(["--per-class", "6", "--epochs", "200"])
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("the program starts");
    while !checkpoints.join("epoch-4.json").exists() {
        assert!(child.try_wait().expect("a child").is_none(), "it ended");
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    child.kill().expect("killed");
    child.wait().expect("a child");
    // The last of the epochs that are complete.
    let epochs = (1..=200).filter(|epoch| checkpoints.join(format!("epoch-{epoch}.json")).exists());
    let last = epochs.max().expect("checkpoints");
    flip(&checkpoints.join(format!("model-{last}.bpk")), |len| {
        len / 2
    });
    let log = std::fs::read_to_string(run.join("log.jsonl")).expect("a log");
    // Two epochs are enough to see how it goes on.
    let mut child = gsb(folder.path())
        .args(["train", "--resume", "run"])
        .stderr(std::fs::File::create(folder.path().join("said")).expect("a file"))
        .spawn()
        .expect("the program starts");
    while !checkpoints
        .join(format!("epoch-{}.json", last + 1))
        .exists()
    {
        assert!(child.try_wait().expect("a child").is_none(), "it ended");
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    child.kill().expect("killed");
    child.wait().expect("a child");
    let said = std::fs::read_to_string(folder.path().join("said")).expect("a file");
    let left_out = format!("the checkpoint of epoch {last} is left out");
    assert!(
        said.contains(&left_out) && said.contains("damaged"),
        "{said}"
    );
    let goes_on = said
        .lines()
        .find_map(|line| line.strip_prefix("teacher goes on after epoch "));
    let kept: usize = goes_on
        .expect("where it goes on")
        .parse()
        .expect("a number");
    assert!(kept < last, "{said}");
    // What is kept of the log is what was written, byte by byte.
    let again = std::fs::read_to_string(run.join("log.jsonl")).expect("a log");
    let lines = |text: &str| {
        text.lines()
            .take(kept)
            .map(String::from)
            .collect::<Vec<_>>()
    };
    assert_eq!(lines(&again), lines(&log));
}

/// Runs a program as if the file system could not do some of what it is asked for.
#[cfg(target_os = "linux")]
fn without(calls: &[&str], folder: &Path) -> Option<Command> {
    let is_there = Command::new("strace").arg("-V").output().is_ok();
    if !is_there {
        println!("skipped: there is no strace");
        return None;
    }
    let mut command = Command::new("strace");
    command
        .current_dir(folder)
        .args(["-f", "-qq", "-o", "/dev/null"]);
    for call in calls {
        command.args(["-e", &format!("inject={call}")]);
    }
    command.arg(env!("CARGO_BIN_EXE_gsb"));
    Some(command)
}

#[cfg(target_os = "linux")]
#[test]
fn file_systems_without_locks_and_exclusive_names_will_do() {
    let folder = folder();
    let run = |name: &str, calls: &[&str]| {
        let mut command = without(calls, folder.path())?;
        command.args(["train", "--phase", "teacher", "--output-dir", name]);
        Some(succeeds(command.args(TINY)).1)
    };
    for error in ["ENOSYS", "EOPNOTSUPP", "ENOLCK"] {
        let Some(said) = run(error, &[&format!("flock:error={error}")]) else {
            return;
        };
        assert_eq!(
            said.matches("the file system has no locks").count(),
            1,
            "{said}"
        );
    }
    // FAT, network mounts, FUSE.
    for (name, calls) in [
        ("rename", vec!["renameat2:error=EINVAL"]),
        (
            "link",
            vec!["renameat2:error=EINVAL", "linkat,link:error=EPERM"],
        ),
        (
            "old",
            vec!["renameat2:error=ENOSYS", "linkat,link:error=EOPNOTSUPP"],
        ),
    ] {
        let said = run(name, &calls).expect("strace is there");
        assert!(!said.contains("locks"), "{said}");
        let again = fails(
            without(&calls, folder.path())
                .expect("strace is there")
                .args(["train", "--output-dir", name]),
        );
        assert!(again.contains("holds a run already"), "{again}");
        let left = std::fs::read_dir(folder.path().join(name)).expect("a folder");
        for entry in left {
            let name = entry.expect("an entry").file_name();
            assert!(!name.to_string_lossy().starts_with(".tmp"), "{name:?}");
        }
    }
}

#[test]
fn nothing_is_written_over_the_files_of_a_run() {
    let folder = folder();
    let path = |name: &str| folder.path().join(name);
    succeeds(
        gsb(folder.path())
            .args(["train", "--output-dir", "run"])
            .args(TINY),
    );
    let files = || {
        let entries = std::fs::read_dir(path("run")).expect("a folder");
        let entries = entries.map(|entry| entry.expect("an entry").path());
        let mut files: Vec<_> = entries
            .map(|path| (path.clone(), std::fs::read(path).expect("a file")))
            .collect();
        files.sort();
        files
    };
    let before = files();
    let refused = |arguments: &[&str], expected: &str| {
        let message = fails(gsb(folder.path()).args(arguments));
        assert!(message.contains(expected), "{arguments:?}: {message}");
    };
    std::fs::copy(
        path("run/stage2.packed.safetensors"),
        path("packed.safetensors"),
    )
    .expect("copied");
    std::fs::copy(path("run/config.json"), path("config.json")).expect("copied");
    let svg = "what is written is SVG, not what the name says: name it .svg";
    for name in [
        "run/log.jsonl",
        "run/config.json",
        "run/stage2.bpk",
        "p.png",
    ] {
        refused(&["plot", "run", "-o", name], svg);
    }
    refused(
        &["pack", "run/stage2.bpk", "-o", "run/teacher.bpk"],
        "name it .safetensors",
    );
    let bits = ["inspect", "packed.safetensors", "--bits", "run/stage2.bpk"];
    refused(&bits, "name it .png");
    for name in ["run/log.jsonl", "run/stage2.bpk"] {
        refused(
            &["train", "--resume", "run", "--json", name],
            "name it .json",
        );
    }
    let own = "a file of the run would be overwritten";
    for name in ["config.json", "environment.json", "report.json"] {
        let name = format!("run/{name}");
        refused(&["train", "--resume", "run", "--json", &name], own);
    }
    let config = ["train", "--config", "config.json", "--json", "config.json"];
    refused(&[&config[..], &["--output-dir", "other"]].concat(), own);
    let new = [
        "train",
        "--output-dir",
        "other",
        "--json",
        "other/stage2.bpk",
    ];
    refused(&new, "name it .json");
    assert!(files() == before);
    assert!(!path("other").exists());

    // What the run can be known by is gone, but not what would be lost.
    for gone in ["config.json", "report.json"] {
        std::fs::remove_file(path("run").join(gone)).expect("removed");
        refused(
            &["train", "--output-dir", "run"],
            "run holds a run already (",
        );
    }
    std::fs::copy(path("config.json"), path("run/config.json")).expect("copied");
    refused(
        &["train", "--resume", "run"],
        "it does not have teacher, but there is its model",
    );
}

#[test]
fn a_student_that_cannot_be_written_is_a_failure_and_costs_no_results() {
    let folder = folder();
    succeeds(
        gsb(folder.path())
            .args(["train", "--output-dir", "run"])
            .args(TINY),
    );
    std::fs::write(folder.path().join("run/stage2.bpk"), "").expect("written");
    let output = ran(gsb(folder.path()).args(["train", "--resume", "run"]));
    assert_eq!(output.status.code(), Some(1));
    assert!(stdout(&output).contains("stage2 "), "{}", stdout(&output));
    let said = stderr(&output);
    assert!(
        said.contains("error: the student is not packed: run/stage2.bpk"),
        "{said}"
    );
}

#[test]
fn the_configuration_of_a_downloaded_model_is_none_of_a_run() {
    let folder = folder();
    let path = |name: &str| folder.path().join(name);
    succeeds(
        gsb(folder.path())
            .args(["train", "--output-dir", "run"])
            .args(TINY),
    );
    std::fs::create_dir(path("hub")).expect("a folder");
    std::fs::copy(path("run/stage2.bpk"), path("hub/stage2.bpk")).expect("copied");
    let text = r#"{"architectures": ["ViTForImageClassification"], "model_type": "vit"}"#;
    std::fs::write(path("hub/config.json"), text).expect("written");
    succeeds(gsb(folder.path()).args(["test", "hub/stage2.bpk", "--data-set", "digits"]));
    let pack = ["pack", "hub/stage2.bpk", "-o", "packed.safetensors"];
    let (said, _) = succeeds(gsb(folder.path()).args(pack));
    assert!(said.contains("the checkpoint lies in no run"), "{said}");
}

#[test]
fn a_table_looks_at_what_it_starts_from_before_it_trains() {
    let folder = folder();
    for (option, value, expected) in [
        ("--init", "nofile", "nofile: "),
        ("--finetune", "nofile", "nofile: "),
        ("--heads", "3", "--heads: "),
    ] {
        let mut command = gsb(folder.path());
        command.args([
            "table",
            "--short",
            "--seeds",
            "1",
            "--table-dir",
            "table",
            option,
            value,
        ]);
        let output = ran(command.args(["--epochs", "1", "--per-class", "2"]));
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(
            said.contains(expected) && !said.contains("training 1"),
            "{said}"
        );
    }
}

/// With more kills: `tools/kill`.
#[cfg(unix)]
#[test]
fn a_run_that_is_killed_at_random_ends_as_one_that_is_not() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tools/kill");
    let mut command = Command::new(script);
    command.arg("8").env("GSB", env!("CARGO_BIN_EXE_gsb"));
    let (text, _) = succeeds(command.env("EPOCHS", "3"));
    assert!(
        text.contains("8 kills in ") && text.ends_with("nothing is left\n"),
        "{text}"
    );
}
