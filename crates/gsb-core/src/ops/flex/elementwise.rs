//! The loops over elements.

use std::mem::MaybeUninit;

use burn::backend::{TensorMetadata, flex::FlexTensor};
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::kernel::Pointwise;
use super::vector;

/// Elements of a task: large enough that a task costs more than starting it, small enough that its
/// input and output stay in a core's cache.
pub(super) const CHUNK: usize = 1 << 14;

/// A tensor of so many elements is not worth a second thread: waking one takes tens of microseconds.
const ALONE: usize = 1 << 16;

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
    let arch = Arch::new();
    if let Some(values) = owned(&mut x) {
        tasks(values, |start, chunk| {
            scopes(start, chunk.len(), len, |scope, range| {
                let (kernel, values) = (kernels[scope], &mut chunk[range]);
                arch.dispatch(InPlace::<G, K> { kernel, values });
            });
        });
        return x;
    }
    let xs = elements(&x);
    let mut ys = Vec::with_capacity(xs.len());
    tasks(&mut ys.spare_capacity_mut()[..xs.len()], |start, chunk| {
        scopes(start, chunk.len(), len, |scope, range| {
            let xs = &xs[start + range.start..start + range.end];
            let (kernel, ys) = (kernels[scope], &mut chunk[range]);
            arch.dispatch(Values::<G, K> { kernel, xs, ys });
        });
    });
    // The tasks are given all of the first `xs.len()` elements, `scopes` covers each task without a
    // gap, and `Values` writes all of its output, which is as long as its input.
    #[allow(unsafe_code)]
    // SAFETY: the capacity is at least `xs.len()`, and each of those elements has been written.
    unsafe {
        ys.set_len(xs.len());
    }
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
    let arch = Arch::new();
    if let Some(values) = owned(&mut grad) {
        let sums = task_sums(values, |start, chunk| {
            let mut sums = Sums::default();
            scopes(start, chunk.len(), len, |scope, range| {
                let xs = &xs[start + range.start..start + range.end];
                let (kernel, grads) = (kernels[scope], &mut chunk[range]);
                sums.add(arch.dispatch(GradientsInPlace::<G, K> { kernel, xs, grads }));
            });
            sums
        });
        return (grad, sums);
    }
    let grads = elements(&grad);
    let mut out = Vec::with_capacity(xs.len());
    let spare = &mut out.spare_capacity_mut()[..xs.len()];
    let sums = task_sums(spare, |start, chunk| {
        let mut sums = Sums::default();
        scopes(start, chunk.len(), len, |scope, range| {
            let part = start + range.start..start + range.end;
            let (xs, grads) = (&xs[part.clone()], &grads[part]);
            let (kernel, out) = (kernels[scope], &mut chunk[range]);
            sums.add(arch.dispatch(Gradients::<G, K> {
                kernel,
                xs,
                grads,
                out,
            }));
        });
        sums
    });
    // As in `map`: every element of every task is written.
    #[allow(unsafe_code)]
    // SAFETY: the capacity is at least `xs.len()`, and each of those elements has been written.
    unsafe {
        out.set_len(xs.len());
    }
    (vector(out, shape), sums)
}

// The loops over one scope's part of one chunk. Dispatching a type whose method is always inlined
// compiles the loop for the machine's vectors; a closure may end up outside, in baseline code.

struct InPlace<'a, const G: usize, K> {
    kernel: K,
    values: &'a mut [f32],
}

impl<const G: usize, K: Pointwise<G>> WithSimd for InPlace<'_, G, K> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) {
        for x in self.values {
            *x = self.kernel.value(*x);
        }
    }
}

/// Zeroing the output first would be a pass of its own, on one thread.
struct Values<'a, const G: usize, K> {
    kernel: K,
    xs: &'a [f32],
    ys: &'a mut [MaybeUninit<f32>],
}

impl<const G: usize, K: Pointwise<G>> WithSimd for Values<'_, G, K> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) {
        assert_eq!(self.xs.len(), self.ys.len());
        for (y, &x) in self.ys.iter_mut().zip(self.xs) {
            y.write(self.kernel.value(x));
        }
    }
}

/// Gradients to `x` replace those of the values.
struct GradientsInPlace<'a, const G: usize, K> {
    kernel: K,
    xs: &'a [f32],
    grads: &'a mut [f32],
}

impl<const G: usize, K: Pointwise<G>> WithSimd for GradientsInPlace<'_, G, K> {
    type Output = Sums<G>;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) -> Sums<G> {
        let mut lanes = LaneSums::default();
        let (full_x, rest_x) = self.xs.as_chunks::<LANES>();
        let (full_g, rest_g) = self.grads.as_chunks_mut::<LANES>();
        for (xs, grads) in full_x.iter().zip(full_g) {
            for lane in 0..LANES {
                grads[lane] = lanes.step(self.kernel, lane, xs[lane], grads[lane]);
            }
        }
        for (lane, (&x, grad)) in rest_x.iter().zip(rest_g).enumerate() {
            *grad = lanes.step(self.kernel, lane, x, *grad);
        }
        lanes.total()
    }
}

struct Gradients<'a, const G: usize, K> {
    kernel: K,
    xs: &'a [f32],
    grads: &'a [f32],
    out: &'a mut [MaybeUninit<f32>],
}

impl<const G: usize, K: Pointwise<G>> WithSimd for Gradients<'_, G, K> {
    type Output = Sums<G>;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) -> Sums<G> {
        assert_eq!(self.xs.len(), self.out.len());
        assert_eq!(self.grads.len(), self.out.len());
        let mut lanes = LaneSums::default();
        let (full_x, rest_x) = self.xs.as_chunks::<LANES>();
        let (full_g, rest_g) = self.grads.as_chunks::<LANES>();
        let (full_out, rest_out) = self.out.as_chunks_mut::<LANES>();
        for ((xs, grads), out) in full_x.iter().zip(full_g).zip(full_out) {
            for lane in 0..LANES {
                out[lane].write(lanes.step(self.kernel, lane, xs[lane], grads[lane]));
            }
        }
        for (lane, ((&x, &grad), out)) in rest_x.iter().zip(rest_g).zip(rest_out).enumerate() {
            out.write(lanes.step(self.kernel, lane, x, grad));
        }
        lanes.total()
    }
}

/// Partial sums of the terms of the scales' gradients, side by side.
struct LaneSums<const G: usize> {
    terms: [[f32; LANES]; G],
    members: [[f32; LANES]; G],
}

impl<const G: usize> Default for LaneSums<G> {
    #[inline(always)]
    fn default() -> Self {
        Self {
            terms: [[0.0; LANES]; G],
            members: [[0.0; LANES]; G],
        }
    }
}

impl<const G: usize> LaneSums<G> {
    /// The gradient to `x`, its terms added to a lane.
    #[inline(always)]
    fn step<K: Pointwise<G>>(&mut self, kernel: K, lane: usize, x: f32, grad: f32) -> f32 {
        let (grad, term, member) = kernel.gradient(x, grad);
        for k in 0..G {
            self.terms[k][lane] += term[k];
            self.members[k][lane] += member[k];
        }
        grad
    }

    #[inline(always)]
    fn total(&self) -> Sums<G> {
        let sum = |lanes: &[f32; LANES]| lanes.iter().copied().map(f64::from).sum();
        Sums {
            terms: self.terms.each_ref().map(sum),
            members: self.members.each_ref().map(sum),
        }
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
pub(super) fn owned(x: &mut FlexTensor) -> Option<&mut [f32]> {
    let n = x.shape().num_elements();
    x.try_storage_mut::<f32>()
        .filter(|values| values.len() == n)
}

/// Whether more threads than this one pay. One worker alone would only be woken up and waited for.
pub(super) fn pays(elements: usize) -> bool {
    elements > ALONE && rayon::current_num_threads() > 1
}

/// Runs `task(index of the first element, chunk)` on every chunk.
fn tasks<T: Send>(values: &mut [T], task: impl Fn(usize, &mut [T]) + Sync) {
    task_sums::<0, T>(values, |start, chunk| {
        task(start, chunk);
        Sums::default()
    });
}

/// Runs `task(index of the first element, chunk)` on every chunk; the sums added in order.
fn task_sums<const G: usize, T: Send>(
    values: &mut [T],
    task: impl Fn(usize, &mut [T]) -> Sums<G> + Sync,
) -> Sums<G> {
    let run = |index: usize, chunk: &mut [T]| task(index * CHUNK, chunk);
    let mut sums = Sums::default();
    if !pays(values.len()) {
        let chunks = values.chunks_mut(CHUNK).enumerate();
        chunks.for_each(|(index, chunk)| sums.add(run(index, chunk)));
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
