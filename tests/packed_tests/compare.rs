//! A whole image through both, step by step.
//!
//! Each step of Burn's forward pass begins with what the packed engine decided at the step before. While
//! all agree this is Burn's own forward pass, to the bit; after a decision that rounding has turned, it
//! still says for each later one whether it follows from those before.

use burn::Tensor;
use burn::tensor::activation::softmax;
use burn::tensor::s;
use gsb_core::binarize::{SCALE_GUARD, SignedBinarizer, ThresholdScope};
use gsb_core::nn::{BinaryLinear, QuantizedLinear, Stage2Block};
use gsb_core::ops::linear_levels;
use gsb_cpu::{gelu, linear};
use gsb_packed::{BlockTrace, Image, PackedModel, Prediction};
use gsb_vit::Stage2Student;

use crate::step::{Quantizer, Tally, numbers, relative};

/// What images came to.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// Their decisions.
    pub tally: Tally,
    /// How many.
    pub images: usize,
    /// Those whose decisions all agree.
    pub agreeing: usize,
    /// Those with the same class.
    pub same_class: usize,
    /// A line on each of the others.
    pub other_class: Vec<String>,
    /// Largest relative difference of the logits from those that follow from the packed decisions.
    pub logits: f64,
    /// Largest relative difference from Burn's.
    pub logits_of_all: f64,
}

impl Outcome {
    /// Fails unless decisions differ within rounding alone and logits as they may.
    pub(crate) fn check(&self, name: &str) {
        let Self { tally, .. } = self;
        let farthest = tally
            .flips
            .iter()
            .map(|flip| flip.distance)
            .fold(0.0, f64::max);
        println!(
            "{name}: {} images, {} decisions, {} within rounding (at most {farthest:.3} of what is allowed), \
             {} wrong; {} images agree in all; logits off by {:.1e} given the decisions, {:.1e} in all; \
             tokens by {:.1e}; {} classes equal",
            self.images,
            tally.decisions.values().sum::<u64>(),
            tally.flips.len(),
            tally.wrong.len(),
            self.agreeing,
            self.logits,
            self.logits_of_all,
            tally.stream,
            self.same_class,
        );
        for (kind, decisions) in &tally.decisions {
            let flips = tally.flips.iter().filter(|flip| flip.kind == *kind).count();
            println!("{name}: {kind}: {decisions} decisions, {flips} within rounding");
        }
        for flip in tally.flips.iter().take(10) {
            println!("{name}: {}", flip.name);
        }
        for line in &self.other_class {
            println!("{name}: {line}");
        }
        assert!(
            tally.wrong.is_empty(),
            "{name}: {:#?}",
            &tally.wrong[..tally.wrong.len().min(10)]
        );
        assert!(
            self.logits < 1e-5,
            "{name}: logits differ by {}",
            self.logits
        );
    }
}

/// Compares images, `[images, channels, height, width]`.
pub(crate) fn compare(student: &Stage2Student, model: &PackedModel, images: Tensor<4>) -> Outcome {
    let mut outcome = Outcome::default();
    for index in 0..images.dims()[0] {
        let image = images.clone().slice(s![index..index + 1]);
        let pixels = numbers(image.clone());
        outcome.add(student, model, image, Image::Normalized(&pixels));
    }
    outcome
}

impl Outcome {
    /// Compares an image, `[1, channels, height, width]`, which the packed engine may see as bytes.
    pub(crate) fn add(
        &mut self,
        student: &Stage2Student,
        model: &PackedModel,
        image: Tensor<4>,
        packed: Image,
    ) {
        let trace = model.trace(packed).expect("an image of the model's size");
        let mut tally = Tally::default();
        let patches = student.patch_embedding.forward(image.clone());
        let x = student
            .tokens
            .forward(patches.flatten::<3>(2, 3).swap_dims(1, 2));
        tally.tokens(&trace.embedding, x.clone());
        let mut x = x;
        for (index, (block, trace)) in student.blocks.iter().zip(&trace.blocks).enumerate() {
            let steps = Steps {
                block,
                trace,
                scope: student.config().stage2.scope,
                name: format!("blocks.{index}"),
            };
            x = steps.run(x, &mut tally);
            tally.tokens(&trace.output, x.clone());
        }
        let features = student.norm.forward(x);
        let head = |name, head, traced, token: usize, tally: &mut Tally| {
            let token = features.clone().slice(s![.., token..token + 1, ..]);
            classify(name, head, traced, token.squeeze_dim::<2>(1), tally)
        };
        let class = head(
            "class_head",
            &student.class_head,
            &trace.class_input,
            0,
            &mut tally,
        );
        let logits = match &student.distillation_head {
            Some(other) => {
                let traced = &trace.distillation_input;
                (class + head("distillation_head", other, traced, 1, &mut tally)).div_scalar(2.0)
            }
            None => class,
        };
        let (logits, burn) = (numbers(logits), numbers(student.infer(image)));
        let packed = model.predict(packed).expect("an image of the model's size");
        self.images += 1;
        self.logits = self.logits.max(relative(packed.logits(), &logits));
        self.logits_of_all = self.logits_of_all.max(relative(packed.logits(), &burn));
        if tally.flips.is_empty() && tally.wrong.is_empty() {
            // All steps were Burn's own.
            assert_eq!(logits, burn, "this test computes what Burn computes");
            self.agreeing += 1;
        }
        let burn = Prediction::new(burn);
        if burn.class() == packed.class() {
            self.same_class += 1;
        } else {
            self.other_class.push(format!(
                "image {}: {} and not {} after {} decisions within rounding; logits {:.4?} and {:.4?}",
                self.images - 1,
                packed.class(),
                burn.class(),
                tally.flips.len(),
                packed.logits(),
                burn.logits(),
            ));
        }
        self.tally.add(tally);
    }
}

/// The logits of a head.
fn classify(
    name: &str,
    head: &QuantizedLinear,
    traced: &[i16],
    token: Tensor<2>,
    tally: &mut Tally,
) -> Tensor<2> {
    let levels = head.input.levels();
    let (low, high) = levels.range();
    let scale = guarded(numbers(head.input.scale.val())[0]);
    let shifted = head.shift.forward(token);
    let binarized = head.input.forward(shifted.clone());
    let one_bit = levels.bits() == 1;
    let traced: Vec<i8> = traced.iter().map(|&level| level as i8).collect();
    let quantizer = Quantizer {
        decide: &|_, x| match one_bit {
            true => sign(x),
            false => (x / scale).clamp(low, high).round_ties_even() as i8,
        },
        value: &|level| f32::from(level) * scale,
        margin: &|_, x| match one_bit {
            true => x.abs(),
            false => ((x / scale).rem_euclid(1.0) - 0.5).abs() * scale,
        },
    };
    let inputs = tally.step(name, &traced, shifted, binarized, 0.0, &quantizer);
    let weight = head.weight_quantizer.forward(head.weight.val());
    linear(inputs, weight, head.bias.as_ref().map(|bias| bias.val()))
}

/// The steps of a block.
struct Steps<'a> {
    block: &'a Stage2Block,
    trace: &'a BlockTrace,
    scope: ThresholdScope,
    name: String,
}

fn guarded(scale: f32) -> f32 {
    if scale > SCALE_GUARD {
        scale
    } else {
        SCALE_GUARD
    }
}

fn sign(x: f32) -> i8 {
    i8::from(x > 0.0) - i8::from(x < 0.0)
}

/// The largest magnitude that a sum on the way to the output of a layer can have.
fn reach(layer: &BinaryLinear) -> f32 {
    let weight = numbers(
        layer
            .weight_binarizer
            .forward(layer.weight.val())
            .abs()
            .max(),
    );
    let [inputs, _] = layer.weight.dims();
    guarded(numbers(layer.input.scale().val())[0]) * weight[0] * inputs as f32
}

impl Steps<'_> {
    fn name(&self, part: &str) -> String {
        format!("{}.{part}", self.name)
    }

    fn run(&self, x: Tensor<3>, tally: &mut Tally) -> Tensor<3> {
        let attended = self.attention(self.block.norm1.forward(x.clone()), tally);
        let x = x + attended;
        let branch = self.mlp(self.block.norm2.forward(x.clone()), tally);
        x + branch
    }

    /// The levels of a signed input of a layer.
    fn signs<const D: usize>(
        &self,
        part: &str,
        traced: &[i8],
        layer: &BinaryLinear,
        x: Tensor<D>,
        magnitude: f32,
        tally: &mut Tally,
    ) -> Tensor<D> {
        let scale = guarded(numbers(layer.input.scale().val())[0]);
        let shifted = layer.shift.forward(x);
        let binarized = layer.input.forward(shifted.clone());
        tally.step(
            &self.name(part),
            traced,
            shifted,
            binarized,
            magnitude,
            &Quantizer {
                decide: &|_, x| sign(x),
                value: &|decision| f32::from(decision) * scale,
                margin: &|_, x| x.abs(),
            },
        )
    }

    fn attention(&self, x: Tensor<3>, tally: &mut Tally) -> Tensor<3> {
        let (layers, trace) = (&self.block.attention, self.trace);
        let [_, tokens, width] = x.dims();
        let [heads, _, channels] = layers.shifts.query.bias.dims();
        let inputs = self.signs("qkv_input", &trace.qkv_input, &layers.qkv, x, 0.0, tally);
        let joint = multiply(&layers.qkv, inputs).reshape([1, tokens, 3, heads, channels]);
        let part = |index: usize| -> Tensor<4> {
            let part = joint.clone().slice(s![.., .., index..index + 1, .., ..]);
            part.squeeze_dim::<4>(2).swap_dims(1, 2)
        };
        let magnitude = reach(&layers.qkv);
        let query = layers.shifts.query.forward(part(0));
        let query = self.query_or_key(
            "query",
            &trace.query,
            &layers.query,
            query,
            magnitude,
            tally,
        );
        let key = layers.shifts.key.forward(part(1));
        let key = self.query_or_key("key", &trace.key, &layers.key, key, magnitude, tally);

        let scores = query.matmul(key.swap_dims(2, 3));
        let scores = scores.mul_scalar((channels as f64).powf(-0.5));
        let matrix = layers.attention_shift.forward(softmax(scores, 3));
        let matrix = self.matrix(matrix, tally);
        let value = self.value(layers.shifts.value.forward(part(2)), magnitude, tally);

        let largest = |x: &Tensor<4>| numbers(x.clone().abs().max())[0];
        let magnitude = largest(&matrix) * largest(&value) * tokens as f32;
        let attended = matrix
            .matmul(value)
            .swap_dims(1, 2)
            .reshape([1, tokens, width]);
        let inputs = self.signs(
            "output_input",
            &trace.output_input,
            &layers.output,
            attended,
            magnitude,
            tally,
        );
        multiply(&layers.output, inputs)
    }

    /// Query or key; the trace has tokens before heads.
    fn query_or_key(
        &self,
        part: &str,
        traced: &[i8],
        binarizer: &SignedBinarizer,
        x: Tensor<4>,
        magnitude: f32,
        tally: &mut Tally,
    ) -> Tensor<4> {
        let scale = guarded(numbers(binarizer.scale.val())[0]);
        let binarized = binarizer.forward(x.clone()).swap_dims(1, 2);
        let signs = tally.step(
            &self.name(part),
            traced,
            x.swap_dims(1, 2),
            binarized,
            magnitude,
            &Quantizer {
                decide: &|_, x| sign(x),
                value: &|decision| f32::from(decision) * scale,
                margin: &|_, x| x.abs(),
            },
        );
        signs.swap_dims(1, 2)
    }

    /// The superposition of the attention matrix; bits of a decision are the groups, or the levels from 1 on up to that
    /// of the element.
    fn matrix(&self, x: Tensor<4>, tally: &mut Tally) -> Tensor<4> {
        let binarizer = &self.block.attention.attention;
        let scales: Vec<f32> = numbers(binarizer.scales.val())
            .into_iter()
            .map(guarded)
            .collect();
        let spec = binarizer.superposition();
        let (thresholds, highest) = (&spec.thresholds, spec.range.1);
        let bounds = self.bounds(&x);
        let decide = |index: usize, x: f32| {
            let level = (x / scales[0]).clamp(0.0, highest).round_ties_even();
            let first = (1 << level as i8) - 1;
            let later = thresholds.iter().enumerate();
            later.fold(first, |groups, (group, threshold)| {
                groups | i8::from(x > bounds(index).0 * threshold) << (group + 1)
            })
        };
        let value = |groups: i8| {
            let member = |group: usize| f32::from(groups >> group & 1);
            let level = (0..highest as usize).map(member).sum::<f32>();
            (1..scales.len()).fold(level * scales[0], |sum, group| {
                sum + member(group) * scales[group]
            })
        };
        let margin = |index: usize, x: f32| {
            let later = thresholds
                .iter()
                .map(|threshold| (x - bounds(index).0 * threshold).abs());
            let halves = (0..highest as usize).map(|level| level as f32 + 0.5);
            let first = halves.map(|half| (x - scales[0] * half).abs());
            first.chain(later).fold(f32::INFINITY, f32::min)
        };
        let traced: Vec<i8> = self
            .trace
            .attention
            .iter()
            .map(|&groups| groups as i8)
            .collect();
        let binarized = binarizer.forward(x.clone());
        tally.step(
            &self.name("attention"),
            &traced,
            x,
            binarized,
            0.0,
            &Quantizer {
                decide: &decide,
                value: &value,
                margin: &margin,
            },
        )
    }

    /// The superposition of the value; a decision is the sign times the number of groups.
    fn value(&self, x: Tensor<4>, magnitude: f32, tally: &mut Tally) -> Tensor<4> {
        let binarizer = &self.block.attention.value;
        let scales: Vec<f32> = numbers(binarizer.scales.val())
            .into_iter()
            .map(guarded)
            .collect();
        let thresholds = &binarizer.superposition().thresholds;
        let bounds = self.bounds(&x);
        let decide = |index: usize, x: f32| {
            let (max, min) = bounds(index);
            let beyond = thresholds.iter().filter(|&t| x > max * t || x < min * t);
            sign(x) * (1 + beyond.count() as i8)
        };
        let value = |decision: i8| {
            let sign = f32::from(decision.signum());
            let groups = &scales[..usize::from(decision.unsigned_abs())];
            groups.iter().fold(0.0, |sum, scale| sum + sign * scale)
        };
        let margin = |index: usize, x: f32| {
            let (max, min) = bounds(index);
            let bounds = thresholds
                .iter()
                .flat_map(|t| [(x - max * t).abs(), (x - min * t).abs()]);
            bounds.fold(x.abs(), f32::min)
        };
        let binarized = binarizer.forward(x.clone());
        tally.step(
            &self.name("value"),
            &self.trace.value,
            x,
            binarized,
            magnitude,
            &Quantizer {
                decide: &decide,
                value: &value,
                margin: &margin,
            },
        )
    }

    /// Maximum and minimum of the scope of an element.
    fn bounds(&self, x: &Tensor<4>) -> impl Fn(usize) -> (f32, f32) + use<> {
        let columns = x.dims()[3];
        let values = numbers(x.clone());
        let row = match self.scope {
            ThresholdScope::Row => columns,
            _ => values.len(),
        };
        let extrema: Vec<(f32, f32)> = values
            .chunks(row)
            .map(|row| {
                row.iter()
                    .fold((f32::NEG_INFINITY, f32::INFINITY), |(max, min), &x| {
                        (max.max(x), min.min(x))
                    })
            })
            .collect();
        move |index| extrema[index / row]
    }

    fn mlp(&self, x: Tensor<3>, tally: &mut Tally) -> Tensor<3> {
        let layers = &self.block.mlp;
        let inputs = self.signs(
            "fc1_input",
            &self.trace.fc1_input,
            &layers.fc1,
            x,
            0.0,
            tally,
        );
        let hidden = gelu(multiply(&layers.fc1, inputs)).clamp(-10.0, 10.0);
        let shifted = layers.fc2.shift.forward(hidden);
        let binarized = layers.fc2.input.forward(shifted.clone());
        let scale = guarded(numbers(layers.fc2.input.scale().val())[0]);
        let name = self.name("fc2_input");
        let levels = tally.step(
            &name,
            &self.trace.fc2_input,
            shifted,
            binarized,
            reach(&layers.fc1),
            &Quantizer {
                decide: &|_, x| (x / scale).clamp(0.0, 1.0).round_ties_even() as i8,
                value: &|decision| f32::from(decision) * scale,
                margin: &|_, x| (x - scale / 2.0).abs(),
            },
        );
        multiply(&layers.fc2, levels)
    }
}

/// What a layer makes of binarized inputs.
fn multiply(layer: &BinaryLinear, inputs: Tensor<3>) -> Tensor<3> {
    let weight = layer.weight_binarizer.forward(layer.weight.val());
    linear_levels(inputs, weight, layer.bias.as_ref().map(|bias| bias.val()))
}
