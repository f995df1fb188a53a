//! A tensor by its name, shape and kind.

use crate::Error;

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
