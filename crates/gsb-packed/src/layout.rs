//! What a network consists of: the tensors of each layer, with names, shapes and kinds.
//!
//! This is said here alone. Reading a file, random networks and lists of tensors
//! [build](Network::build) a network from a [`Source`]; writing and checking [visit](Network::visit) one.

use crate::{
    Attention, BinaryLinear, Block, Error, Head, LayerNorm, Network, PackedConfig, PatchEmbedding,
    SignMatrix,
};

/// A tensor of a network.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tensor<'a> {
    /// Name of its layer, as in the accounting of costs.
    pub(crate) layer: &'a str,
    /// What it is of the layer.
    pub(crate) part: &'static str,
    pub(crate) shape: &'a [usize],
    pub(crate) kind: Kind,
}

/// What a tensor holds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Kind {
    /// Floats.
    Floats,
    /// A float for each row of the weight before it, or one for all.
    RowScales,
    /// The shift of an attention matrix: floats, which a file may store in fewer bits.
    AttentionShift,
    /// Levels of a few bits.
    Levels,
    /// Signs.
    Signs,
}

impl<'a> Tensor<'a> {
    pub(crate) fn new(layer: &'a str, part: &'static str, shape: &'a [usize], kind: Kind) -> Self {
        Self {
            layer,
            part,
            shape,
            kind,
        }
    }

    /// Its name in a file.
    pub(crate) fn name(&self) -> String {
        format!("{}.{}", self.layer, self.part)
    }

    /// The name in a file of the positions of its zeros, beside its bits.
    pub(crate) fn zeros_name(&self) -> String {
        format!("{}.zeros", self.name())
    }

    /// The name in a file of the scales of its levels, where floats are stored as such.
    pub(crate) fn scale_name(&self) -> String {
        format!("{}.scale", self.layer)
    }

    /// Rows and columns, of a matrix.
    pub(crate) fn matrix(&self) -> [usize; 2] {
        self.shape.try_into().unwrap_or([1, self.len()])
    }

    /// How many entries it has, as far as a machine can count.
    pub(crate) fn len(&self) -> usize {
        let product = |len: usize, &size: &usize| len.saturating_mul(size);
        self.shape.iter().fold(1, product)
    }
}

/// Where the tensors of a new network come from, asked for in the order of the forward pass.
pub(crate) trait Source {
    fn floats(&mut self, tensor: &Tensor<'_>) -> Result<Vec<f32>, Error>;
    fn levels(&mut self, tensor: &Tensor<'_>, bits: u8) -> Result<Vec<i8>, Error>;
    fn signs(&mut self, tensor: &Tensor<'_>) -> Result<SignMatrix, Error>;
}

/// What looks at the tensors of a network. They need not have the shapes that they should have.
pub(crate) trait Visitor {
    fn floats(&mut self, tensor: &Tensor<'_>, values: &[f32]) -> Result<(), Error>;
    fn levels(&mut self, tensor: &Tensor<'_>, bits: u8, values: &[i8]) -> Result<(), Error>;
    fn signs(&mut self, tensor: &Tensor<'_>, values: &SignMatrix) -> Result<(), Error>;
}

impl Network {
    /// Makes a network of a configuration that has been checked.
    ///
    /// # Errors
    /// Those of the source.
    pub(crate) fn build(config: &PackedConfig, source: &mut impl Source) -> Result<Self, Error> {
        network(&mut Build(source), config, None)
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

/// A tensor of a network, as the configuration alone tells.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TensorLayout {
    /// Name of the layer. With a dot and the part it is the tensor's name in a file.
    pub layer: String,
    /// What of the layer it is, such as `weight`.
    pub part: &'static str,
    /// Its shape. Scales of a binary weight's rows may be a single one for all.
    pub shape: Vec<usize>,
    /// Bits of an entry. Attention shifts may be [stored in fewer](crate::ShiftStorage).
    pub bits: u8,
}

impl PackedConfig {
    /// All tensors of a network, in the order of the forward pass.
    ///
    /// # Errors
    /// As [`validate`](Self::validate).
    ///
    /// ```
    /// let tensors = gsb_packed::PackedConfig::micro().tensors()?;
    /// let query = tensors.iter().find(|tensor| tensor.layer == "blocks.0.attention.qkv");
    /// assert_eq!(query.map(|weight| (&weight.shape[..], weight.bits)), Some((&[192, 64][..], 1)));
    /// # Ok::<(), gsb_packed::Error>(())
    /// ```
    pub fn tensors(&self) -> Result<Vec<TensorLayout>, Error> {
        self.validate()?;
        let mut list = List(Vec::new());
        Network::build(self, &mut list)?;
        Ok(list.0)
    }
}

/// Lists tensors, of which it gives none.
struct List(Vec<TensorLayout>);

impl List {
    fn push(&mut self, tensor: &Tensor<'_>, bits: u8) {
        self.0.push(TensorLayout {
            layer: tensor.layer.into(),
            part: tensor.part,
            shape: tensor.shape.into(),
            bits,
        });
    }
}

impl Source for List {
    fn floats(&mut self, tensor: &Tensor<'_>) -> Result<Vec<f32>, Error> {
        self.push(tensor, 32);
        Ok(Vec::new())
    }

    fn levels(&mut self, tensor: &Tensor<'_>, bits: u8) -> Result<Vec<i8>, Error> {
        self.push(tensor, bits);
        Ok(Vec::new())
    }

    fn signs(&mut self, tensor: &Tensor<'_>) -> Result<SignMatrix, Error> {
        self.push(tensor, 1);
        Ok(SignMatrix::default())
    }
}

/// A source or a visitor: takes the values of a tensor, if there are some already, and gives those of a
/// new network, which are empty if nobody asks for one.
trait Walk {
    fn floats(&mut self, tensor: &Tensor<'_>, of: Option<&[f32]>) -> Result<Vec<f32>, Error>;
    fn levels(
        &mut self,
        tensor: &Tensor<'_>,
        bits: u8,
        of: Option<&[i8]>,
    ) -> Result<Vec<i8>, Error>;
    fn signs(&mut self, tensor: &Tensor<'_>, of: Option<&SignMatrix>) -> Result<SignMatrix, Error>;
}

struct Build<'a, S>(&'a mut S);

impl<S: Source> Walk for Build<'_, S> {
    fn floats(&mut self, tensor: &Tensor<'_>, _: Option<&[f32]>) -> Result<Vec<f32>, Error> {
        self.0.floats(tensor)
    }

    fn levels(
        &mut self,
        tensor: &Tensor<'_>,
        bits: u8,
        _: Option<&[i8]>,
    ) -> Result<Vec<i8>, Error> {
        self.0.levels(tensor, bits)
    }

    fn signs(&mut self, tensor: &Tensor<'_>, _: Option<&SignMatrix>) -> Result<SignMatrix, Error> {
        self.0.signs(tensor)
    }
}

struct Visit<'a, V>(&'a mut V);

impl<V: Visitor> Walk for Visit<'_, V> {
    fn floats(&mut self, tensor: &Tensor<'_>, of: Option<&[f32]>) -> Result<Vec<f32>, Error> {
        self.0.floats(tensor, of.unwrap_or_default())?;
        Ok(Vec::new())
    }

    fn levels(
        &mut self,
        tensor: &Tensor<'_>,
        bits: u8,
        of: Option<&[i8]>,
    ) -> Result<Vec<i8>, Error> {
        self.0.levels(tensor, bits, of.unwrap_or_default())?;
        Ok(Vec::new())
    }

    fn signs(&mut self, tensor: &Tensor<'_>, of: Option<&SignMatrix>) -> Result<SignMatrix, Error> {
        let none = SignMatrix::default();
        self.0.signs(tensor, of.unwrap_or(&none))?;
        Ok(none)
    }
}

impl dyn Walk + '_ {
    fn list(
        &mut self,
        layer: &str,
        part: &'static str,
        shape: &[usize],
        of: Option<&Vec<f32>>,
    ) -> Result<Vec<f32>, Error> {
        let tensor = Tensor::new(layer, part, shape, Kind::Floats);
        self.floats(&tensor, of.map(Vec::as_slice))
    }

    fn number(&mut self, layer: &str, part: &'static str, of: Option<&f32>) -> Result<f32, Error> {
        let tensor = Tensor::new(layer, part, &[1], Kind::Floats);
        let values = self.floats(&tensor, of.map(std::slice::from_ref))?;
        Ok(values.first().copied().unwrap_or_default())
    }

    fn weight(
        &mut self,
        layer: &str,
        shape: &[usize],
        bits: u8,
        of: Option<&Vec<i8>>,
    ) -> Result<Vec<i8>, Error> {
        let tensor = Tensor::new(layer, "weight", shape, Kind::Levels);
        self.levels(&tensor, bits, of.map(Vec::as_slice))
    }
}

fn network(
    walk: &mut dyn Walk,
    config: &PackedConfig,
    of: Option<&Network>,
) -> Result<Network, Error> {
    let width = config.width;
    let positions = [config.tokens(), width];
    Ok(Network {
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
    let block = |index| {
        block(
            walk,
            &format!("blocks.{index}"),
            config,
            of.map(|of| &of[index]),
        )
    };
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

/// Refuses a list of another length.
///
/// # Errors
/// [`Error::Length`].
pub(crate) fn length(what: &str, found: usize, expected: usize) -> Result<(), Error> {
    if found == expected {
        return Ok(());
    }
    Err(Error::Length {
        what: what.into(),
        found,
        expected,
    })
}
