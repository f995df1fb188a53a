//! `d_ckpt_*`: checkpoints that the published training has saved.
//!
//! The cases are in `NAME.expected.safetensors`, the checkpoint is `NAME.pth` beside it.

use std::collections::BTreeSet;

use gsb_vit::checkpoint::TensorFile;

use crate::Outcome;
use crate::fixture::Case;

/// What precedes the names of the model's tensors in a case.
const MODEL: &str = "model.";

/// The file holds the tensors of the model and no others, bit by bit.
pub(crate) fn run(case: &Case) -> Outcome {
    let stem = case
        .file
        .strip_suffix(".expected")
        .ok_or("no expectation")?;
    let path = crate::directory().join(format!("{stem}.pth"));
    let file = TensorFile::open(&path).map_err(|error| error.to_string())?;

    let stored: BTreeSet<&str> = file.names().collect();
    let names = case.tensors.keys().chain(case.integers.keys());
    let expected: BTreeSet<&str> = names.filter_map(|name| name.strip_prefix(MODEL)).collect();
    if expected.is_empty() {
        return Err("the case has no tensors of a model".into());
    }
    if stored != expected {
        let other: Vec<_> = stored.symmetric_difference(&expected).collect();
        return Err(format!("only in the file or only expected: {other:?}"));
    }
    for name in expected {
        let data = file.read(name).map_err(|error| error.to_string())?;
        let full = format!("{MODEL}{name}");
        let same = match case.tensors.get(&full) {
            Some(values) => {
                // The cases know a scalar as a list of one.
                let shape = match &data.shape()[..] {
                    [] => vec![1],
                    shape => shape.to_vec(),
                };
                let stored: Vec<f32> = data.try_to_vec().map_err(|e| format!("{name}: {e:?}"))?;
                let bits = |values: &[f32]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
                shape == values.shape && bits(&stored) == bits(&values.data)
            }
            None => {
                let stored: Vec<i64> = data.try_to_vec().map_err(|e| format!("{name}: {e:?}"))?;
                stored == case.integers[&full]
            }
        };
        if !same {
            return Err(format!("{name} differs"));
        }
    }
    Ok(())
}
