//! Where the elements of a tensor lie in a file.

use crate::{ElementType, TensorInfo};

/// The highest rank of a tensor.
///
/// Models have at most 4; the limit keeps what is stored of a tensor small.
const MAX_RANK: usize = 8;

/// Bytes of a file that belong together.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Block {
    /// Where they start in the file.
    pub start: u64,
    /// How many they are.
    pub len: u64,
    /// Their checksum, if there is one.
    pub crc32: Option<u32>,
}

/// A tensor's elements within a block: row by row, or as strides say.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    pub info: TensorInfo,
    /// Elements from one index to the next, per dimension; row by row if there are none.
    strides: Option<Vec<usize>>,
    /// Number of elements.
    count: usize,
    pub block: Block,
    /// Bytes of the block before the first element.
    pub skip: u64,
    /// Bytes from the first element to the end of the last.
    pub span: usize,
}

impl Layout {
    /// A tensor that fills the block row by row.
    pub(crate) fn contiguous(
        element: ElementType,
        shape: Vec<usize>,
        block: Block,
    ) -> Result<Self, String> {
        let count = count(&shape)?;
        let span = count
            .checked_mul(element.size())
            .filter(|&span| span as u64 == block.len)
            .ok_or_else(|| {
                format!(
                    "shape {shape:?} of {element} does not fill its {} bytes",
                    block.len
                )
            })?;
        Ok(Self {
            info: TensorInfo { shape, element },
            strides: None,
            count,
            block,
            skip: 0,
            span,
        })
    }

    /// A view into a block, its strides and the offset of its first element in elements.
    ///
    /// `limit` are the bytes that the elements may take together: a stride of zero can ask for more
    /// than the block has.
    pub(crate) fn strided(
        element: ElementType,
        shape: Vec<usize>,
        strides: Vec<usize>,
        offset: usize,
        block: Block,
        limit: u64,
    ) -> Result<Self, String> {
        if strides.len() != shape.len() {
            return Err(format!("shape {shape:?} has strides {strides:?}"));
        }
        let count = count(&shape)?;
        // One past the last element that is read, counted from the first.
        let reach = if count == 0 {
            Some(0)
        } else {
            shape
                .iter()
                .zip(&strides)
                .try_fold(1usize, |reach, (size, stride)| {
                    reach.checked_add((size - 1).checked_mul(*stride)?)
                })
        };
        let size = element.size();
        let (skip, span) = reach
            .and_then(|reach| {
                let end = offset.checked_add(reach)?.checked_mul(size)?;
                (end as u64 <= block.len).then_some((offset * size, reach * size))
            })
            .ok_or_else(|| {
                format!(
                    "shape {shape:?} with strides {strides:?} from element {offset} on leaves its \
                     storage of {} bytes ({element})",
                    block.len
                )
            })?;
        if count
            .checked_mul(size)
            .is_none_or(|bytes| bytes as u64 > limit)
        {
            return Err(format!(
                "shape {shape:?} with strides {strides:?} repeats elements beyond the size of the \
                 file, {limit} bytes"
            ));
        }
        let strides = (!is_contiguous(&shape, &strides)).then_some(strides);
        Ok(Self {
            info: TensorInfo { shape, element },
            strides,
            count,
            block,
            skip: skip as u64,
            span,
        })
    }

    /// The elements row by row, from the `span` bytes that hold them.
    pub(crate) fn gather(&self, bytes: Vec<u8>) -> Vec<u8> {
        let Some(strides) = &self.strides else {
            return bytes;
        };
        let TensorInfo { shape, element } = &self.info;
        let size = element.size();
        let mut gathered = Vec::with_capacity(self.count * size);
        let mut index = vec![0; shape.len()];
        let mut at = 0;
        for _ in 0..self.count {
            gathered.extend_from_slice(&bytes[at * size..(at + 1) * size]);
            // On to the next index, the last dimension first.
            for (d, place) in index.iter_mut().enumerate().rev() {
                if *place + 1 < shape[d] {
                    *place += 1;
                    at += strides[d];
                    break;
                }
                at -= *place * strides[d];
                *place = 0;
            }
        }
        gathered
    }
}

/// The number of elements of a shape.
fn count(shape: &[usize]) -> Result<usize, String> {
    if shape.len() > MAX_RANK {
        return Err(format!(
            "it has {} dimensions, expected at most {MAX_RANK}",
            shape.len()
        ));
    }
    // In the order in which others multiply, so that it overflows for nobody.
    shape
        .iter()
        .try_fold(1usize, |count, &size| count.checked_mul(size))
        .ok_or_else(|| format!("shape {shape:?} has more elements than can be counted"))
}

fn is_contiguous(shape: &[usize], strides: &[usize]) -> bool {
    let mut expected = 1usize;
    shape.iter().zip(strides).rev().all(|(&size, &stride)| {
        let fits = size == 1 || stride == expected;
        // Overflows only if there are no elements, and then the answer does not matter.
        expected = expected.saturating_mul(size);
        fits
    })
}
