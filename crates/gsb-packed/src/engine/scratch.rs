//! Memory that predictions reuse.

use std::time::Duration;

use super::clock::{Clock, Stage};
use super::linear::SumScratch;
use super::lines::panels;
use crate::kernel::attended::{Line64, PAIRS_OF_PLANES};
use crate::kernel::attention::{Candidate, Candidates, key_words};
use crate::kernel::micro::common::Halves;
use crate::kernel::micro::linear::ROW_PADDING;
use crate::kernel::norm::Zero;
use crate::kernel::simd::{LANES, Line};
use crate::kernel::value::{Bounds, EXTRA_PLANES, Entries, Entry};
use crate::{Error, PackedConfig, ThresholdScope};

/// Memory for the prediction of an image; one for each thread. Made by
/// [`PackedModel::scratch`](crate::PackedModel::scratch).
#[derive(Debug)]
pub struct Scratch {
    pub(super) pixels: Vec<u32>,
    /// A patch of an image of floats.
    pub(super) patch: Vec<f32>,
    /// The residual stream, `[tokens, panels of width]`.
    pub(super) stream: Vec<[Line<f32>; 4]>,
    /// Binarized tokens, also the attended value: the input of all layers but `fc2`.
    pub(super) bits: Vec<u32>,
    pub(super) zeros: Vec<Zero>,
    pub(super) hidden: Vec<u32>,
    pub(super) query_key: Vec<u32>,
    /// Ones where query and key are not 0.
    pub(super) valid: Vec<u32>,
    pub(super) query_key_zeros: Vec<Zero>,
    pub(super) value: Vec<[Line<f32>; 4]>,
    pub(super) bounds: Vec<Bounds>,
    pub(super) value_plane: Vec<Line>,
    pub(super) extra_planes: Vec<Line>,
    pub(super) entries: Vec<Entries>,
    pub(super) scores: Vec<Line<f32>>,
    /// The first group of the attention, `[heads, blocks, key words]`.
    pub(super) first_group: Vec<Line>,
    /// The other groups of a head, `[2, blocks, key words]`.
    pub(super) later_groups: [Vec<Line>; 2],
    pub(super) candidates: Vec<Candidates>,
    /// Counts of planes, `[planes of the attention, of the value, padded]`.
    pub(super) together: Vec<Halves>,
    pub(super) tile: Vec<Line64>,
    pub(super) counts: [Line; 32],
    pub(super) sums: SumScratch,
    pub(super) levels: Vec<i16>,
    pub(super) head_logits: Vec<f32>,
    pub(super) clock: Clock,
}

/// Elements of a head's attention matrix of which one may be a candidate, and of its value of which one
/// may be an entry: more are better done as planes.
const SPARSE: usize = 32;

impl Scratch {
    /// Memory for images of a configuration, given the words of a patch.
    pub(super) fn new(config: &PackedConfig, patch_words: usize) -> Self {
        let sizes = Sizes::of_config(config);
        let Sizes {
            tokens,
            heads,
            padded,
            blocks,
            key_words,
            ..
        } = sizes;
        let value_lines = 4 * sizes.section;
        let rows = tokens + ROW_PADDING;
        Self {
            pixels: vec![0; (config.patches() + ROW_PADDING) * patch_words],
            patch: vec![0.0; config.patch_values()],
            stream: vec![Default::default(); tokens * panels(config.width)],
            bits: vec![0; rows * bits_stride(config, sizes)],
            zeros: Vec::new(),
            hidden: vec![0; rows * 2 * panels(config.mlp_width)],
            query_key: vec![0; rows * sizes.query_key_stride()],
            valid: Vec::new(),
            query_key_zeros: Vec::new(),
            value: vec![Default::default(); tokens * sizes.section],
            bounds: Vec::with_capacity(sizes.bounds(config)),
            value_plane: vec![Line::default(); key_words * value_lines],
            extra_planes: vec![Line::default(); EXTRA_PLANES * key_words * padded / LANES],
            entries: (0..heads)
                .map(|_| {
                    let most = most_entries(config);
                    Entries {
                        list: Vec::with_capacity(most),
                        overflow: false,
                        most,
                    }
                })
                .collect(),
            scores: vec![Line::default(); tokens],
            first_group: vec![Line::default(); heads * blocks * key_words],
            later_groups: [(); 2].map(|()| vec![Line::default(); blocks * key_words]),
            candidates: (0..heads)
                .map(|_| Candidates {
                    list: Vec::with_capacity(most_candidates(tokens)),
                    ..Default::default()
                })
                .collect(),
            together: vec![Halves::default(); PAIRS_OF_PLANES * padded],
            tile: vec![Line64::default(); padded],
            counts: [Line::default(); 32],
            sums: SumScratch::new(sizes.widest(config)),
            levels: vec![0; config.width],
            head_logits: vec![0.0; config.classes],
            clock: Clock::new(),
        }
    }

    /// How long each stage of the last prediction took. All are 0 on `wasm32-unknown-unknown`, which has
    /// no clock.
    pub fn stage_times(&self) -> impl Iterator<Item = (Stage, Duration)> {
        self.clock.totals()
    }
}

/// The most entries of a head.
fn most_entries(config: &PackedConfig) -> usize {
    config.tokens() * config.head_width() / SPARSE
}

/// The most candidates of a head.
pub(super) fn most_candidates(tokens: usize) -> usize {
    tokens * tokens / (4 * SPARSE)
}

/// Sizes that follow from the configuration.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sizes {
    pub(super) tokens: usize,
    pub(super) heads: usize,
    /// Channels of a head, padded to whole words.
    pub(super) padded: usize,
    /// Panels of the query, of the key and of the value.
    pub(super) section: usize,
    /// Blocks of 16 queries.
    pub(super) blocks: usize,
    pub(super) key_words: usize,
}

impl Sizes {
    pub(super) fn of(tokens: usize, heads: usize, head_width: usize) -> Self {
        let padded = head_width.next_multiple_of(32);
        Self {
            tokens,
            heads,
            padded,
            section: panels(heads * padded),
            blocks: tokens.div_ceil(LANES),
            key_words: key_words(tokens),
        }
    }

    pub(super) fn of_config(config: &PackedConfig) -> Self {
        Self::of(config.tokens(), config.heads, config.head_width())
    }

    /// Words of a row of queries and keys.
    pub(super) fn query_key_stride(&self) -> usize {
        4 * self.section
    }

    /// Bounds of the value.
    fn bounds(&self, config: &PackedConfig) -> usize {
        match config.scope {
            ThresholdScope::Row => self.tokens * self.heads,
            ThresholdScope::Batch | ThresholdScope::Sample => 1,
        }
    }

    /// Panels of the widest layer.
    fn widest(&self, config: &PackedConfig) -> usize {
        let widest = panels(config.width).max(panels(config.mlp_width));
        widest.max(2 * self.section)
    }

    /// Words of a row of the attended value.
    pub(super) fn attended_stride(&self) -> usize {
        self.heads * self.padded / 32
    }
}

/// Words that hold a row of binarized tokens or of the attended value.
fn bits_stride(config: &PackedConfig, sizes: Sizes) -> usize {
    (2 * panels(config.width)).max(sizes.attended_stride())
}

/// Bytes of scratch that need no justification by the size of a network.
const MODEST: u64 = 64 << 20;

/// Refuses a configuration whose scratch is out of proportion to the file it comes from.
pub(crate) fn check_scratch(config: &PackedConfig) -> Result<(), Error> {
    let sizes = Sizes::of_config(config);
    // Products of sizes may be beyond 32 bits.
    let wide = |size: usize| size as u64;
    let (tokens, heads) = (wide(sizes.tokens), wide(sizes.heads));
    let (width, hidden) = (wide(config.width), wide(config.mlp_width));
    let (section, key_words) = (wide(sizes.section), wide(sizes.key_words));
    let padding = wide(ROW_PADDING);
    let words =
        bits_stride(config, sizes) + 2 * panels(config.mlp_width) + 2 * sizes.query_key_stride();
    let patch = wide(config.patch_values());
    let pixels = (wide(config.patches()) + padding) * patch;
    let lines = wide(PAIRS_OF_PLANES * sizes.padded)
        + (heads + 2) * wide(sizes.blocks) * key_words
        + 4 * tokens * (wide(panels(config.width)) + section)
        + 4 * wide(EXTRA_PLANES + 1) * key_words * section;
    let lists = heads * wide(most_entries(config) * size_of::<Entry>())
        + heads * wide(most_candidates(sizes.tokens) * size_of::<Candidate>())
        + wide(sizes.bounds(config)) * wide(size_of::<Bounds>())
        + wide(sizes.widest(config) * SumScratch::BYTES);
    let bytes = 4 * ((tokens + padding) * wide(words) + pixels + patch) + 64 * lines + lists;
    // Attention shifts of a byte, bits, positions.
    let file = wide(config.depth)
        * (heads * tokens * tokens + (width * width + width * hidden) / 4)
        + 4 * tokens * width;
    let most = MODEST.saturating_add(file.saturating_mul(4));
    if bytes <= most {
        return Ok(());
    }
    Err(Error::Config {
        field: "the memory for an image",
        value: format!("{bytes} bytes"),
        expected: format!("at most {most} for a network of these sizes"),
    })
}
