//! A binary layer in a model of one's own, trained with Burn.

// What `#[derive(Module)]` writes says `burn::…`: the re-export has to have that name here.
use gsb::burn;
use gsb::burn::module::Module;
use gsb::burn::nn::{Linear, LinearConfig};
use gsb::burn::optim::{AdamWConfig, GradientsParams};
use gsb::burn::tensor::{Distribution, Tensor};
use gsb::prelude::*;

#[derive(Module, Debug)]
struct Mlp {
    first: Linear,
    binary: BinaryLinear,
}

impl Mlp {
    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        self.binary.forward(self.first.forward(x))
    }
}

#[test]
fn training_lowers_the_loss() {
    let device = Device::default().autodiff();
    device.seed(0);
    let x = Tensor::<2>::random([64, 16], Distribution::Normal(0.0, 1.0), &device);
    let target = Tensor::<2>::random([64, 4], Distribution::Normal(0.0, 1.0), &device);
    let first = LinearConfig::new(16, 32).init(&device);
    let binary = BinaryLinearConfig::new(32, 4).init(&device);
    let binary = binary.calibrate(&first.forward(x.clone()));
    let mut model = Mlp { first, binary };
    let weights = |model: &Mlp| [model.first.weight.val(), model.binary.weight.val()];
    let before = weights(&model);

    let mut optimizer = AdamWConfig::new().init();
    let mut losses = Vec::new();
    for _ in 0..50 {
        let loss = (model.forward(x.clone()) - target.clone()).square().mean();
        losses.push(loss.clone().into_scalar::<f32>());
        let grads = GradientsParams::from_grads(loss.backward(), &model);
        model = optimizer.step(1e-2, model, grads);
    }

    assert!(losses[49] < 0.8 * losses[0], "{losses:?}");
    for (before, after) in before.into_iter().zip(weights(&model)) {
        assert!((after - before).abs().max().into_scalar::<f32>() > 0.0);
    }
}
