//! What a model looks at.

/// An image of the size that a model takes.
#[derive(Debug, Clone, Copy)]
pub enum Image<'a> {
    /// Pixels from 0 to 255, `[height, width, channels]`: the model normalizes them.
    Bytes(&'a [u8]),
    /// Normalized values, `[channels, height, width]`. Slower: for comparison with other engines.
    Normalized(&'a [f32]),
}

impl<'a> From<&'a [u8]> for Image<'a> {
    fn from(pixels: &'a [u8]) -> Self {
        Self::Bytes(pixels)
    }
}

impl<'a> From<&'a Vec<u8>> for Image<'a> {
    fn from(pixels: &'a Vec<u8>) -> Self {
        Self::Bytes(pixels)
    }
}

impl Image<'_> {
    /// Number of values.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Bytes(pixels) => pixels.len(),
            Self::Normalized(values) => values.len(),
        }
    }
}
