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

/// The result of a short run, less the column of seconds.
fn short_run(seed: &str) -> Vec<Vec<String>> {
    let epochs = |phase| [phase, "1"];
    let mut arguments = vec!["--seed", seed, "--batch-size", "128"];
    arguments.extend(epochs("--teacher-epochs"));
    arguments.extend(epochs("--stage1-epochs"));
    arguments.extend(epochs("--stage2-epochs"));
    let output = gsb(&arguments);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(text(&output.stderr), "", "no progress off a terminal");
    let rows = text(&output.stdout);
    rows.lines()
        .map(|row| {
            let mut columns: Vec<_> = row.split_whitespace().map(String::from).collect();
            columns.pop();
            columns
        })
        .collect()
}

#[test]
fn a_run_prints_a_row_for_each_phase_and_repeats_itself() {
    let rows = short_run("7");
    let phases: Vec<_> = rows.iter().map(|row| row[0].as_str()).collect();
    assert_eq!(phases, ["phase", "teacher", "stage1", "stage2"]);
    for row in &rows[1..] {
        let top1: f64 = row[1].parse().expect("a number");
        assert!((0.0..=100.0).contains(&top1), "{top1}");
    }
    assert_eq!(rows, short_run("7"));
}

#[test]
fn wrong_usage_names_the_option_and_exits_with_2() {
    for (option, value) in [
        ("--stage2-epochs", "0"),
        ("--batch-size", "0"),
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
        "--seed",
        "--stage2-epochs",
        "--batch-size",
        "--lr",
        "--device",
    ] {
        assert!(help.contains(option), "{help}");
    }
}
