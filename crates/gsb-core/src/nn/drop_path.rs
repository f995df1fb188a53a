//! Stochastic depth.

use burn::Tensor;
use burn::config::Config;
use burn::module::{Content, DisplaySettings, Flag, Module, ModuleDisplay, Param};
use burn::tensor::Distribution;

/// Configuration of a [`DropPath`].
#[derive(Config, Debug)]
pub struct DropPathConfig {
    /// Probability of dropping a sample's branch during training.
    #[config(default = 0.0)]
    pub prob: f64,
}

/// Drops the branch of whole samples during training, and scales the kept by `1 / (1 - prob)`
/// (stochastic depth, arXiv 1603.09382).
///
/// Acts, as Burn's dropout does, only on an autodiff device and while the module is not frozen.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use gsb_core::nn::DropPathConfig;
///
/// // Not on an autodiff device: evaluation, nothing is dropped.
/// let x = Tensor::<2>::ones([3, 2], &Device::default());
/// let y = DropPathConfig::new().with_prob(0.5).init().forward(x);
/// assert_eq!(y.into_data().try_to_vec::<f32>().unwrap(), [1.0; 6]);
/// ```
#[derive(Module, Debug)]
#[module(custom_display)]
pub struct DropPath {
    /// Probability of dropping a sample's branch during training.
    pub prob: f64,
    /// Whether the module takes part in training.
    pub training: Param<Flag>,
}

impl DropPathConfig {
    /// Makes the module.
    ///
    /// # Panics
    /// If the probability is not in `[0, 1)`.
    pub fn init(&self) -> DropPath {
        assert!(
            (0.0..1.0).contains(&self.prob),
            "the drop path probability must be in [0, 1), got {}",
            self.prob
        );
        DropPath {
            prob: self.prob,
            training: Param::from_bool(true),
        }
    }
}

impl DropPath {
    /// Drops samples of the first dimension.
    ///
    /// # Shapes
    /// - x and output: `[batch, ..]`.
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        if self.prob == 0.0 || !self.training.is_enabled() || !x.is_autodiff() {
            return x;
        }
        let keep = 1.0 - self.prob;
        let mut shape = [1; D];
        shape[0] = x.dims()[0];
        let kept = Tensor::<D>::random(shape, Distribution::Bernoulli(keep), &x.device());
        x * kept.mul_scalar(1.0 / keep)
    }
}

impl ModuleDisplay for DropPath {
    fn custom_settings(&self) -> Option<DisplaySettings> {
        crate::display::one_line()
    }

    fn custom_content(&self, content: Content) -> Option<Content> {
        content.add("prob", &self.prob).optional()
    }
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;
    use burn::tensor::Device;

    #[test]
    fn drops_whole_samples_and_keeps_the_mean() {
        let device = Device::default().autodiff();
        device.seed(1);
        let x = Tensor::<2>::ones([4000, 3], &device);
        let y = DropPathConfig::new().with_prob(0.25).init().forward(x);
        let rows = y.into_data().try_to_vec::<f32>().unwrap();
        let kept = rows.chunks(3).filter(|row| row[0] != 0.0).count();
        assert!(rows.chunks(3).all(|row| row.iter().all(|&v| v == row[0])));
        assert!(
            rows.iter()
                .all(|&v| v == 0.0 || (v - 4.0 / 3.0).abs() < 1e-6)
        );
        // 3000 expected, standard deviation 27
        assert!((2850..3150).contains(&kept), "{kept} of 4000 kept");
    }
}
