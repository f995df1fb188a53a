//! One signed bit with a scale for each token.

use burn::Tensor;

use super::SCALE_GUARD;

/// Binarizes each token by itself: `y = m' sign(x)`, `m` the mean magnitude of its channels, which nobody learns.
///
/// With `m' = max(m, 1e-5)` over the last dimension, `q = x / m'`, `mid = 1[-1 <= q <= 1]`, `n` channels and the upstream
/// gradient `g`:
///
/// - forward: `y = m' sign(x)`, and `sign(0) = 0`
/// - surrogate gradient: `dx = mid * g + sign(x) / n * sum(sign(x) * g)`, the second part that of `m`, which is 0
///   where the guard is active
///
/// Source: query and key after BinaryAttention (2026), and the weights of XNOR-Net (arXiv 1603.05279).
///
/// # Shapes
/// - x and output: `[.., channels]`
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use gsb_core::binarize::token_sign;
///
/// let x = Tensor::<2>::from_floats([[-2.0, 0.5, 0.5], [3.0, 1.0, -2.0]], &Device::default());
/// let y = token_sign(x).into_data().try_to_vec::<f32>().unwrap();
/// assert_eq!(y, [-1.0, 1.0, 1.0, 2.0, 2.0, -2.0]);
/// ```
pub fn token_sign<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    let magnitude = x.clone().abs().mean_dim(D - 1).clamp_min(SCALE_GUARD);
    let q = x / magnitude.clone().detach();
    let sign = q.clone().detach().sign();
    // The value is the sign, the gradient that of the clamp.
    let clamped = q.clamp(-1.0, 1.0);
    let difference = sign - clamped.clone().detach();
    magnitude * (clamped + difference)
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    fn floats(x: Tensor<2>) -> Vec<f32> {
        x.into_data().try_to_vec().unwrap()
    }

    #[test]
    fn gradients_pass_the_clamp_and_the_scale() {
        let device = Device::default().autodiff();
        // Magnitudes 1 and 2: the third of the first and the first of the second token lie outside.
        let x = [[0.5f32, -0.5, 2.0, -1.0], [-4.0, 0.0, 2.0, 2.0]];
        let x = Tensor::<2>::from_floats(x, &device).require_grad();
        let upstream = [[1.0f32, 2.0, 3.0, 5.0], [1.0, 2.0, 3.0, 4.0]];
        let upstream = Tensor::<2>::from_floats(upstream, &device);
        let y = token_sign(x.clone());
        let gradients = (y.clone() * upstream).sum().backward();
        assert_eq!(floats(y), [1.0, -1.0, 1.0, -1.0, -2.0, 0.0, 2.0, 2.0]);
        // Of the scale: (1 - 2 + 3 - 5) / 4 and (-1 + 3 + 4) / 4, times the sign.
        let expected = [
            1.0 - 0.75,
            2.0 + 0.75,
            -0.75,
            5.0 + 0.75,
            -1.5,
            2.0,
            3.0 + 1.5,
            4.0 + 1.5,
        ];
        assert_eq!(floats(x.grad(&gradients).unwrap()), expected);
    }

    #[test]
    fn tokens_of_zeros_stay_zeros() {
        let device = Device::default().autodiff();
        let x = Tensor::<2>::zeros([1, 3], &device).require_grad();
        let y = token_sign(x.clone());
        let gradients = y.clone().sum().backward();
        assert_eq!(floats(y), [0.0; 3]);
        assert_eq!(floats(x.grad(&gradients).unwrap()), [1.0; 3]);
    }
}
