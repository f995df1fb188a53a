//! The phases of training.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A phase of training, and the model that it trains.
///
/// ```
/// use gsb_vit::Phase;
///
/// assert_eq!("stage1".parse::<Phase>()?, Phase::Stage1);
/// assert_eq!(Phase::Stage2.to_string(), "stage2");
/// # Ok::<(), gsb_vit::ParsePhaseError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// The float [`VisionTransformer`](crate::VisionTransformer).
    Teacher,
    /// The [`Stage1Student`](crate::Stage1Student): binary weights in the MLPs.
    Stage1,
    /// The [`Stage2Student`](crate::Stage2Student): binary weights and activations.
    Stage2,
}

impl Phase {
    /// All phases, in the order of training.
    pub const ALL: [Self; 3] = [Self::Teacher, Self::Stage1, Self::Stage2];

    /// The name, as it is displayed, parsed and serialized.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Teacher => "teacher",
            Self::Stage1 => "stage1",
            Self::Stage2 => "stage2",
        }
    }
}

/// There is no phase of this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no phase is called {0:?}: expected teacher, stage1 or stage2")]
pub struct ParsePhaseError(pub String);

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Phase {
    type Err = ParsePhaseError;

    fn from_str(name: &str) -> Result<Self, ParsePhaseError> {
        let phase = Self::ALL.into_iter().find(|phase| phase.name() == name);
        phase.ok_or_else(|| ParsePhaseError(name.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_name_everywhere() {
        for phase in Phase::ALL {
            assert_eq!(phase.to_string().parse::<Phase>().unwrap(), phase);
            let json = serde_json::to_string(&phase).unwrap();
            assert_eq!(json, format!("\"{phase}\""));
            assert_eq!(serde_json::from_str::<Phase>(&json).unwrap(), phase);
        }
    }

    #[test]
    fn another_name_is_an_error() {
        assert_eq!(
            "stage3".parse::<Phase>().unwrap_err().to_string(),
            "no phase is called \"stage3\": expected teacher, stage1 or stage2"
        );
    }
}
