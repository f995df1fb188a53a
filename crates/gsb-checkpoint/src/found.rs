//! What was found in a file, and what was made of it.

use serde::Serialize;

/// Which weights to take from a file that holds an average of them too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Take {
    /// The weights; the average only if there is nothing else.
    #[default]
    Weights,
    /// The average (EMA, SWA) of the weights; an error if there is none.
    Average,
}

/// How a file holds its tensors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// A zip archive, as `torch.save` writes since PyTorch 1.6.
    Torch,
    /// Pickles one after another, as `torch.save` wrote before.
    Legacy,
    /// A safetensors file.
    Safetensors,
    /// No file: tensors that were in memory.
    #[default]
    Memory,
}

/// Where in a file the tensors were, and what was left out.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Found {
    /// How the file holds them.
    pub format: Format,
    /// The key of the dictionary that they are from, such as `model` or `model.state_dict`; none if it
    /// is the whole file.
    pub key: Option<String>,
    /// What wrappers had put before or into their names, in the order in which it was left out: such
    /// as `module.` and `_orig_mod.`.
    pub prefixes: Vec<String>,
    /// The names left out that are of no model: counters of profilers and averages, parts of losses,
    /// a teacher beside its student.
    pub ignored: Vec<String>,
    /// Whether they are an average of the weights.
    pub average: bool,
    /// Where in the file averages of the weights are that were not taken.
    pub averages: Vec<String>,
    /// Where other dictionaries of tensors are that were not taken, a few of them.
    pub others: Vec<String>,
}

impl Found {
    /// What a reader of the file should know, a sentence each; nothing if the file is all weights.
    pub fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if let Some(key) = &self.key {
            notes.push(format!("taken from {key:?}"));
        }
        if !self.prefixes.is_empty() {
            let prefixes = self.prefixes.join(", ");
            notes.push(format!("left out of the names: {prefixes}"));
        }
        match (self.average, &self.averages[..]) {
            (false, []) => {}
            (true, []) => notes.push("an average of the weights was taken".into()),
            (true, more) => notes.push(format!(
                "an average of the weights was taken, not the one in {}",
                more.join(", ")
            )),
            (false, averages) => notes.push(format!(
                "an average of the weights is in {} and was not taken: --ema takes it",
                averages.join(", ")
            )),
        }
        if !self.others.is_empty() {
            notes.push(format!("not taken: {}", self.others.join(", ")));
        }
        notes
    }
}
