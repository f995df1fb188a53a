//! `a_*`: the binarizers as functions, forward and backward.

use burn::Tensor;
use burn::module::Param;
use gsb_core::binarize::{WeightBinarizerConfig, WeightScale};

use crate::binarizer::{Binarizer, Kind};
use crate::check::{Check, exact};
use crate::fixture::{Case, Values, by_rank};
use crate::{Outcome, device};

pub(crate) fn signed(case: &Case) -> Outcome {
    by_rank!(case.rank("x"), binarizer(case, Kind::Signed))
}

pub(crate) fn unsigned(case: &Case) -> Outcome {
    by_rank!(case.rank("x"), binarizer(case, Kind::Unsigned))
}

pub(crate) fn attention(case: &Case) -> Outcome {
    by_rank!(case.rank("x"), binarizer(case, Kind::Attention))
}

pub(crate) fn value(case: &Case) -> Outcome {
    by_rank!(case.rank("x"), binarizer(case, Kind::Value))
}

pub(crate) fn weight(case: &Case) -> Outcome {
    by_rank!(case.rank("x"), bwn(case))
}

/// Forward values and gradients to the input are equal; those of the scales are sums.
fn binarizer<const D: usize>(case: &Case, kind: Kind) -> Outcome {
    let device = device();
    let mut check = Check::new(case);
    let bits = case.bits("num_bits")?;
    let names = kind.scales();
    let scales = names.iter().map(|name| case.scalar(name));
    let scales = scales.collect::<Result<Vec<f32>, _>>()?;
    let x = case.tensor::<D>("x", &device)?.require_grad();
    let shape = case.values("x")?.shape.clone();
    let upstream = if case.raises() {
        made_up_gradient(&shape)
    } else {
        case.values("grad_out")?.clone()
    };
    let binarizer = Binarizer::new(kind, bits, &scales, &vec![false; names.len()], &device);
    let y = binarizer.forward(x.clone());
    let grad_out = Tensor::<1>::from_floats(upstream.data.as_slice(), &device);
    let grads = (y.clone() * grad_out.reshape(x.shape())).sum().backward();

    let reference = kind.reference(&case.values("x")?.data, &upstream.data, &scales, bits);
    let tensor = |data: &[f32]| Values {
        shape: shape.clone(),
        data: data.to_vec(),
    };
    let (out, dx) = (tensor(&reference.y), tensor(&reference.dx));
    let grad_x = check.gradient("grad.x", x.grad(&grads).map(Values::from));
    let grad_scales = binarizer.scales().grad(&grads).map(Values::from);
    let grad_scales = check.gradient("grad.alpha", grad_scales);
    if case.raises() {
        // Published: a division by zero. Ours: what the method says, empty groups being nothing.
        check.against("out", &out, y, |_| exact(&out));
        if let Some(got) = grad_x {
            check.against("grad.x", &dx, got, |_| exact(&dx));
        }
    } else {
        check.equal("out", y);
        if let Some(got) = grad_x {
            check.equal("grad.x", got);
        }
    }
    for (k, got) in grad_scales.into_iter().flat_map(|got| got.data).enumerate() {
        let name = format!("grad.{}", names[k]);
        let sum = &reference.scales[k];
        if case.raises() {
            let expected = Values::scalar(sum.value as f32);
            check.against(&name, &expected, Values::scalar(got), |_| sum.bound(0.0));
        } else {
            check.within(&name, Values::scalar(got), |_| sum.bound(0.0));
        }
    }
    check.finish()
}

/// An upstream gradient for the cases that store none: of both signs, never zero.
fn made_up_gradient(shape: &[usize]) -> Values {
    let n: usize = shape.iter().product();
    let entry = |i: usize| (0.25 + i as f32 / 8.0) * if i % 3 == 1 { -1.0 } else { 1.0 };
    Values {
        shape: shape.to_vec(),
        data: (0..n).map(entry).collect(),
    }
}

/// The sign is exact. The magnitude is a mean: the files' own restatement is within 2e-7 of them,
/// and ours may be as far on the other side.
const WEIGHT_SCALE: f64 = 4e-7;

/// The gradient passes unchanged.
fn bwn<const D: usize>(case: &Case) -> Outcome {
    let device = device();
    let mut check = Check::new(case);
    // The layout of the files: outputs first.
    let scale = match case.flag("layerwise") {
        Some(true) => WeightScale::Tensor,
        Some(false) => WeightScale::Output(0),
        None => return Err("the configuration has no \"layerwise\"".to_string()),
    };
    let w = Param::from_tensor(case.tensor::<D>("x", &device)?).val();
    let y = WeightBinarizerConfig::new()
        .with_scale(scale)
        .init()
        .forward(w.clone());
    let grad_out = case.tensor::<D>("grad_out", &device)?;
    let grads = (y.clone() * grad_out).sum().backward();
    let expected = case.values("out")?.data.clone();
    // A zero must be a zero, so a wrong sign is never within the bound.
    check.within("out", y, |i| WEIGHT_SCALE * f64::from(expected[i].abs()));
    if let Some(got) = check.gradient("grad.x", w.grad(&grads).map(Values::from)) {
        check.equal("grad.x", got);
    }
    check.finish()
}
