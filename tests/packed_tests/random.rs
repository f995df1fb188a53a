//! Students of random weights, of many configurations.

use burn::Tensor;
use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Device, Distribution};
use gsb_core::binarize::ThresholdScope;
use gsb_packed::PackedModel;
use gsb_vit::{PackOptions, Stage2Student, VitConfig, pack};

use crate::compare::{Outcome, compare};
use crate::seeded;

/// Moves every parameter a little: shifts, biases and tokens leave their zeros.
struct Noise;

impl ModuleMapper for Noise {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|value| {
            let noise = Distribution::Normal(0.0, 0.05);
            let noise = Tensor::random(value.shape(), noise, &value.device());
            value + noise
        })
    }
}

/// A calibrated student of random weights and images for it.
pub(crate) fn student(config: &VitConfig, seed: u64) -> (Stage2Student, Tensor<4>) {
    let device = Device::flex();
    let _generator = seeded(&device, seed);
    let shape = [16, config.channels, config.image_size, config.image_size];
    let images = Tensor::random(shape, Distribution::Normal(0.0, 1.0), &device);
    let student = config
        .init_stage2(&device)
        .expect("a configuration")
        .map(&mut Noise);
    (student.calibrate(&images), images)
}

pub(crate) fn packed(student: &Stage2Student) -> PackedModel {
    let packed = pack(student, PackOptions::default()).expect("it can be packed");
    PackedModel::new(packed).expect("it can be run")
}

fn outcome(name: &str, config: &VitConfig) -> Outcome {
    let mut all = Outcome::default();
    for seed in 1..=3 {
        let (student, images) = student(config, seed);
        let outcome = compare(&student, &packed(&student), images);
        outcome.check(&format!("{name}, seed {seed}"));
        all.images += outcome.images;
        all.same_class += outcome.same_class;
        all.agreeing += outcome.agreeing;
        all.tally.add(outcome.tally);
    }
    assert!(all.agreeing > 0, "{name}: no image agrees in all decisions");
    all
}

/// `width` tokens and `heads`, everything else small.
fn config(width: usize, heads: usize) -> VitConfig {
    VitConfig::new(12, 7)
        .with_patch_size(4)
        .with_channels(3)
        .with_width(width)
        .with_depth(2)
        .with_heads(heads)
}

#[test]
fn the_micro_preset() {
    outcome("micro", &VitConfig::micro());
}

#[test]
fn a_deit_of_few_blocks() {
    let config = VitConfig::preset("deit_small_distilled_patch16_224", 1000).expect("a preset");
    let config = VitConfig { depth: 2, ..config };
    let (student, images) = student(&config, 1);
    let images = images.slice(burn::tensor::s![..2]);
    compare(&student, &packed(&student), images).check("DeiT-S of 2 blocks");
}

/// Shifts of 0 leave sums that are exactly 0, but for Burn's rounding.
#[test]
fn fresh_shifts() {
    let device = Device::flex();
    let _generator = seeded(&device, 7);
    for groups in 1..=3 {
        let config = VitConfig::micro()
            .with_attention_groups(groups)
            .with_value_groups(groups);
        let images = Tensor::random([16, 1, 8, 8], Distribution::Normal(0.0, 1.0), &device);
        let student = config.init_stage2(&device).expect("a configuration");
        let student = student.calibrate(&images);
        let outcome = compare(&student, &packed(&student), images);
        outcome.check(&format!("fresh, {groups} groups"));
    }
}

#[test]
fn heads_of_any_width() {
    for (width, heads) in [(64, 1), (40, 5), (66, 2), (60, 3), (100, 1), (21, 7)] {
        outcome(
            &format!("width {width}, {heads} heads"),
            &config(width, heads),
        );
    }
}

#[test]
fn any_number_of_groups_in_any_scope() {
    for scope in [
        ThresholdScope::Batch,
        ThresholdScope::Sample,
        ThresholdScope::Row,
    ] {
        for (attention, value) in [(1, 1), (1, 3), (2, 2), (3, 1), (3, 3)] {
            let config = config(32, 2)
                .with_scope(scope)
                .with_attention_groups(attention)
                .with_value_groups(value);
            outcome(
                &format!("{scope:?}, {attention} and {value} groups"),
                &config,
            );
        }
    }
}

#[test]
fn levels_in_place_of_groups_in_any_scope() {
    for scope in [
        ThresholdScope::Batch,
        ThresholdScope::Sample,
        ThresholdScope::Row,
    ] {
        for value in [1, 3] {
            let config = config(32, 2)
                .with_scope(scope)
                .with_attention_groups(1)
                .with_attention_bits(2)
                .with_value_groups(value);
            outcome(&format!("{scope:?}, levels and {value} groups"), &config);
        }
    }
}

#[test]
fn any_number_of_bits_at_the_ends() {
    for bits in [1, 2, 5, 8] {
        let config = config(32, 2).with_head_bits(bits).with_patch_bits(9 - bits);
        outcome(&format!("heads of {bits} bits"), &config);
    }
}

#[test]
fn without_a_distillation_token_and_with_an_odd_mlp() {
    let config = config(36, 3)
        .with_distillation_token(false)
        .with_mlp_width(97);
    outcome("one head", &config);
}
