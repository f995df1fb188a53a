//! `b_alpha_init_methods`: initial scales from data.

use burn::Tensor;
use gsb_core::binarize::{Levels, ScaleRule};

use crate::check::{Check, EPSILON, reduction};
use crate::fixture::{Case, Values, by_rank};
use crate::reference::GUARD;
use crate::{Outcome, device};

pub(crate) fn run(case: &Case) -> Outcome {
    by_rank!(case.rank("t0"), rule(case))
}

fn rule<const D: usize>(case: &Case) -> Outcome {
    let device = device();
    let mut check = Check::new(case);
    let method = case
        .text("init_method")
        .ok_or("the configuration has no \"init_method\"")?;
    // Whether the method takes a group less the one inside it, and what it measures there.
    let (difference, rule) = match method {
        "default" => (false, ScaleRule::MeanMagnitude),
        "uniform" => (false, ScaleRule::UniformStep),
        "attention" | "attention2" => (false, ScaleRule::SignedMean),
        "attention1" => (true, ScaleRule::SignedMean),
        "qkv1" => (true, ScaleRule::NonZeroMagnitude),
        // The published code treats every other name so.
        _ => (false, ScaleRule::NonZeroMagnitude),
    };
    let bits = case.bits("num_bits")?;
    let levels = match case.flag("symmetric") {
        Some(true) => Levels::signed(bits),
        Some(false) => Levels::unsigned(bits),
        None => return Err("the configuration has no \"symmetric\"".to_string()),
    };
    let mut x: Tensor<D> = case.tensor("t0", &device)?;
    if difference {
        x = x - case.tensor("t1", &device)?;
    }
    let got = Values::from(rule.initial(&x, levels));
    let stored = case.scalar("alpha")?;
    let defined = if stored.is_finite() { stored } else { GUARD };
    let x = Values::from(x).data;
    let bound = match rule {
        ScaleRule::UniformStep => EPSILON * f64::from(defined),
        ScaleRule::SignedMean => reduction(x.len()) * condition(&x) * f64::from(defined.abs()),
        _ => reduction(x.len()) * f64::from(defined),
    };
    check.against("alpha", &Values::scalar(defined), got, |_| bound);
    check.finish()
}

/// How much the terms of a sum cancel: the sum of the magnitudes over the magnitude of the sum.
fn condition(x: &[f32]) -> f64 {
    let magnitude: f64 = x.iter().map(|&x| f64::from(x.abs())).sum();
    let sum: f64 = x.iter().map(|&x| f64::from(x)).sum();
    if sum == 0.0 {
        return 1.0;
    }
    magnitude / sum.abs()
}
