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
    /// Bits in which the shift acts: 32, 16 (a 16-bit float) or 8 (multiples of a step for each entry of the first
    /// dimension, see [`shift_step`](gsb_numerics::shift_step)). Training updates the float shift behind it.
    #[config(default = 32)]
    pub bits: u8,
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
    #[module(skip)]
    bits: u8,
}

impl ShiftConfig {
    /// Makes a shift of zeros.
    ///
    /// # Panics
    /// If the shape does not have rank `D`, or the bits are not 8, 16 or 32.
    pub fn init<const D: usize>(&self, device: &Device) -> Shift<D> {
        assert_eq!(
            self.shape.len(),
            D,
            "a shift of rank {D} cannot have shape {:?}",
            self.shape
        );
        assert!(
            [8, 16, 32].contains(&self.bits),
            "a shift has 8, 16 or 32 bits, got {}",
            self.bits
        );
        Shift {
            bits: self.bits,
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
        gsb_cpu::shift(x, self.value())
    }

    /// The shift as it acts, rounded to its bits; the gradient passes to the float shift as it is.
    ///
    /// # Shapes
    /// - output: that of the shift
    pub fn value(&self) -> Tensor<D> {
        let latent = self.bias.val();
        let rounded = match self.bits {
            8 => eight_bits(latent.clone().detach()),
            16 => sixteen_bits(latent.clone().detach()),
            _ => return latent,
        };
        // The difference is 0 and has the gradient: the sum is the rounded shift to the last bit.
        rounded + (latent.clone() - latent.detach())
    }

    /// Bits in which it acts.
    pub fn bits(&self) -> u8 {
        self.bits
    }
}

/// Multiples of a step for each entry of the first dimension.
fn eight_bits<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    let shape = x.shape();
    let rows: Tensor<2> = x.reshape([shape[0] as i32, -1]);
    let step = rows.clone().abs().max_dim(1).div_scalar(127.0);
    let step = high_digits(step, 8);
    // A row of zeros has no step: any other does for it.
    let divisor = step.clone().mask_fill(step.clone().equal_scalar(0.0), 1.0);
    ((rows / divisor).round() * step).reshape(shape)
}

/// 16-bit floats: 11 binary digits, and multiples of `2^-24` below `2^-14`.
fn sixteen_bits<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    let least = f32::powi(2.0, -24);
    let small = x.clone().div_scalar(least).round().mul_scalar(least);
    let is_small = x.clone().abs().lower_scalar(f32::powi(2.0, -14));
    let x = x.clamp(-65504.0, 65504.0);
    high_digits(x, 13).mask_where(is_small, small)
}

/// The leading binary digits, all but the last `k` of 24: those that are left of `2^k x + x`, rounded, when what is beyond `x`
/// is taken away (Veltkamp).
fn high_digits<const D: usize>(x: Tensor<D>, k: i32) -> Tensor<D> {
    // Times a power of two, which is exact: were it `2^k + 1`, a compiler for a GPU could round product and difference
    // at once, and nothing would be rounded off.
    let high = x.clone().mul_scalar(f32::powi(2.0, k)) + x.clone();
    high.clone() - (high - x)
}

impl<const D: usize> ModuleDisplay for Shift<D> {
    fn custom_settings(&self) -> Option<DisplaySettings> {
        crate::display::one_line()
    }

    fn custom_content(&self, content: Content) -> Option<Content> {
        let shape = self.bias.lazy_shape();
        let content = content.add_debug_attribute("shape", &shape.as_slice());
        match self.bits {
            32 => content.optional(),
            bits => content.add("bits", &usize::from(bits)).optional(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(feature = "flex")]
    #[test]
    fn a_shift_of_few_bits_is_what_they_hold_and_its_gradient_passes() {
        use burn::tensor::Distribution;

        let device = Device::flex().autodiff();
        let latent = Tensor::<3>::random([3, 5, 7], Distribution::Normal(0.0, 1e-2), &device);
        let values = |x: &Tensor<3>| x.to_data().try_to_vec::<f32>().unwrap();
        for bits in [8, 16] {
            let mut shift: Shift<3> = ShiftConfig::new(vec![3, 5, 7])
                .with_bits(bits)
                .init(&device);
            shift.bias = Param::from_tensor(latent.clone());
            let rounded = shift.value();
            let furthest = (rounded.clone() - latent.clone()).abs().max();
            // Half a step of the largest, about 0.03: 0.03 / 127 / 2; half of 2^-10 of 0.03 in 16 bits.
            let bound = if bits == 8 { 2e-4 } else { 2e-5 };
            let furthest = furthest.into_scalar::<f32>();
            assert!(furthest > 0.0 && furthest < bound, "{furthest}");
            // Rounding again changes nothing.
            let mut again = shift.clone();
            again.bias = Param::from_tensor(rounded.clone().detach());
            assert_eq!(values(&again.value()), values(&rounded));

            let x = Tensor::<4>::ones([2, 3, 5, 7], &device);
            let gradients = shift.forward(x).sum().backward();
            let gradient = shift.bias.val().grad(&gradients).unwrap();
            assert!(gradient.into_data().iter::<f32>().all(|g| g == 2.0));
        }
        let zero: Shift<3> = ShiftConfig::new(vec![3, 5, 7]).with_bits(8).init(&device);
        assert!(values(&zero.value()).iter().all(|&value| value == 0.0));
    }

    #[test]
    fn display_names_the_shape() {
        let shift: Shift<3> = ShiftConfig::new(vec![3, 1, 4]).init(&Device::default());
        assert_eq!(shift.to_string(), "Shift {shape: [3, 1, 4], params: 12}");
    }
}
