//! The elements of a tensor of the CPU backend.

use burn::backend::{TensorMetadata, flex::FlexTensor};
use burn::tensor::{DType, Shape, TensorData};

/// Whether all of them hold `f32`.
pub fn is_f32(tensors: &[&FlexTensor]) -> bool {
    tensors.iter().all(|tensor| tensor.dtype() == DType::F32)
}

/// A tensor of these elements.
///
/// # Panics
/// If there are not as many as the shape has.
pub fn vector(values: Vec<f32>, shape: Shape) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(values, shape))
}

/// The tensor itself if its elements lie in order, else a copy in which they do.
pub fn contiguous(x: FlexTensor) -> FlexTensor {
    if x.is_contiguous() {
        x
    } else {
        x.to_contiguous()
    }
}

/// The elements of a contiguous tensor.
///
/// # Panics
/// If they are not `f32` or not contiguous.
pub fn elements(x: &FlexTensor) -> &[f32] {
    x.as_slice::<f32>()
        .expect("checked to be f32 and made contiguous")
}

/// The elements, if nobody else holds them and they are all there is.
pub(super) fn owned(x: &mut FlexTensor) -> Option<&mut [f32]> {
    let n = x.shape().num_elements();
    x.try_storage_mut::<f32>()
        .filter(|values| values.len() == n)
}
