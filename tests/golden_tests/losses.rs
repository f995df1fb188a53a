//! `e_losses`: distillation losses and their base losses.

use burn::Tensor;
use burn::tensor::Device;
use gsb_core::distill::{self, BaseLoss, Distillation, DistillationLossConfig, Targets};

use crate::check::{Check, EPSILON, reduction};
use crate::fixture::{Case, Values};
use crate::{Outcome, device};

pub(crate) fn run(case: &Case) -> Outcome {
    let device = device();
    let base = base_loss(case)?;
    let class = case.tensor::<2>("outputs", &device)?.require_grad();
    let targets = targets(case, base, &device)?;
    let mut check = Check::new(case);
    let mut bounds = Bounds::new(case, base)?;
    let Some(kind) = case.text("distillation_type") else {
        let loss = base.forward(class.clone(), targets).map_err(text)?;
        let grads = loss.backward();
        check.within("loss", loss, |_| bounds.base);
        let got = class.grad(&grads).map(Values::from);
        compare_logits(&mut check, "grad.outputs", got, &bounds.class(1.0));
        return check.finish();
    };
    let kind = match kind {
        "none" => Distillation::None,
        "soft" => Distillation::Soft,
        "hard" => Distillation::Hard,
        other => return Err(format!("no distillation is called {other:?}")),
    };
    let alpha = case.number("alpha").unwrap_or(0.5);
    let temperature = case.number("tau").unwrap_or(1.0);
    let distilled = case.has("outputs_kd");
    let distilled = distilled.then(|| case.tensor::<2>("outputs_kd", &device));
    let distilled = distilled.transpose()?.map(Tensor::require_grad);
    let teacher = case
        .has("teacher")
        .then(|| case.tensor::<2>("teacher", &device));
    let student = distill::Logits {
        class: class.clone(),
        distillation: distilled.clone(),
    };
    let terms = DistillationLossConfig::new()
        .with_kind(kind)
        .with_alpha(alpha)
        .with_temperature(temperature)
        .with_base(base)
        .init()
        .and_then(|loss| loss.forward(student, teacher.transpose().ok().flatten(), targets))
        .map_err(text)?;
    let grads = terms.total.backward();
    let alpha = if kind == Distillation::None {
        0.0
    } else {
        bounds.distil(case, kind, temperature)?;
        alpha
    };
    let size = Values::from(terms.total.clone()).max_abs();
    let total = (1.0 - alpha) * bounds.base + alpha * bounds.distillation + 4.0 * EPSILON * size;
    check.within("loss", terms.total, |_| total);
    if case.has("base_loss") {
        check.within("base_loss", terms.base, |_| bounds.base);
    }
    if case.has("distillation_loss") {
        match terms.distillation {
            Some(loss) => check.within("distillation_loss", loss, |_| bounds.distillation),
            None => check.fail("distillation_loss: there is none".to_string()),
        }
    }
    let got = class.grad(&grads).map(Values::from);
    compare_logits(&mut check, "grad.outputs", got, &bounds.class(1.0 - alpha));
    let got = distilled.and_then(|logits| logits.grad(&grads).map(Values::from));
    if case.text("grad_kd") == Some("none") || kind == Distillation::None {
        if got.is_some() {
            check.fail("the distillation logits have a gradient, and should have none".to_string());
        }
    } else {
        let bounds: Vec<f64> = bounds.distilled.iter().map(|b| b * alpha).collect();
        compare_logits(&mut check, "grad.outputs_kd", got, &bounds);
    }
    check.finish()
}

fn text(error: gsb_core::Error) -> String {
    error.to_string()
}

fn compare_logits(check: &mut Check, name: &str, got: Option<Values>, bounds: &[f64]) {
    if let Some(got) = check.gradient(name, got) {
        check.within(name, got, |i| bounds[i]);
    }
}

fn base_loss(case: &Case) -> Result<BaseLoss, String> {
    let smoothing = case.number("smoothing");
    match case.text("base") {
        Some("ce") => Ok(BaseLoss::CrossEntropy),
        Some("ls") => smoothing
            .map(BaseLoss::LabelSmoothing)
            .ok_or_else(|| "label smoothing without \"smoothing\"".to_string()),
        Some("st") => Ok(BaseLoss::SoftTarget),
        Some(other) => Err(format!("no base loss is called {other:?}")),
        None if case.has("soft_targets") => Ok(BaseLoss::SoftTarget),
        None => Ok(smoothing.map_or(BaseLoss::CrossEntropy, BaseLoss::LabelSmoothing)),
    }
}

fn targets(case: &Case, base: BaseLoss, device: &Device) -> Result<Targets, String> {
    if base == BaseLoss::SoftTarget {
        Ok(Targets::Soft(case.tensor("soft_targets", device)?))
    } else {
        Ok(Targets::Labels(case.labels("labels", device)?))
    }
}

/// How far two f32 evaluations of a case may be apart.
struct Bounds {
    base: f64,
    distillation: f64,
    class: Vec<f64>,
    distilled: Vec<f64>,
}

/// Logits at a temperature.
struct Logits {
    log: Vec<f64>,
    classes: usize,
    /// Error of a logarithm of a probability: the division by the temperature and the distance from
    /// the largest logit round by half a spacing of the largest logits each, the logarithm's
    /// argument is a sum over the classes; on our side and the file's.
    error: f64,
}

impl Logits {
    fn new(values: &Values, temperature: f64) -> Self {
        let classes = values.shape[1];
        let z: Vec<f64> = values
            .data
            .iter()
            .map(|&z| f64::from(z) / temperature)
            .collect();
        let log = z
            .chunks(classes)
            .flat_map(|row| {
                let max = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let sum: f64 = row.iter().map(|z| (z - max).exp()).sum();
                row.iter().map(move |z| z - max - sum.ln())
            })
            .collect();
        let largest = z.iter().fold(0.0, |max: f64, z| max.max(z.abs()));
        Self {
            log,
            classes,
            error: EPSILON * (2.0 * largest + classes as f64 + 2.0),
        }
    }

    fn batch(&self) -> f64 {
        (self.log.len() / self.classes) as f64
    }

    /// Cross-entropy with a distribution: the mean over the batch, and its gradient's elements
    /// `(p - t) / batch`.
    fn cross_entropy(&self, targets: &[f64]) -> (f64, Vec<f64>) {
        let terms = targets
            .iter()
            .zip(&self.log)
            .map(|(t, l)| t.abs() * l.abs());
        let magnitude = terms.sum::<f64>() / self.batch();
        let loss = self.error + reduction(self.log.len()) * magnitude;
        (loss, self.gradient(targets, 0.0, 1.0 / self.batch()))
    }

    /// Bounds of `rate * (p - t)`, the targets being off by a relative `input`.
    fn gradient(&self, targets: &[f64], input: f64, rate: f64) -> Vec<f64> {
        let bound = |(l, t): (&f64, &f64)| {
            let p = l.exp();
            let roundings = 4.0 * EPSILON * (p + t);
            rate * (p * self.error + t * input + roundings) + f64::from(f32::MIN_POSITIVE)
        };
        self.log.iter().zip(targets).map(bound).collect()
    }
}

/// A distribution that is 1 at one class of each sample.
fn one_hot(classes: usize, labels: impl Iterator<Item = usize>) -> Vec<f64> {
    labels
        .flat_map(|label| (0..classes).map(move |class| f64::from(u8::from(class == label))))
        .collect()
}

impl Bounds {
    fn new(case: &Case, base: BaseLoss) -> Result<Self, String> {
        let logits = Logits::new(case.values("outputs")?, 1.0);
        let classes = logits.classes;
        let targets = if base == BaseLoss::SoftTarget {
            let soft = case.values("soft_targets")?;
            soft.data.iter().map(|&t| t.into()).collect()
        } else {
            let labels = case
                .integers
                .get("labels")
                .ok_or("the case has no labels")?;
            let smoothing = match base {
                BaseLoss::LabelSmoothing(smoothing) => smoothing,
                _ => 0.0,
            };
            one_hot(classes, labels.iter().map(|&label| label as usize))
                .into_iter()
                .map(|t| t * (1.0 - smoothing) + smoothing / classes as f64)
                .collect()
        };
        let targets: Vec<f64> = targets;
        let (base, class) = logits.cross_entropy(&targets);
        Ok(Self {
            base,
            distillation: 0.0,
            class,
            distilled: Vec::new(),
        })
    }

    /// The bounds of the class logits' gradient in a loss that weighs them.
    fn class(&self, weight: f64) -> Vec<f64> {
        self.class.iter().map(|bound| bound * weight).collect()
    }

    fn distil(&mut self, case: &Case, kind: Distillation, temperature: f64) -> Outcome {
        let teacher = case.values("teacher")?;
        let student = case.values("outputs_kd")?;
        if kind == Distillation::Hard {
            let logits = Logits::new(student, 1.0);
            let decisions = teacher.data.chunks(logits.classes).map(|row| {
                (0..row.len()).fold(0, |best, i| if row[i] > row[best] { i } else { best })
            });
            let targets = one_hot(logits.classes, decisions);
            (self.distillation, self.distilled) = logits.cross_entropy(&targets);
            return Ok(());
        }
        let student = Logits::new(student, temperature);
        let teacher = Logits::new(teacher, temperature);
        let rate = temperature * temperature / student.log.len() as f64;
        let relative = teacher.error + reduction(student.log.len());
        let error = student.error + teacher.error;
        let terms = teacher
            .log
            .iter()
            .zip(&student.log)
            .map(|(t, s)| t.exp() * (error + relative * (t.abs() + s.abs())));
        self.distillation = rate * terms.sum::<f64>();
        let targets: Vec<f64> = teacher.log.iter().map(|t| t.exp()).collect();
        self.distilled = student.gradient(&targets, teacher.error, rate / temperature);
        Ok(())
    }
}
