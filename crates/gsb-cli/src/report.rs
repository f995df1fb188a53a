//! The table of results.

/// What a phase came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Name of the phase.
    pub phase: &'static str,
    /// Fraction of the held-out images classified right.
    pub top1: f64,
    /// Number of trained values, scales and shifts included.
    pub parameters: usize,
    /// Number of passes through the training images.
    pub epochs: usize,
    /// Seconds of training.
    pub seconds: f64,
}

/// The rows as an aligned table, a line each.
pub fn table(rows: &[Row]) -> String {
    let mut text = line(["phase", "top-1", "parameters", "epochs", "seconds"]);
    for row in rows {
        text += &line([
            row.phase,
            &format!("{:.1} %", 100.0 * row.top1),
            &row.parameters.to_string(),
            &row.epochs.to_string(),
            &format!("{:.1}", row.seconds),
        ]);
    }
    text
}

fn line([phase, top1, parameters, epochs, seconds]: [&str; 5]) -> String {
    format!("{phase:<8} {top1:>8} {parameters:>11} {epochs:>7} {seconds:>8}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned() {
        let row = Row {
            phase: "stage2",
            top1: 0.9361,
            parameters: 212_345,
            epochs: 40,
            seconds: 61.25,
        };
        assert_eq!(
            table(&[row]),
            "phase       top-1  parameters  epochs  seconds\n\
             stage2     93.6 %      212345      40     61.2\n"
        );
    }
}
