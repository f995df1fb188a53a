//! The data sets, one a file.

pub(crate) mod array;
pub(crate) mod digits;
pub(crate) mod idx;
pub(crate) mod mnist;
