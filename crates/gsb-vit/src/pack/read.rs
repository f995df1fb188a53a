//! Values of a model, as far as a packed file can hold them.

use burn::Tensor;
use burn::module::Param;
use burn::tensor::DType;

use crate::Error;

/// The complaint about a parameter or layer.
pub(super) fn refusal(name: &str, reason: impl Into<String>) -> Error {
    Error::Pack {
        name: name.into(),
        reason: reason.into(),
    }
}

/// The elements of a tensor, row by row.
pub(super) fn floats<const D: usize>(name: &str, tensor: Tensor<D>) -> Result<Vec<f32>, Error> {
    let values = elements(name, tensor)?;
    match values.iter().position(|value| !value.is_finite()) {
        None => Ok(values),
        Some(index) => {
            let value = values[index];
            Err(refusal(
                name,
                format!("{value} at {index} is not a finite number"),
            ))
        }
    }
}

/// The elements of a parameter.
pub(super) fn parameter<const D: usize>(
    name: &str,
    parameter: &Param<Tensor<D>>,
) -> Result<Vec<f32>, Error> {
    floats(name, parameter.val())
}

/// Scales as they act: one that is not above the guard acts as the guard.
pub(super) fn guarded(name: &str, scales: &Param<Tensor<1>>) -> Result<Vec<f32>, Error> {
    let scales = elements(name, scales.val())?.into_iter();
    let scales: Vec<f32> = scales.map(gsb_numerics::guarded).collect();
    match scales.iter().find(|scale| !scale.is_finite()) {
        None => Ok(scales),
        Some(scale) => Err(refusal(name, format!("{scale} is not a finite number"))),
    }
}

/// The one scale of a binarizer, as it acts.
pub(super) fn guarded_one(name: &str, scale: &Param<Tensor<1>>) -> Result<f32, Error> {
    match guarded(name, scale)?[..] {
        [scale] => Ok(scale),
        ref scales => Err(refusal(
            name,
            format!("{} scales, expected 1", scales.len()),
        )),
    }
}

fn elements<const D: usize>(name: &str, tensor: Tensor<D>) -> Result<Vec<f32>, Error> {
    let data = tensor.into_data();
    if data.dtype() != DType::F32 {
        let reason = format!(
            "its elements are {:?}, those of a packed file F32",
            data.dtype()
        );
        return Err(refusal(name, reason));
    }
    data.try_to_vec()
        .map_err(|error| refusal(name, format!("{error:?}")))
}
