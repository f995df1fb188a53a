//! `gsb plot`.

use std::path::PathBuf;

use gsb_train::{History, Table};

use crate::error::Error;
use crate::options::path;
use crate::output;
use crate::output::curves::{Panel, Series, draw};

/// Options of `gsb plot`.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "Examples:\n  gsb plot runs/digits-1 -o digits.svg\n  \
                  gsb plot runs/plain runs/gsb -o both.svg\n  \
                  gsb plot runs/table-5 runs/table-20 -o accuracy.svg")]
pub struct PlotArgs {
    /// Folders of runs, in training or finished, or of tables, which are drawn over their training images
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
    output::check_format(&args.output, "SVG", "svg")?;
    for folder in &args.runs {
        output::check(&args.output, folder)?;
    }
    let tables = args
        .runs
        .iter()
        .filter(|folder| Table::exists(folder))
        .count();
    let (panels, what) = if tables == 0 {
        of_runs(&args.runs)?
    } else if tables == args.runs.len() {
        of_tables(&args.runs)?
    } else {
        let reason = format!(
            "expected folders of runs or of tables, got {tables} of tables among {}",
            args.runs.len()
        );
        return Err(Error::Option {
            option: "RUN",
            reason,
        });
    };
    let svg = draw(&panels).map_err(|reason| Error::file(&args.output, reason))?;
    output::write(&args.output, svg.as_bytes())?;
    Ok(format!("{what} drawn to {}\n", args.output.display()))
}

/// The panels of tables, and what they are of.
fn of_tables(folders: &[PathBuf]) -> Result<(Vec<Panel>, String), Error> {
    let mut tables = folders
        .iter()
        .map(Table::open)
        .collect::<Result<Vec<_>, _>>()?;
    tables.sort_by_key(|table| table.training_images);
    if let Some(same) = tables
        .windows(2)
        .find(|pair| pair[0].training_images == pair[1].training_images)
    {
        let reason = format!(
            "expected tables of different numbers of training images, got two of {}",
            same[0].training_images
        );
        return Err(Error::Option {
            option: "RUN",
            reason,
        });
    }
    let mut names = Vec::new();
    for row in tables.iter().flat_map(|table| &table.rows) {
        let name = row.name();
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let panel = Panel::new("Test images classified right", "top-1, %");
    let mut panel = panel.over("training images").named_beside();
    for name in names {
        let row = |table: &Table| table.rows.iter().find(|row| row.name() == name).cloned();
        let rows = tables
            .iter()
            .filter_map(|table| Some((table.training_images as f64, row(table)?)));
        let rows: Vec<_> = rows.collect();
        let points = rows
            .iter()
            .map(|(images, row)| (*images, row.mean(), row.deviation()));
        panel.push(Series::with_deviations(&name, &points.collect::<Vec<_>>()));
    }
    if panel.is_empty() {
        let reason = "expected a table with accuracies, got none in it";
        return Err(Error::file(&folders[0], reason.to_string()));
    }
    let what = match tables.len() {
        1 => "one table".into(),
        tables => format!("{tables} tables"),
    };
    Ok((vec![panel], what))
}

/// The panels of runs, and what they are of.
fn of_runs(folders: &[PathBuf]) -> Result<(Vec<Panel>, String), Error> {
    let mut runs = Vec::new();
    for folder in folders {
        // Folders of one name are told apart by their paths.
        let same = folders
            .iter()
            .filter(|other| other.file_name() == folder.file_name());
        let name = match (folder.file_name(), same.count()) {
            (Some(name), 1) => name,
            _ => folder.as_os_str(),
        };
        let history = History::open(folder)?;
        if history.epochs.is_empty() {
            let reason = "expected the folder of a run that has finished an epoch";
            return Err(Error::file(folder, reason.to_string()));
        }
        let name = name.to_string_lossy();
        runs.push((output::name(&name).into_owned(), history));
    }
    let epochs: usize = runs.iter().map(|(_, run)| run.epochs.len()).sum();
    let count = match runs.len() {
        1 => "one run".into(),
        runs => format!("{runs} runs"),
    };
    Ok((panels(&runs), format!("{epochs} epochs of {count}")))
}

/// Numbers of a block, one for each group.
type OfBlock = fn(&gsb_vit::BlockSuperpositions) -> &[f32];

/// The panels that there is something for.
fn panels(runs: &[(String, History)]) -> Vec<Panel> {
    let mut panels = vec![
        Panel::new("Test images classified right", "top-1, %"),
        Panel::new("Training loss", "loss"),
        Panel::new(
            "Learned scales of the attention matrix, mean of the blocks",
            "scale",
        ),
        Panel::new("Learned scales of the value, mean of the blocks", "scale"),
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
