//! Damage that the decoder gets past.

use libjpeg_turbo_rs::DecodeWarning;

/// Refuses what is decoded otherwise than by libjpeg: code words that mean nothing.
///
/// Bytes between segments are skipped and data that end early are filled up with gray as there.
pub(super) fn check_damage(warnings: &[DecodeWarning]) -> Result<(), String> {
    let harmless = |warning: &&DecodeWarning| {
        matches!(
            warning,
            DecodeWarning::ExtraneousData { .. } | DecodeWarning::TruncatedData { .. }
        )
    };
    match warnings.iter().find(|warning| !harmless(warning)) {
        Some(damage) => Err(format!("its data are damaged: {damage}")),
        None => Ok(()),
    }
}
