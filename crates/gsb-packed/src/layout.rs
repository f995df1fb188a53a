//! What a network consists of: the tensors of each layer, with names, shapes and kinds.
//!
//! This is said here alone. Reading a file, random networks and lists of tensors
//! [build](PackedNetwork::build) a network from a [`Source`]; writing and checking [visit](PackedNetwork::visit) one.

mod list;
mod tensor;
mod walk;

pub use list::TensorLayout;
pub(crate) use tensor::{Kind, Tensor, length};
pub(crate) use walk::{Source, Visitor};

use crate::{
    Attention, BinaryLinear, Block, Error, Head, LayerNorm, PackedConfig, PackedNetwork,
    PatchEmbedding,
};
use walk::{Build, Visit, Walk};

impl PackedNetwork {
    /// Makes a network of a configuration that has been checked.
    ///
    /// # Errors
    /// Those of the source.
    pub(crate) fn build(config: &PackedConfig, source: &mut impl Source) -> Result<Self, Error> {
        network(&mut Build(source), config, None)
    }

    /// Makes all of a network but its [blocks](Block::build).
    ///
    /// # Errors
    /// Those of the source.
    pub(crate) fn build_ends(
        config: &PackedConfig,
        source: &mut impl Source,
    ) -> Result<Self, Error> {
        let without_blocks = PackedConfig {
            depth: 0,
            ..config.clone()
        };
        let ends = network(&mut Build(source), &without_blocks, None)?;
        Ok(Self {
            config: config.clone(),
            ..ends
        })
    }

    /// Shows all tensors to a visitor.
    ///
    /// # Errors
    /// Those of the visitor; [`Error::Length`] if there are more or fewer layers than the configuration
    /// asks for.
    pub(crate) fn visit(&self, visitor: &mut impl Visitor) -> Result<(), Error> {
        network(&mut Visit(visitor), &self.config, Some(self)).map(drop)
    }
}

impl Block {
    /// Makes a block, by its number, of a configuration that has been checked.
    ///
    /// # Errors
    /// Those of the source.
    pub(crate) fn build(
        config: &PackedConfig,
        index: usize,
        source: &mut impl Source,
    ) -> Result<Self, Error> {
        block(&mut Build(source), &block_name(index), config, None)
    }
}

/// The name in a file of the attention shifts of a block.
pub(crate) fn attention_shift(block: usize) -> String {
    format!("{}.attention.attention_shift.bias", block_name(block))
}

fn block_name(index: usize) -> String {
    format!("blocks.{index}")
}

fn network(
    walk: &mut dyn Walk,
    config: &PackedConfig,
    of: Option<&PackedNetwork>,
) -> Result<PackedNetwork, Error> {
    let width = config.width;
    let positions = [config.tokens(), width];
    Ok(PackedNetwork {
        config: config.clone(),
        patch_embedding: patch_embedding(walk, config, of.map(|of| &of.patch_embedding))?,
        class_token: walk.list(
            "tokens",
            "class_token",
            &[width],
            of.map(|of| &of.class_token),
        )?,
        distillation_token: distilled(
            config,
            "tokens.distillation_token",
            of.map(|of| &of.distillation_token),
            |of| walk.list("tokens", "distillation_token", &[width], of),
        )?,
        positions: walk.list("tokens", "position", &positions, of.map(|of| &of.positions))?,
        blocks: blocks(walk, config, of.map(|of| &of.blocks[..]))?,
        norm: norm(walk, "norm", width, of.map(|of| &of.norm))?,
        class_head: head(walk, "class_head", config, of.map(|of| &of.class_head))?,
        distillation_head: distilled(
            config,
            "distillation_head",
            of.map(|of| &of.distillation_head),
            |of| head(walk, "distillation_head", config, of),
        )?,
    })
}

/// What there is only beside a distillation token.
fn distilled<T>(
    config: &PackedConfig,
    name: &str,
    of: Option<&Option<T>>,
    walk: impl FnOnce(Option<&T>) -> Result<T, Error>,
) -> Result<Option<T>, Error> {
    let expected = config.distillation_token;
    let found = of.map_or(expected, Option::is_some);
    length(name, found.into(), expected.into())?;
    let part = expected.then(|| walk(of.and_then(Option::as_ref)));
    part.transpose()
}

fn patch_embedding(
    walk: &mut dyn Walk,
    config: &PackedConfig,
    of: Option<&PatchEmbedding>,
) -> Result<PatchEmbedding, Error> {
    let (layer, width) = ("patch_embedding", config.width);
    let shape = [width, config.channels, config.patch_size, config.patch_size];
    Ok(PatchEmbedding {
        weight: walk.weight(layer, &shape, config.patch_bits, of.map(|of| &of.weight))?,
        scales: walk.list(layer, "scales", &[width], of.map(|of| &of.scales))?,
        bias: walk.list(layer, "bias", &[width], of.map(|of| &of.bias))?,
    })
}

fn blocks(
    walk: &mut dyn Walk,
    config: &PackedConfig,
    of: Option<&[Block]>,
) -> Result<Vec<Block>, Error> {
    let found = of.map_or(config.depth, <[Block]>::len);
    length("blocks", found, config.depth)?;
    let block = |index| block(walk, &block_name(index), config, of.map(|of| &of[index]));
    (0..config.depth).map(block).collect()
}

fn block(
    walk: &mut dyn Walk,
    name: &str,
    config: &PackedConfig,
    of: Option<&Block>,
) -> Result<Block, Error> {
    let (width, hidden) = (config.width, config.mlp_width);
    let layer = |part: &str| format!("{name}.{part}");
    Ok(Block {
        norm1: norm(walk, &layer("norm1"), width, of.map(|of| &of.norm1))?,
        attention: attention(
            walk,
            &layer("attention"),
            config,
            of.map(|of| &of.attention),
        )?,
        norm2: norm(walk, &layer("norm2"), width, of.map(|of| &of.norm2))?,
        fc1: linear(
            walk,
            &layer("mlp.fc1"),
            [hidden, width],
            of.map(|of| &of.fc1),
        )?,
        fc2: linear(
            walk,
            &layer("mlp.fc2"),
            [width, hidden],
            of.map(|of| &of.fc2),
        )?,
    })
}

fn attention(
    walk: &mut dyn Walk,
    name: &str,
    config: &PackedConfig,
    of: Option<&Attention>,
) -> Result<Attention, Error> {
    let (width, tokens) = (config.width, config.tokens());
    let layer = |part: &str| format!("{name}.{part}");
    let (shifts, scores, attended) = (layer("shifts"), layer("scores"), layer("attended"));
    let shift_layer = layer("attention_shift");
    let matrices = [config.heads, tokens, tokens];
    let attention_shift = Tensor::new(&shift_layer, "bias", &matrices, Kind::AttentionShift);
    let (attention_groups, value_groups) = ([config.attention_groups], [config.value_groups]);
    Ok(Attention {
        qkv: linear(
            walk,
            &layer("qkv"),
            [3 * width, width],
            of.map(|of| &of.qkv),
        )?,
        query_shift: walk.list(&shifts, "query", &[width], of.map(|of| &of.query_shift))?,
        key_shift: walk.list(&shifts, "key", &[width], of.map(|of| &of.key_shift))?,
        value_shift: walk.list(&shifts, "value", &[width], of.map(|of| &of.value_shift))?,
        query_scale: walk.number(&scores, "query_scale", of.map(|of| &of.query_scale))?,
        key_scale: walk.number(&scores, "key_scale", of.map(|of| &of.key_scale))?,
        value_scales: walk.list(
            &attended,
            "value_scales",
            &value_groups,
            of.map(|of| &of.value_scales),
        )?,
        attention_shift: walk.floats(&attention_shift, of.map(|of| &of.attention_shift[..]))?,
        attention_scales: walk.list(
            &attended,
            "attention_scales",
            &attention_groups,
            of.map(|of| &of.attention_scales),
        )?,
        output: linear(
            walk,
            &layer("output"),
            [width, width],
            of.map(|of| &of.output),
        )?,
    })
}

fn norm(
    walk: &mut dyn Walk,
    layer: &str,
    width: usize,
    of: Option<&LayerNorm>,
) -> Result<LayerNorm, Error> {
    Ok(LayerNorm {
        gamma: walk.list(layer, "gamma", &[width], of.map(|of| &of.gamma))?,
        beta: walk.list(layer, "beta", &[width], of.map(|of| &of.beta))?,
    })
}

fn linear(
    walk: &mut dyn Walk,
    layer: &str,
    [outputs, inputs]: [usize; 2],
    of: Option<&BinaryLinear>,
) -> Result<BinaryLinear, Error> {
    let (shape, rows) = ([outputs, inputs], [outputs]);
    let weight = Tensor::new(layer, "weight", &shape, Kind::Signs);
    let weight_scale = Tensor::new(layer, "weight_scale", &rows, Kind::RowScales);
    Ok(BinaryLinear {
        weight: walk.signs(&weight, of.map(|of| &of.weight))?,
        weight_scale: walk.floats(&weight_scale, of.map(|of| &of.weight_scale[..]))?,
        input_shift: walk.list(layer, "shift", &[inputs], of.map(|of| &of.input_shift))?,
        input_scale: walk.number(layer, "input_scale", of.map(|of| &of.input_scale))?,
        bias: walk.list(layer, "bias", &[outputs], of.map(|of| &of.bias))?,
    })
}

fn head(
    walk: &mut dyn Walk,
    layer: &str,
    config: &PackedConfig,
    of: Option<&Head>,
) -> Result<Head, Error> {
    let (width, classes) = (config.width, config.classes);
    Ok(Head {
        weight: walk.weight(
            layer,
            &[classes, width],
            config.head_bits,
            of.map(|of| &of.weight),
        )?,
        weight_scale: walk.number(layer, "weight_scale", of.map(|of| &of.weight_scale))?,
        input_shift: walk.list(layer, "shift", &[width], of.map(|of| &of.input_shift))?,
        input_scale: walk.number(layer, "input_scale", of.map(|of| &of.input_scale))?,
        bias: walk.list(layer, "bias", &[classes], of.map(|of| &of.bias))?,
    })
}
