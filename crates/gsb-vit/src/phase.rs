//! The phases of the recipe.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Error;

/// A phase of the recipe, and with it the kind of its model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// The float teacher.
    Teacher,
    /// The student with binary weights in the MLPs.
    Stage1,
    /// The student with binary weights and activations.
    Stage2,
}

impl Phase {
    /// The phases in their order.
    pub const ALL: [Self; 3] = [Self::Teacher, Self::Stage1, Self::Stage2];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Teacher => "teacher",
            Self::Stage1 => "stage1",
            Self::Stage2 => "stage2",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Phase {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        let phase = Self::ALL.into_iter().find(|phase| phase.name() == name);
        phase.ok_or_else(|| Error::Phase(name.into()))
    }
}
