//! The binarizers written out element by element: the method's equations, for inputs the published
//! code rejects and for the size of the terms of sums.

use crate::check::reduction;

/// Scales that are not above it act as this.
pub(crate) const GUARD: f32 = 1e-5;

/// What a binarizer does with a tensor whose elements all share one scope.
pub(crate) struct Reference {
    pub y: Vec<f32>,
    pub dx: Vec<f32>,
    /// Gradient of each scale.
    pub scales: Vec<Sum>,
}

/// A gradient of a scale: a sum, and that of the magnitudes of its terms.
#[derive(Clone, Copy, Default)]
pub(crate) struct Sum {
    pub value: f64,
    pub magnitude: f64,
    terms: usize,
}

impl Sum {
    /// Adds `(level - inner) * g`.
    fn add(&mut self, level: f32, inner: f32, g: f32) {
        let [level, inner, g] = [level, inner, g].map(f64::from);
        self.value += (level - inner) * g;
        self.magnitude += (level.abs() + inner.abs()) * g.abs();
        self.terms += 1;
    }

    /// Divides by `sqrt(members * qp)`.
    fn rate(mut self, members: usize, qp: f32) -> Self {
        let root = (members.max(1) as f64 * f64::from(qp)).sqrt();
        self.value /= root;
        self.magnitude /= root;
        self
    }

    /// How far two f32 evaluations may be apart, the quotients in it (and so its terms) being off
    /// by a relative `input`. The last term is for sums so small that they are denormal.
    pub(crate) fn bound(&self, input: f64) -> f64 {
        let denormal = self.terms as f64 * f64::from(f32::from_bits(1));
        (reduction(self.terms) + input) * self.magnitude + denormal
    }
}

pub(crate) fn guarded(scale: f32) -> f32 {
    if scale > GUARD { scale } else { GUARD }
}

fn sign(x: f32) -> f32 {
    if x == 0.0 { 0.0 } else { x.signum() }
}

fn inside(q: f32, (qn, qp): (f32, f32)) -> bool {
    !(q < qn || q > qp)
}

/// The signed and unsigned quantizers, without the unsigned one's minimum.
pub(crate) fn quantize(x: &[f32], g: &[f32], scale: f32, signed: bool, bits: u8) -> Reference {
    let a = guarded(scale);
    let steps = f32::from(1u16 << (bits - u8::from(signed)));
    let range = match (signed, bits) {
        (true, 1) => (-1.0, 1.0),
        (true, _) => (-steps, steps - 1.0),
        (false, _) => (0.0, steps - 1.0),
    };
    let mut sum = Sum::default();
    let (y, dx) = x
        .iter()
        .zip(g)
        .map(|(&x, &g)| {
            let q = x / a;
            let mid = inside(q, range);
            let level = if signed && bits == 1 {
                sign(x)
            } else {
                q.clamp(range.0, range.1).round_ties_even()
            };
            sum.add(level, if mid { q } else { 0.0 }, g);
            (level * a, if mid { g } else { 0.0 })
        })
        .unzip();
    Reference {
        y,
        dx,
        scales: vec![sum.rate(x.len(), range.1)],
    }
}

/// The unsigned quantizer of several bits counts from the minimum.
pub(crate) fn quantize_from_minimum(x: &[f32], g: &[f32], scale: f32, bits: u8) -> Reference {
    let min = x.iter().copied().fold(f32::INFINITY, f32::min);
    let z: Vec<f32> = x.iter().map(|x| x - min).collect();
    let mut reference = quantize(&z, g, scale, false, bits);
    reference.y.iter_mut().for_each(|y| *y += min);
    reference
}

/// The superposition of the attention matrix.
pub(crate) fn attention(x: &[f32], g: &[f32], scales: &[f32], bits: u8) -> Reference {
    let qp = if bits == 1 {
        1.0
    } else {
        f32::from((1u16 << (bits - 1)) - 1)
    };
    let a: Vec<f32> = scales.iter().copied().map(guarded).collect();
    let max = x.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut sums = vec![Sum::default(); a.len()];
    let mut members = vec![0; a.len()];
    let (y, dx) = x
        .iter()
        .zip(g)
        .map(|(&x, &g)| {
            let q = x / a[0];
            let mid = inside(q, (0.0, qp));
            let level = q.clamp(0.0, qp).round_ties_even();
            sums[0].add(level, if mid { q } else { 0.0 }, g);
            members[0] += 1;
            let mut y = level * a[0];
            let mut dx = if mid { g } else { 0.0 };
            for (k, threshold) in [0.7f32, 0.9].into_iter().enumerate() {
                if x > threshold * max {
                    y += a[k + 1];
                    dx += g * a[k + 1];
                    sums[k + 1].add(1.0, 0.0, g);
                    members[k + 1] += 1;
                }
            }
            (y, dx)
        })
        .unzip();
    let rated = sums.iter().zip(members).map(|(sum, n)| sum.rate(n, qp));
    Reference {
        y,
        dx,
        scales: rated.collect(),
    }
}

/// The superposition of the value.
pub(crate) fn value(x: &[f32], g: &[f32], scales: &[f32], bits: u8) -> Reference {
    let end = if bits == 1 {
        1.0
    } else {
        f32::from(1u16 << (bits - 1))
    };
    let a: Vec<f32> = scales.iter().copied().map(guarded).collect();
    let max = x.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let min = x.iter().copied().fold(f32::INFINITY, f32::min);
    let thresholds = [None, Some(0.7f32), Some(0.9)];
    let beyond =
        |x: f32, threshold: Option<f32>| threshold.is_none_or(|t| x > t * max || x < t * min);
    let members: Vec<usize> = thresholds
        .iter()
        .map(|&t| x.iter().filter(|&&x| beyond(x, t)).count())
        .collect();
    let mut sums = vec![Sum::default(); a.len()];
    let (y, dx) = x
        .iter()
        .zip(g)
        .map(|(&x, &g)| {
            let (mut y, mut passes) = (0.0, 0.0);
            // A group without members contributes nothing.
            for k in (0..a.len()).filter(|&k| members[k] > 0) {
                let x = if beyond(x, thresholds[k]) { x } else { 0.0 };
                let q = x / a[k];
                let mid = inside(q, (-end, end));
                sums[k].add(sign(x), if mid { q } else { 0.0 }, g);
                y += sign(x) * a[k];
                passes += f32::from(u8::from(mid));
            }
            (y, passes * g)
        })
        .unzip();
    let rated = sums.iter().zip(members).map(|(sum, n)| sum.rate(n, end));
    Reference {
        y,
        dx,
        scales: rated.collect(),
    }
}
