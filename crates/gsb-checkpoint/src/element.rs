//! Tensors and their elements, stored and read.

use std::fmt;

use half::{bf16, f16};

/// A tensor that has been read.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    /// Its shape; empty for a scalar.
    pub shape: Vec<usize>,
    /// Its elements, row by row.
    pub values: Values,
}

/// What a file says of a tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorInfo {
    /// Its shape; empty for a scalar.
    pub shape: Vec<usize>,
    /// The type of its elements in the file.
    pub element: ElementType,
}

/// The elements of a tensor.
#[derive(Debug, Clone, PartialEq)]
pub enum Values {
    /// Those of any type of float.
    Floats(Vec<f32>),
    /// Those of any type of integer, and booleans as 0 and 1.
    Integers(Vec<i64>),
}

/// The type that the elements of a tensor have in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ElementType {
    /// 64-bit float.
    F64,
    /// 32-bit float.
    F32,
    /// 16-bit float of IEEE 754.
    F16,
    /// The upper half of a 32-bit float.
    BF16,
    /// 64-bit integer.
    I64,
    /// 32-bit integer.
    I32,
    /// 16-bit integer.
    I16,
    /// 8-bit integer.
    I8,
    /// 32-bit integer without sign.
    U32,
    /// 16-bit integer without sign.
    U16,
    /// 8-bit integer without sign.
    U8,
    /// One byte, zero for false.
    Bool,
}

impl ElementType {
    /// Bytes of an element.
    pub const fn size(self) -> usize {
        match self {
            Self::F64 | Self::I64 => 8,
            Self::F32 | Self::I32 | Self::U32 => 4,
            Self::F16 | Self::BF16 | Self::I16 | Self::U16 => 2,
            Self::I8 | Self::U8 | Self::Bool => 1,
        }
    }

    /// Little-endian elements as `f32` if they are floats and as `i64` if they are not.
    pub(crate) fn decode(self, bytes: &[u8]) -> Values {
        let (floats, integers) = (Values::Floats, Values::Integers);
        match self {
            // To the nearest; magnitudes beyond the largest f32 become infinite.
            Self::F64 => floats(each(bytes, |b| f64::from_le_bytes(b) as f32)),
            Self::F32 => floats(each(bytes, f32::from_le_bytes)),
            Self::F16 => floats(each(bytes, |b| f16::from_le_bytes(b).to_f32())),
            Self::BF16 => floats(each(bytes, |b| bf16::from_le_bytes(b).to_f32())),
            Self::I64 => integers(each(bytes, i64::from_le_bytes)),
            Self::I32 => integers(each(bytes, |b| i32::from_le_bytes(b).into())),
            Self::I16 => integers(each(bytes, |b| i16::from_le_bytes(b).into())),
            Self::I8 => integers(each(bytes, |b| i8::from_le_bytes(b).into())),
            Self::U32 => integers(each(bytes, |b| u32::from_le_bytes(b).into())),
            Self::U16 => integers(each(bytes, |b| u16::from_le_bytes(b).into())),
            Self::U8 => integers(each(bytes, |[b]| b.into())),
            Self::Bool => integers(each(bytes, |[b]| (b != 0).into())),
        }
    }
}

impl fmt::Display for ElementType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F64 => "f64",
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::BF16 => "bf16",
            Self::I64 => "i64",
            Self::I32 => "i32",
            Self::I16 => "i16",
            Self::I8 => "i8",
            Self::U32 => "u32",
            Self::U16 => "u16",
            Self::U8 => "u8",
            Self::Bool => "bool",
        })
    }
}

fn each<const N: usize, T>(bytes: &[u8], value: impl Fn([u8; N]) -> T) -> Vec<T> {
    let (elements, _) = bytes.as_chunks::<N>();
    elements.iter().map(|&element| value(element)).collect()
}
