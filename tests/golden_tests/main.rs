//! The golden tests: every case of the reference files is one named test.
//!
//! Walks the directory `GSB_GOLDEN_DIR` (default: `golden` beside this package's manifest) and runs the
//! cases of the files `a_*` to `g_*`; the others belong to other crates. Nothing is
//! known of the cases in advance: what to run follows from the file's kind and the case's
//! configuration and tensors.
//!
//! On `flex` functions must match bit by bit. With the feature `wgpu` or `vulkan` the tests run on a GPU, whose
//! division and exponential are not correctly rounded: there the comparisons have a tolerance, and
//! the cases made to sit on a rounding tie are ignored. Software Vulkan passes these too.

mod attention;
mod binarizer;
mod block;
mod check;
mod checkpoint;
mod conv;
mod fixture;
mod functions;
mod harness;
mod init;
mod keys;
mod lazy;
mod linear;
mod losses;
mod mlp;
mod model;
mod module;
mod norm;
mod reference;
mod schedule;
mod student;
mod teacher;
mod trajectory;
mod transfer;

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use fixture::Case;
use libtest_mimic::{Arguments, Failed, Trial};

/// What a case's test says when it fails.
type Outcome = Result<(), String>;

/// Runs a case of one kind of file.
type Run = fn(&Case) -> Outcome;

/// Whether the tests run on a GPU.
const ON_GPU: bool = cfg!(any(feature = "wgpu", feature = "vulkan"));

/// The kinds of files this package knows, by the start of their names.
const KINDS: [(&str, Run); 23] = [
    ("a_signed", functions::signed),
    ("a_unsigned", functions::unsigned),
    ("a_bwn", functions::weight),
    ("a_attention", functions::attention),
    ("a_qkv", functions::value),
    ("b_alpha_init_methods", init::run),
    ("b_lazy_first_forward", lazy::run),
    ("c_linear_stage1", linear::stage1),
    ("c_linear_stage2", linear::stage2),
    ("c_conv_lsq", conv::run),
    ("c_layernorm", norm::run),
    ("c_mlp", mlp::run),
    ("c_attention", attention::run),
    ("c_block", block::run),
    ("d_model_stage1", student::stage1),
    ("d_model_stage2", student::stage2),
    ("d_ckpt", checkpoint::run),
    ("d_transfer", transfer::run),
    ("e_losses", losses::run),
    ("f_teacher", teacher::run),
    ("g_schedule", schedule::run),
    ("g_traj_stage1", trajectory::stage1),
    ("g_traj_stage2", trajectory::stage2),
];

fn main() {
    let mut args = Arguments::from_args();
    if ON_GPU {
        // One software device; tests side by side only wait for each other.
        args.test_threads = Some(1);
    }
    let mut trials = harness::trials();
    trials.extend(golden(&directory()));
    trials.extend(keys::trials(&directory()));
    let conclusion = libtest_mimic::run(&args, trials);
    if !args.list {
        check::report();
    }
    conclusion.exit();
}

fn directory() -> PathBuf {
    std::env::var_os("GSB_GOLDEN_DIR").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("golden"),
        PathBuf::from,
    )
}

/// One test per case of the directory, and a failing one for whatever cannot be run.
fn golden(directory: &Path) -> Vec<Trial> {
    let failing = |name: &str, message: String| {
        let name = format!("golden::{name}");
        vec![Trial::test(name, move || Err(Failed::from(message)))]
    };
    let files = match fixture::files(directory) {
        Ok(files) => files,
        Err(message) => return failing("directory", message),
    };
    let trials: Vec<Trial> = files
        .iter()
        .flat_map(|path| {
            let stem = path.file_stem().unwrap_or_default().to_string_lossy();
            let Some(run) = kind(&stem) else {
                return failing(
                    &stem,
                    format!("{}: a file of an unknown kind", path.display()),
                );
            };
            match fixture::cases(path) {
                Ok(cases) if cases.is_empty() => {
                    failing(&stem, format!("{}: no cases", path.display()))
                }
                Ok(cases) => cases.into_iter().map(|case| trial(case, run)).collect(),
                Err(message) => failing(&stem, message),
            }
        })
        .collect();
    if trials.is_empty() {
        return failing(
            "directory",
            format!("{}: no golden files", directory.display()),
        );
    }
    trials
}

/// What runs the cases of a file: the kind with the longest name that the file's name starts with.
fn kind(stem: &str) -> Option<Run> {
    KINDS
        .iter()
        .filter(|(kind, _)| {
            stem.strip_prefix(kind)
                .is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_alphanumeric()))
        })
        .max_by_key(|(kind, _)| kind.len())
        .map(|&(_, run)| run)
}

fn trial(case: Case, run: Run) -> Trial {
    let ignored = ON_GPU && !decided_on_gpu(&case);
    Trial::test(format!("{}::{}", case.file, case.name), move || {
        run(&case).map_err(Failed::from)
    })
    .with_ignored_flag(ignored)
}

/// Whether no sign, threshold or rounding decision of a case depends on the last bits of a
/// quotient, and no number is denormal (a GPU may flush those to zero).
fn decided_on_gpu(case: &Case) -> bool {
    let regime = case.text("regime").unwrap_or_default();
    let plain = ["typical", "constant", "exact_zeros"];
    match case.file.split('_').next() {
        Some("a") => case.raises() || plain.iter().any(|plain| regime.starts_with(plain)),
        // Their seeds were chosen so that no decision flips.
        Some("c") => ["c_linear", "c_attention", "c_mlp", "c_block"]
            .iter()
            .any(|kind| case.file.starts_with(kind)),
        // Chosen in the same way; a float model decides nothing.
        Some("d" | "f") => true,
        Some("e") => true,
        _ => false,
    }
}

/// The device under test, recording gradients.
fn device() -> Device {
    #[cfg(feature = "wgpu")]
    let device = Device::wgpu(burn::tensor::DeviceKind::DefaultDevice);
    #[cfg(all(feature = "vulkan", not(feature = "wgpu")))]
    let device = Device::vulkan(burn::tensor::DeviceKind::DefaultDevice);
    #[cfg(not(any(feature = "wgpu", feature = "vulkan")))]
    let device = Device::flex();
    device.autodiff()
}
