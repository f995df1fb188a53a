//! `b_lazy_first_forward`: scales set from the first batch, that first pass, and the ones after it.

use burn::Tensor;
use burn::tensor::Device;

use crate::binarizer::{Binarizer, Kind};
use crate::check::{Check, EPSILON, exact, reduction};
use crate::fixture::{Case, Values, by_rank};
use crate::reference::{GUARD, Reference, guarded};
use crate::{Outcome, device};

pub(crate) fn run(case: &Case) -> Outcome {
    by_rank!(case.rank("x"), first_passes(case))
}

/// Nothing but the name of a case tells its binarizer: the start of the name is part of the format.
fn kind(case: &Case) -> Result<Kind, String> {
    let kinds = [
        ("signed", Kind::Signed),
        ("unsigned", Kind::Unsigned),
        ("attention", Kind::Attention),
        ("qkv", Kind::Value),
    ];
    let prefix = case.name.split('_').next().unwrap_or_default();
    kinds
        .iter()
        .find(|(name, _)| *name == prefix)
        .map(|&(_, kind)| kind)
        .ok_or_else(|| format!("no binarizer is called {prefix:?}"))
}

/// What all passes of a case share.
struct Setting<'a> {
    case: &'a Case,
    kind: Kind,
    bits: u8,
    grad_out: Values,
    /// Relative error of a scale just measured.
    measured: f64,
    /// Sum of the stored scales' magnitudes: a reduced scale is a difference of them.
    magnitude: f64,
    device: Device,
}

fn first_passes<const D: usize>(case: &Case) -> Outcome {
    let device = device();
    let mut check = Check::new(case);
    let kind = kind(case)?;
    let bits = case.bits("num_bits")?;
    let names = kind.scales();
    let before = read(case, names, "before")?;
    let flags = case
        .flags("initialized_before")
        .filter(|flags| flags.len() == names.len())
        .ok_or("\"initialized_before\" does not have a flag for each scale")?;
    // The published code sets a scale that is exactly 1 and not marked.
    let fresh: Vec<bool> = before
        .iter()
        .zip(&flags)
        .map(|(&scale, &initialized)| !initialized && scale == 1.0)
        .collect();
    // Where it stores NaN (an empty group) ours is the guard.
    let stored: Vec<f32> = read(case, names, "stored")?
        .into_iter()
        .map(|scale| if scale.is_nan() { GUARD } else { scale })
        .collect();
    let x = case.tensor::<D>("x", &device)?;
    let setting = Setting {
        case,
        kind,
        bits,
        grad_out: case.values("grad_out")?.clone(),
        measured: if fresh.contains(&true) {
            reduction(x.shape().num_elements())
        } else {
            0.0
        },
        magnitude: stored.iter().map(|&a| f64::from(guarded(a))).sum(),
        device: device.clone(),
    };

    let binarizer = Binarizer::new(kind, bits, &before, &fresh, &device);
    let first = x.clone().require_grad();
    let (binarizer, y) = binarizer.first_forward(first.clone());
    let scales = Values::from(binarizer.scales()).data;
    for (k, name) in names.iter().enumerate() {
        let bound = if fresh[k] { setting.measured } else { 0.0 } * f64::from(stored[k].abs());
        let expected = Values::scalar(stored[k]);
        let name = format!("stored.{name}");
        check.against(&name, &expected, Values::scalar(scales[k]), |_| bound);
    }
    // What the first pass used shows in its output only: every element is a sum of these scales.
    let explained = Values {
        shape: case.values("x")?.shape.clone(),
        data: setting.reference(&read(case, names, "eff1")?)?.y,
    };
    for name in names {
        let bound = setting.output_bound(&explained);
        check.against(&format!("eff1.{name}"), &explained, y.clone(), |_| bound);
    }
    setting.pass(&mut check, 1, &binarizer, first, y)?;

    let second = x.require_grad();
    let y = binarizer.forward(second.clone());
    setting.pass(&mut check, 2, &binarizer, second, y)?;
    for (name, &scale) in names.iter().zip(&scales) {
        let got = Values::scalar(guarded(scale));
        check.with(&format!("eff2.{name}"), got, |expected| {
            setting.measured * expected.max_abs()
        });
    }
    let y = binarizer.forward(case.tensor::<D>("x3", &device)?);
    check.with("out3", y, |expected| setting.output_bound(expected));
    check.finish()
}

/// The scales stored under a prefix.
fn read(case: &Case, names: &[&str], prefix: &str) -> Result<Vec<f32>, String> {
    let read = |name| case.scalar(&format!("{prefix}.{name}"));
    names.iter().map(read).collect()
}

impl Setting<'_> {
    /// Compares the outputs and gradients of pass `number`.
    fn pass<const D: usize>(
        &self,
        check: &mut Check,
        number: usize,
        binarizer: &Binarizer,
        x: Tensor<D>,
        y: Tensor<D>,
    ) -> Result<(), String> {
        let grad_out = self.case.tensor::<D>("grad_out", &self.device)?;
        let grads = (y.clone() * grad_out).sum().backward();
        let out = format!("out{number}");
        check.with(&out, y, |expected| self.output_bound(expected));
        let name = format!("grad{number}.x");
        let got = x.grad(&grads).map(Values::from);
        if let Some(got) = check.gradient(&name, got) {
            // The gradient of the attention's input holds its scales, the others' does not.
            let factor = if self.kind == Kind::Attention {
                self.scale_error() * self.grad_out.max_abs()
            } else {
                0.0
            };
            check.with(&name, got, |expected| exact(expected) + factor);
        }
        let names = self.kind.scales();
        let used = read(self.case, names, &format!("eff{number}"))?;
        let sums = self.reference(&used)?.scales;
        let got = binarizer.scales().grad(&grads).map(Values::from);
        let got = check.gradient(&format!("grad{number}.alpha"), got);
        for (k, got) in got.into_iter().flat_map(|got| got.data).enumerate() {
            let name = format!("grad{number}.{}", names[k]);
            let input = self.scale_error() / f64::from(guarded(used[k]));
            check.within(&name, Values::scalar(got), |_| sums[k].bound(input));
        }
        Ok(())
    }

    /// What the method gives with these scales.
    fn reference(&self, scales: &[f32]) -> Result<Reference, String> {
        let x = &self.case.values("x")?.data;
        Ok(self
            .kind
            .reference(x, &self.grad_out.data, scales, self.bits))
    }

    /// Absolute error of any scale as used: measured scales, and up to three roundings of
    /// differences of them.
    fn scale_error(&self) -> f64 {
        (self.measured + 3.0 * EPSILON) * self.magnitude
    }

    /// An output is a level times a scale, plus two scales (or the input's minimum).
    fn output_bound(&self, expected: &Values) -> f64 {
        self.measured * expected.max_abs() + self.scale_error()
    }
}
