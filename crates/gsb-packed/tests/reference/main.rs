//! The engine against the equations, written without bits and in double precision.
//!
//! Each step of a trace is computed from what the trace says went in. A decision may differ only where
//! the value it depends on lies within rounding of its threshold.

#[path = "../common/mod.rs"]
mod common;
mod ends;

use common::{KINDS, config, model, network, trace};
use ends::{check_embedding, check_heads};
use gsb_packed::{
    Attention, BinaryLinear, Block, BlockTrace, Isa, LayerNorm, PackedConfig, PackedModel,
    PackedNetwork, Random, ThresholdScope,
};

/// Counts decisions, and those that differ because they are near.
#[derive(Default)]
struct Decisions {
    all: usize,
    near: usize,
    context: String,
    /// Those of the attention's groups.
    thresholds: [f32; 3],
}

impl Decisions {
    /// `distance` is that of the value to the nearest threshold, `scale` what it is rounded against.
    fn compare(&mut self, what: &str, found: i8, expected: i8, distance: f64, scale: f64) {
        self.all += 1;
        if found != expected {
            self.near += 1;
            let bound = 1e-5 * scale;
            assert!(
                distance.abs() <= bound,
                "{what}: {found} instead of {expected}, {distance} from a threshold, in {}",
                self.context
            );
        }
    }
}

fn guarded(scale: f32) -> f64 {
    f64::from(scale.max(1e-5))
}

fn sign(x: f64) -> i8 {
    i8::from(x > 0.0) - i8::from(x < 0.0)
}

fn norm(norm: &LayerNorm, x: &[f32], epsilon: f32) -> Vec<f64> {
    let n = x.len() as f64;
    let mean = x.iter().map(|&x| f64::from(x)).sum::<f64>() / n;
    let variance = x
        .iter()
        .map(|&x| (f64::from(x) - mean).powi(2))
        .sum::<f64>()
        / n;
    let deviation = (variance + f64::from(epsilon)).sqrt();
    let affine = norm.gamma.iter().zip(&norm.beta);
    let values = x.iter().zip(affine);
    values
        .map(|(&x, (&gamma, &beta))| {
            (f64::from(x) - mean) / deviation * f64::from(gamma) + f64::from(beta)
        })
        .collect()
}

/// A row of a binary linear layer, as the exact sum and with single precision after it.
fn linear(layer: &BinaryLinear, input: &[i8]) -> Vec<f32> {
    let factor = |row: usize| {
        let scales = &layer.weight_scale;
        layer.input_scale.max(1e-5) * scales[row % scales.len()]
    };
    (0..layer.weight.rows())
        .map(|row| {
            let products = input.iter().enumerate();
            let sum: i32 = products
                .map(|(column, &x)| i32::from(x) * i32::from(layer.weight.sign(row, column)))
                .sum();
            sum as f32 * factor(row) + layer.bias[row]
        })
        .collect()
}

fn erf(x: f64) -> f64 {
    if x.abs() > 4.0 {
        return x.signum();
    }
    let (mut term, mut sum) = (x, x);
    for n in 1..150 {
        term *= -x * x / f64::from(n);
        sum += term / f64::from(2 * n + 1);
    }
    sum * 2.0 / std::f64::consts::PI.sqrt()
}

fn gelu(x: f64) -> f64 {
    x * 0.5 * (1.0 + erf(x / 2f64.sqrt()))
}

fn check_block(
    config: &PackedConfig,
    block: &Block,
    input: &[f32],
    found: &BlockTrace,
    decisions: &mut Decisions,
) {
    let width = config.width;
    let epsilon = config.norm_epsilon;
    let signs = |layer: &LayerNorm,
                 shift: &[f32],
                 stream: &[f32],
                 found: &[i8],
                 decisions: &mut Decisions| {
        for (row, found) in stream.chunks(width).zip(found.chunks(width)) {
            // A row of nearly equal values is mostly rounding.
            let most = row.iter().fold(0f32, |most, x| most.max(x.abs()));
            let spread = row
                .iter()
                .fold(0f32, |most, x| most.max((x - row[0]).abs()));
            let noise = f64::from(1.0 + most / spread.max(1e-6)) * 5.0;
            for (column, y) in norm(layer, row, epsilon).into_iter().enumerate() {
                let y = y + f64::from(shift[column]);
                decisions.compare("norm", found[column], sign(y), y, noise);
            }
        }
    };
    let attention = &block.attention;
    signs(
        &block.norm1,
        &attention.qkv.input_shift,
        input,
        &found.qkv_input,
        decisions,
    );
    check_attention(config, attention, found, decisions);

    let added = |stream: &[f32], layer: &BinaryLinear, rows: &[i8]| -> Vec<f32> {
        let outputs = rows
            .chunks(layer.weight.columns())
            .flat_map(|row| linear(layer, row));
        stream.iter().zip(outputs).map(|(x, y)| x + y).collect()
    };
    let stream = added(input, &attention.output, &found.output_input);
    signs(
        &block.norm2,
        &block.fc1.input_shift,
        &stream,
        &found.fc1_input,
        decisions,
    );

    let scale = guarded(block.fc2.input_scale);
    let levels = found.fc2_input.chunks(config.mlp_width);
    for (row, found) in found.fc1_input.chunks(width).zip(levels) {
        for (column, y) in linear(&block.fc1, row).into_iter().enumerate() {
            let z =
                gelu(f64::from(y)).clamp(-10.0, 10.0) + f64::from(block.fc2.input_shift[column]);
            let distance = z / scale - 0.5;
            decisions.compare(
                "level",
                found[column],
                i8::from(distance > 0.0),
                distance,
                1.0 + 10.0 / scale,
            );
        }
    }
    let stream = added(&stream, &block.fc2, &found.fc2_input);
    assert_eq!(stream, found.output, "{}", decisions.context);
}

fn check_attention(
    config: &PackedConfig,
    attention: &Attention,
    found: &BlockTrace,
    decisions: &mut Decisions,
) {
    let (tokens, heads, width, d) = (
        config.tokens(),
        config.heads,
        config.width,
        config.head_width(),
    );
    // Query, key and value follow exactly from the bits.
    let mut values = vec![0f32; heads * tokens * d];
    for token in 0..tokens {
        let row = linear(&attention.qkv, &found.qkv_input[token * width..][..width]);
        for channel in 0..width {
            let q = row[channel] + attention.query_shift[channel];
            let k = row[width + channel] + attention.key_shift[channel];
            assert_eq!(
                found.query[token * width + channel],
                sign(q.into()),
                "{}",
                decisions.context
            );
            assert_eq!(
                found.key[token * width + channel],
                sign(k.into()),
                "{}",
                decisions.context
            );
            let v = row[2 * width + channel] + attention.value_shift[channel];
            values[(channel / d * tokens + token) * d + channel % d] = v;
        }
    }
    let by_row = config.scope == ThresholdScope::Row;
    let scope = if by_row { d } else { values.len() };
    let level = |x: f32, ends: (f32, f32)| {
        let member = |threshold: f32| i8::from(x > ends.0 * threshold || x < ends.1 * threshold);
        let members: i8 = [0.7, 0.9]
            .into_iter()
            .take(config.value_groups - 1)
            .map(member)
            .sum();
        sign(x.into()) * (1 + members)
    };
    for (values, found) in values.chunks(scope).zip(found.value.chunks(scope)) {
        let max = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let min = values.iter().copied().fold(f32::INFINITY, f32::min);
        for (&value, &found) in values.iter().zip(found) {
            assert_eq!(found, level(value, (max, min)), "{}", decisions.context);
        }
    }
    check_groups(config, attention, found, decisions);
    check_attended(config, attention, found, decisions);
}

fn check_groups(
    config: &PackedConfig,
    attention: &Attention,
    found: &BlockTrace,
    decisions: &mut Decisions,
) {
    let (tokens, heads, width, d) = (
        config.tokens(),
        config.heads,
        config.width,
        config.head_width(),
    );
    let scale = guarded(attention.query_scale) * guarded(attention.key_scale) / (d as f64).sqrt();
    let [first, second, third] = decisions.thresholds.map(f64::from);
    let step = guarded(attention.attention_scales[0]);
    let bounds = |max: f64| match config.attention_bits {
        1 => [step * first, second * max, third * max],
        _ => [0.5, 1.5, 2.5].map(|half| step * half),
    };
    let mut matrix = Vec::with_capacity(heads * tokens * tokens);
    for head in 0..heads {
        let row = |signs: &[i8], token: usize| signs[token * width + head * d..][..d].to_vec();
        for query in 0..tokens {
            let q = row(&found.query, query);
            let scores: Vec<f64> = (0..tokens)
                .map(|key| {
                    let k = row(&found.key, key);
                    let product: i32 = q
                        .iter()
                        .zip(k)
                        .map(|(&q, k)| i32::from(q) * i32::from(k))
                        .sum();
                    scale * f64::from(product)
                })
                .collect();
            let max = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let sum: f64 = scores.iter().map(|score| (score - max).exp()).sum();
            let shift = &attention.attention_shift[(head * tokens + query) * tokens..][..tokens];
            let elements = scores.iter().zip(shift);
            matrix.extend(
                elements.map(|(score, &shift)| (score - max).exp() / sum + f64::from(shift)),
            );
        }
    }
    let scope = if config.scope == ThresholdScope::Row {
        tokens
    } else {
        matrix.len()
    };
    for (matrix, found) in matrix.chunks(scope).zip(found.attention.chunks(scope)) {
        let max = matrix.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        for (&p, &found) in matrix.iter().zip(found) {
            for (group, bound) in bounds(max).into_iter().enumerate() {
                let (found, expected) = (found >> group & 1, u8::from(p > bound));
                if group < config.attention_planes() {
                    decisions.compare(
                        "attention",
                        found as i8,
                        expected as i8,
                        p - bound,
                        bound.abs().max(p.abs()),
                    );
                } else {
                    assert_eq!(found, 0, "{}", decisions.context);
                }
            }
        }
    }
}

fn check_attended(
    config: &PackedConfig,
    attention: &Attention,
    found: &BlockTrace,
    decisions: &mut Decisions,
) {
    let (tokens, heads, width, d) = (
        config.tokens(),
        config.heads,
        config.width,
        config.head_width(),
    );
    let scales = attention.attention_scales.iter().cycle();
    let a: Vec<f64> = scales
        .take(config.attention_planes())
        .map(|&a| guarded(a))
        .collect();
    let b: Vec<f64> = attention.value_scales.iter().map(|&b| guarded(b)).collect();
    let value = |level: i8| {
        f64::from(level.signum()) * b.iter().take(level.unsigned_abs().into()).sum::<f64>()
    };
    for head in 0..heads {
        let values = &found.value[head * tokens * d..][..tokens * d];
        for query in 0..tokens {
            let groups = &found.attention[(head * tokens + query) * tokens..][..tokens];
            for channel in 0..d {
                let (mut sum, mut size) = (0.0, 1e-30);
                for (key, groups) in groups.iter().enumerate() {
                    let members = a
                        .iter()
                        .enumerate()
                        .filter(|(group, _)| groups >> group & 1 == 1);
                    let term =
                        members.map(|(_, a)| a).sum::<f64>() * value(values[key * d + channel]);
                    sum += term;
                    size += term.abs();
                }
                let at = head * d + channel;
                let y = sum + f64::from(attention.output.input_shift[at]);
                let found = found.output_input[query * width + at];
                // Sums of the same scales cancel exactly in the engine, not here.
                decisions.compare("attended", found, sign(y), y, 1e-6 * size);
            }
        }
    }
}

fn check(
    network: &PackedNetwork,
    image: &[u8],
    isa: Isa,
    thresholds: [f32; 3],
    context: String,
) -> (usize, usize) {
    let config = &network.config;
    let mut model = model(network, isa);
    if config.attention_bits == 1 {
        model.set_attention_thresholds(thresholds).unwrap();
    }
    let trace = trace(&model, image);
    let mut decisions = Decisions {
        context,
        thresholds,
        ..Default::default()
    };
    let mut input = &trace.embedding;
    for (block, found) in network.blocks.iter().zip(&trace.blocks) {
        check_block(config, block, input, found, &mut decisions);
        input = &found.output;
    }
    check_embedding(network, image, &trace.embedding);
    check_heads(network, input, &trace.class_logits, 0);
    if config.distillation_token {
        check_heads(network, input, &trace.distillation_logits, 1);
    }
    (decisions.all, decisions.near)
}

#[test]
fn decisions_are_those_of_the_equations() {
    let (mut all, mut near) = (0, 0);
    for seed in 100..148 {
        let config = config(seed);
        let kind = KINDS[seed as usize % KINDS.len()];
        let network = network(&config, seed, kind);
        let image = Random::new(seed).image(&config);
        // The third group within the second, or the other way round, for each kind.
        let moved = [[0.8, 0.3, 0.6], [1.2, 0.9, 0.2]][seed as usize / KINDS.len() % 2];
        for isa in Isa::available().filter(|&isa| isa != Isa::Scalar || seed % 4 == 0) {
            for thresholds in [PackedModel::TRAINED_THRESHOLDS, moved] {
                let context = format!("seed {seed}, {kind:?}, {isa}, {thresholds:?}, {config:?}");
                let (of_all, of_near) = check(&network, &image, isa, thresholds, context);
                all += of_all;
                near += of_near;
            }
        }
    }
    println!("{near} of {all} decisions near a threshold differ");
    assert!(near * 10_000 < all, "{near} of {all} decisions differ");
}

#[test]
fn decisions_of_a_wide_network_are_those_of_the_equations() {
    let config = PackedConfig {
        image_size: 112,
        depth: 1,
        ..PackedConfig::deit_small(5)
    };
    let network = PackedNetwork::random(&config, 1).unwrap();
    let image = Random::new(2).image(&config);
    let isa = Isa::available().next().unwrap();
    let trained = PackedModel::TRAINED_THRESHOLDS;
    let (all, near) = check(&network, &image, isa, trained, "wide".into());
    assert!(near <= 5, "{near} of {all}");
}

#[test]
fn impossible_thresholds_are_refused_and_change_nothing() {
    let network = PackedNetwork::random(&PackedConfig::micro(), 1).unwrap();
    let mut model = model(&network, Isa::Scalar);
    let image = Random::new(2).image(model.config());
    let expected = model.predict(&image).unwrap();
    for (thresholds, reason) in [
        ([0.5, 1.5, 0.9], "1.5 for the second group"),
        ([0.5, 0.7, 0.0], "0 for the third group"),
        ([f32::NAN, 0.7, 0.9], "NaN for the first group"),
    ] {
        let error = model.set_attention_thresholds(thresholds).unwrap_err();
        assert!(error.to_string().contains(reason), "{error}");
    }
    assert_eq!(model.predict(&image).unwrap(), expected);
    let levels = PackedConfig {
        attention_groups: 1,
        attention_bits: 2,
        ..PackedConfig::micro()
    };
    let mut model = self::model(&PackedNetwork::random(&levels, 1).unwrap(), Isa::Scalar);
    let trained = PackedModel::TRAINED_THRESHOLDS;
    model.set_attention_thresholds(trained).unwrap();
    let error = model.set_attention_thresholds([0.5, 0.7, 0.8]);
    let error = error.unwrap_err().to_string();
    assert!(error.contains("levels of 2 bits"), "{error}");
}
