//! Weights, scales and shifts that are zero, negative or tied.

use burn::Tensor;
use burn::module::Param;
use burn::tensor::Device;
use gsb_core::binarize::{WeightBinarizerConfig, WeightScale};
use gsb_packed::{PackedModel, SignMatrix};
use gsb_vit::{PackOptions, Stage2Student, VitConfig, pack};

use crate::compare::{Outcome, compare};
use crate::random::{packed, student};

fn outcome(name: &str, change: impl FnOnce(&mut Stage2Student)) -> Outcome {
    let (mut student, images) = student(&VitConfig::micro(), 5);
    change(&mut student);
    let outcome = compare(&student, &packed(&student), images);
    outcome.check(name);
    outcome
}

fn filled(shape: [usize; 2], value: f32) -> Param<Tensor<2>> {
    Param::from_tensor(Tensor::full(shape, value, &Device::flex()))
}

fn scale(values: &[f32]) -> Param<Tensor<1>> {
    Param::from_tensor(Tensor::from_floats(values, &Device::flex()))
}

#[test]
fn a_weight_whose_entries_are_all_equal_has_no_sign() {
    outcome("equal weights of the MLP", |student| {
        let layer = &mut student.blocks[0].mlp.fc1;
        layer.weight = filled(layer.weight.dims(), 0.25);
    });
    outcome("weights of 0 of the attention's output", |student| {
        let layer = &mut student.blocks[1].attention.output;
        layer.weight = filled(layer.weight.dims(), 0.0);
    });
}

#[test]
fn weights_that_equal_the_mean_are_zero() {
    outcome("ties of all weights", |student| {
        for block in &mut student.blocks {
            let attention = &mut block.attention;
            let mlp = &mut block.mlp;
            for layer in [
                &mut attention.qkv,
                &mut attention.output,
                &mut mlp.fc1,
                &mut mlp.fc2,
            ] {
                // Three values; the mean of pairs of opposite ones is exactly 0.
                let [inputs, outputs] = layer.weight.dims();
                let entries = (0..inputs * outputs).map(|at| {
                    let magnitude = [0.0, 0.5, 0.0, 1.0][at / 2 % 4];
                    if at % 2 == 0 { magnitude } else { -magnitude }
                });
                let entries: Vec<f32> = entries.collect();
                let entries = Tensor::<1>::from_floats(&entries[..], &Device::flex());
                layer.weight = Param::from_tensor(entries.reshape([inputs, outputs]));
            }
        }
    });
}

#[test]
fn scales_that_are_not_positive_act_as_the_guard() {
    outcome("a scale of the query that is negative", |student| {
        student.blocks[0].attention.query.scale = scale(&[-0.5]);
    });
    outcome("scales of groups that are 0 and not a number", |student| {
        student.blocks[1].attention.value.scales = scale(&[0.3, 0.0, f32::NAN]);
        student.blocks[2].attention.attention.scales = scale(&[0.01, -f32::INFINITY, 0.2]);
    });
    outcome(
        "scales of the patches that are negative, 0 and tiny",
        |student| {
            let quantizer = &mut student.patch_embedding.weight_quantizer;
            let scales = (0..64).map(|channel| [0.01, -0.02, 0.0, 1e-7][channel % 4]);
            let scales: Vec<f32> = scales.collect();
            quantizer.scale = scale(&scales);
        },
    );
}

/// The comparison itself: one sign of 49152 is another, and decisions that follow differ.
#[test]
fn a_wrong_bit_is_noticed() {
    let (student, images) = student(&VitConfig::micro(), 5);
    let mut packed = pack(&student, PackOptions::default()).expect("it can be packed");
    let weight = &mut packed.network.blocks[0].attention.qkv.weight;
    let mut bits = weight.bits().to_vec();
    bits[100] ^= 1;
    *weight = SignMatrix::from_bits(weight.rows(), weight.columns(), bits, Vec::new())
        .expect("as many bits");
    let model = PackedModel::new(packed).expect("it can be run");
    assert!(!compare(&student, &model, images).tally.wrong.is_empty());
}

#[test]
fn a_scale_for_each_output() {
    outcome("a scale for each output", |student| {
        let config = WeightBinarizerConfig::new().with_scale(WeightScale::Output(1));
        for block in &mut student.blocks {
            block.attention.qkv.weight_binarizer = config.init();
            block.mlp.fc2.weight_binarizer = config.init();
        }
    });
}
