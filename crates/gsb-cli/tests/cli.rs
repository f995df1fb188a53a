//! The program as its user sees it.

mod program;

use std::path::Path;
use std::process::{Command, Output};

use program::{PUBLISHED, folder, stderr, stdout};

fn gsb(arguments: &[&str]) -> Command {
    let mut command = program::gsb(Path::new("."));
    command.args(arguments);
    command
}

fn ran(arguments: &[&str]) -> Output {
    program::ran(&mut gsb(arguments))
}

fn succeeds(arguments: &[&str]) -> String {
    program::succeeds(&mut gsb(arguments))
}

fn fails(arguments: &[&str]) -> String {
    program::fails(&mut gsb(arguments))
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
        let output = ran(&[option, value]);
        assert_eq!(output.status.code(), Some(2), "{option}");
        assert_eq!(stdout(&output), "");
        let message = stderr(&output);
        assert!(message.contains(option), "{message}");
    }
}

#[test]
fn help_lists_the_options() {
    let output = ran(&["--help"]);
    assert_eq!(output.status.code(), Some(0));
    let help = stdout(&output);
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
    let output = ran(&["completions", "abacus"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("abacus"));
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
        assert_eq!(stderr(&output), "");
        stdout(&output).trim().to_string()
    };
    assert_eq!(completed("insp"), "inspect");
    assert_eq!(completed("predict --orientation up"), "upright");
    assert_eq!(completed("train --stage2-e"), "--stage2-epochs");
}

#[test]
fn a_summary_of_a_preset_a_file_and_json() {
    let preset = "deit_small_distilled_patch16_224";
    let small = succeeds(&["summary", preset]);
    assert!(small.contains("25,306,500"), "{small}");
    assert!(succeeds(&["summary", preset, "--phase", "teacher"]).contains("22,436,432"));
    assert!(succeeds(&["summary", preset, "--layers"]).contains("attention_shift"));
    assert!(succeeds(&["summary", PUBLISHED]).contains("11,456"));
    assert_eq!(succeeds(&["summary", "deit-small"]), small);
    let presets = succeeds(&["summary", "--list"]);
    assert!(presets.lines().any(|name| name == preset), "{presets}");
    let config = succeeds(&["summary", "micro", "--config", "--classes", "3"]);
    let config = gsb_vit::VitConfig::from_json(&config).unwrap();
    assert_eq!(
        (config.width, config.patch_size, config.classes),
        (64, 2, 3)
    );
    let json = succeeds(&["summary", "micro", "--json", "--classes", "3"]);
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json["config"]["classes"], 3);

    let folder = folder();
    let file = folder.path().join("config.json");
    std::fs::write(&file, json["config"].to_string()).expect("written");
    let file = file.to_str().expect("UTF-8");
    assert!(succeeds(&["summary", file]).contains("classes      3"));
    std::fs::write(file, "{").expect("written");
    assert!(fails(&["summary", file]).contains("config.json: not a configuration"));
}

#[test]
fn a_checkpoint_goes_in_and_out() {
    let folder = folder();
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
    let folder = folder();
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
