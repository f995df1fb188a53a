//! The loops over elements.

use std::mem::MaybeUninit;

use burn::backend::{TensorMetadata, flex::FlexTensor};
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::tensor::{contiguous, elements, owned, vector};

/// Elements of a task: large enough that a task costs more than starting it, small enough that its
/// input and output stay in a core's cache.
pub const CHUNK: usize = 1 << 14;

/// A tensor of fewer elements is not worth a second thread: waking one takes tens of microseconds.
const ALONE: usize = 1 << 16;

/// Partial sums kept side by side, a vector register of them or two.
pub const LANES: usize = 16;

/// A function of one element with `P` parameters.
pub trait Pointwise<const P: usize>: Copy + Send + Sync {
    /// The value at `x`.
    fn value(self, x: f32) -> f32;

    /// With the gradient `g` of the value: that of `x`, what `x` adds to the gradient of each
    /// parameter, and to the number of elements that the parameter acts on.
    fn gradient(self, x: f32, g: f32) -> (f32, [f32; P], [f32; P]);
}

/// Applies to each element the kernel of its scope, a scope being `len` elements. In place if
/// nobody else holds the tensor.
pub fn map<const P: usize, K: Pointwise<P>>(
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
                arch.dispatch(InPlace::<P, K> { kernel, values });
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
            arch.dispatch(Values::<P, K> { kernel, xs, ys });
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
/// up the terms of the parameters' gradients. Scopes and kernels as in [`map`].
pub fn map_gradient<const P: usize, K: Pointwise<P>>(
    x: FlexTensor,
    grad: FlexTensor,
    len: usize,
    kernels: &[K],
) -> (FlexTensor, Sums<P>) {
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
                sums.add(arch.dispatch(GradientsInPlace::<P, K> { kernel, xs, grads }));
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
            sums.add(arch.dispatch(Gradients::<P, K> {
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

struct InPlace<'a, const P: usize, K> {
    kernel: K,
    values: &'a mut [f32],
}

impl<const P: usize, K: Pointwise<P>> WithSimd for InPlace<'_, P, K> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) {
        for x in self.values {
            *x = self.kernel.value(*x);
        }
    }
}

/// Zeroing the output first would be a pass of its own, on one thread.
struct Values<'a, const P: usize, K> {
    kernel: K,
    xs: &'a [f32],
    ys: &'a mut [MaybeUninit<f32>],
}

impl<const P: usize, K: Pointwise<P>> WithSimd for Values<'_, P, K> {
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
struct GradientsInPlace<'a, const P: usize, K> {
    kernel: K,
    xs: &'a [f32],
    grads: &'a mut [f32],
}

impl<const P: usize, K: Pointwise<P>> WithSimd for GradientsInPlace<'_, P, K> {
    type Output = Sums<P>;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) -> Sums<P> {
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

struct Gradients<'a, const P: usize, K> {
    kernel: K,
    xs: &'a [f32],
    grads: &'a [f32],
    out: &'a mut [MaybeUninit<f32>],
}

impl<const P: usize, K: Pointwise<P>> WithSimd for Gradients<'_, P, K> {
    type Output = Sums<P>;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) -> Sums<P> {
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

/// Partial sums of the terms of the parameters' gradients, side by side.
struct LaneSums<const P: usize> {
    terms: [[f32; LANES]; P],
    members: [[f32; LANES]; P],
}

impl<const P: usize> Default for LaneSums<P> {
    #[inline(always)]
    fn default() -> Self {
        Self {
            terms: [[0.0; LANES]; P],
            members: [[0.0; LANES]; P],
        }
    }
}

impl<const P: usize> LaneSums<P> {
    /// The gradient to `x`, its terms added to a lane.
    #[inline(always)]
    fn step<K: Pointwise<P>>(&mut self, kernel: K, lane: usize, x: f32, grad: f32) -> f32 {
        let (grad, term, member) = kernel.gradient(x, grad);
        for k in 0..P {
            self.terms[k][lane] += term[k];
            self.members[k][lane] += member[k];
        }
        grad
    }

    #[inline(always)]
    fn total(&self) -> Sums<P> {
        let sum = |lanes: &[f32; LANES]| lanes.iter().copied().map(f64::from).sum();
        Sums {
            terms: self.terms.each_ref().map(sum),
            members: self.members.each_ref().map(sum),
        }
    }
}

/// Sums over a tensor, for each of `P` parameters.
pub struct Sums<const P: usize> {
    /// What its elements add to the gradient of each parameter.
    pub terms: [f64; P],
    /// The number of elements that each parameter acts on.
    pub members: [f64; P],
}

impl<const P: usize> Default for Sums<P> {
    fn default() -> Self {
        Self {
            terms: [0.0; P],
            members: [0.0; P],
        }
    }
}

impl<const P: usize> Sums<P> {
    fn add(&mut self, other: Self) {
        for k in 0..P {
            self.terms[k] += other.terms[k];
            self.members[k] += other.members[k];
        }
    }
}

/// Whether more threads than this one pay. One worker alone would only be woken up and waited for.
pub fn pays(elements: usize) -> bool {
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
fn task_sums<const P: usize, T: Send>(
    values: &mut [T],
    task: impl Fn(usize, &mut [T]) -> Sums<P> + Sync,
) -> Sums<P> {
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
