//! The loops over elements.

use burn::backend::{TensorMetadata, flex::FlexTensor};
use pulp::Arch;
use rayon::prelude::*;

use super::kernel::Pointwise;
use super::vector;

/// Elements of a task: large enough that a task costs more than starting it, small enough that its
/// input and output stay in a core's cache. A tensor of one chunk is not worth a second thread.
pub(super) const CHUNK: usize = 1 << 14;

/// Partial sums kept side by side, a vector register of them or two.
pub(super) const LANES: usize = 16;

/// The tensor itself if its elements lie in order, else a copy in which they do.
pub(super) fn contiguous(x: FlexTensor) -> FlexTensor {
    if x.is_contiguous() {
        x
    } else {
        x.to_contiguous()
    }
}

/// The elements of a contiguous tensor.
pub(super) fn elements(x: &FlexTensor) -> &[f32] {
    x.as_slice::<f32>()
        .expect("checked to be f32 and made contiguous")
}

/// Applies to each element the kernel of its scope, each scope being `len` elements. In place if
/// nobody else holds the tensor.
pub(super) fn map<const G: usize, K: Pointwise<G>>(
    x: FlexTensor,
    len: usize,
    kernels: &[K],
) -> FlexTensor {
    let shape = x.shape();
    let mut x = contiguous(x);
    if let Some(values) = owned(&mut x) {
        tasks(values, |start, chunk| {
            scopes(start, chunk.len(), len, |scope, range| {
                let kernel = kernels[scope];
                chunk[range].iter_mut().for_each(|x| *x = kernel.value(*x));
            });
        });
        return x;
    }
    let xs = elements(&x);
    let mut ys = vec![0.0; xs.len()];
    tasks(&mut ys, |start, chunk| {
        scopes(start, chunk.len(), len, |scope, range| {
            let kernel = kernels[scope];
            let xs = &xs[start + range.start..start + range.end];
            chunk[range]
                .iter_mut()
                .zip(xs)
                .for_each(|(y, &x)| *y = kernel.value(x));
        });
    });
    vector(ys, shape)
}

/// Replaces the gradient of the values by that of `x`, in place if nobody else holds it, and adds
/// up the terms of the scales' gradients. Scopes and kernels as in [`map`].
pub(super) fn map_gradient<const G: usize, K: Pointwise<G>>(
    x: FlexTensor,
    grad: FlexTensor,
    len: usize,
    kernels: &[K],
) -> (FlexTensor, Sums<G>) {
    let shape = x.shape();
    let (x, mut grad) = (contiguous(x), contiguous(grad));
    let xs = elements(&x);
    let run = |start: usize, chunk: &mut [f32]| {
        let mut sums = Sums::default();
        scopes(start, chunk.len(), len, |scope, range| {
            let xs = &xs[start + range.start..start + range.end];
            sums.add(gradient_run(kernels[scope], xs, &mut chunk[range]));
        });
        sums
    };
    if let Some(values) = owned(&mut grad) {
        let sums = task_sums(values, run);
        return (grad, sums);
    }
    let mut values = elements(&grad).to_vec();
    let sums = task_sums(&mut values, run);
    (vector(values, shape), sums)
}

/// One scope's part of one chunk: gradients to `x` replace those of the values.
#[inline(always)]
fn gradient_run<const G: usize, K: Pointwise<G>>(
    kernel: K,
    xs: &[f32],
    grads: &mut [f32],
) -> Sums<G> {
    let mut terms = [[0.0f32; LANES]; G];
    let mut members = [[0.0f32; LANES]; G];
    let (full_x, rest_x) = xs.as_chunks::<LANES>();
    let (full_g, rest_g) = grads.as_chunks_mut::<LANES>();
    for (xs, grads) in full_x.iter().zip(full_g) {
        for lane in 0..LANES {
            let (grad, term, member) = kernel.gradient(xs[lane], grads[lane]);
            grads[lane] = grad;
            for k in 0..G {
                terms[k][lane] += term[k];
                members[k][lane] += member[k];
            }
        }
    }
    for (lane, (&x, g)) in rest_x.iter().zip(rest_g).enumerate() {
        let (grad, term, member) = kernel.gradient(x, *g);
        *g = grad;
        for k in 0..G {
            terms[k][lane] += term[k];
            members[k][lane] += member[k];
        }
    }
    let total =
        |lanes: [[f32; LANES]; G]| lanes.map(|lanes| lanes.iter().copied().map(f64::from).sum());
    Sums {
        terms: total(terms),
        members: total(members),
    }
}

/// Sums over a tensor, for each of `G` scales.
pub(super) struct Sums<const G: usize> {
    terms: [f64; G],
    members: [f64; G],
}

impl<const G: usize> Default for Sums<G> {
    fn default() -> Self {
        Self {
            terms: [0.0; G],
            members: [0.0; G],
        }
    }
}

impl<const G: usize> Sums<G> {
    fn add(&mut self, other: Self) {
        for k in 0..G {
            self.terms[k] += other.terms[k];
            self.members[k] += other.members[k];
        }
    }

    /// The gradients of the scales: the sum of the terms over `sqrt(members * Qp)`, the first
    /// group's members being all `n` elements. That of an empty group is 0.
    pub(super) fn scale_gradients(&self, n: usize, qp: f32) -> [f32; G] {
        std::array::from_fn(|k| {
            let members = if k == 0 { n as f64 } else { self.members[k] };
            (self.terms[k] / (members.max(1.0) * f64::from(qp)).sqrt()) as f32
        })
    }
}

/// The elements, if nobody else holds them and they are all there is.
fn owned(x: &mut FlexTensor) -> Option<&mut [f32]> {
    let n = x.shape().num_elements();
    x.try_storage_mut::<f32>()
        .filter(|values| values.len() == n)
}

/// Runs `task(index of the first element, chunk)` on every chunk.
fn tasks(values: &mut [f32], task: impl Fn(usize, &mut [f32]) + Sync) {
    task_sums::<0>(values, |start, chunk| {
        task(start, chunk);
        Sums::default()
    });
}

/// Runs `task(index of the first element, chunk)` on every chunk; the sums added in order.
fn task_sums<const G: usize>(
    values: &mut [f32],
    task: impl Fn(usize, &mut [f32]) -> Sums<G> + Sync,
) -> Sums<G> {
    let arch = Arch::new();
    // Everything called from here is inlined, and so compiled for the machine's vectors.
    let run = |index: usize, chunk: &mut [f32]| arch.dispatch(|| task(index * CHUNK, chunk));
    let mut sums = Sums::default();
    if values.len() <= CHUNK {
        if !values.is_empty() {
            sums.add(run(0, values));
        }
    } else {
        let parts: Vec<_> = values
            .par_chunks_mut(CHUNK)
            .enumerate()
            .map(|(index, chunk)| run(index, chunk))
            .collect();
        parts.into_iter().for_each(|part| sums.add(part));
    }
    sums
}

/// Calls `run(scope, range within the chunk)` for each scope that a chunk touches.
#[inline(always)]
fn scopes(
    start: usize,
    chunk: usize,
    len: usize,
    mut run: impl FnMut(usize, std::ops::Range<usize>),
) {
    let mut at = 0;
    while at < chunk {
        let scope = (start + at) / len;
        let end = ((scope + 1) * len - start).min(chunk);
        run(scope, at..end);
        at = end;
    }
}
