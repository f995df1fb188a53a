//! The operations on Burn's CubeCL backends (WGPU, Vulkan, CUDA), as fused kernels.
//!
//! One launch replaces a chain of tensor operations. Where something is added up (gradients of scales, means of a
//! weight) a second one puts the sums of the cubes together, always in the same order, so that results can be
//! repeated. Thresholds are compared in the same kernel, whatever the scope; its extrema are a launch of their own, as
//! the backward pass needs them too.
//!
//! What has no kernel here (element types other than `f32`, one scale per channel, more groups than fit into shared
//! memory) runs as the primitive operations do.

mod kernel;

use burn::backend::TensorMetadata;
use burn::tensor::{DType, Shape};
use burn_cubecl::CubeBackend;
use burn_cubecl::cubecl::prelude::{CubeCount, CubeDim, SequenceArg};
use burn_cubecl::ops::numeric::{empty_device_contiguous_dtype, empty_device_dtype};
use burn_cubecl::tensor::CubeTensor;
use gsb_numerics::{Levels, SCALE_GUARD, ThresholdScope};

use super::backend::BinaryOps;
use super::primitive;
use super::superposition::{Superposed, Superposition, ValueGradient};
use kernel::UNITS;

/// Groups whose sums fit into 16 KiB of shared memory, which every device has.
const MOST_GROUPS: usize = 8;

/// Cubes that share a sum: the last launch adds up as many numbers in a row.
const MOST_CUBES: usize = 64;

/// Cubes along a dimension of a launch.
const MOST_CUBES_ALONG: usize = 65_535;

impl BinaryOps for CubeBackend {
    fn extrema(x: CubeTensor, scope: ThresholdScope) -> CubeTensor {
        if !has_kernel(&[&x]) {
            return primitive::extrema::<Self>(x, scope);
        }
        let (scopes, len) = scope.split(x.shape().as_slice());
        let extrema = like(&x, Shape::new([scopes, 2]));
        let rows = scopes.div_ceil(MOST_CUBES_ALONG);
        kernel::extrema_kernel::launch(
            &x.client.clone(),
            CubeCount::Static(scopes.div_ceil(rows) as u32, rows as u32, 1),
            CubeDim::new_1d(UNITS as u32),
            x.into_linear_view(),
            extrema.clone().into_linear_view(),
            len,
            scopes,
        );
        extrema
    }

    fn lsq(x: CubeTensor, scale: CubeTensor, levels: Levels, guarded: bool) -> CubeTensor {
        if x.shape().num_elements() == 0 {
            return x;
        }
        if !has_kernel(&[&x, &scale]) || scale.shape().num_elements() != 1 {
            return primitive::lsq::<Self>(x, scale, levels, guarded);
        }
        superpose(x, scale.clone(), scale, &Groups::of_levels(levels, guarded))
    }

    fn lsq_backward(
        x: CubeTensor,
        scale: CubeTensor,
        grad: CubeTensor,
        levels: Levels,
        guarded: bool,
    ) -> (CubeTensor, CubeTensor) {
        if !has_kernel(&[&x, &scale, &grad]) || scale.shape().num_elements() != 1 {
            return primitive::lsq_backward::<Self>(x, scale, grad, levels, guarded);
        }
        let groups = Groups::of_levels(levels, guarded);
        superpose_backward(x, scale.clone(), scale, grad, &groups)
    }

    fn superpose(
        x: CubeTensor,
        scales: CubeTensor,
        extrema: CubeTensor,
        spec: Superposition,
    ) -> CubeTensor {
        if x.shape().num_elements() == 0 {
            return x;
        }
        if !has_kernel(&[&x, &scales, &extrema]) {
            return primitive::superpose::<Self>(x, scales, extrema, spec);
        }
        let groups = Groups::new(&x, &spec);
        superpose(x, scales, extrema, &groups)
    }

    fn superpose_backward(
        x: CubeTensor,
        scales: CubeTensor,
        extrema: CubeTensor,
        grad: CubeTensor,
        spec: Superposition,
    ) -> (CubeTensor, CubeTensor) {
        if !has_kernel(&[&x, &scales, &extrema, &grad]) || spec.groups() > MOST_GROUPS {
            return primitive::superpose_backward::<Self>(x, scales, extrema, grad, spec);
        }
        let groups = Groups::new(&x, &spec);
        superpose_backward(x, scales, extrema, grad, &groups)
    }

    fn binarize_weight(w: CubeTensor, output: Option<usize>) -> CubeTensor {
        if !has_kernel(&[&w]) || output.is_some() {
            return primitive::binarize_weight::<Self>(w, output);
        }
        let n = w.shape().num_elements();
        let cubes = cubes(n);
        let partial = contiguous_like(&w, Shape::new([2, cubes]));
        let y = like(&w, w.shape());
        let client = w.client.clone();
        let count = || CubeCount::Static(cubes as u32, 1, 1);
        let dim = CubeDim::new_1d(UNITS as u32);
        // As the primitive operation does: no finite element overflows the sum.
        let power = n.next_power_of_two() as f32;
        kernel::sums_kernel::launch(
            &client,
            count(),
            dim,
            w.clone().into_linear_view(),
            partial.clone().into_tensor_arg(),
            1.0 / power,
            n,
            cubes,
        );
        kernel::binarize_weight_kernel::launch(
            &client,
            count(),
            dim,
            w.into_linear_view(),
            partial.into_tensor_arg(),
            y.clone().into_linear_view(),
            n as f32 / power,
            n,
            cubes,
        );
        y
    }
}

/// What a kernel is told about the groups.
struct Groups {
    signs: bool,
    guarded: bool,
    thresholds: Vec<f32>,
    range: (f32, f32),
    /// Elements of a scope.
    len: usize,
    /// Whether a value lets the gradient pass in the range of the first group alone.
    plain: bool,
}

impl Groups {
    fn new(x: &CubeTensor, spec: &Superposition) -> Self {
        Self {
            signs: spec.kind == Superposed::Value,
            guarded: true,
            thresholds: spec.thresholds.clone(),
            range: spec.range,
            len: spec.scope.split(x.shape().as_slice()).1,
            plain: spec.value_gradient == ValueGradient::Plain,
        }
    }

    /// A quantizer is a superposition of one group, which has no threshold.
    fn of_levels(levels: Levels, guarded: bool) -> Self {
        Self {
            signs: levels.is_sign(),
            guarded,
            thresholds: Vec::new(),
            range: levels.range(),
            len: 1,
            plain: false,
        }
    }

    fn thresholds(&self) -> SequenceArg<f32> {
        self.thresholds.iter().copied().collect()
    }
}

fn superpose(
    x: CubeTensor,
    scales: CubeTensor,
    extrema: CubeTensor,
    groups: &Groups,
) -> CubeTensor {
    let y = like(&x, x.shape());
    let client = x.client.clone();
    let n = x.shape().num_elements();
    let dim = CubeDim::new(&client, n);
    kernel::superpose_kernel::launch(
        &client,
        burn_cubecl::cubecl::calculate_cube_count_elemwise(&client, n, dim),
        dim,
        x.into_linear_view(),
        scales.into_linear_view(),
        extrema.into_linear_view(),
        y.clone().into_linear_view(),
        groups.thresholds(),
        groups.range.0,
        groups.range.1,
        SCALE_GUARD,
        groups.len,
        groups.signs,
        groups.guarded,
    );
    y
}

fn superpose_backward(
    x: CubeTensor,
    scales: CubeTensor,
    extrema: CubeTensor,
    grad: CubeTensor,
    groups: &Groups,
) -> (CubeTensor, CubeTensor) {
    let n = x.shape().num_elements();
    let (rows, cubes) = (groups.thresholds.len() + 1, cubes(n));
    let grad_x = like(&x, x.shape());
    let grad_scales = like(&x, scales.shape());
    let partial = contiguous_like(&x, Shape::new([2 * rows, cubes]));
    let client = x.client.clone();
    kernel::superpose_backward_kernel::launch(
        &client,
        CubeCount::Static(cubes as u32, 1, 1),
        CubeDim::new_1d(UNITS as u32),
        x.into_linear_view(),
        scales.into_linear_view(),
        extrema.into_linear_view(),
        grad.into_linear_view(),
        grad_x.clone().into_linear_view(),
        partial.clone().into_tensor_arg(),
        groups.thresholds(),
        groups.range.0,
        groups.range.1,
        SCALE_GUARD,
        groups.len,
        n,
        cubes,
        groups.signs,
        groups.guarded,
        groups.plain,
    );
    kernel::scale_gradients_kernel::launch(
        &client,
        CubeCount::Static(1, 1, 1),
        CubeDim::new_1d(MOST_GROUPS as u32),
        partial.into_tensor_arg(),
        grad_scales.clone().into_linear_view(),
        n as f32,
        groups.range.1,
        rows,
        cubes,
    );
    (grad_x, grad_scales)
}

/// The kernels take `f32`, and something.
fn has_kernel(tensors: &[&CubeTensor]) -> bool {
    tensors
        .iter()
        .all(|x| x.dtype() == DType::F32 && x.shape().num_elements() > 0)
}

/// Cubes for a sum of `n` elements, a few of which each unit takes.
fn cubes(n: usize) -> usize {
    n.div_ceil(4 * UNITS).clamp(1, MOST_CUBES)
}

fn like(x: &CubeTensor, shape: Shape) -> CubeTensor {
    empty_device_dtype(x.client.clone(), x.device.clone(), shape, x.dtype)
}

fn contiguous_like(x: &CubeTensor, shape: Shape) -> CubeTensor {
    empty_device_contiguous_dtype(x.client.clone(), x.device.clone(), shape, x.dtype)
}

#[cfg(test)]
mod tests;
