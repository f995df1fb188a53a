//! `c_layernorm`.

use crate::check::{Check, EPSILON, reduction};
use crate::fixture::{Case, Values, by_rank};
use crate::linear::compare;
use crate::module::State;
use crate::{Outcome, device};

pub(crate) fn run(case: &Case) -> Outcome {
    by_rank!(case.rank("x"), layer_norm(case))
}

fn layer_norm<const D: usize>(case: &Case) -> Outcome {
    let device = device();
    let state = State::new(case, &device);
    let x = case.tensor::<D>("x", &device)?.require_grad();
    let gamma = state.param::<1>("weight")?;
    let [width] = gamma.val().dims();
    let mut norm = gsb_core::nn::layer_norm(width).init(&device);
    norm.gamma = gamma;
    norm.beta = state.bias()?;
    let y = norm.forward(x.clone());
    if case.config.contains_key("check") {
        return compare(case, x, y, |entries| {
            entries.param("weight".to_string(), &norm.gamma);
            if let Some(beta) = &norm.beta {
                entries.param("bias".to_string(), beta);
            }
        });
    }
    // Without stated rounding errors (rows of zero variance, whose gradients are a million times
    // those of the others): a row is a reduction of its own.
    let grad_out = case.tensor::<D>("grad_out", &device)?;
    let grads = (y.clone() * grad_out).sum().backward();
    let mut check = Check::new(case);
    let rows = x.shape().num_elements() / width;
    by_row(&mut check, case, "out", y, width);
    if let Some(got) = check.gradient("grad.x", x.grad(&grads).map(Values::from)) {
        by_row(&mut check, case, "grad.x", got, width);
    }
    let gradients = [
        ("grad.weight", norm.gamma.val().grad(&grads)),
        (
            "grad.bias",
            norm.beta.and_then(|beta| beta.val().grad(&grads)),
        ),
    ];
    for (name, grad) in gradients {
        if let Some(got) = check.gradient(name, grad.map(Values::from)) {
            // Sums over the rows, after a row's own rounding.
            check.with(name, got, |expected| {
                row_error(width + rows) * expected.max_abs()
            });
        }
    }
    check.finish()
}

/// Relative error of a row: its mean, its variance and two products of them.
fn row_error(terms: usize) -> f64 {
    reduction(terms) + 2.0 * EPSILON
}

fn by_row(check: &mut Check, case: &Case, name: &str, got: impl Into<Values>, width: usize) {
    let stored = case.tensors.get(name).map(|stored| stored.data.clone());
    let rows: Vec<f64> = stored
        .unwrap_or_default()
        .chunks(width)
        .map(|row| row.iter().fold(0.0, |max: f64, v| max.max(v.abs().into())))
        .collect();
    check.within(name, got, |i| row_error(width) * rows[i / width]);
}
