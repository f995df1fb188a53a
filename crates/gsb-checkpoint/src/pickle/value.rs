//! What is on the stack of a pickle.

use crate::element::ElementType;

/// A value on the stack.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Value {
    /// Something no tensor is made of.
    Other,
    Bool(bool),
    List,
    /// An integer of 0 or more, below 2^32.
    Int(u32),
    /// An integer of 2^32 or more, by its place among them.
    Wide(u32),
    /// Text, by the position of its operation in the pickle.
    Text(u32),
    /// A function or class that this reader knows.
    Known(Known),
    /// One that it does not know, by the position of the operation that names it.
    Foreign(u32),
    /// What calling a foreign one gave, likewise.
    Object(u32),
    /// The call of a known function: the place of the function, followed by the arguments.
    Call(u32),
    /// What a tensor's data are referred to by: a tuple's length and the place of its first item.
    Storage {
        len: u8,
        at: u32,
    },
    /// A tuple: its length and the place of its first item.
    Tuple {
        len: u8,
        at: u32,
    },
    /// A dictionary, by its number.
    Dict(u32),
}

/// What the memory for a pickle is bounded by.
const _: () = assert!(size_of::<Value>() == 8);

/// Names in a pickle that have a meaning here.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Known {
    OrderedDict,
    /// `_rebuild_tensor(storage, offset, shape, strides)`, and the versions with more arguments.
    RebuildTensor,
    /// `_rebuild_tensor_v3(storage, offset, shape, strides, requires_grad, hooks, dtype)`.
    RebuildTensorV3,
    /// `_rebuild_parameter(tensor, ...)`.
    RebuildParameter,
    /// `_rebuild_from_type_v2(function, type, arguments, state)`.
    RebuildFromType,
    /// The class of a storage, or the type of its elements.
    Element(ElementType),
    /// A storage of bytes.
    Untyped,
}

impl Known {
    pub(super) fn find(module: &str, name: &str) -> Option<Self> {
        use ElementType::*;
        Some(match (module, name) {
            ("collections", "OrderedDict") => Self::OrderedDict,
            ("torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2") => Self::RebuildTensor,
            ("torch._utils", "_rebuild_tensor_v3") => Self::RebuildTensorV3,
            ("torch._utils", "_rebuild_parameter" | "_rebuild_parameter_with_state") => {
                Self::RebuildParameter
            }
            ("torch._tensor", "_rebuild_from_type_v2") => Self::RebuildFromType,
            ("torch.storage", "UntypedStorage") => Self::Untyped,
            ("torch", name) => Self::Element(match name {
                "DoubleStorage" | "float64" => F64,
                "FloatStorage" | "float32" => F32,
                "HalfStorage" | "float16" => F16,
                "BFloat16Storage" | "bfloat16" => BF16,
                "LongStorage" | "int64" => I64,
                "IntStorage" | "int32" => I32,
                "ShortStorage" | "int16" => I16,
                "CharStorage" | "int8" => I8,
                "uint32" => U32,
                "uint16" => U16,
                "ByteStorage" | "uint8" => U8,
                "BoolStorage" | "bool" => Bool,
                _ => return None,
            }),
            _ => return None,
        })
    }
}
