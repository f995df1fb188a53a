//! The command line.

use clap::Parser;
use clap::builder::RangedU64ValueParser;

use crate::compute::DeviceName;

/// Train a float teacher, a stage-1 and a stage-2 GSB student on the embedded digits.
///
/// Prints a table with the held-out accuracy of each. Without options it takes a few minutes on
/// two cores.
#[derive(Debug, Clone, Parser)]
#[command(
    name = "gsb",
    version,
    // So that a negative number is refused in the name of its option.
    allow_negative_numbers = true,
    after_help = "Example:\n  gsb --seed 1 --stage2-epochs 80"
)]
pub struct Args {
    /// Decides initial weights, order and augmentation of the images
    #[arg(long, default_value_t = 0)]
    pub seed: u64,

    /// Epochs of the float teacher
    #[arg(long, value_name = "EPOCHS", default_value_t = 20, value_parser = positive())]
    pub teacher_epochs: usize,

    /// Epochs of the stage-1 student
    #[arg(long, value_name = "EPOCHS", default_value_t = 10, value_parser = positive())]
    pub stage1_epochs: usize,

    /// Epochs of the stage-2 student
    #[arg(long, value_name = "EPOCHS", default_value_t = 30, value_parser = positive())]
    pub stage2_epochs: usize,

    /// Images in a training step
    #[arg(long, value_name = "IMAGES", default_value_t = 16, value_parser = positive())]
    pub batch_size: usize,

    /// Highest learning rate of teacher and stage 1, above 0 and at most 1
    #[arg(long, value_name = "RATE", default_value_t = 1e-3, value_parser = learning_rate)]
    pub lr: f64,

    /// Highest learning rate of stage 2: a binary weight changes when its sign does, and that takes
    /// larger steps
    #[arg(long, value_name = "RATE", default_value_t = 3e-3, value_parser = learning_rate)]
    pub stage2_lr: f64,

    /// Where to compute
    #[arg(long, value_enum, default_value_t)]
    pub device: DeviceName,
}

fn positive() -> RangedU64ValueParser<usize> {
    RangedU64ValueParser::new().range(1..=1_000_000)
}

fn learning_rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if rate > 0.0 && rate <= 1.0 => Ok(rate),
        Ok(_) => Err("a learning rate is above 0 and at most 1".into()),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaint(arguments: &[&str]) -> String {
        let arguments = std::iter::once(&"gsb").chain(arguments);
        let error = Args::try_parse_from(arguments).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        error.to_string()
    }

    #[test]
    fn definitions_are_consistent() {
        use clap::CommandFactory;
        Args::command().debug_assert();
    }

    #[test]
    fn impossible_values_name_their_option() {
        for (option, value) in [
            ("--teacher-epochs", "0"),
            ("--batch-size", "0"),
            ("--lr", "-0.1"),
            ("--lr", "nan"),
            ("--lr", "2"),
            ("--seed", "-1"),
            ("--device", "abacus"),
        ] {
            let text = complaint(&[option, value]);
            assert!(text.contains(option) && text.contains(value), "{text}");
        }
        assert!(complaint(&["--epoch", "3"]).contains("--epoch"));
    }
}
