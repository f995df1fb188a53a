//! Where to be as the published code is.

use serde::{Deserialize, Serialize};

/// Places where the published code and its description, or good sense, part. All off by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Parity {
    /// Scales that are one number each decay.
    pub decay_scales: bool,
    /// The rate of an epoch is set after it: the first two share one.
    pub late_schedule: bool,
    /// Stage 2 drops the batch normalization of stage 1 instead of folding it.
    pub drop_patch_normalization: bool,
}
