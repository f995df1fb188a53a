//! The softmax on Burn's CubeCL backends (WGPU, Vulkan, CUDA): one launch forward and one backward, where tensor operations
//! take six and five. Everything else runs as the primitive operations do, as do element types other than `f32`.

mod kernel;

use burn::backend::TensorMetadata;
use burn::tensor::DType;
use burn_cubecl::CubeBackend;
use burn_cubecl::cubecl::prelude::{CubeCount, CubeDim};
use burn_cubecl::ops::numeric::empty_device_dtype;
use burn_cubecl::tensor::CubeTensor;
use kernel::UNITS;

use crate::FloatOps;
use crate::primitive;

/// Cubes along a dimension of a launch.
const MOST_CUBES_ALONG: usize = 65_535;

impl FloatOps for CubeBackend {
    fn scaled_softmax(x: CubeTensor, scale: f64) -> CubeTensor {
        if x.shape().num_elements() == 0 {
            return x;
        }
        let Some(rows) = Rows::of(&[&x]) else {
            return primitive::scaled_softmax::<Self>(x, scale);
        };
        let y = like(&x);
        kernel::softmax_kernel::launch(
            &x.client.clone(),
            rows.cubes(),
            CubeDim::new_1d(UNITS as u32),
            x.into_linear_view(),
            y.clone().into_linear_view(),
            scale as f32,
            rows.len,
            rows.count,
        );
        y
    }

    fn scaled_softmax_backward(y: CubeTensor, grad: CubeTensor, scale: f64) -> CubeTensor {
        if y.shape().num_elements() == 0 {
            return grad;
        }
        let Some(rows) = Rows::of(&[&y, &grad]) else {
            return primitive::scaled_softmax_backward::<Self>(y, grad, scale);
        };
        let grad_x = like(&y);
        kernel::softmax_backward_kernel::launch(
            &y.client.clone(),
            rows.cubes(),
            CubeDim::new_1d(UNITS as u32),
            y.into_linear_view(),
            grad.into_linear_view(),
            grad_x.clone().into_linear_view(),
            scale as f32,
            rows.len,
            rows.count,
        );
        grad_x
    }
}

/// The rows of a tensor, along its last dimension.
struct Rows {
    count: usize,
    len: usize,
}

impl Rows {
    /// Those of tensors of one shape, which are not empty; none where there is no kernel.
    fn of(tensors: &[&CubeTensor]) -> Option<Self> {
        let shape = tensors[0].shape();
        let len = *shape.as_slice().last()?;
        let is_single = tensors.iter().all(|x| x.dtype() == DType::F32);
        is_single.then(|| Self {
            count: shape.num_elements() / len,
            len,
        })
    }

    fn cubes(&self) -> CubeCount {
        let along = self.count.div_ceil(MOST_CUBES_ALONG);
        CubeCount::Static(self.count.div_ceil(along) as u32, along as u32, 1)
    }
}

fn like(x: &CubeTensor) -> CubeTensor {
    empty_device_dtype(x.client.clone(), x.device.clone(), x.shape(), x.dtype)
}

#[cfg(test)]
mod tests;
