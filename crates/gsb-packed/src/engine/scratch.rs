//! Memory that predictions reuse.

use std::time::Duration;

use super::clock::{Clock, Stage};
use super::linear::SumScratch;
use super::lines::panels;
use super::share::Span;
use crate::kernel::attended::{Line64, PAIRS_OF_PLANES};
use crate::kernel::attention::{Candidate, Candidates, key_words};
use crate::kernel::micro::common::Halves;
use crate::kernel::micro::linear::ROW_PADDING;
use crate::kernel::norm::Zero;
use crate::kernel::simd::{LANES, Line};
use crate::kernel::value::{Bounds, EXTRA_PLANES, Entries, Entry, NO_EXTREMA};
use crate::{Error, PackedConfig, ThresholdScope};

/// Memory for the prediction of an image; one for each image that is predicted at the same time. Made by
/// [`PackedModel::scratch`](crate::PackedModel::scratch) for one thread, by
/// [`PackedModel::shared_scratch`](crate::PackedModel::shared_scratch) for several.
#[derive(Debug)]
pub struct Scratch {
    made_for: MadeFor,
    pub(super) lanes: Vec<Lane>,
    pub(super) pixels: Vec<u32>,
    /// The residual stream, `[tokens, panels of width]`.
    pub(super) stream: Vec<[Line<f32>; 4]>,
    pub(super) query_key: Vec<u32>,
    /// Ones where query and key are not 0.
    pub(super) valid: Vec<u32>,
    pub(super) value: Vec<[Line<f32>; 4]>,
    /// Those of the value, `[tokens, heads]` if each token of a head has some, otherwise one.
    pub(super) bounds: Vec<Bounds>,
    /// `[heads, key words, vectors of a head]`.
    pub(super) value_plane: Vec<Line>,
    /// For each head.
    pub(super) entries: Vec<Entries>,
    /// The first group of the attention, `[heads, 2 * pairs, key words]`.
    pub(super) first_group: Vec<Line>,
    /// Bits of the attended value, `[heads, 2 * pairs, 16, words of a head]`.
    pub(super) attended: Vec<u32>,
    /// Where the attended value is 0, ordered.
    pub(super) zeros: Vec<Zero>,
    /// For each head of the network.
    pub(super) levels: [Vec<i16>; 2],
    pub(super) head_logits: Vec<f32>,
    pub(super) clock: Clock,
}

/// The models that memory is for: the configuration, the words of a patch, and the rows that products take at once.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct MadeFor {
    pub(super) config: PackedConfig,
    pub(super) patch_words: usize,
    pub(super) rows: usize,
}

/// Memory for a part of the work.
#[derive(Debug)]
pub(super) struct Lane {
    /// A patch of an image of floats.
    pub(super) patch: Vec<f32>,
    /// Binarized tokens, also the attended value: the input of all layers but `fc2`.
    pub(super) bits: Vec<u32>,
    pub(super) zeros: Vec<Zero>,
    pub(super) hidden: Vec<u32>,
    pub(super) query_key_zeros: Vec<Zero>,
    pub(super) sums: SumScratch,
    /// Those of the value.
    pub(super) extrema: [f32; 2],
    /// The largest element of the attention matrix.
    pub(super) largest: f32,
    pub(super) scores: Vec<Line<f32>>,
    /// Attention shifts of a block of queries, `[keys]`; used if the network keeps them as levels.
    pub(super) shifts: Vec<[f32; LANES]>,
    /// For each head that the lane has queries of.
    pub(super) candidates: Vec<Candidates>,
    /// The other groups of its queries of a head, `[2, 2 * pairs, key words]`.
    pub(super) later_groups: [Vec<Line>; 2],
    pub(super) extra_planes: Vec<Line>,
    /// Counts of planes, `[planes of the attention, of the value, padded]`.
    pub(super) together: Vec<Halves>,
    pub(super) tile: Vec<Line64>,
    pub(super) counts: [Line; 32],
    pub(super) clock: Clock,
}

/// Elements of a head's attention matrix of which one may be a candidate, and of its value of which one
/// may be an entry: more are better done as planes.
const SPARSE: usize = 32;

impl Scratch {
    /// Memory for images.
    pub(super) fn new(made_for: MadeFor, lanes: usize) -> Self {
        let MadeFor {
            ref config,
            patch_words,
            rows,
        } = made_for;
        let sizes = Sizes::of_config(config);
        let Sizes {
            tokens,
            heads,
            pairs,
            ..
        } = sizes;
        let entries = || {
            let most = most_entries(config);
            Entries {
                list: Vec::with_capacity(most),
                overflow: false,
                most,
            }
        };
        Self {
            lanes: (0..lanes)
                .map(|lane| Lane::new(config, rows, lanes, lane))
                .collect(),
            pixels: vec![0; (config.patches() + ROW_PADDING) * patch_words],
            stream: vec![Default::default(); tokens * panels(config.width)],
            query_key: vec![0; tokens * sizes.query_key_stride()],
            valid: Vec::new(),
            value: vec![Default::default(); tokens * sizes.section],
            bounds: vec![Bounds::default(); sizes.bounds(config)],
            value_plane: vec![Line::default(); heads * sizes.value_plane()],
            entries: (0..heads).map(|_| entries()).collect(),
            first_group: vec![Line::default(); heads * pairs * sizes.plane_pair()],
            attended: vec![0; heads * pairs * sizes.attended_pair()],
            zeros: Vec::new(),
            levels: [(); 2].map(|()| vec![0; config.width]),
            head_logits: vec![0.0; config.classes],
            clock: Clock::new(),
            made_for,
        }
    }

    /// Whether it is for such models.
    pub(super) fn is_for(&self, config: &PackedConfig, patch_words: usize, rows: usize) -> bool {
        let made_for = &self.made_for;
        (made_for.patch_words, made_for.rows) == (patch_words, rows) && made_for.config == *config
    }

    /// Threads that share the work of an image.
    pub fn threads(&self) -> usize {
        self.lanes.len()
    }

    /// How long each stage of the last prediction took, all threads added up. All are 0 on
    /// `wasm32-unknown-unknown`, which has no clock.
    pub fn stage_times(&self) -> impl Iterator<Item = (Stage, Duration)> {
        let clocks = self.lanes.iter().map(|lane| &lane.clock);
        Clock::totals(clocks.chain([&self.clock]))
    }
}

impl Lane {
    /// That of a part of the work.
    fn new(config: &PackedConfig, rows: usize, lanes: usize, lane: usize) -> Self {
        let sizes = Sizes::of_config(config);
        let part = |count, whole| Span::new(count, whole, lanes).of_lane(lane).range().len();
        let rows = part(sizes.tokens, rows) + ROW_PADDING;
        // In the middle of a head it may begin, and in that of another end.
        let heads =
            part(sizes.heads * sizes.pairs, 1).div_ceil(sizes.pairs) + usize::from(lanes > 1);
        let Sizes {
            tokens,
            padded,
            pairs,
            ..
        } = sizes;
        let candidates = || Candidates {
            list: Vec::with_capacity(most_candidates(tokens)),
            ..Default::default()
        };
        Self {
            patch: vec![0.0; config.patch_values()],
            bits: vec![0; rows * bits_stride(config, sizes)],
            zeros: Vec::new(),
            hidden: vec![0; rows * 2 * panels(config.mlp_width)],
            query_key_zeros: Vec::new(),
            sums: SumScratch::new(sizes.widest(config)),
            extrema: NO_EXTREMA,
            largest: f32::NEG_INFINITY,
            scores: vec![Line::default(); tokens],
            shifts: vec![[0.0; LANES]; tokens],
            candidates: (0..heads).map(|_| candidates()).collect(),
            later_groups: [(); 2].map(|()| vec![Line::default(); pairs * sizes.plane_pair()]),
            extra_planes: vec![Line::default(); EXTRA_PLANES * sizes.value_plane()],
            together: vec![Halves::default(); PAIRS_OF_PLANES * padded],
            tile: vec![Line64::default(); padded],
            counts: [Line::default(); 32],
            clock: Clock::new(),
        }
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
    /// Pairs of blocks, the last possibly of one.
    pub(super) pairs: usize,
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
            pairs: tokens.div_ceil(2 * LANES),
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

    /// Lines of the first group, or another, of a pair of blocks of a head.
    pub(super) fn plane_pair(&self) -> usize {
        2 * self.key_words
    }

    /// Lines of the value's bits of a head.
    pub(super) fn value_plane(&self) -> usize {
        self.key_words * self.padded / LANES
    }

    /// Words of the attended value of a pair of blocks of a head.
    pub(super) fn attended_pair(&self) -> usize {
        2 * LANES * self.padded / 32
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
    // Attended words of 16 queries are a line.
    let of_queries = key_words + wide(sizes.padded / 32);
    let lines = wide(PAIRS_OF_PLANES * sizes.padded)
        + (heads + 2) * 2 * wide(sizes.pairs) * of_queries
        + 4 * tokens * (wide(panels(config.width)) + section)
        + 2 * tokens
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
