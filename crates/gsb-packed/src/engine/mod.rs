//! A network, arranged and folded for the kernels, and the way of an image through it.

mod attention;
mod clock;
mod embedding;
mod head;
mod linear;
mod lines;
mod memory;
mod mlp;
mod norm;
mod record;
mod scratch;
mod share;
mod tokens;

pub use clock::Stage;
pub(crate) use memory::{MEMORY, Memory, MemoryPart, ShiftKind};
use scratch::MadeFor;
pub use scratch::Scratch;
pub(crate) use scratch::check_scratch;

use attention::BinaryAttention;
use embedding::Embedding;
use head::QuantizedHead;
use lines::panels;
use memory::BlockKernels;
use mlp::BinaryMlp;
use share::{Span, share};
use tokens::Tokens;

use crate::kernel::Kernels;
use crate::kernel::norm::Norm;
use crate::kernel::simd::Line;
use crate::trace::{BlockTrace, Trace};
use crate::{Block, Image, PackedConfig, PackedNetwork, Preprocessing};

/// A block ready to run.
#[derive(Debug)]
pub(crate) struct EngineBlock {
    attention: BinaryAttention,
    mlp: BinaryMlp,
}

/// A network ready to run.
#[derive(Debug)]
pub(crate) struct Engine {
    config: PackedConfig,
    kernels: Kernels,
    embedding: Embedding,
    blocks: Vec<EngineBlock>,
    memory: Memory,
    norm: Norm,
    class_head: QuantizedHead,
    distillation_head: Option<QuantizedHead>,
}

impl Engine {
    /// The engine of a network that has been checked, with its blocks made and their memory filled.
    pub(crate) fn new(
        mut network: PackedNetwork,
        blocks: Vec<EngineBlock>,
        memory: Memory,
        preprocessing: &Preprocessing,
        kernels: Kernels,
    ) -> Self {
        let embedding = Embedding::new(&mut network, preprocessing, kernels);
        let config = network.config;
        Self {
            embedding,
            blocks,
            memory,
            norm: head::last_norm(&network.norm, &config),
            class_head: QuantizedHead::new(network.class_head, &config),
            distillation_head: network
                .distillation_head
                .map(|head| QuantizedHead::new(head, &config)),
            kernels,
            config,
        }
    }

    /// A block of it, its weights arranged in its memory. Its attention shifts are
    /// [filled](MemoryPart::fill_floats) apart.
    pub(crate) fn block(
        config: &PackedConfig,
        block: Block,
        mut memory: MemoryPart<'_>,
        kernels: Kernels,
    ) -> EngineBlock {
        let Block {
            norm1,
            attention,
            norm2,
            fc1,
            fc2,
        } = block;
        let made = EngineBlock {
            attention: BinaryAttention::new(
                &norm1,
                attention,
                config,
                kernels,
                &mut memory.weights,
            ),
            mlp: BinaryMlp::new(&norm2, fc1, fc2, config, kernels, &mut memory.weights),
        };
        debug_assert!(memory.weights.is_used());
        made
    }

    /// Takes other thresholds of the attention matrices' groups.
    pub(crate) fn set_attention_thresholds(&mut self, thresholds: [f32; 3]) {
        for block in &mut self.blocks {
            block.attention.set_thresholds(thresholds);
        }
    }

    pub(crate) fn config(&self) -> &PackedConfig {
        &self.config
    }

    /// How many of some threads can share the work of an image: there are tokens for them.
    pub(crate) fn lanes(&self, threads: usize) -> usize {
        let most = self.config.tokens().div_ceil(self.kernels.rows());
        threads.clamp(1, most)
    }

    /// Memory for an image whose work some threads share.
    pub(crate) fn scratch(&self, threads: usize) -> Scratch {
        let made_for = MadeFor {
            config: self.config.clone(),
            patch_words: self.embedding.stride(&self.config),
            rows: self.kernels.rows(),
        };
        Scratch::new(made_for, self.lanes(threads))
    }

    /// The attention matrix of each block of a trace.
    pub(crate) fn attention_maps(&self, trace: &Trace) -> Vec<Vec<f32>> {
        let blocks = self.blocks.iter().zip(&trace.blocks);
        blocks
            .map(|(block, trace)| block.attention.matrix(&trace.attention))
            .collect()
    }

    /// The logits of an image whose size has been checked: the mean of the heads. A trace is for the
    /// scratch of one thread.
    pub(crate) fn logits(
        &self,
        image: Image<'_>,
        scratch: &mut Scratch,
        logits: &mut [f32],
        trace: Option<&mut Trace>,
    ) {
        let (patch_words, rows) = (self.embedding.stride(&self.config), self.kernels.rows());
        assert!(
            scratch.is_for(&self.config, patch_words, rows),
            "the scratch is that of a model of another configuration or instruction set"
        );
        let lanes = scratch.lanes.len();
        share::awake(lanes, || self.run(image, scratch, logits, trace));
    }

    fn run(
        &self,
        image: Image<'_>,
        scratch: &mut Scratch,
        logits: &mut [f32],
        mut trace: Option<&mut Trace>,
    ) {
        let Self {
            config, kernels, ..
        } = self;
        scratch.clock.reset();
        for lane in &mut scratch.lanes {
            lane.clock.reset();
        }
        if let Image::Bytes(bytes) = image {
            let Scratch { lanes, pixels, .. } = scratch;
            self.embedding.cut(*kernels, config, bytes, pixels, lanes);
        }
        if let Some(trace) = &mut trace {
            trace.blocks = vec![BlockTrace::default(); config.depth];
        }
        self.between(image, scratch, None, trace.as_deref_mut());
        for (block, EngineBlock { attention, .. }) in self.blocks.iter().enumerate() {
            let needed = self.needed(block, trace.is_some());
            let of_block = trace.as_deref_mut().map(|trace| (trace, block));
            let (_, shifts) = self.memory.of(block);
            attention.attend(*kernels, shifts, scratch, needed, of_block);
            self.between(image, scratch, Some(block), trace.as_deref_mut());
        }
        scratch.clock.start();
        self.classify(scratch, logits, trace);
        scratch.clock.lap(Stage::Heads);
    }

    fn kernels_of(&self, block: usize) -> BlockKernels<'_> {
        let (weights, _) = self.memory.of(block);
        BlockKernels {
            kernels: self.kernels,
            weights,
        }
    }

    /// Tokens whose values are needed after a block.
    fn needed(&self, block: usize, traced: bool) -> usize {
        // The heads see the learned tokens alone.
        if block + 1 == self.config.depth && !traced {
            self.config.learned_tokens()
        } else {
            self.config.tokens()
        }
    }

    /// What is done with tokens one by one: they are embedded or, after the attention of a block, go
    /// through the rest of it, and enter the next.
    fn between(
        &self,
        image: Image<'_>,
        scratch: &mut Scratch,
        after: Option<usize>,
        trace: Option<&mut Trace>,
    ) {
        let Self {
            config, kernels, ..
        } = self;
        let Scratch {
            lanes,
            pixels,
            stream,
            query_key,
            value,
            bounds,
            attended,
            zeros,
            ..
        } = scratch;
        let bounds = match bounds.len() {
            1 => &mut [],
            _ => &mut bounds[..],
        };
        let tokens = Tokens {
            span: Span::new(config.tokens(), kernels.rows(), lanes.len()),
            lanes,
            stream,
            query_key,
            value,
            bounds,
            trace,
        };
        let panels = panels(config.width);
        let floats = |stream: &[[Line<f32>; 4]]| {
            let rows = stream.as_flattened().iter().flat_map(|line| line.0);
            let rows: Vec<f32> = rows.collect();
            record::unpad(&rows, panels * 64, config.width, config.width, 1)
        };
        share(tokens, &|mut tokens: Tokens<'_>| {
            tokens.lanes[0].clock.start();
            match after {
                None => {
                    let embedding = &self.embedding;
                    embedding.embed(*kernels, config, image, pixels, &mut tokens);
                    if let Some(trace) = &mut tokens.trace {
                        trace.embedding = floats(tokens.stream);
                    }
                }
                Some(block) => {
                    let EngineBlock { attention, mlp } = &self.blocks[block];
                    let needed = self.needed(block, tokens.trace.is_some());
                    let with = self.kernels_of(block);
                    attention.add(with, &mut tokens, attended, zeros, needed, block);
                    mlp.add(with, &mut tokens, needed, block);
                    if let Some(trace) = &mut tokens.trace {
                        trace.blocks[block].output = floats(tokens.stream);
                    }
                }
            }
            let next = after.map_or(0, |block| block + 1);
            if let Some(EngineBlock { attention, .. }) = self.blocks.get(next) {
                attention.project(self.kernels_of(next), &mut tokens);
            }
        });
    }

    fn classify(&self, scratch: &mut Scratch, logits: &mut [f32], trace: Option<&mut Trace>) {
        let panels = panels(self.config.width);
        let threads = scratch.threads();
        let Scratch {
            stream,
            levels: [class_levels, distillation_levels],
            head_logits,
            ..
        } = scratch;
        let token = |index: usize| &stream[index * panels..][..panels];
        let of_head = |head: &QuantizedHead, index, levels: &mut [i16], logits: &mut [f32]| {
            head.logits(self.kernels, &self.norm, token(index), levels, logits);
        };
        let distillation = self.distillation_head.as_ref();
        let class = || of_head(&self.class_head, 0, class_levels, logits);
        let distill = || {
            if let Some(head) = distillation {
                of_head(head, 1, distillation_levels, head_logits);
            }
        };
        share::both(threads, class, distill);
        if let Some(trace) = trace {
            trace.class_input.clone_from(class_levels);
            trace.class_logits = logits.to_vec();
            if distillation.is_some() {
                trace.distillation_input.clone_from(distillation_levels);
                trace.distillation_logits.clone_from(head_logits);
            }
        }
        if distillation.is_some() {
            for (logit, other) in logits.iter_mut().zip(&*head_logits) {
                *logit = (*logit + other) / 2.0;
            }
        }
    }
}
