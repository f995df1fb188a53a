//! Tests that the harness itself can fail.

use std::cell::RefCell;
use std::collections::BTreeMap;

use libtest_mimic::{Failed, Trial};
use serde_json::{Map, json};

use crate::fixture::{Case, Values};
use crate::{Outcome, functions, golden, kind};

pub(crate) fn trials() -> Vec<Trial> {
    let trial = |name: &str, run: fn() -> Outcome| {
        let name = format!("harness::{name}");
        Trial::test(name, move || run().map_err(Failed::from))
    };
    vec![
        trial("accepts_what_is_right", || functions::signed(&case())),
        trial("detects_a_wrong_output", || {
            let mut case = case();
            nudge(&mut case, "out");
            rejected(functions::signed(&case), "out[2]: got")
        }),
        trial("detects_a_wrong_gradient", || {
            let mut case = case();
            nudge(&mut case, "grad.x");
            rejected(functions::signed(&case), "grad.x[2]: got")
        }),
        trial("detects_a_wrong_scale_gradient", || {
            let mut case = case();
            case.tensors
                .insert("grad.alpha".to_string(), Values::scalar(0.26));
            rejected(functions::signed(&case), "grad.alpha[0]: got")
        }),
        trial("detects_a_wrong_shape", || {
            let mut case = case();
            if let Some(out) = case.tensors.get_mut("out") {
                out.shape = vec![2, 2];
            }
            rejected(functions::signed(&case), "out: shape [4], expected [2, 2]")
        }),
        trial("detects_a_result_nobody_compares", || {
            let mut case = case();
            let extra = Values::scalar(1.0);
            case.tensors.insert("grad.other".to_string(), extra);
            rejected(
                functions::signed(&case),
                "grad.other: stored, but not compared",
            )
        }),
        trial("detects_a_missing_result", || {
            let mut case = case();
            case.tensors.remove("out");
            rejected(functions::signed(&case), "out: computed, but not stored")
        }),
        trial("knows_kinds_by_the_start_of_a_name", || {
            let known = |stem| kind(stem).is_some();
            if known("a_signed") && known("c_mlp_more") && !known("a_signedx") && !known("c_other")
            {
                Ok(())
            } else {
                Err("a file is of the wrong kind".to_string())
            }
        }),
        trial("fails_without_files", || {
            let nothing = std::env::temp_dir().join("gsb-golden-tests-of-nothing");
            std::fs::create_dir_all(&nothing).map_err(|error| error.to_string())?;
            let missing = nothing.join("missing");
            for directory in [nothing, missing] {
                if golden(&directory).is_empty() {
                    return Err("no test says that there are no files".to_string());
                }
            }
            Ok(())
        }),
    ]
}

/// One bit, scale 2: `dx` is the gradient inside `[-2, 2]`, `da = sum((sign(x) - mid x / 2) g) / 2`.
fn case() -> Case {
    let tensor = |data: [f32; 4]| Values {
        shape: vec![4],
        data: data.to_vec(),
    };
    let tensors = BTreeMap::from([
        ("x".to_string(), tensor([-3.0, -1.0, 0.0, 1.0])),
        ("alpha".to_string(), Values::scalar(2.0)),
        ("grad_out".to_string(), tensor([-2.0, 1.0, 3.0, -2.0])),
        ("out".to_string(), tensor([-2.0, -2.0, 0.0, 2.0])),
        ("grad.x".to_string(), tensor([0.0, 1.0, 3.0, -2.0])),
        // (2 - 0.5 + 0 - 1) / sqrt(4)
        ("grad.alpha".to_string(), Values::scalar(0.25)),
    ]);
    Case {
        directory: std::path::PathBuf::new(),
        doubles: BTreeMap::new(),
        scalars: std::collections::BTreeSet::new(),
        file: "harness".to_string(),
        name: "case".to_string(),
        config: Map::from_iter([("num_bits".to_string(), json!(1))]),
        tensors,
        integers: BTreeMap::new(),
        read: RefCell::default(),
    }
}

/// Adds a hundredth to an element.
fn nudge(case: &mut Case, name: &str) {
    if let Some(values) = case.tensors.get_mut(name) {
        values.data[2] += 0.01;
    }
}

fn rejected(outcome: Outcome, message: &str) -> Outcome {
    match outcome {
        Err(text) if text.contains(message) => Ok(()),
        Err(text) => Err(format!("the wrong message: {text}")),
        Ok(()) => Err("accepted".to_string()),
    }
}
