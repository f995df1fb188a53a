//! The part of a pickle that tensors are made of.
//!
//! A pickle is a program for a stack machine that can call any Python function. This machine runs
//! the operations without calling anything: calls that make tensors are kept as they stand, for
//! `rebuild` to read, and everything else becomes a value without content.
//! Of lists only the outermost keeps its items.
//!
//! A hostile pickle finds nothing to blow up: values are 8 bytes and refer to each other by index, so
//! that sharing copies nothing and no function recurses; text stays in the pickle. One byte of the
//! pickle makes at most one value.

mod machine;
mod pickled;
mod reader;
mod value;

pub(crate) use pickled::Pickle;
pub(crate) use reader::Problem;
pub(crate) use value::{Known, Value};
