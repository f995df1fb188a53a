//! Checkpoints as people have them, from the command line.

mod program;
#[path = "../../gsb-checkpoint/tests/common/write.rs"]
mod write;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use gsb_checkpoint::{Take, TensorFile, Values};
use program::{PUBLISHED, folder, ran, stderr};
use serde_json::Value;
use tempfile::TempDir;
use write::{Tree, dict, legacy, pth, safetensors, scalar};

fn gsb(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = program::gsb(folder);
    command.args(arguments);
    command
}

fn succeeds(folder: &Path, arguments: &[&str]) -> String {
    program::succeeds(&mut gsb(folder, arguments))
}

fn fails(folder: &Path, arguments: &[&str]) -> String {
    program::fails(&mut gsb(folder, arguments))
}

/// What a command says on stderr that succeeds.
fn says(folder: &Path, arguments: &[&str]) -> String {
    let output = ran(&mut gsb(folder, arguments));
    let said = stderr(&output);
    assert!(output.status.success(), "{arguments:?}: {said}");
    said
}

/// The tensors of a checkpoint.
fn tensors(path: impl AsRef<Path>) -> Vec<(String, Tree)> {
    let file = TensorFile::open(path, Take::Weights).expect("a checkpoint");
    let tensor = |name: &str| {
        let tensor = file.read(name).expect("a tensor");
        let values = match tensor.values {
            Values::Floats(values) => values,
            Values::Integers(values) => values.iter().map(|&value| value as f32).collect(),
        };
        (name.to_string(), Tree::Tensor(tensor.shape, values))
    };
    file.names().map(tensor).collect()
}

/// The same with other names.
fn renamed(tensors: &[(String, Tree)], name: impl Fn(&str) -> String) -> Vec<(String, Tree)> {
    let renamed = tensors.iter();
    renamed
        .map(|(old, tensor)| (name(old), tensor.clone()))
        .collect()
}

fn prefixed(tensors: &[(String, Tree)], prefix: &str) -> Tree {
    Tree::OrderedDict(renamed(tensors, |name| format!("{prefix}{name}")))
}

/// The same with one value in place of all of a tensor's.
fn with(tensors: &[(String, Tree)], changed: &str, value: f32) -> Vec<(String, Tree)> {
    let mut tensors = tensors.to_vec();
    let (_, tensor) = tensors
        .iter_mut()
        .find(|(name, _)| name == changed)
        .expect("a tensor of that name");
    if let Tree::Tensor(_, values) = tensor {
        values.fill(value);
    }
    tensors
}

fn write(folder: &Path, name: &str, bytes: Vec<u8>) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, bytes).expect("written");
    path
}

/// A way to save a state dict.
struct Case {
    name: &'static str,
    tree: Tree,
    /// Where in the file it is.
    key: &'static str,
    /// What its names begin with.
    prefixes: &'static [&'static str],
    /// How many of its tensors do not count.
    ignored: usize,
}

/// The same state dict, as people save it.
fn saved(all: &[(String, Tree)]) -> Vec<Case> {
    let good = || prefixed(all, "");
    let settings = || dict([("name", Tree::Text("deit".into())), ("depth", Tree::Int(2))]);
    let mut counted = renamed(all, |name| format!("module.{name}"));
    counted.insert(0, ("n_averaged".into(), scalar(3.0)));
    let mut profiled = all.to_vec();
    for name in ["total_ops", "total_params", "blocks.0.attn.total_ops"] {
        profiled.push((name.into(), scalar(0.0)));
    }
    let inner = renamed(all, |name| name.replace("blocks.0.", "blocks.0._orig_mod."));
    vec![
        Case {
            name: "2.1",
            tree: dict([("model", prefixed(all, "_orig_mod."))]),
            key: "model",
            prefixes: &["_orig_mod."],
            ignored: 0,
        },
        Case {
            name: "2.1 around module",
            tree: dict([("model", prefixed(all, "_orig_mod.module."))]),
            key: "model",
            prefixes: &["_orig_mod.", "module."],
            ignored: 0,
        },
        Case {
            name: "2.1 within module",
            tree: dict([("model", prefixed(all, "module._orig_mod."))]),
            key: "model",
            prefixes: &["_orig_mod.", "module."],
            ignored: 0,
        },
        Case {
            name: "2.1 of blocks",
            tree: Tree::OrderedDict(inner),
            key: "",
            prefixes: &["_orig_mod."],
            ignored: 0,
        },
        Case {
            name: "2.3",
            tree: dict([("epoch", Tree::Int(1)), ("model_state_dict", good())]),
            key: "model_state_dict",
            prefixes: &[],
            ignored: 0,
        },
        Case {
            name: "2.3 nested",
            tree: dict([("model", dict([("state_dict", good())]))]),
            key: "model.state_dict",
            prefixes: &[],
            ignored: 0,
        },
        Case {
            name: "2.4",
            tree: dict([("model", settings()), ("state_dict", good())]),
            key: "state_dict",
            prefixes: &[],
            ignored: 0,
        },
        Case {
            name: "2.4 in a list",
            tree: Tree::List(vec![settings(), good()]),
            key: "[1]",
            prefixes: &[],
            ignored: 0,
        },
        Case {
            name: "2.4 under its own key",
            tree: dict([("mine", good()), ("config", settings())]),
            key: "mine",
            prefixes: &[],
            ignored: 0,
        },
        Case {
            name: "2.5",
            tree: dict([
                ("epoch", Tree::Int(3)),
                ("state_dict", prefixed(all, "model.")),
            ]),
            key: "state_dict",
            prefixes: &["model."],
            ignored: 0,
        },
        Case {
            name: "a counter among the names",
            tree: Tree::OrderedDict(counted),
            key: "",
            prefixes: &["module."],
            ignored: 1,
        },
        Case {
            name: "leftovers of a profiler",
            tree: dict([("model", Tree::Dict(profiled))]),
            key: "model",
            prefixes: &[],
            ignored: 3,
        },
    ]
}

#[test]
fn the_state_dict_is_found_and_the_report_says_where() {
    let folder = folder();
    for Case {
        name: case,
        tree,
        key,
        prefixes,
        ignored,
    } in saved(&tensors(PUBLISHED))
    {
        // 2.9: each of them in both formats.
        for bytes in [pth(&tree), legacy(&tree)] {
            write(folder.path(), "a.pth", bytes);
            let report = succeeds(folder.path(), &["import", "a.pth", "-o", "a.bpk", "--json"]);
            let report: Value = serde_json::from_str(&report).expect("JSON");
            assert_eq!(
                report["loaded"].as_array().map(Vec::len),
                Some(83),
                "{case}: {report}"
            );
            assert_eq!(
                report["file"]["key"].as_str().unwrap_or_default(),
                key,
                "{case}"
            );
            assert_eq!(
                report["file"]["prefixes"],
                serde_json::json!(prefixes),
                "{case}"
            );
            assert_eq!(
                report["ignored"].as_array().map(Vec::len),
                Some(ignored),
                "{case}"
            );
            assert!(
                report["assumed"][0]
                    .as_str()
                    .is_some_and(|said| said.contains("--scope"))
            );
        }
        let report = succeeds(folder.path(), &["import", "a.pth", "-o", "a.bpk"]);
        assert!(report.starts_with("stage2: 83 loaded"), "{case}: {report}");
        assert!(
            report.contains(key) && report.contains("written to a.bpk"),
            "{report}"
        );
        for prefix in prefixes {
            assert!(report.contains(prefix), "{report}");
        }
        // The other commands find it too.
        assert!(succeeds(folder.path(), &["summary", "a.pth"]).contains("stage2"));
    }
    succeeds(folder.path(), &["pack", "a.pth", "-o", "a.safetensors"]);
}

#[test]
fn prefixes_in_safetensors() {
    let folder = folder();
    let mut all = renamed(&tensors(PUBLISHED), |name| {
        format!("module._orig_mod.model.{name}")
    });
    all.push(("n_averaged".into(), scalar(1.0)));
    write(folder.path(), "a.safetensors", safetensors(&all));
    let import = ["import", "a.safetensors", "-o", "a.bpk"];
    // 1.3: nothing says which thresholds it was trained with.
    let message = fails(folder.path(), &import);
    assert!(
        message.contains("a.safetensors") && message.contains("--scope"),
        "{message}"
    );
    assert!(!folder.path().join("a.bpk").exists());
    let report = succeeds(
        folder.path(),
        &[&import[..], &["--scope", "batch"]].concat(),
    );
    assert!(report.starts_with("stage2: 83 loaded"), "{report}");
    assert!(report.contains("_orig_mod., module., model."), "{report}");
    let summary = succeeds(folder.path(), &["summary", "a.bpk", "--json"]);
    let summary: Value = serde_json::from_str(&summary).expect("JSON");
    assert_eq!(summary["config"]["scope"], "Batch");
}

#[test]
fn a_model_without_heads_needs_its_classes() {
    let folder = folder();
    let mut all = tensors(PUBLISHED);
    all.retain(|(name, _)| !name.starts_with("head"));
    write(folder.path(), "a.pth", pth(&Tree::OrderedDict(all)));
    let message = fails(folder.path(), &["import", "a.pth", "-o", "a.bpk"]);
    assert!(
        message.contains("a.pth") && message.contains("--classes"),
        "{message}"
    );
    let report = succeeds(
        folder.path(),
        &["import", "a.pth", "-o", "a.bpk", "--classes", "7"],
    );
    assert!(
        report.starts_with("stage2: 73 loaded; 10 reinitialized: head.weight"),
        "{report}"
    );
    let summary = succeeds(folder.path(), &["summary", "a.bpk"]);
    assert!(summary.contains("classes      7"), "{summary}");
}

#[test]
fn an_average_beside_the_weights() {
    let folder = folder();
    let all = tensors(PUBLISHED);
    let untrained = Tree::OrderedDict(with(&all, "norm.bias", 0.25));
    let average = Tree::OrderedDict(with(&all, "norm.bias", 0.75));
    let both = [("model", untrained), ("model_ema", average.clone())];
    write(folder.path(), "a.pth", pth(&dict(both)));
    let bias = |arguments: &[&str]| {
        let report = succeeds(
            folder.path(),
            &[&["import"][..], arguments, &["-o", "a.bpk"]].concat(),
        );
        succeeds(folder.path(), &["export", "a.bpk", "-o", "a.safetensors"]);
        let bias = tensors(folder.path().join("a.safetensors"))
            .into_iter()
            .find(|(name, _)| name == "norm.bias");
        let Some((_, Tree::Tensor(_, values))) = bias else {
            panic!("no tensor");
        };
        (report, values[0])
    };
    let (report, value) = bias(&["a.pth"]);
    assert_eq!(value, 0.25);
    assert!(
        report.contains("model_ema and was not taken: --ema takes it"),
        "{report}"
    );
    let (report, value) = bias(&["a.pth", "--ema"]);
    assert_eq!(value, 0.75);
    assert!(
        report.contains("an average of the weights was taken"),
        "{report}"
    );
    // Alone, it is what there is.
    write(folder.path(), "b.pth", pth(&dict([("model_ema", average)])));
    let (report, value) = bias(&["b.pth"]);
    assert_eq!(value, 0.75);
    assert!(
        report.contains("an average of the weights was taken"),
        "{report}"
    );
    let message = fails(
        folder.path(),
        &["import", PUBLISHED, "--ema", "-o", "c.bpk"],
    );
    assert!(
        message.contains("no average") && message.contains("leave out --ema"),
        "{message}"
    );
}

#[test]
fn extras_are_named_and_can_be_left_out() {
    let folder = folder();
    let mut all = tensors(PUBLISHED);
    all.push(("extra.weight".into(), scalar(1.0)));
    write(folder.path(), "a.pth", pth(&Tree::OrderedDict(all)));
    let message = fails(folder.path(), &["import", "a.pth", "-o", "a.bpk"]);
    assert!(message.contains("1 unexpected: extra.weight"), "{message}");
    assert!(message.contains("--lenient"), "{message}");
    succeeds(
        folder.path(),
        &["import", "a.pth", "-o", "a.bpk", "--lenient"],
    );
}

#[test]
fn a_weight_that_is_not_finite_is_named() {
    let folder = folder();
    for value in [f32::NAN, f32::INFINITY] {
        let all = with(&tensors(PUBLISHED), "blocks.1.norm1.weight", value);
        for bytes in [pth(&Tree::OrderedDict(all.clone())), safetensors(&all)] {
            write(folder.path(), "a.pth", bytes);
            let import = ["import", "a.pth", "-o", "a.bpk", "--scope", "batch"];
            let message = fails(folder.path(), &import);
            assert!(
                message.contains("a.pth: blocks.1.norm1.weight holds"),
                "{message}"
            );
            assert!(!folder.path().join("a.bpk").exists());
        }
    }
}

#[test]
fn a_name_that_promises_another_format_is_refused() {
    let folder = folder();
    for name in ["a.safetensors", "a.pth", "a.PT", "a.bin", "a.ckpt"] {
        let message = fails(folder.path(), &["import", PUBLISHED, "-o", name]);
        assert!(
            message.contains(name) && message.contains("gsb export"),
            "{message}"
        );
    }
    succeeds(folder.path(), &["import", PUBLISHED, "-o", "a.bpk"]);
    for name in ["b.bpk", "b.pth"] {
        let message = fails(folder.path(), &["export", "a.bpk", "-o", name]);
        assert!(
            message.contains(name) && message.contains(".safetensors"),
            "{message}"
        );
    }
    let left = std::fs::read_dir(folder.path()).expect("a folder");
    assert_eq!(left.count(), 1);
}

#[test]
fn what_is_no_checkpoint_is_named() {
    let folder = folder();
    for (name, bytes, expected) in [
        ("empty.pth", &b""[..], "an empty file"),
        ("page.pth", b"<!DOCTYPE html>\n<html>", "a web page"),
        (
            "pointer.bin",
            b"version https://git-lfs.github.com/spec/v1\n",
            "git lfs pull",
        ),
    ] {
        write(folder.path(), name, bytes.to_vec());
        for arguments in [
            &["import", name, "-o", "a.bpk"][..],
            &["summary", name],
            &["test", name, "--data-set", "digits"],
            &["pack", name, "-o", "a.safetensors"],
            &["train", "--teacher-path", name, "--output-dir", "run"],
            &["train", "--finetune", name, "--output-dir", "run"],
            &["train", "--stage1-path", name, "--output-dir", "run"],
        ] {
            let message = fails(folder.path(), arguments);
            assert!(
                message.contains(name) && message.contains(expected),
                "{message}"
            );
        }
    }
    std::fs::create_dir(folder.path().join("model")).expect("a folder");
    write(folder.path(), "model/pytorch_model.bin", pth(&dict([])));
    for arguments in [
        &["import", "model", "-o", "a.bpk"][..],
        &["export", "model", "-o", "a.safetensors"],
        &["summary", "model"],
        &["train", "--teacher-path", "model", "--output-dir", "run"],
    ] {
        let message = fails(folder.path(), arguments);
        assert!(
            message.contains("a folder") && message.contains("model/pytorch_model.bin"),
            "{message}"
        );
    }
    assert!(!folder.path().join("run").exists() && !folder.path().join("a.bpk").exists());
}

/// Options of a run of seconds.
const SHORT: [&str; 7] = [
    "train",
    "--epochs",
    "1",
    "--per-class",
    "2",
    "--batch-size",
    "10",
];

/// What people start runs from: a trained teacher and stage-1 student, in their own files and as tensors with
/// the published names. Trained once for all tests.
struct Trained {
    folder: TempDir,
    teacher: Vec<(String, Tree)>,
    stage1: Vec<(String, Tree)>,
}

impl Trained {
    fn once() -> &'static Self {
        static TRAINED: OnceLock<Trained> = OnceLock::new();
        TRAINED.get_or_init(|| {
            let folder = folder();
            let phases = ["--output-dir", ".", "--phase", "teacher,stage1"];
            succeeds(folder.path(), &start(&phases));
            let [teacher, stage1] = ["teacher", "stage1"].map(|phase| {
                let (from, to) = (format!("{phase}.bpk"), format!("{phase}.safetensors"));
                succeeds(folder.path(), &["export", &from, "-o", &to]);
                tensors(folder.path().join(to))
            });
            Self {
                folder,
                teacher,
                stage1,
            }
        })
    }

    /// The file of the teacher.
    fn teacher_file(&self) -> String {
        let path = self.folder.path().join("teacher.bpk");
        path.to_str().expect("UTF-8").to_string()
    }
}

/// `gsb train` for a moment, with more options.
fn start<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&SHORT[..], more].concat()
}

#[test]
fn a_start_is_asked_for_its_heads() {
    let folder = folder();
    let teacher = prefixed(&Trained::once().teacher, "module._orig_mod.");
    // 1.3: four heads of 16 channels, of which the tensors do not tell.
    let bytes = legacy(&dict([("state_dict", teacher)]));
    write(folder.path(), "teacher.pth", bytes);
    for option in ["--teacher-path", "--finetune"] {
        let start = start(&["--output-dir", "run", option, "teacher.pth"]);
        let message = fails(folder.path(), &start);
        assert!(
            message.contains("teacher.pth") && message.contains("--heads"),
            "{message}"
        );
        assert!(!folder.path().join("run").exists());
        let said = says(folder.path(), &[&start[..], &["--heads", "4"]].concat());
        assert!(
            said.contains("teacher.pth: ") && said.contains("_orig_mod., module."),
            "{said}"
        );
        std::fs::remove_dir_all(folder.path().join("run")).expect("a run");
    }
    let finetune = ["--output-dir", "run", "--finetune", "teacher.pth"];
    let other = [&start(&finetune)[..], &["--heads", "2"]].concat();
    let message = fails(folder.path(), &other);
    assert!(
        message.contains("a model of 2 heads, but that of the run has 4"),
        "{message}"
    );
    // The heads are those of the file, not of the student.
    let summary = ["summary", "teacher.pth"];
    assert!(fails(folder.path(), &summary).contains("--heads"));
    let import = ["import", "teacher.pth", "-o", "teacher.bpk", "--heads", "4"];
    succeeds(folder.path(), &import);
    let summary = succeeds(folder.path(), &["summary", "teacher.bpk", "--json"]);
    let summary: Value = serde_json::from_str(&summary).expect("JSON");
    assert_eq!(summary["config"]["heads"], 4);
}

#[test]
fn a_model_without_heads_is_finetuned_and_teaches_nobody() {
    let folder = folder();
    let mut headless = Trained::once().teacher.clone();
    headless.retain(|(name, _)| !name.starts_with("head"));
    let bytes = pth(&Tree::OrderedDict(headless));
    write(folder.path(), "headless.pth", bytes);
    let of = |option| {
        let start = start(&["--output-dir", "run", "--heads", "4"]);
        [&start[..], &[option, "headless.pth"]].concat()
    };
    assert!(fails(folder.path(), &of("--teacher-path")).contains("no head"));
    assert!(!folder.path().join("run").exists());
    let said = says(folder.path(), &of("--finetune"));
    assert!(said.contains("2 reinitialized: head.weight"), "{said}");
}

#[test]
fn stage_2_starts_from_a_file_of_stage_1() {
    let folder = folder();
    let trained = Trained::once();
    // 2.5, and the shapes tell its heads.
    let bytes = pth(&dict([("state_dict", prefixed(&trained.stage1, "model."))]));
    write(folder.path(), "stage1.pth", bytes);
    let teacher = trained.teacher_file();
    let from = ["--stage1-path", "stage1.pth", "--teacher-path", &teacher];
    succeeds(folder.path(), &start(&from));
}

/// An average, a weight that is not finite, a tensor that is missing.
#[test]
fn a_start_that_cannot_be_used_is_refused_and_an_average_is_taken() {
    let folder = folder();
    let teacher = &Trained::once().teacher;
    let good = Tree::OrderedDict(teacher.clone());
    let bad = Tree::OrderedDict(with(teacher, "norm.weight", f32::NAN));
    let bytes = pth(&dict([("model", bad), ("ema", good)]));
    write(folder.path(), "ema.pth", bytes);
    let of = |file| {
        let start = start(&["--output-dir", "run", "--heads", "4"]);
        [&start[..], &["--teacher-path", file]].concat()
    };
    let message = fails(folder.path(), &of("ema.pth"));
    assert!(message.contains("ema.pth: norm.weight holds"), "{message}");

    let mut lacking = teacher.clone();
    lacking.retain(|(name, _)| name != "norm.bias");
    let bytes = pth(&Tree::OrderedDict(lacking));
    write(folder.path(), "lacking.pth", bytes);
    let message = fails(folder.path(), &of("lacking.pth"));
    assert!(message.contains("1 missing: norm.bias"), "{message}");

    let own = Trained::once().teacher_file();
    let without = start(&["--output-dir", "run", "--ema", "--teacher-path", &own]);
    assert!(fails(folder.path(), &without).starts_with("--ema: "));
    assert!(!folder.path().join("run").exists());

    let said = says(folder.path(), &[&of("ema.pth")[..], &["--ema"]].concat());
    assert!(
        said.contains("an average of the weights was taken"),
        "{said}"
    );
}
