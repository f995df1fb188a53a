//! Work on tokens one by one: all that lies between two attentions.

use super::scratch::Lane;
use super::share::{Parts, Span};
use crate::Trace;
use crate::kernel::simd::Line;
use crate::kernel::value::Bounds;

/// Some tokens of an image, and the memory to work on them.
pub(super) struct Tokens<'a> {
    pub(super) span: Span,
    pub(super) lanes: &'a mut [Lane],
    /// The residual stream, `[tokens, panels of width]`.
    pub(super) stream: &'a mut [[Line<f32>; 4]],
    /// Bits of query and key, `[tokens, words]`.
    pub(super) query_key: &'a mut [u32],
    /// `[tokens, panels of a section]`.
    pub(super) value: &'a mut [[Line<f32>; 4]],
    /// `[tokens, heads]`, or none.
    pub(super) bounds: &'a mut [Bounds],
    /// What is recorded, by one lane alone.
    pub(super) trace: Option<&'a mut Trace>,
}

impl Tokens<'_> {
    /// How many of the image's first tokens are among them.
    pub(super) fn needed(&self, needed: usize) -> usize {
        let tokens = self.span.range();
        needed.clamp(tokens.start, tokens.end) - tokens.start
    }
}

impl Parts for Tokens<'_> {
    fn span(&self) -> &Span {
        &self.span
    }

    fn split(self, lanes: usize) -> (Self, Self) {
        let tokens = self.span.range().len().max(1);
        let (span, other_span) = self.span.split(lanes);
        let first = span.range().len();
        let (lanes, other_lanes) = self.lanes.split_at_mut(lanes);
        let (stream, other_stream) = part(self.stream, tokens, first);
        let (query_key, other_query_key) = part(self.query_key, tokens, first);
        let (value, other_value) = part(self.value, tokens, first);
        let (bounds, other_bounds) = part(self.bounds, tokens, first);
        let others = Self {
            span: other_span,
            lanes: other_lanes,
            stream: other_stream,
            query_key: other_query_key,
            value: other_value,
            bounds: other_bounds,
            trace: None,
        };
        let first = Self {
            span,
            lanes,
            stream,
            query_key,
            value,
            bounds,
            trace: self.trace,
        };
        (first, others)
    }
}

/// What belongs to the first of some tokens, and what to the others.
fn part<T>(list: &mut [T], tokens: usize, first: usize) -> (&mut [T], &mut [T]) {
    list.split_at_mut(list.len() / tokens * first)
}
