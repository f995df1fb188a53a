//! What an ablation came to.

use std::fmt::Write as _;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::variant::Variant;
use crate::error::Error;
use crate::files::{parse, write_json};

/// The name of its file in the folder of an ablation.
const NAME: &str = "table.json";

/// The accuracies of an ablation: the float teacher, then a row for each variant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Table {
    /// The seeds, in the order of the values.
    pub seeds: Vec<u64>,
    /// Images that each student was trained on.
    pub training_images: usize,
    /// The rows.
    pub rows: Vec<Row>,
}

/// A row of a [`Table`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// The student, or none for the float teacher.
    pub variant: Option<Variant>,
    /// Top-1 for each seed, in percent.
    pub top1: Vec<f64>,
}

impl Row {
    /// What it is, for a reader.
    pub fn name(&self) -> String {
        self.variant
            .map_or_else(|| "float".into(), |variant| variant.to_string())
    }

    /// Mean of top-1 over the seeds, in percent.
    pub fn mean(&self) -> f64 {
        self.top1.iter().sum::<f64>() / self.top1.len() as f64
    }

    /// Sample standard deviation of top-1 over the seeds, in percent; not a number for one seed.
    pub fn deviation(&self) -> f64 {
        let mean = self.mean();
        let squares: f64 = self.top1.iter().map(|value| (value - mean).powi(2)).sum();
        (squares / (self.top1.len() as f64 - 1.0)).sqrt()
    }

    fn cells(&self) -> [String; 6] {
        match self.variant {
            None => [
                "float".into(),
                "-".into(),
                "-".into(),
                "-".into(),
                "-".into(),
                "labels".into(),
            ],
            Some(variant) => [
                variant.binarizer().into(),
                format!("{:?}", variant.scope),
                format!("{:?}", variant.initial_scales),
                format!("{}+{}", variant.attention_groups, variant.value_groups),
                variant.stages.to_string(),
                if variant.distilled {
                    "teacher"
                } else {
                    "labels"
                }
                .into(),
            ],
        }
    }
}

const COLUMNS: [&str; 6] = [
    "binarizer",
    "scope",
    "initial scales",
    "groups",
    "stages",
    "learns from",
];

impl Table {
    /// Reads the `table.json` in the folder of an ablation.
    ///
    /// # Errors
    /// [`Error::File`] if it is not there, or is none.
    pub fn open(folder: impl AsRef<Path>) -> Result<Self, Error> {
        parse(&folder.as_ref().join(NAME))
    }

    /// Whether a folder has a `table.json`.
    pub fn exists(folder: impl AsRef<Path>) -> bool {
        folder.as_ref().join(NAME).exists()
    }

    /// Writes it as the `table.json` of a folder.
    ///
    /// # Errors
    /// [`Error::File`] if it cannot be written.
    pub fn save(&self, folder: impl AsRef<Path>) -> Result<(), Error> {
        write_json(&folder.as_ref().join(NAME), self)
    }

    /// The table in Markdown: mean and sample standard deviation of top-1.
    pub fn to_markdown(&self) -> String {
        let mut text = format!(
            "| {} | top-1, mean of {} | deviation |\n|{} ---: | ---: |\n",
            COLUMNS.join(" | "),
            self.seeds.len(),
            " --- |".repeat(COLUMNS.len())
        );
        for row in &self.rows {
            let (cells, mean) = (row.cells().join(" | "), row.mean());
            let deviation = match self.seeds.len() {
                1 => "-".into(),
                _ => format!("{:.1}", row.deviation()),
            };
            writeln!(text, "| {cells} | {mean:.1} % | {deviation} |")
                .expect("a string takes everything");
        }
        text
    }

    /// The table as comma-separated values, with a column for each seed.
    pub fn to_csv(&self) -> String {
        // A table that was read may have other numbers of values than of seeds.
        let mut csv = csv::WriterBuilder::new()
            .flexible(true)
            .from_writer(Vec::new());
        let mut write = |record: Vec<String>| csv.write_record(record).expect(IN_MEMORY);
        let seeds = self.seeds.iter().map(|seed| format!("seed {seed}"));
        let names = COLUMNS.iter().chain(&["mean", "deviation"]);
        write(names.map(ToString::to_string).chain(seeds).collect());
        let precise = |value: &f64| format!("{value:.4}");
        for row in &self.rows {
            let deviation = match self.seeds.len() {
                1 => String::new(),
                _ => precise(&row.deviation()),
            };
            let mut record = Vec::from(row.cells());
            record.extend([precise(&row.mean()), deviation]);
            record.extend(row.top1.iter().map(precise));
            write(record);
        }
        let bytes = csv.into_inner().expect(IN_MEMORY);
        String::from_utf8(bytes).expect("what is written is text")
    }
}

const IN_MEMORY: &str = "memory takes everything";

#[cfg(test)]
mod tests {
    use super::*;
    use gsb_core::binarize::{InitialScales, ThresholdScope};

    #[test]
    fn mean_and_deviation_of_the_seeds() {
        let variants = Variant::published(ThresholdScope::Sample, InitialScales::Published);
        let table = Table {
            seeds: vec![0, 1, 2],
            training_images: 400,
            rows: vec![Row {
                variant: Some(variants[3]),
                top1: vec![80.0, 90.0, 100.0],
            }],
        };
        assert_eq!(
            (table.rows[0].mean(), table.rows[0].deviation()),
            (90.0, 10.0)
        );
        assert_eq!(
            table.to_markdown().lines().last(),
            Some("| GSB both | Sample | Published | 3+3 | 2 | teacher | 90.0 % | 10.0 |")
        );
        assert_eq!(
            table.to_csv().lines().last(),
            Some(
                "GSB both,Sample,Published,3+3,2,teacher,90.0000,10.0000,80.0000,90.0000,100.0000"
            )
        );
    }
}
