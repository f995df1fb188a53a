//! What a run came to.

use std::fmt;

use gsb_vit::Phase;
use serde::{Deserialize, Serialize};

/// What a run came to: a line for each phase. Displayed, it is a table.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Report {
    /// The phases in the order of training.
    pub phases: Vec<PhaseReport>,
}

/// What a phase came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PhaseReport {
    /// The phase.
    pub phase: Phase,
    /// Test images classified right after the last epoch, in percent.
    pub top1: f64,
    /// Test images whose class is among the first five after the last epoch, in percent.
    pub top5: f64,
    /// Mean cross-entropy of the test images after the last epoch.
    pub loss: f64,
    /// Number of learned values, scales and shifts included.
    pub parameters: u64,
    /// Size of the model with every weight stored in its bits, see [`gsb_vit::Cost`].
    pub bytes: u64,
    /// Number of epochs.
    pub epochs: usize,
    /// Seconds of training, evaluation of each epoch included.
    pub seconds: f64,
    /// The first epoch with the best top-1.
    pub best_epoch: usize,
    /// Its top-1, in percent. Chosen on the test images: not an estimate for others.
    pub best_top1: f64,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<8} {:>8} {:>8} {:>11} {:>10} {:>7} {:>8}",
            "phase", "top-1", "top-5", "parameters", "size", "epochs", "time"
        )?;
        for row in &self.phases {
            writeln!(
                f,
                "{:<8} {:>6.1} % {:>6.1} % {:>11} {:>10} {:>7} {:>8}",
                row.phase,
                row.top1,
                row.top5,
                row.parameters,
                size(row.bytes),
                row.epochs,
                duration(row.seconds),
            )?;
        }
        Ok(())
    }
}

fn size(bytes: u64) -> String {
    match bytes {
        0..10_000 => format!("{bytes} B"),
        10_000..10_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}

fn duration(seconds: f64) -> String {
    if seconds < 100.0 {
        return format!("{seconds:.1} s");
    }
    let minutes = (seconds / 60.0).round() as u64;
    if minutes < 100 {
        return format!("{:.1} min", seconds / 60.0);
    }
    format!("{} h {:02} min", minutes / 60, minutes % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned() {
        let row = |phase, top1, bytes, seconds| PhaseReport {
            phase,
            top1,
            top5: 100.0,
            loss: 0.2,
            parameters: 212_345,
            bytes,
            epochs: 40,
            seconds,
            best_epoch: 39,
            best_top1: top1,
        };
        let report = Report {
            phases: vec![
                row(Phase::Teacher, 97.2222, 851_240, 61.25),
                row(Phase::Stage2, 93.61, 9_999, 7_261.0),
            ],
        };
        assert_eq!(
            report.to_string(),
            "phase       top-1    top-5  parameters       size  epochs     time\n\
             teacher    97.2 %  100.0 %      212345   851.2 kB      40   61.2 s\n\
             stage2     93.6 %  100.0 %      212345     9999 B      40 2 h 01 min\n"
        );
    }
}
