//! A network, arranged and folded for the kernels, and the way of an image through it.

mod attention;
mod clock;
mod embedding;
mod head;
mod linear;
mod lines;
mod mlp;
mod norm;
mod record;
mod scratch;

pub use clock::Stage;
pub use scratch::Scratch;
pub(crate) use scratch::check_scratch;

use attention::BinaryAttention;
use embedding::Embedding;
use head::QuantizedHead;
use lines::panels;
use mlp::BinaryMlp;

#[cfg(feature = "rayon")]
use rayon::iter::ParallelIterator;

use crate::kernel::Kernels;
use crate::kernel::norm::Norm;
use crate::trace::{BlockTrace, Trace};
use crate::{Block, Image, Network, PackedConfig, Preprocessing};

/// A network ready to run.
#[derive(Debug)]
pub(crate) struct Engine {
    config: PackedConfig,
    kernels: Kernels,
    embedding: Embedding,
    blocks: Vec<(BinaryAttention, BinaryMlp)>,
    norm: Norm,
    class_head: QuantizedHead,
    distillation_head: Option<QuantizedHead>,
}

impl Engine {
    /// The engine of a network that has been checked.
    pub(crate) fn new(
        mut network: Network,
        preprocessing: &Preprocessing,
        kernels: Kernels,
    ) -> Self {
        let embedding = Embedding::new(&mut network, preprocessing, kernels);
        let config = network.config;
        let block = |block: Block| {
            let Block {
                norm1,
                attention,
                norm2,
                fc1,
                fc2,
            } = block;
            let attention = BinaryAttention::new(&norm1, attention, &config, kernels);
            (
                attention,
                BinaryMlp::new(&norm2, fc1, fc2, &config, kernels),
            )
        };
        #[cfg(feature = "rayon")]
        let blocks = rayon::iter::IntoParallelIterator::into_par_iter(network.blocks);
        #[cfg(not(feature = "rayon"))]
        let blocks = network.blocks.into_iter();
        Self {
            embedding,
            blocks: blocks.map(block).collect(),
            norm: head::last_norm(&network.norm, &config),
            class_head: QuantizedHead::new(network.class_head, &config),
            distillation_head: network
                .distillation_head
                .map(|head| QuantizedHead::new(head, &config)),
            kernels,
            config,
        }
    }

    pub(crate) fn config(&self) -> &PackedConfig {
        &self.config
    }

    pub(crate) fn scratch(&self) -> Scratch {
        Scratch::new(&self.config, self.embedding.stride(&self.config))
    }

    /// The attention matrix of each block of a trace.
    pub(crate) fn attention_maps(&self, trace: &Trace) -> Vec<Vec<f32>> {
        let blocks = self.blocks.iter().zip(&trace.blocks);
        blocks
            .map(|((attention, _), trace)| attention.matrix(&trace.attention))
            .collect()
    }

    /// The logits of an image whose size has been checked: the mean of the heads.
    pub(crate) fn logits(
        &self,
        image: Image<'_>,
        scratch: &mut Scratch,
        logits: &mut [f32],
        mut trace: Option<&mut Trace>,
    ) {
        let Self {
            config, kernels, ..
        } = self;
        let (tokens, panels) = (config.tokens(), panels(config.width));
        scratch.clock.start();
        let Scratch {
            pixels,
            patch,
            stream,
            ..
        } = scratch;
        match image {
            Image::Bytes(image) => self
                .embedding
                .embed_bytes(*kernels, config, image, pixels, stream),
            Image::Normalized(image) => self.embedding.embed_floats(config, image, patch, stream),
        }
        scratch.clock.lap(Stage::Embedding);
        let floats = |scratch: &Scratch| {
            let rows = scratch.stream.as_flattened().iter().flat_map(|line| line.0);
            let rows: Vec<f32> = rows.collect();
            record::unpad(&rows, panels * 64, config.width, config.width, 1)
        };
        if let Some(trace) = &mut trace {
            trace.embedding = floats(scratch);
        }
        for (index, (attention, mlp)) in self.blocks.iter().enumerate() {
            // The heads see the learned tokens alone.
            let last = index + 1 == config.depth && trace.is_none();
            let needed = if last {
                config.learned_tokens()
            } else {
                tokens
            };
            let mut block = trace.is_some().then(BlockTrace::default);
            attention.add(*kernels, scratch, needed, block.as_mut());
            mlp.add(*kernels, scratch, needed, block.as_mut());
            if let (Some(trace), Some(mut block)) = (&mut trace, block) {
                block.output = floats(scratch);
                trace.blocks.push(block);
            }
        }
        self.classify(scratch, logits, trace);
        scratch.clock.lap(Stage::Heads);
    }

    fn classify(&self, scratch: &mut Scratch, logits: &mut [f32], mut trace: Option<&mut Trace>) {
        let panels = panels(self.config.width);
        let Scratch {
            stream,
            levels,
            head_logits,
            ..
        } = scratch;
        let token = |index: usize| &stream[index * panels..][..panels];
        self.class_head
            .logits(self.kernels, &self.norm, token(0), levels, logits);
        if let Some(trace) = &mut trace {
            trace.class_input.clone_from(levels);
            trace.class_logits = logits.to_vec();
        }
        if let Some(head) = &self.distillation_head {
            head.logits(self.kernels, &self.norm, token(1), levels, head_logits);
            for (logit, other) in logits.iter_mut().zip(&*head_logits) {
                *logit = (*logit + other) / 2.0;
            }
        }
        if let Some(trace) = trace
            && self.distillation_head.is_some()
        {
            trace.distillation_input.clone_from(levels);
            trace.distillation_logits.clone_from(head_logits);
        }
    }
}
