//! The program as its user sees it.

use std::process::{Command, Output};

fn gsb(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_gsb"))
        .args(arguments)
        .output()
        .expect("the program starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("the output is UTF-8")
}

#[test]
fn wrong_usage_names_the_option_and_exits_with_2() {
    for (option, value) in [
        ("--stage2-epochs", "0"),
        ("--batch-size", "0"),
        ("--distillation-alpha", "2"),
        ("--data-set", "moons"),
        ("--phase", "stage3"),
        ("--lr", "-1"),
        ("--device", "abacus"),
        ("--epoch", "1"),
    ] {
        let output = gsb(&[option, value]);
        assert_eq!(output.status.code(), Some(2), "{option}");
        assert_eq!(text(&output.stdout), "");
        let message = text(&output.stderr);
        assert!(message.contains(option), "{message}");
        assert!(!message.contains("panicked"), "{message}");
    }
}

#[test]
fn help_lists_the_options() {
    let output = gsb(&["--help"]);
    assert_eq!(output.status.code(), Some(0));
    let help = text(&output.stdout);
    for option in [
        "--data-set",
        "--data-path",
        "--model",
        "--epochs",
        "--batch-size",
        "--lr",
        "--weight-decay",
        "--teacher-path",
        "--finetune",
        "--resume",
        "--output-dir",
        "--seed",
        "--device",
        "--distillation-type",
        "--distillation-alpha",
    ] {
        assert!(help.contains(option), "{help}");
    }
}

#[test]
fn every_shell_gets_its_completions() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = succeeds(&["completions", shell]);
        for word in ["inspect", "stage2-epochs"] {
            assert!(script.contains(word), "{shell}: {script}");
        }
    }
    let output = gsb(&["completions", "abacus"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("abacus"));
}

#[cfg(unix)]
#[test]
fn bash_completes_a_command_and_a_value() {
    let completed = |words: &str| {
        let script = format!(
            "source <(\"$0\" completions bash); COMP_WORDS=(gsb {words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); \
             _gsb gsb \"${{COMP_WORDS[-1]}}\" \"${{COMP_WORDS[-2]}}\"; echo \"${{COMPREPLY[@]}}\""
        );
        let output = Command::new("bash")
            .args(["-c", &script, env!("CARGO_BIN_EXE_gsb")])
            .output()
            .expect("bash starts");
        assert_eq!(text(&output.stderr), "");
        text(&output.stdout).trim().to_string()
    };
    assert_eq!(completed("insp"), "inspect");
    assert_eq!(completed("predict --orientation up"), "upright");
    assert_eq!(completed("train --stage2-e"), "--stage2-epochs");
}

/// A tiny student of stage 2 that the published code has saved.
const PUBLISHED: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../tests/golden/d_ckpt_stage2.pth"
);

fn succeeds(arguments: &[&str]) -> String {
    let output = gsb(arguments);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    text(&output.stdout)
}

/// What a run says that fails, after "error: ".
fn fails(arguments: &[&str]) -> String {
    let output = gsb(arguments);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}");
    assert_eq!(text(&output.stdout), "");
    let message = text(&output.stderr);
    assert_eq!(message.lines().count(), 1, "{message}");
    message.strip_prefix("error: ").expect(&message).to_string()
}

#[test]
fn a_summary_of_a_preset_a_file_and_json() {
    let preset = "deit_small_distilled_patch16_224";
    let small = succeeds(&["summary", preset]);
    assert!(small.contains("25,306,500"), "{small}");
    assert!(succeeds(&["summary", preset, "--phase", "teacher"]).contains("22,436,432"));
    assert!(succeeds(&["summary", preset, "--layers"]).contains("attention_shift"));
    assert!(succeeds(&["summary", PUBLISHED]).contains("11,456"));
    let json = succeeds(&["summary", "micro", "--json", "--classes", "3"]);
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json["config"]["classes"], 3);

    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("config.json");
    std::fs::write(&file, json["config"].to_string()).expect("written");
    let file = file.to_str().expect("UTF-8");
    assert!(succeeds(&["summary", file]).contains("classes      3"));
    std::fs::write(file, "{").expect("written");
    assert!(fails(&["summary", file]).contains("config.json: not a configuration"));
}

#[test]
fn a_checkpoint_goes_in_and_out() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| {
        folder
            .path()
            .join(name)
            .to_str()
            .expect("UTF-8")
            .to_string()
    };
    let (native, published, again) = (path("a.bpk"), path("a.safetensors"), path("b.bpk"));
    let report = succeeds(&["import", PUBLISHED, "-o", &native]);
    assert!(report.starts_with("stage2: 83 loaded\n"), "{report}");
    succeeds(&["export", &native, "-o", &published]);
    let report = succeeds(&["import", &published, "-o", &again, "--json"]);
    let report: serde_json::Value = serde_json::from_str(&report).expect("JSON");
    assert_eq!(report["loaded"].as_array().map(Vec::len), Some(83));
    assert!(succeeds(&["summary", &again]).starts_with("phase        stage2"));
    let report = succeeds(&["import", PUBLISHED, "-o", &again, "--classes", "3"]);
    assert!(report.contains("10 reinitialized"), "{report}");
}

#[test]
fn what_cannot_be_converted_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = folder.path().join("out");
    let output = output.to_str().expect("UTF-8");
    let message = fails(&["import", "missing.pth", "-o", output]);
    assert!(message.contains("missing.pth"), "{message}");
    let message = fails(&["export", PUBLISHED, "-o", output]);
    assert!(
        message.contains("d_ckpt_stage2.pth: not a checkpoint"),
        "{message}"
    );
    // The shift of the attention matrix does not resize.
    let message = fails(&["import", PUBLISHED, "-o", output, "--image-size", "32"]);
    assert!(message.contains("blocks.0.attn.move_att.bias"), "{message}");
    succeeds(&[
        "import",
        PUBLISHED,
        "-o",
        output,
        "--image-size",
        "32",
        "--lenient",
    ]);
    let message = fails(&["summary", "deit_huge"]);
    assert!(message.contains("deit_tiny_patch16_224"), "{message}");
}
