//! The program as tests start it.

#![allow(dead_code, unused_imports, reason = "each test program takes its part")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use gsb_packed::{PackedConfig, PackedFile, PackedNetwork, ShiftStorage};
use serde_json::Value;
use tempfile::TempDir;

/// A tiny student of stage 2 that the published code has saved: 83 tensors.
pub const PUBLISHED: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../tests/golden/d_ckpt_stage2.pth"
);

/// `gsb`, started in a folder.
pub fn gsb(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gsb"));
    command.current_dir(folder);
    command
}

pub fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

/// What came out, and that it was no panic.
pub fn ran(command: &mut Command) -> Output {
    let output = command.output().expect("the program starts");
    let errors = stderr(&output);
    assert!(!errors.contains("panicked"), "{errors}");
    assert!(!errors.contains("internal error"), "{errors}");
    output
}

pub fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// What a command prints that succeeds.
pub fn succeeds(command: &mut Command) -> String {
    let output = ran(command);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    stdout(&output)
}

/// What a command says that fails, in one line after "error: ".
pub fn fails(command: &mut Command) -> String {
    let output = ran(command);
    let errors = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert_eq!(stdout(&output), "");
    assert_eq!(errors.lines().count(), 1, "{errors}");
    errors.strip_prefix("error: ").expect(&errors).to_string()
}

/// What a command says that is wrongly used, after "error: ".
pub fn misused(command: &mut Command) -> String {
    let output = ran(command);
    let errors = stderr(&output);
    assert_eq!(output.status.code(), Some(2), "{errors}");
    assert_eq!(stdout(&output), "");
    errors.strip_prefix("error: ").expect(&errors).to_string()
}

/// What a command says that fails after it has said other things, in the one line that begins with "error: ".
pub fn fails_at_last(command: &mut Command) -> String {
    let output = ran(command);
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{command:?}: {said}");
    assert_eq!(stdout(&output), "");
    let mut errors = said.lines().filter_map(|line| line.strip_prefix("error: "));
    let error = errors.next().expect("a line that says what is wrong");
    assert_eq!(errors.next(), None, "{said}");
    error.to_string()
}

pub fn read_json(path: &Path) -> Value {
    let text = std::fs::read_to_string(path).expect("a file");
    serde_json::from_str(&text).expect("JSON")
}

/// Writes a packed model of random weights.
pub fn random_model(path: &Path) {
    let network = PackedNetwork::random(&PackedConfig::micro(), 1).expect("a network");
    let packed = PackedFile::unnamed(network);
    packed.write(path, ShiftStorage::F32).expect("written");
}

/// The folder of a run of seconds. Trained once for all tests.
pub fn run() -> &'static Path {
    static RUN: OnceLock<TempDir> = OnceLock::new();
    let folder = RUN.get_or_init(|| {
        let folder = folder();
        succeeds(
            gsb(folder.path())
                .args(["train", "--per-class", "2", "--epochs", "1"])
                .args(["--output-dir", "a run"]),
        );
        folder
    });
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| folder.path().join("a run"))
}
