//! What opening a file finds.

use std::collections::BTreeMap;

use crate::Found;
use crate::layout::Layout;

/// The tensors of a file, and what is said of them.
#[derive(Debug, Default)]
pub(crate) struct Contents {
    pub tensors: Vec<Stored>,
    pub metadata: BTreeMap<String, String>,
    pub found: Found,
}

/// A tensor of a file.
#[derive(Debug)]
pub(crate) struct Stored {
    pub name: String,
    pub layout: Layout,
}
