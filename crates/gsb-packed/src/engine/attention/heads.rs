//! Work on heads: of each its value, and its queries in pairs of blocks.

use std::ops::Range;

use crate::Trace;
use crate::engine::memory::BlockShifts;
use crate::engine::scratch::{Lane, Sizes};
use crate::engine::share::{Parts, Span};
use crate::kernel::Kernels;
use crate::kernel::simd::{LANES, Line};
use crate::kernel::value::{Bounds, Entries};

/// What all queries of an image read.
pub(super) struct Attention<'a> {
    pub(super) kernels: Kernels,
    pub(super) sizes: Sizes,
    /// Queries whose attended value is needed.
    pub(super) needed: usize,
    /// The encoder block.
    pub(super) block: usize,
    pub(super) shifts: BlockShifts<'a>,
    /// `[tokens, panels of a section]`.
    pub(super) value: &'a [[Line<f32>; 4]],
    /// Those of the value.
    pub(super) bounds: &'a [Bounds],
    /// `[heads, key words, vectors of a head]`.
    pub(super) value_plane: &'a [Line],
    /// For each head.
    pub(super) entries: &'a [Entries],
    pub(super) query_key: &'a [u32],
    pub(super) valid: Option<&'a [u32]>,
}

impl Attention<'_> {
    /// Blocks of queries that are needed.
    pub(super) fn needed_blocks(&self) -> usize {
        self.needed.div_ceil(LANES)
    }
}

/// The values of some heads.
pub(super) struct Values<'a> {
    /// Heads.
    pub(super) span: Span,
    pub(super) lanes: &'a mut [Lane],
    /// `[heads, key words, vectors of a head]`.
    pub(super) plane: &'a mut [Line],
    pub(super) entries: &'a mut [Entries],
}

impl Parts for Values<'_> {
    fn span(&self) -> &Span {
        &self.span
    }

    fn split(self, lanes: usize) -> (Self, Self) {
        let of_head = self.plane.len() / self.entries.len().max(1);
        let (span, other_span) = self.span.split(lanes);
        let first = span.range().len();
        let (lanes, other_lanes) = self.lanes.split_at_mut(lanes);
        let (plane, other_plane) = self.plane.split_at_mut(first * of_head);
        let (entries, other_entries) = self.entries.split_at_mut(first);
        let others = Self {
            span: other_span,
            lanes: other_lanes,
            plane: other_plane,
            entries: other_entries,
        };
        let first = Self {
            span,
            lanes,
            plane,
            entries,
        };
        (first, others)
    }
}

/// Queries of some heads.
pub(super) struct Queries<'a> {
    /// Pairs of blocks of queries, `[heads, pairs]`.
    pub(super) span: Span,
    pub(super) lanes: &'a mut [Lane],
    /// `[some pairs, 2, key words]`.
    pub(super) first_group: &'a mut [Line],
    /// `[some pairs, 2, 16, words of a head]`.
    pub(super) attended: &'a mut [u32],
    /// What is recorded, by one lane alone.
    pub(super) trace: Option<&'a mut Trace>,
}

/// Pairs of blocks of a head, among those of a lane.
pub(super) struct OfHead {
    pub(super) head: usize,
    /// Of all heads of the lane, the how many-th it is.
    pub(super) index: usize,
    /// Pairs of the head.
    pub(super) pairs: Range<usize>,
    /// The first pair's place among those of the lane.
    pub(super) place: usize,
}

impl OfHead {
    /// Its blocks of queries, among the head's first.
    pub(super) fn blocks(&self, first: usize) -> Range<usize> {
        let start = (2 * self.pairs.start).min(first);
        start..(2 * self.pairs.end).clamp(start, first)
    }
}

impl Queries<'_> {
    /// The same, for work before other work on them.
    pub(super) fn reborrow(&mut self) -> Queries<'_> {
        Queries {
            span: self.span.clone(),
            lanes: self.lanes,
            first_group: self.first_group,
            attended: self.attended,
            trace: self.trace.as_deref_mut(),
        }
    }

    /// The heads that the queries are of, in order, each with `pairs`.
    pub(super) fn heads(&self, pairs: usize) -> impl Iterator<Item = OfHead> + use<> {
        let all = self.span.range();
        let heads = all.start / pairs..all.end.div_ceil(pairs);
        heads.enumerate().map(move |(index, head)| {
            let of_head = head * pairs..(head + 1) * pairs;
            let (start, end) = (of_head.start.max(all.start), of_head.end.min(all.end));
            OfHead {
                head,
                index,
                pairs: start - of_head.start..end - of_head.start,
                place: start - all.start,
            }
        })
    }
}

impl Parts for Queries<'_> {
    fn span(&self) -> &Span {
        &self.span
    }

    fn split(self, lanes: usize) -> (Self, Self) {
        let pairs = self.span.range().len().max(1);
        let (span, other_span) = self.span.split(lanes);
        let first = span.range().len();
        let (lanes, other_lanes) = self.lanes.split_at_mut(lanes);
        let at = self.first_group.len() / pairs * first;
        let (first_group, other_first_group) = self.first_group.split_at_mut(at);
        let at = self.attended.len() / pairs * first;
        let (attended, other_attended) = self.attended.split_at_mut(at);
        let others = Self {
            span: other_span,
            lanes: other_lanes,
            first_group: other_first_group,
            attended: other_attended,
            trace: None,
        };
        let first = Self {
            span,
            lanes,
            first_group,
            attended,
            trace: self.trace,
        };
        (first, others)
    }
}
