//! The published names of the parameters, and where they are in our models: the one place that
//! knows both.

use crate::{Phase, VitConfig};

/// How a tensor of a published file lies in our parameter.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Layout {
    /// As it is.
    Same,
    /// A matrix `[out, in]` that is `[in, out]` here.
    Transposed,
    /// A number of shape `[]`, the entry of a vector here.
    Entry(usize),
    /// `[1]`, 1 if all entries of our state of calibration are.
    State,
    /// A vector of these values, which nothing here needs.
    Constant(&'static [f32]),
    /// The number of training steps, shape `[]`, which nothing here needs.
    StepCount,
}

/// A published name, our path of the parameter, how the one lies in the other.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Name {
    pub published: String,
    pub ours: String,
    pub layout: Layout,
}

type Row = (&'static str, &'static str, Layout);

use Layout::{Constant, Entry, Same, State, StepCount, Transposed};

const TOKENS: &[Row] = &[
    ("cls_token", "tokens.class_token", Same),
    ("dist_token", "tokens.distillation_token", Same),
    ("pos_embed", "tokens.position", Same),
];

const CONVOLUTION: &[Row] = &[
    ("patch_embed.proj.weight", "patch_embedding.weight", Same),
    ("patch_embed.proj.bias", "patch_embedding.bias", Same),
];

const QUANTIZED_CONVOLUTION: &[Row] = &[
    ("patch_embed.proj.weight", "patch_embedding.weight", Same),
    ("patch_embed.proj.bias", "patch_embedding.bias", Same),
    (
        "patch_embed.proj.alpha",
        "patch_embedding.weight_quantizer.scale",
        Same,
    ),
    (
        "patch_embed.proj.init_state",
        "patch_embedding.weight_quantizer.calibrated",
        State,
    ),
];

const NORMALIZED_CONVOLUTION: &[Row] = &[
    (
        "patch_embed.proj.weight",
        "patch_embedding.convolution.weight",
        Same,
    ),
    (
        "patch_embed.proj.bias",
        "patch_embedding.convolution.bias",
        Same,
    ),
    (
        "patch_embed.norm.weight",
        "patch_embedding.norm.gamma",
        Same,
    ),
    ("patch_embed.norm.bias", "patch_embedding.norm.beta", Same),
    (
        "patch_embed.norm.running_mean",
        "patch_embedding.norm.running_mean",
        Same,
    ),
    (
        "patch_embed.norm.running_var",
        "patch_embedding.norm.running_var",
        Same,
    ),
    ("patch_embed.norm.num_batches_tracked", "", StepCount),
];

/// The range that published weight-binary layers hold and never use.
const UNUSED_RANGE: Layout = Constant(&[-2.5, 2.5]);

/// What the blocks of all phases have.
const BLOCK: &[Row] = &[
    ("norm1.weight", "norm1.gamma", Same),
    ("norm1.bias", "norm1.beta", Same),
    ("attn.qkv.weight", "attention.qkv.weight", Transposed),
    ("attn.qkv.bias", "attention.qkv.bias", Same),
    ("attn.proj.weight", "attention.output.weight", Transposed),
    ("attn.proj.bias", "attention.output.bias", Same),
    ("norm2.weight", "norm2.gamma", Same),
    ("norm2.bias", "norm2.beta", Same),
];

const FLOAT_MLP: &[Row] = &[
    ("mlp.fc1.weight", "fc1.weight", Transposed),
    ("mlp.fc1.bias", "fc1.bias", Same),
    ("mlp.fc2.weight", "fc2.weight", Transposed),
    ("mlp.fc2.bias", "fc2.bias", Same),
];

/// What the blocks of both stages have besides.
const STUDENT_BLOCK: &[Row] = &[
    ("attn.move_q.bias", "attention.shifts.query.bias", Same),
    ("attn.move_k.bias", "attention.shifts.key.bias", Same),
    ("attn.move_v.bias", "attention.shifts.value.bias", Same),
    ("mlp.fc1.weight", "mlp.fc1.weight", Transposed),
    ("mlp.fc1.bias", "mlp.fc1.bias", Same),
    ("mlp.fc1.move.bias", "mlp.fc1.shift.bias", Same),
    ("mlp.fc2.weight", "mlp.fc2.weight", Transposed),
    ("mlp.fc2.bias", "mlp.fc2.bias", Same),
    ("mlp.fc2.move.bias", "mlp.fc2.shift.bias", Same),
];

const STAGE1_BLOCK: &[Row] = &[
    ("mlp.fc1.weight_clip_val", "", UNUSED_RANGE),
    ("mlp.fc2.weight_clip_val", "", UNUSED_RANGE),
];

const STAGE2_BLOCK: &[Row] = &[
    ("attn.clip_query", "attention.query.scale", Entry(0)),
    ("attn.clip_key", "attention.key.scale", Entry(0)),
    ("attn.clip_value", "attention.value.scales", Entry(0)),
    ("attn.clip_value2", "attention.value.scales", Entry(1)),
    ("attn.clip_value3", "attention.value.scales", Entry(2)),
    ("attn.clip_attn", "attention.attention.scales", Entry(0)),
    ("attn.clip_attn2", "attention.attention.scales", Entry(1)),
    ("attn.clip_attn3", "attention.attention.scales", Entry(2)),
    ("attn.qkv.move.bias", "attention.qkv.shift.bias", Same),
    ("attn.proj.move.bias", "attention.output.shift.bias", Same),
    ("attn.move_att.bias", "attention.attention_shift.bias", Same),
    (
        "attn.qkv.input_clip_val",
        "attention.qkv.input.Signed.scale",
        Entry(0),
    ),
    (
        "attn.proj.input_clip_val",
        "attention.output.input.Signed.scale",
        Entry(0),
    ),
    (
        "mlp.fc1.input_clip_val",
        "mlp.fc1.input.Signed.scale",
        Entry(0),
    ),
    (
        "mlp.fc2.input_clip_val",
        "mlp.fc2.input.Unsigned.scale",
        Entry(0),
    ),
];

const NORM: &[Row] = &[
    ("norm.weight", "norm.gamma", Same),
    ("norm.bias", "norm.beta", Same),
];

/// The published and our beginnings of the names in a head.
pub(super) const HEADS: [(&str, &str); 2] = [
    ("head.", "class_head."),
    ("head_dist.", "distillation_head."),
];

const HEAD: &[Row] = &[("weight", "weight", Transposed), ("bias", "bias", Same)];

const QUANTIZED_HEAD: &[Row] = &[
    ("weight_clip_val", "weight_quantizer.scale", Entry(0)),
    ("input_clip_val", "input.scale", Entry(0)),
    ("move.bias", "shift.bias", Same),
];

/// The names of the model that a configuration makes in a phase.
pub(super) fn names(phase: Phase, config: &VitConfig) -> Vec<Name> {
    let patches = match phase {
        Phase::Teacher => CONVOLUTION,
        Phase::Stage1 => NORMALIZED_CONVOLUTION,
        Phase::Stage2 => QUANTIZED_CONVOLUTION,
    };
    let block: &[&[Row]] = match phase {
        Phase::Teacher => &[BLOCK, FLOAT_MLP],
        Phase::Stage1 => &[BLOCK, STUDENT_BLOCK, STAGE1_BLOCK],
        Phase::Stage2 => &[BLOCK, STUDENT_BLOCK, STAGE2_BLOCK],
    };
    let head: &[&[Row]] = match phase {
        Phase::Teacher | Phase::Stage1 => &[HEAD],
        Phase::Stage2 => &[HEAD, QUANTIZED_HEAD],
    };
    let mut names = Vec::new();
    let mut extend = |published: &str, ours: &str, parts: &[&[Row]]| {
        names.extend(parts.iter().copied().flatten().map(|row| Name {
            published: format!("{published}{}", row.0),
            ours: format!("{ours}{}", row.1),
            layout: row.2,
        }));
    };
    extend("", "", &[TOKENS, patches]);
    for index in 0..config.depth {
        let prefix = format!("blocks.{index}.");
        extend(&prefix, &prefix, block);
    }
    extend("", "", &[NORM]);
    for (published, ours) in HEADS {
        extend(published, ours, head);
    }
    let groups = |name: &Name| match name.layout {
        Entry(group) if name.ours.ends_with("value.scales") => group < config.stage2.value_groups,
        Entry(group) if name.ours.ends_with("attention.scales") => {
            group < config.stage2.attention_groups
        }
        _ => true,
    };
    let distilled = |name: &Name| {
        let part = ["tokens.distillation_token", "distillation_head."];
        config.distillation_token || !part.iter().any(|part| name.ours.starts_with(part))
    };
    names.retain(|name| groups(name) && distilled(name));
    names
}

/// The published names of a model's parameters, each with our path of the parameter. Scales of
/// several groups, one parameter here, have a name for each.
///
/// ```
/// use gsb_vit::checkpoint::published_names;
/// use gsb_vit::{Phase, VitConfig};
///
/// let names = published_names(Phase::Stage2, &VitConfig::micro());
/// let pair = ("blocks.3.attn.proj.weight".into(), "blocks.3.attention.output.weight".into());
/// assert!(names.contains(&pair));
/// ```
pub fn published_names(phase: Phase, config: &VitConfig) -> Vec<(String, String)> {
    names(phase, config)
        .into_iter()
        .filter(|name| !matches!(name.layout, Constant(_) | StepCount))
        .map(|name| (name.published, name.ours))
        .collect()
}
