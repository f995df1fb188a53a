//! Comparing what a case computes with what its file stores.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use crate::fixture::{Case, Values};
use crate::{ON_GPU, Outcome};

/// Spacing of f32 numbers at 1.
pub(crate) const EPSILON: f64 = f32::EPSILON as f64;

/// How much larger than the fixture's own rounding error ours may be. Both are single draws of the
/// same kind of error: sums of the same terms in another order.
pub(crate) const DRAWS: f64 = 8.0;

/// The largest ratio of error to bound of each file, and where.
static WORST: Mutex<BTreeMap<String, (f64, String)>> = Mutex::new(BTreeMap::new());

/// Relative error of a sum of `n` terms of one sign, each a product and a quotient, scaled by a
/// root: pairwise summation loses at most `log2 n` half spacings, the rest six, on our side and on
/// the file's.
pub(crate) fn reduction(n: usize) -> f64 {
    EPSILON * (6.0 + (n.max(1) as f64).log2())
}

/// Where correctly rounded arithmetic leaves nothing to chance, elements must be equal (zeros of
/// either sign being equal). A GPU's division is within 2.5 units in the last place (WGSL), and
/// products and sums may be contracted: each element is the sum of at most four products whose
/// magnitudes do not exceed the tensor's largest.
pub(crate) fn exact(expected: &Values) -> f64 {
    if ON_GPU {
        8.0 * EPSILON * expected.max_abs()
    } else {
        0.0
    }
}

/// The comparisons of one case.
pub(crate) struct Check<'a> {
    case: &'a Case,
    compared: BTreeSet<String>,
    failures: Vec<String>,
    worst: (f64, String),
}

impl<'a> Check<'a> {
    pub(crate) fn new(case: &'a Case) -> Self {
        Self {
            case,
            compared: BTreeSet::new(),
            failures: Vec::new(),
            worst: (0.0, String::new()),
        }
    }

    /// Equal element by element, see [`exact`].
    pub(crate) fn equal(&mut self, name: &str, got: impl Into<Values>) {
        self.with(name, got, exact);
    }

    /// Every element within a bound that the stored tensor gives.
    pub(crate) fn with(
        &mut self,
        name: &str,
        got: impl Into<Values>,
        bound: impl Fn(&Values) -> f64,
    ) {
        let bound = self.case.tensors.get(name).map_or(0.0, bound);
        self.within(name, got, |_| bound);
    }

    /// Within a small multiple of the fixture's own rounding error: the difference to float64 that
    /// it states, but at least one spacing of the largest element.
    pub(crate) fn measured(&mut self, name: &str, got: impl Into<Values>) {
        let case = self.case;
        self.with(name, got, |expected| measured_bound(case, name, expected));
    }

    /// Element `i` within `bound(i)`.
    pub(crate) fn within(
        &mut self,
        name: &str,
        got: impl Into<Values>,
        bound: impl Fn(usize) -> f64,
    ) {
        match self.case.tensors.get(name).cloned() {
            Some(expected) => self.against(name, &expected, got, bound),
            None => self.fail(format!("{name}: computed, but not stored")),
        }
    }

    /// [`within`](Self::within) of other values than those stored under the name.
    pub(crate) fn against(
        &mut self,
        name: &str,
        expected: &Values,
        got: impl Into<Values>,
        bound: impl Fn(usize) -> f64,
    ) {
        let got = got.into();
        self.compared.insert(name.to_string());
        if got.shape != expected.shape {
            let message = format!(
                "{name}: shape {:?}, expected {:?}",
                got.shape, expected.shape
            );
            return self.fail(message);
        }
        let mut wrong = 0;
        let mut first = String::new();
        for (i, (&got, &expected)) in got.data.iter().zip(&expected.data).enumerate() {
            let bound = bound(i);
            let error = (f64::from(got) - f64::from(expected)).abs();
            // Not `error > bound`: NaN is never within.
            if got.is_finite() && error <= bound {
                if error > 0.0 && error / bound > self.worst.0 {
                    self.worst = (error / bound, format!("{} {name}[{i}]", self.case.name));
                }
                continue;
            }
            wrong += 1;
            if wrong == 1 {
                first = format!(
                    "{name}[{i}]: got {got:e}, expected {expected:e}, error {error:e}, bound {bound:e}"
                );
            }
        }
        if wrong > 0 {
            let n = got.data.len();
            self.fail(format!("{first} ({wrong} of {n} elements are wrong)"));
        }
    }

    /// Double-precision numbers, which both sides compute alike: within a few spacings of the largest.
    pub(crate) fn doubles(&mut self, name: &str, got: &[f64]) {
        self.compared.insert(name.to_string());
        let Some(expected) = self.case.doubles.get(name) else {
            return self.fail(format!("{name}: computed, but not stored"));
        };
        if got.len() != expected.len() {
            let (got, expected) = (got.len(), expected.len());
            return self.fail(format!("{name}: {got} numbers, expected {expected}"));
        }
        let largest = expected
            .iter()
            .fold(0.0f64, |max, rate| max.max(rate.abs()));
        let bound = 8.0 * f64::EPSILON * largest;
        let wrong = got.iter().zip(expected).position(|(got, expected)| {
            let error = (got - expected).abs();
            error > bound || error.is_nan()
        });
        if let Some(i) = wrong {
            let (got, expected) = (got[i], expected[i]);
            self.fail(format!("{name}[{i}]: got {got:e}, expected {expected:e}"));
        }
    }

    /// Leaves out a result, for a reason that its caller gives.
    pub(crate) fn leave_out(&mut self, name: &str) {
        self.compared.insert(name.to_string());
    }

    /// A gradient, which must exist.
    pub(crate) fn gradient(&mut self, name: &str, got: Option<Values>) -> Option<Values> {
        if got.is_none() {
            self.compared.insert(name.to_string());
            self.fail(format!("{name}: there is no gradient"));
        }
        got
    }

    pub(crate) fn fail(&mut self, message: String) {
        self.failures.push(message);
    }

    /// Fails if a comparison did, a stored result was not compared, or an input was not used.
    pub(crate) fn finish(mut self) -> Outcome {
        let read = self.case.read.borrow();
        let case = self.case;
        let names = case.tensors.keys().chain(case.integers.keys());
        let names = names.chain(case.doubles.keys());
        for name in names.filter(|&name| !self.compared.contains(name)) {
            if is_result(name) {
                self.failures
                    .push(format!("{name}: stored, but not compared"));
            } else if !read.contains(name) {
                self.failures.push(format!("{name}: stored, but not used"));
            }
        }
        let mut worst = WORST.lock().unwrap_or_else(|error| error.into_inner());
        let entry = worst.entry(self.case.file.clone()).or_default();
        if self.worst.0 > entry.0 {
            *entry = self.worst;
        }
        if self.failures.is_empty() {
            return Ok(());
        }
        let place = format!("{}::{}", self.case.file, self.case.name);
        let lines: Vec<String> = self
            .failures
            .iter()
            .map(|line| format!("{place}: {line}"))
            .collect();
        Err(lines.join("\n"))
    }
}

/// The bound of [`Check::measured`].
///
/// A scalar (a scale's gradient) is a sum whose terms may cancel: one element is one draw, which
/// may be small by luck, and a spacing of the result says nothing of the terms. For those the
/// fixture's response to noise counts too: what a relative noise of one spacing makes of them.
pub(crate) fn measured_bound(case: &Case, name: &str, expected: &Values) -> f64 {
    let stated = case.sensitivity(name).unwrap_or(0.0);
    let amplification = match expected.data.len() {
        1 => case.amplification().max(1.0),
        _ => 1.0,
    };
    DRAWS * stated.max(EPSILON * amplification * expected.max_abs())
}

/// Whether a stored tensor is something the published code computed.
fn is_result(name: &str) -> bool {
    let is = |start: &str| name.starts_with(start);
    let losses = ["loss", "base_loss", "distillation_loss"];
    (is("out") && !is("outputs"))
        || (is("grad") && name != "grad_out")
        || ["after", "stored.", "eff", "trace.", "final."]
            .into_iter()
            .any(is)
        || losses.contains(&name)
}

/// Prints how close the comparisons came to their bounds.
pub(crate) fn report() {
    let worst = WORST.lock().unwrap_or_else(|error| error.into_inner());
    for (file, (ratio, place)) in worst.iter().filter(|(_, (ratio, _))| *ratio > 0.0) {
        eprintln!("{file}: worst error {ratio:.2} of its bound {place}");
    }
}
