//! `gsb plot`.

use std::path::PathBuf;

use gsb_train::{History, write_text};

use crate::error::Error;
use crate::options::path;
use crate::output;
use crate::output::curves::{Panel, Series, draw};

/// Options of `gsb plot`.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "Examples:\n  gsb plot runs/digits-1 -o digits.svg\n  \
                  gsb plot runs/plain runs/gsb -o both.svg")]
pub struct PlotArgs {
    /// Folders of runs, in training or finished
    #[arg(value_name = "RUN", required = true, num_args = 1.., value_parser = path::argument())]
    pub runs: Vec<PathBuf>,

    /// The picture to write (.svg)
    #[arg(short, long, value_name = "FILE", value_parser = path::option())]
    pub output: PathBuf,
}

/// Draws what the runs have logged; says where.
///
/// # Errors
/// If a log cannot be read or the picture not written.
pub fn run(args: &PlotArgs) -> Result<String, Error> {
    for folder in &args.runs {
        output::check(&args.output, folder)?;
    }
    let mut runs = Vec::new();
    for folder in &args.runs {
        let name = folder.file_name().unwrap_or(folder.as_os_str());
        runs.push((name.to_string_lossy().into_owned(), History::open(folder)?));
    }
    let svg = draw(&panels(&runs)).map_err(|reason| Error::file(&args.output, reason))?;
    write_text(&args.output, &svg)?;
    let epochs: usize = runs.iter().map(|(_, run)| run.epochs.len()).sum();
    Ok(format!(
        "{epochs} epochs of {} drawn to {}\n",
        match runs.len() {
            1 => "one run".into(),
            runs => format!("{runs} runs"),
        },
        args.output.display()
    ))
}

/// Numbers of a block, one for each group.
type OfBlock = fn(&gsb_vit::BlockSuperpositions) -> &[f32];

/// The panels that there is something for.
fn panels(runs: &[(String, History)]) -> Vec<Panel> {
    let mut panels = vec![
        Panel::new("Test images classified right", "top-1, %"),
        Panel::new("Training loss", "loss"),
        Panel::new(
            "Scales of the attention matrix, mean of the blocks",
            "scale",
        ),
        Panel::new("Scales of the value, mean of the blocks", "scale"),
        Panel::new("Elements of the attention matrix in each group", "%"),
        Panel::new("Elements of the value in each group", "%"),
        Panel::new("Signs of weights that flip in an epoch", "%"),
    ];
    for (name, run) in runs {
        let label = |what: &str| match runs.len() {
            1 => what.to_string(),
            _ => format!("{name}: {what}"),
        };
        for phase in gsb_vit::Phase::ALL {
            let epochs = || run.epochs.iter().filter(|epoch| epoch.phase == phase);
            let points = |value: fn(&gsb_train::Epoch) -> f64| {
                let points = epochs().map(|epoch| (epoch.epoch as f64, value(epoch)));
                points.collect()
            };
            let title = label(phase.name());
            panels[0].push(Series::new(&title, points(|epoch| epoch.top1)));
            panels[1].push(Series::new(&title, points(|epoch| epoch.train_loss)));
            let inspected = || run.inspections.iter().filter(|epoch| epoch.phase == phase);
            let flips = inspected().map(|epoch| {
                let flips = &epoch.inspection.flips;
                (epoch.epoch as f64, 100.0 * mean(flips.iter().copied()))
            });
            panels[6].push(Series::new(&title, flips.collect()));
            let superpositions: [(usize, OfBlock, f64); 4] = [
                (2, |block| &block.attention_scales, 1.0),
                (3, |block| &block.value_scales, 1.0),
                (4, |block| &block.shares.attention, 100.0),
                (5, |block| &block.shares.value, 100.0),
            ];
            for (panel, values, factor) in superpositions {
                for group in 0..gsb_packed::GROUP_THRESHOLDS.len() + 1 {
                    let points = inspected().filter_map(|epoch| {
                        let blocks = epoch.inspection.blocks.iter();
                        let values: Option<Vec<f64>> = blocks
                            .map(|block| values(block).get(group).map(|&value| f64::from(value)))
                            .collect();
                        let values = values.filter(|values| !values.is_empty())?;
                        Some((epoch.epoch as f64, factor * mean(values.into_iter())))
                    });
                    let title = label(&format!("group {}", group + 1));
                    panels[panel].push(Series::new(&title, points.collect()));
                }
            }
        }
    }
    panels.retain(|panel| !panel.is_empty());
    panels
}

fn mean(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let count = values.len();
    values.sum::<f64>() / count as f64
}
