//! The ends of a network: the embedding and the heads.

use gsb_packed::{Image, Isa, PackedConfig, PackedNetwork, Random};

use super::common::{model, trace};
use super::{guarded, norm, sign};

/// Normalized values, `[channels, height, width]`.
fn normalized(config: &PackedConfig, image: &[u8]) -> Vec<f32> {
    let preprocessing = gsb_packed::Preprocessing::standard(config.image_size, config.channels);
    let (size, channels) = (config.image_size, config.channels);
    let mut values = Vec::with_capacity(image.len());
    for channel in 0..channels {
        for pixel in 0..size * size {
            let value = f32::from(image[pixel * channels + channel]) / 255.0;
            values.push((value - preprocessing.mean[channel]) / preprocessing.deviation[channel]);
        }
    }
    values
}

pub fn check_embedding(network: &PackedNetwork, image: &[u8], found: &[f32]) {
    let config = &network.config;
    let (size, patch, channels, width) = (
        config.image_size,
        config.patch_size,
        config.channels,
        config.width,
    );
    let image = normalized(config, image);
    let mut tokens = vec![network.class_token.clone()];
    tokens.extend(network.distillation_token.clone());
    for index in 0..config.patches() {
        let (top, left) = (
            index / (size / patch) * patch,
            index % (size / patch) * patch,
        );
        let channel = |out: usize| {
            let mut sum = 0.0;
            for at in 0..config.patch_values() {
                let (colour, y, x) = (at / (patch * patch), at / patch % patch, at % patch);
                let level = network.patch_embedding.weight[out * config.patch_values() + at];
                let value = image[(colour * size + top + y) * size + left + x];
                sum += f64::from(level) * f64::from(value);
            }
            let embedding = &network.patch_embedding;
            (sum * f64::from(embedding.scales[out]) + f64::from(embedding.bias[out])) as f32
        };
        tokens.push((0..width).map(channel).collect());
    }
    assert_eq!(channels * size * size, image.len());
    let expected = tokens.concat();
    for ((found, expected), position) in found.iter().zip(expected).zip(&network.positions) {
        let expected = expected + position;
        assert!(
            (found - expected).abs() <= 1e-4,
            "{found} against {expected}"
        );
    }
}

pub fn check_heads(network: &PackedNetwork, stream: &[f32], logits: &[f32], token: usize) {
    let config = &network.config;
    let head = match token {
        0 => &network.class_head,
        _ => network.distillation_head.as_ref().expect("a second head"),
    };
    let row = &stream[token * config.width..][..config.width];
    let features = norm(&network.norm, row, config.norm_epsilon);
    let scale = guarded(head.input_scale);
    let half = 1 << (config.head_bits - 1);
    let level = |x: f64| match config.head_bits {
        1 => f64::from(sign(x)),
        _ => (x / scale)
            .round_ties_even()
            .clamp(f64::from(-half), f64::from(half - 1)),
    };
    let inputs = features.iter().zip(&head.input_shift);
    let levels: Vec<f64> = inputs
        .map(|(x, &shift)| level(x + f64::from(shift)))
        .collect();
    for (class, &found) in logits.iter().enumerate() {
        let weights = &head.weight[class * config.width..][..config.width];
        let sum: f64 = levels
            .iter()
            .zip(weights)
            .map(|(x, &w)| x * f64::from(w))
            .sum();
        let expected = sum * scale * guarded(head.weight_scale) + f64::from(head.bias[class]);
        // One level of one input may round the other way.
        let step = scale
            * guarded(head.weight_scale)
            * 128.0
            * if config.head_bits == 1 { 0.01 } else { 1.0 };
        assert!(
            (f64::from(found) - expected).abs() <= 1e-4 + step,
            "{found} against {expected}"
        );
    }
}

#[test]
fn floats_and_bytes_of_an_image_agree() {
    let config = PackedConfig::micro();
    let network = PackedNetwork::random(&config, 8).unwrap();
    let model = model(&network, Isa::available().next().unwrap());
    let image = Random::new(9).image(&config);
    let values = normalized(&config, &image);
    let bytes = trace(&model, &image);
    let floats = model.trace(Image::Normalized(&values)).unwrap();
    for (a, b) in bytes.embedding.iter().zip(&floats.embedding) {
        assert!((a - b).abs() <= 1e-4, "{a} against {b}");
    }
}
