//! Every binary decision of a network for an image.

/// What an image became on its way through the network.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Trace {
    /// The tokens that enter the encoder, `[tokens, width]`.
    pub embedding: Vec<f32>,
    /// The encoder blocks.
    pub blocks: Vec<BlockTrace>,
    /// Levels that enter the class head, `[width]`.
    pub class_input: Vec<i16>,
    /// Levels that enter the distillation head, if there is one.
    pub distillation_input: Vec<i16>,
    /// The logits of the class head, `[classes]`.
    pub class_logits: Vec<f32>,
    /// The logits of the distillation head, if there is one.
    pub distillation_logits: Vec<f32>,
}

/// The decisions of an encoder block. Signs are -1, 0 or 1.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct BlockTrace {
    /// Signs that enter query, key and value, `[tokens, width]`.
    pub qkv_input: Vec<i8>,
    /// Signs of the query, `[tokens, heads, head_width]`.
    pub query: Vec<i8>,
    /// Signs of the key, `[tokens, heads, head_width]`.
    pub key: Vec<i8>,
    /// The value's sign times the number of groups it belongs to, `[heads, tokens, head_width]`.
    pub value: Vec<i8>,
    /// The groups of the attention matrix, the first the lowest bit: `[heads, queries, keys]`. Of levels, as many bits
    /// as the level: that of level 2 is 3.
    pub attention: Vec<u8>,
    /// Signs that enter the attention's output layer, `[tokens, width]`, heads one after another.
    pub output_input: Vec<i8>,
    /// Signs that enter the MLP, `[tokens, width]`.
    pub fc1_input: Vec<i8>,
    /// Levels, 0 or 1, that enter the second layer of the MLP, `[tokens, mlp_width]`.
    pub fc2_input: Vec<i8>,
    /// The tokens that leave the block, `[tokens, width]`.
    pub output: Vec<f32>,
}
