//! What the tests of whole models share.

use burn::Tensor;
use burn::module::{ModuleMapper, Param};
use burn::tensor::{Device, Gradients, Int, TensorData, s};
use gsb_core::binarize::ThresholdScope;
use gsb_core::distill::{DistillationLossConfig, Logits, LossTerms, Targets};
use gsb_vit::checkpoint::{Published, Strictness};
use gsb_vit::{Classifier, Model, VitConfig};

use crate::check::Check;
use crate::fixture::{Case, Values};

/// The configuration of a case's model.
pub(crate) fn config(case: &Case) -> Result<VitConfig, String> {
    let size = |name| case.sizes(name).map(|[size, _]| size);
    let x = case.tensors.get("x").or(case.tensors.get("data0.x"));
    let channels = match x.map(|x| &x.shape[..]) {
        Some(&[_, channels, _, _]) => channels,
        _ => 3,
    };
    let (width, depth, heads) = (size("hidden")?, size("depth")?, size("heads")?);
    let config = VitConfig::new(size("img")?, size("classes")?)
        .with_patch_size(size("patch")?)
        .with_channels(channels)
        .with_width(width)
        .with_depth(depth)
        .with_heads(heads);
    let hidden = case
        .tensors
        .iter()
        .find(|(name, _)| name.ends_with("blocks.0.mlp.fc1.weight"))
        .map_or(4 * width, |(_, weight)| weight.shape[0]);
    Ok(config
        .with_mlp_width(hidden)
        .with_scope(ThresholdScope::Batch))
}

/// The tensors of a case with a prefix, without it.
pub(crate) fn published(case: &Case, prefix: &str) -> Published {
    let floats = case.tensors.iter().filter_map(|(name, values)| {
        let short = name.strip_prefix(prefix)?;
        case.ignore(name);
        let shape = if case.scalars.contains(name) {
            vec![]
        } else {
            values.shape.clone()
        };
        Some((
            short.to_string(),
            TensorData::new(values.data.clone(), shape),
        ))
    });
    let integers = case.integers.iter().filter_map(|(name, values)| {
        let short = name.strip_prefix(prefix)?;
        case.ignore(name);
        let data = TensorData::new(values.clone(), Vec::<usize>::new());
        Some((short.to_string(), data))
    });
    Published::new(floats.chain(integers).collect::<Vec<_>>())
}

/// The model of a case, its parameters under a prefix.
pub(crate) fn model<M: Model>(
    case: &Case,
    prefix: &str,
    config: &VitConfig,
    device: &Device,
) -> Result<M, String> {
    let imported = published(case, prefix).into_model(config, Strictness::Strict, device);
    imported
        .map(|(model, _)| model)
        .map_err(|error| error.to_string())
}

/// A model whose parameters are the gradients of another's, NaN where there is none.
fn gradients<M: Model>(model: &M, grads: &Gradients) -> M {
    struct Take<'a>(&'a Gradients);
    impl ModuleMapper for Take<'_> {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            let grad = param.val().grad(self.0);
            param.map(|value| match grad {
                Some(grad) => Tensor::from_data(grad.into_data(), &value.device()),
                None => value.full_like(f32::NAN),
            })
        }
    }
    model.clone().map(&mut Take(grads))
}

/// Compares what a file stores of a model's gradients under `prefix`.
pub(crate) fn compare_gradients<M: Model>(
    check: &mut Check,
    case: &Case,
    prefix: &str,
    model: &M,
    grads: &Gradients,
) {
    compare(
        check,
        case,
        prefix,
        &Published::of(&gradients(model, grads)),
    );
}

/// Compares what a file stores of a model's tensors under `prefix`.
pub(crate) fn compare(check: &mut Check, case: &Case, prefix: &str, got: &Published) {
    let stored = case.tensors.keys().chain(case.integers.keys());
    for name in stored.filter(|name| name.starts_with(prefix)) {
        if name.ends_with("num_batches_tracked") {
            // Steps are counted by those who train.
            check.leave_out(name);
            continue;
        }
        match got.get(&name[prefix.len()..]) {
            Some(data) => check.measured(name, values(data)),
            None => check.fail(format!("{name}: the model has no such parameter")),
        }
    }
}

pub(crate) fn values(data: &TensorData) -> Values {
    let mut shape = data.shape().to_vec();
    if shape.is_empty() {
        shape.push(1);
    }
    Values {
        shape,
        data: data.iter::<f32>().collect(),
    }
}

/// The logits of images, each in a batch of its own.
pub(crate) fn one_by_one<M: Classifier>(model: &M, x: Tensor<4>) -> Tensor<2> {
    let single = |i: usize| model.infer(x.clone().slice(s![i..i + 1]));
    Tensor::cat((0..x.dims()[0]).map(single).collect(), 0)
}

/// Half the loss of the labels, half that of the teacher's decisions.
pub(crate) fn loss(
    student: Logits,
    teacher: Tensor<2>,
    labels: Tensor<1, Int>,
) -> Result<LossTerms, String> {
    let loss = DistillationLossConfig::new().init();
    loss.and_then(|loss| loss.forward(student, Some(teacher), Targets::Labels(labels)))
        .map_err(|error| error.to_string())
}

/// Logits that decide for the labels.
pub(crate) fn decided(labels: Tensor<1, Int>, classes: usize) -> Tensor<2> {
    labels.one_hot::<2>(classes).float()
}
