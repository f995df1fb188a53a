//! `c_mlp`, and loading the MLPs of both stages.

use gsb_core::binarize::Levels;
use gsb_core::nn::{BinaryMlp, BinaryMlpConfig, WeightBinaryMlp, WeightBinaryMlpConfig};

use crate::fixture::{Case, by_rank};
use crate::linear::{
    binary_entries, compare, load_binary, load_weight_binary, weight_binary_entries,
};
use crate::module::{Entries, State};
use crate::{Outcome, device};

pub(crate) fn run(case: &Case) -> Outcome {
    by_rank!(case.rank("x"), mlp(case))
}

fn mlp<const D: usize>(case: &Case) -> Outcome {
    let device = device();
    let state = State::new(case, &device);
    let x = case.tensor::<D>("x", &device)?.require_grad();
    if !is_binary(&state) {
        let mlp = load_weight_binary_mlp(&state)?;
        let y = mlp.forward(x.clone());
        return compare(case, x, y, |entries| {
            weight_binary_mlp_entries(&state, &mlp, entries);
        });
    }
    let mlp = load_binary_mlp(&state)?;
    let (mlp, y) = if state.is_first_pass() {
        mlp.calibrate_forward(x.clone())
    } else {
        let y = mlp.forward(x.clone());
        (mlp, y)
    };
    compare(case, x, y, |entries| {
        binary_mlp_entries(&state, &mlp, entries)
    })
}

/// Stage 2: its layers have scales for their inputs.
fn is_binary(state: &State) -> bool {
    state.part("fc1").has("input_clip_val")
}

/// Width of a token and of the hidden layer.
fn widths(state: &State) -> Result<(usize, usize), String> {
    let weight = &state.case.values(&state.part("fc1").stored("weight"))?;
    match weight.shape[..] {
        [hidden, width] => Ok((width, hidden)),
        _ => Err(format!("a linear weight of shape {:?}", weight.shape)),
    }
}

pub(crate) fn load_weight_binary_mlp(state: &State) -> Result<WeightBinaryMlp, String> {
    let (width, hidden) = widths(state)?;
    let mut mlp = WeightBinaryMlpConfig::new(width, hidden).init(state.device);
    mlp.fc1 = load_weight_binary(&state.part("fc1"))?;
    mlp.fc2 = load_weight_binary(&state.part("fc2"))?;
    Ok(mlp)
}

pub(crate) fn weight_binary_mlp_entries(
    state: &State,
    mlp: &WeightBinaryMlp,
    entries: &mut Entries,
) {
    weight_binary_entries(&state.part("fc1"), &mlp.fc1, entries);
    weight_binary_entries(&state.part("fc2"), &mlp.fc2, entries);
}

pub(crate) fn load_binary_mlp(state: &State) -> Result<BinaryMlp, String> {
    let (width, hidden) = widths(state)?;
    let mut mlp = BinaryMlpConfig::new(width, hidden).init(state.device);
    mlp.fc1 = load_binary(&state.part("fc1"), Levels::signed(1))?;
    mlp.fc2 = load_binary(&state.part("fc2"), Levels::unsigned(1))?;
    Ok(mlp)
}

pub(crate) fn binary_mlp_entries(state: &State, mlp: &BinaryMlp, entries: &mut Entries) {
    binary_entries(&state.part("fc1"), &mlp.fc1, entries);
    binary_entries(&state.part("fc2"), &mlp.fc2, entries);
}
