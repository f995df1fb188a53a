//! What became of the tensors of a file.

use std::fmt;

use serde::Serialize;

use super::Found;

/// Whether an import accepts what does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Strictness {
    /// Every parameter must be there in the right shape, and nothing else.
    #[default]
    Strict,
    /// What is missing or does not fit starts fresh, what is not known is left. A file of which
    /// nothing fits is an error all the same.
    Lenient,
}

/// What became of the tensors of a file, by their published names.
///
/// Positions that are resized and heads that start again because the number of classes differs are
/// no mistakes: a [strict](Strictness::Strict) import has them too.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct ImportReport {
    /// In the model as they were.
    pub loaded: Vec<String>,
    /// Interpolated to another grid of patches.
    pub resized: Vec<String>,
    /// Fresh, as the file is for another number of classes, or has no heads.
    pub reinitialized: Vec<String>,
    /// Known, and of no use here.
    pub ignored: Vec<String>,
    /// Fresh, as the file does not have them.
    pub missing: Vec<String>,
    /// In the file and not in the model.
    pub unexpected: Vec<String>,
    /// Fresh, as the file has them in another shape.
    pub mismatched: Vec<ShapeMismatch>,
    /// What was done to tensors that are named or laid out otherwise, a sentence each.
    pub translated: Vec<String>,
    /// What the file does not say, and what was taken instead.
    pub assumed: Vec<String>,
    /// Where in the file they were.
    pub file: Found,
}

/// A tensor of the wrong shape.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ShapeMismatch {
    /// Its published name.
    pub name: String,
    /// Its shape in the file.
    pub found: Vec<usize>,
    /// The shape that the model needs.
    pub expected: Vec<usize>,
}

impl ImportReport {
    /// Whether the file and the model fit each other.
    pub fn fits(&self) -> bool {
        self.missing.is_empty() && self.unexpected.is_empty() && self.mismatched.is_empty()
    }

    /// What was made of the file besides, a sentence each: where in it the weights were, what was left
    /// out of their names, what was done to them, what was assumed.
    pub fn notes(&self) -> Vec<String> {
        let more = self.translated.iter().chain(&self.assumed).cloned();
        self.file.notes().into_iter().chain(more).collect()
    }
}

/// Names shown of a long list.
const SHOWN: usize = 6;

impl fmt::Display for ImportReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} loaded", self.loaded.len())?;
        let lists = [
            ("resized", &self.resized),
            ("reinitialized", &self.reinitialized),
            ("ignored", &self.ignored),
            ("missing", &self.missing),
            ("unexpected", &self.unexpected),
        ];
        for (what, names) in lists {
            list(f, what, names.iter())?;
        }
        let mismatched = self.mismatched.iter().map(|tensor| {
            format!(
                "{} {:?} instead of {:?}",
                tensor.name, tensor.found, tensor.expected
            )
        });
        list(f, "mismatched", mismatched)
    }
}

fn list(
    f: &mut fmt::Formatter<'_>,
    what: &str,
    names: impl ExactSizeIterator<Item = impl fmt::Display>,
) -> fmt::Result {
    let all = names.len();
    if all == 0 {
        return Ok(());
    }
    write!(f, "; {all} {what}: ")?;
    for (index, name) in names.take(SHOWN).enumerate() {
        let comma = if index == 0 { "" } else { ", " };
        write!(f, "{comma}{name}")?;
    }
    if all > SHOWN {
        write!(f, ", ..")?;
    }
    Ok(())
}
