//! Binarize a tensor; look at the levels and at the gradients that come back.
//!
//! `cargo run -p gsb-examples --example binarize`
//!
//! In a project of your own: `gsb = "0.1"`.

use gsb::binarize::{AttentionBinarizerConfig, SignedBinarizerConfig};
use gsb::burn::tensor::{Device, Tensor};

fn main() {
    let device = Device::flex().autodiff();

    // One signed bit: every value becomes -a or a, and a is learned.
    let x = Tensor::<1>::from_floats([-1.5, -0.2, 0.1, 0.8], &device).require_grad();
    let binarizer = SignedBinarizerConfig::new().init(&device).calibrate(&x);
    let y = binarizer.forward(x.clone());
    println!("signed input     {}", show(&x));
    println!("signed levels    {}", show(&y));
    // The gradient passes where |x| <= a, as if there were no step.
    let grads = y.sum().backward();
    println!(
        "input gradient   {}",
        show(&x.grad(&grads).expect("x is tracked"))
    );
    let scale = binarizer.scale.grad(&grads).expect("the scale is learned");
    println!("scale gradient   {}\n", show(&scale));

    // An attention row as a superposition of three groups: all that is not near 0, what is above
    // 0.7 of the maximum, what is above 0.9 of it. Each group has its own learned scale.
    let attention = Tensor::<2>::from_floats([[0.02, 0.08, 0.4, 0.5]], &device).require_grad();
    let binarizer = AttentionBinarizerConfig::new()
        .init(&device)
        .calibrate(&attention);
    let y = binarizer.forward(attention.clone());
    println!("attention        {}", show(&attention));
    println!("attention levels {}", show(&y));
    println!("its scales       {}", show(&binarizer.scales.val()));
    let grads = y.sum().backward();
    let gradient = attention.grad(&grads).expect("the attention is tracked");
    println!("input gradient   {}", show(&gradient));
    let scales = binarizer
        .scales
        .grad(&grads)
        .expect("the scales are learned");
    println!("scale gradients  {}", show(&scales));
}

fn show<const D: usize>(x: &Tensor<D>) -> String {
    let values = x
        .to_data()
        .iter::<f32>()
        .map(|v| format!("{v:7.3}"))
        .collect::<Vec<_>>();
    values.join(" ")
}
