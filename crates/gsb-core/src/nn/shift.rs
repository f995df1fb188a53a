//! The learnable shift before a binarizer.

use burn::Tensor;
use burn::config::Config;
use burn::module::{Content, DisplaySettings, Module, ModuleDisplay, Param};
use burn::tensor::{Device, Shape};

/// Configuration of a [`Shift`].
#[derive(Config, Debug)]
pub struct ShiftConfig {
    /// Shape of the shift.
    pub shape: Vec<usize>,
}

/// A learnable bias added to what a binarizer is about to see: `y = x + shift`, zero at the start.
///
/// It moves the point at which the sign flips. Shapes in the paper's networks: `[d]` before linear
/// layers, `[heads, 1, d]` on query, key and value, `[heads, tokens, tokens]` after the softmax.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use gsb_core::nn::{Shift, ShiftConfig};
///
/// let device = Device::default();
/// let shift: Shift<1> = ShiftConfig::new(vec![2]).init(&device);
/// let x = Tensor::<2>::from_floats([[1.0, -1.0]], &device);
/// assert_eq!(shift.forward(x).into_data().try_to_vec::<f32>().unwrap(), [1.0, -1.0]);
/// ```
#[derive(Module, Debug)]
#[module(custom_display)]
pub struct Shift<const D: usize> {
    /// What is added.
    pub bias: Param<Tensor<D>>,
}

impl ShiftConfig {
    /// Makes a shift of zeros.
    ///
    /// # Panics
    /// If the shape does not have rank `D`.
    pub fn init<const D: usize>(&self, device: &Device) -> Shift<D> {
        assert_eq!(
            self.shape.len(),
            D,
            "a shift of rank {D} cannot have shape {:?}",
            self.shape
        );
        Shift {
            bias: Param::from_tensor(Tensor::zeros(Shape::from(self.shape.clone()), device)),
        }
    }
}

impl<const D: usize> Shift<D> {
    /// Adds the shift, broadcast over the leading dimensions of `x`.
    ///
    /// # Shapes
    /// - x: `[.., shape of the shift]`; a 1 in the shift's shape stands for any size.
    /// - output: that of `x`.
    pub fn forward<const R: usize>(&self, x: Tensor<R>) -> Tensor<R> {
        gsb_cpu::shift(x, self.bias.val())
    }
}

impl<const D: usize> ModuleDisplay for Shift<D> {
    fn custom_settings(&self) -> Option<DisplaySettings> {
        DisplaySettings::new()
            .with_new_line_after_attribute(false)
            .optional()
    }

    fn custom_content(&self, content: Content) -> Option<Content> {
        let shape = self.bias.lazy_shape();
        content
            .add_debug_attribute("shape", &shape.as_slice())
            .optional()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_names_the_shape() {
        let shift: Shift<3> = ShiftConfig::new(vec![3, 1, 4]).init(&Device::default());
        assert_eq!(shift.to_string(), "Shift {shape: [3, 1, 4], params: 12}");
    }
}
