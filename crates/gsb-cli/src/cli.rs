//! The command line.

use clap::error::ErrorKind;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::commands::bench::{self, BenchArgs};
use crate::commands::completions::{self, CompletionsArgs};
use crate::commands::explain::{self, ExplainArgs};
use crate::commands::export::{self, ExportArgs};
use crate::commands::import::{self, ImportArgs};
use crate::commands::inspect::{self, InspectArgs};
use crate::commands::pack::{self, PackArgs};
use crate::commands::plot::{self, PlotArgs};
use crate::commands::predict::{self, PredictArgs};
use crate::commands::serve::{self, ServeArgs};
use crate::commands::summary::{self, SummaryArgs};
use crate::commands::table::{self, TableArgs};
use crate::commands::test::{self, TestArgs};
use crate::commands::train;
use crate::error::Error;
use crate::options::TrainArgs;

/// Binarized Vision Transformers by Group Superposition Binarization.
///
/// Without a command it trains, as `gsb train` does.
#[derive(Debug, Clone, Parser)]
#[command(
    name = "gsb",
    version,
    // So that a negative number is refused in the name of its option.
    allow_negative_numbers = true,
    args_conflicts_with_subcommands = true,
    after_help = "Examples:\n  gsb --seed 1 --stage2-epochs 80\n  \
                  gsb summary deit_small_distilled_patch16_224\n  \
                  gsb import checkpoint.pth -o student.bpk"
)]
pub struct Cli {
    /// What to do
    #[command(subcommand)]
    pub command: Option<Command>,

    /// Options of the training
    #[command(flatten)]
    pub train: TrainArgs,
}

/// What to do.
#[derive(Debug, Clone, Subcommand)]
pub enum Command {
    /// Train a float teacher, a stage-1 and a stage-2 GSB student
    ///
    /// Prints a table with the held-out accuracy of each. Without options it trains on the embedded
    /// digits, one or two minutes on two cores.
    #[command(
        allow_negative_numbers = true,
        after_help = "Examples:\n  gsb train --data-set mnist --data-path mnist --per-class 20\n  \
                      gsb train --config runs/digits-1/config.json --seed 1\n  \
                      gsb train --resume runs/digits-1"
    )]
    Train(Box<TrainArgs>),
    /// Measure the accuracy of a checkpoint: top-1, top-5, loss, each class, confusion matrix
    Test(TestArgs),
    /// Train the variants of the paper's tables over several seeds, and compare them
    #[command(allow_negative_numbers = true)]
    Table(Box<TableArgs>),
    /// Draw what runs have logged: accuracy, loss, scales and fullness of groups, flips of weights
    Plot(PlotArgs),
    /// Print what a model costs: parameters by bit width, bytes, operations
    Summary(SummaryArgs),
    /// Read a checkpoint with the published names (.pth, .safetensors) and save it as our own
    ///
    /// Prints how many tensors were loaded and names those that were resized, ignored or missing.
    Import(ImportArgs),
    /// Write a checkpoint of our own as .safetensors with the published names
    Export(ExportArgs),
    /// Pack a trained stage-2 student into one small file of bits
    Pack(PackArgs),
    /// Classify pictures with a packed model
    Predict(PredictArgs),
    /// Draw what a packed model attends to in a picture
    Explain(ExplainArgs),
    /// Serve predictions over HTTP
    Serve(ServeArgs),
    /// Print what a packed model holds: layers, shapes, bits, bytes, operations
    Inspect(InspectArgs),
    /// Measure how fast a packed model runs on this machine
    Bench(BenchArgs),
    /// Print the script that completes these commands in a shell
    Completions(CompletionsArgs),
}

/// What `--resume` goes with: how it is shown, and where things are now. Anything else would make it another run.
const WITH_RESUME: [&str; 11] = [
    "resume",
    "json",
    "quiet",
    "dashboard",
    "data_path",
    "skip_broken",
    "changed_data",
    "teacher_path",
    "finetune",
    "stage1_path",
    "init",
];

/// Options of a training that a table decides about, and refuses.
const OF_TABLE: [&str; 10] = [
    "output_dir",
    "resume",
    "changed_data",
    "phases",
    "teacher_path",
    "stage1_path",
    "seed",
    "attention_groups",
    "value_groups",
    "dashboard",
];

/// Options of the images to train on, which a test refuses.
const OF_TRAINING: [&str; 2] = ["per_class", "label_noise"];

/// Without help for options that are always refused.
fn hidden(command: clap::Command, options: &[&str]) -> clap::Command {
    command.mut_args(|option| match options.contains(&option.get_id().as_str()) {
        true => option.hide(true),
        false => option,
    })
}

/// `--resume` alone, but for what it goes with.
fn alone(command: clap::Command) -> clap::Command {
    command.mut_args(
        |option| match WITH_RESUME.contains(&option.get_id().as_str()) {
            true => option,
            false => option.conflicts_with("resume"),
        },
    )
}

impl Cli {
    /// What the command line is read by.
    pub fn program() -> clap::Command {
        alone(Self::command())
            .mut_subcommand("train", alone)
            .mut_subcommand("table", |table| hidden(table, &OF_TABLE))
            .mut_subcommand("test", |test| hidden(test, &OF_TRAINING))
    }

    /// Reads it; what is wrong with it ends the program, with exit code 2.
    pub fn parsed() -> Self {
        let matches = Self::program().get_matches();
        let cli = Self::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
        let training = match &cli.command {
            None => Some(&cli.train),
            Some(Command::Train(args)) => Some(&**args),
            Some(_) => None,
        };
        // Beside an option that `--resume` conflicts with, clap does not require it.
        if training.is_some_and(|args| args.changed_data && args.resume.is_none()) {
            let reason = "--changed-data goes with --resume";
            let mut program = Self::program();
            program
                .error(ErrorKind::MissingRequiredArgument, reason)
                .exit();
        }
        cli
    }

    /// Runs the command; what goes to stdout.
    ///
    /// # Errors
    /// What ended it.
    pub fn run(self) -> Result<String, Error> {
        match self.command.unwrap_or(Command::Train(Box::new(self.train))) {
            Command::Train(args) => train::run(&args),
            Command::Test(args) => test::run(&args),
            Command::Table(args) => table::run(&args),
            Command::Plot(args) => plot::run(&args),
            Command::Summary(args) => summary::run(&args),
            Command::Import(args) => import::run(&args),
            Command::Export(args) => export::run(&args),
            Command::Pack(args) => pack::run(&args),
            Command::Predict(args) => predict::run(&args),
            Command::Explain(args) => explain::run(&args),
            Command::Serve(args) => serve::run(&args),
            Command::Inspect(args) => inspect::run(&args),
            Command::Bench(args) => bench::run(&args),
            Command::Completions(args) => Ok(completions::run(&args, Self::program())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaint(arguments: &[&str]) -> String {
        let arguments = std::iter::once(&"gsb").chain(arguments);
        let error = Cli::program().try_get_matches_from(arguments).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        error.to_string()
    }

    #[test]
    fn definitions_are_consistent() {
        Cli::program().debug_assert();
    }

    #[test]
    fn every_command_shows_an_example_that_it_takes() {
        let mut command = Cli::program();
        command.build();
        let commands = std::iter::once(&command).chain(command.get_subcommands());
        for command in commands.filter(|command| command.get_name() != "help") {
            let help = command.get_after_help().map(ToString::to_string);
            let help = help.unwrap_or_default();
            let examples: Vec<_> = help.lines().filter(|line| line.contains("gsb ")).collect();
            assert!(!examples.is_empty(), "{}", command.get_name());
            for example in examples {
                // Without what feeds it and what takes its output.
                let start = example.find("gsb ").expect("it is there");
                let line = example[start..].split(" > ").next().unwrap_or_default();
                let words = shlex::split(line).expect("words of a shell");
                if let Err(error) = Cli::try_parse_from(words) {
                    panic!("{example}: {error}");
                }
            }
        }
    }

    #[test]
    fn a_run_goes_on_as_it_is() {
        for command in [&[][..], &["train"]] {
            let with = |more: &[&'static str]| [command, &["--resume", "run"], more].concat();
            let text = complaint(&with(&["--epochs", "3"]));
            assert!(
                text.contains("--resume") && text.contains("--epochs"),
                "{text}"
            );
            let words = with(&[
                "--json",
                "-",
                "--quiet",
                "--data-path",
                "x",
                "--init",
                "teacher",
            ]);
            let words = std::iter::once("gsb").chain(words);
            Cli::program().try_get_matches_from(words).unwrap();
        }
    }

    #[test]
    fn help_leaves_out_what_is_refused() {
        let mut program = Cli::program();
        program.build();
        for (name, options) in [("table", &OF_TABLE[..]), ("test", &OF_TRAINING)] {
            let command = program.find_subcommand_mut(name).unwrap();
            let help = command.render_long_help().to_string();
            for option in options.iter().filter(|option| **option != "dashboard") {
                let id = match *option {
                    "phases" => "phase",
                    option => option,
                };
                let option = format!("--{}", id.replace('_', "-"));
                let mut first = help
                    .lines()
                    .filter_map(|line| line.split_whitespace().next());
                assert!(!first.any(|word| word == option), "{name}: {option}");
            }
        }
    }

    #[test]
    fn impossible_values_name_their_option() {
        for (option, value) in [
            ("--epochs", "0"),
            ("--teacher-epochs", "0"),
            ("--distillation-alpha", "1.5"),
            ("--label-noise", "2"),
            ("--data-set", "moons"),
            ("--phase", "stage3"),
            ("--batch-size", "0"),
            ("--lr", "-0.1"),
            ("--lr", "nan"),
            ("--lr", "2"),
            ("--seed", "-1"),
            ("--device", "abacus"),
        ] {
            let text = complaint(&[option, value]);
            assert!(text.contains(option) && text.contains(value), "{text}");
            let text = complaint(&["train", option, value]);
            assert!(text.contains(option) && text.contains(value), "{text}");
        }
        assert!(complaint(&["--epoch", "3"]).contains("--epoch"));
    }
}
