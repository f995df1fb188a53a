//! `gsb bench`.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use gsb_packed::{Image, Network, PackedFile, PackedModel, Random, Scratch, Stage};
use gsb_vit::VitConfig;
use serde::{Serialize, Serializer};

use crate::error::Error;
use crate::model::open_packed;
use crate::options::numbers::{few, rounds};
use crate::options::path;
use crate::output;

/// Options of `gsb bench`.
#[derive(Debug, Clone, clap::Args)]
#[command(
    after_help = "The environment variable GSB_FORCE_ISA chooses an instruction set: avx512, avx2, neon or \
                  scalar.\n\nExamples:\n  gsb bench digits.safetensors\n  \
                  gsb bench --model deit-small --batch 8 --threads 2",
    group(clap::ArgGroup::new("what").required(true).args(["file", "model"]))
)]
pub struct BenchArgs {
    /// A packed model
    #[arg(value_parser = path::argument())]
    pub file: Option<PathBuf>,

    /// A model of random weights instead: a preset, or deit-tiny, deit-small, deit-base for DeiT with
    /// a distillation token at 224 pixels
    #[arg(long, value_name = "MODEL")]
    pub model: Option<String>,

    /// Images in a batch
    #[arg(long, value_name = "IMAGES", default_value_t = 1, value_parser = few())]
    pub batch: usize,

    /// Threads that share a batch
    #[arg(long, default_value_t = 1, value_parser = few())]
    pub threads: usize,

    /// Batches to time
    #[arg(long, value_name = "BATCHES", default_value_t = 50, value_parser = rounds(1))]
    pub rounds: usize,

    /// Batches before those
    #[arg(long, value_name = "BATCHES", default_value_t = 5, value_parser = rounds(0))]
    pub warm_up: usize,

    /// Everything as JSON
    #[arg(long)]
    pub json: bool,
}

/// What a benchmark came to.
#[derive(Debug, Serialize)]
struct Report {
    isa: &'static str,
    batch: usize,
    threads: usize,
    ms_per_image: Spread,
    stages: Stages,
}

/// Milliseconds of an image, over the rounds.
#[derive(Debug, Serialize)]
struct Spread {
    min: f64,
    p10: f64,
    median: f64,
    p90: f64,
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            min,
            p10,
            median,
            p90,
        } = self;
        write!(
            f,
            "min {min:.3}, p10 {p10:.3}, median {median:.3}, p90 {p90:.3}"
        )
    }
}

/// Median milliseconds of each stage of an image on one thread, in the order of the network.
#[derive(Debug)]
struct Stages(Vec<(Stage, f64)>);

impl Serialize for Stages {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(stage, time)| (stage.name(), time)))
    }
}

/// Times a model; a table or JSON.
///
/// # Errors
/// If there is no such model or file, or the threads cannot be started.
pub fn run(args: &BenchArgs) -> Result<String, Error> {
    let start = Instant::now();
    let model = match (&args.file, &args.model) {
        (Some(file), _) => open_packed(file, |path| PackedModel::open(path))?,
        (None, name) => random(name.as_deref().unwrap_or_default())?,
    };
    let opened = milliseconds(start.elapsed());
    let mut random = Random::new(2);
    let images: Vec<Vec<u8>> = (0..args.batch)
        .map(|_| random.image(model.config()))
        .collect();
    let images: Vec<Image> = images.iter().map(Image::from).collect();
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(args.threads)
        .build();
    let pool = pool.map_err(|error| Error::Option {
        option: "--threads",
        reason: error.to_string(),
    })?;
    let report = pool.install(|| time(&model, &images, args))?;
    if args.json {
        return output::json(&report);
    }
    let done = if args.file.is_some() {
        "opened"
    } else {
        "made"
    };
    Ok(format!("{done} in {opened:.1} ms\n{}", text(&report)))
}

/// A model of random weights.
fn random(name: &str) -> Result<PackedModel, Error> {
    let name = match name {
        "deit-tiny" => "deit_tiny_distilled_patch16_224",
        "deit-small" => "deit_small_distilled_patch16_224",
        "deit-base" => "deit_base_distilled_patch16_224",
        name => name,
    };
    let classes = if name == "micro" { 10 } else { 1000 };
    let config = VitConfig::preset(name, classes)?.packed();
    Ok(PackedModel::new(PackedFile::unnamed(Network::random(
        &config, 1,
    )?))?)
}

fn time(model: &PackedModel, images: &[Image], args: &BenchArgs) -> Result<Report, Error> {
    let mut scratch = model.scratch();
    let mut logits = vec![0.0; model.config().classes];
    let mut stages = Vec::new();
    let mut alone = |scratch: &mut Scratch, stages: &mut Vec<_>| -> Result<Duration, Error> {
        let start = Instant::now();
        model.logits_into(images[0], scratch, &mut logits)?;
        let time = start.elapsed();
        stages.push(scratch.stage_times().collect::<Vec<_>>());
        Ok(time)
    };
    for _ in 0..args.warm_up {
        alone(&mut scratch, &mut stages)?;
        if args.batch > 1 {
            model.logits_batch(images)?;
        }
    }
    stages.clear();
    let mut times = Vec::with_capacity(args.rounds);
    for _ in 0..args.rounds {
        if args.batch == 1 {
            times.push(milliseconds(alone(&mut scratch, &mut stages)?));
            continue;
        }
        let start = Instant::now();
        model.logits_batch(images)?;
        times.push(milliseconds(start.elapsed()) / images.len() as f64);
    }
    // The stages of a batch on several threads overlap: they are those of one image alone.
    while stages.len() < args.rounds.min(20) {
        alone(&mut scratch, &mut stages)?;
    }
    Ok(Report {
        isa: model.isa().name(),
        batch: args.batch,
        threads: args.threads,
        ms_per_image: spread(times),
        stages: medians(&stages),
    })
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// The value at a share of the way through sorted values.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let last = sorted.len().saturating_sub(1);
    sorted
        .get((share * last as f64).round() as usize)
        .copied()
        .unwrap_or(f64::NAN)
}

fn spread(mut times: Vec<f64>) -> Spread {
    times.sort_by(f64::total_cmp);
    Spread {
        min: quantile(&times, 0.0),
        p10: quantile(&times, 0.1),
        median: quantile(&times, 0.5),
        p90: quantile(&times, 0.9),
    }
}

fn medians(runs: &[Vec<(Stage, Duration)>]) -> Stages {
    let mut times: BTreeMap<usize, Vec<f64>> = BTreeMap::new();
    for (index, (_, time)) in runs.iter().flat_map(|run| run.iter().enumerate()) {
        times.entry(index).or_default().push(milliseconds(*time));
    }
    let median = |mut times: Vec<f64>| {
        times.sort_by(f64::total_cmp);
        quantile(&times, 0.5)
    };
    let stages = runs.first().into_iter().flatten().map(|&(stage, _)| stage);
    Stages(stages.zip(times.into_values().map(median)).collect())
}

fn text(report: &Report) -> String {
    let Report {
        isa,
        batch,
        threads,
        ms_per_image,
        stages: Stages(stages),
    } = report;
    let total: f64 = stages.iter().map(|(_, time)| time).sum();
    let head = ["stage", "ms", "share"].map(String::from);
    let rows = stages.iter().map(|(stage, time)| {
        [
            stage.name().into(),
            format!("{time:.4}"),
            format!("{:.1} %", 100.0 * time / total),
        ]
    });
    format!(
        "{isa}, batch {batch}, threads {threads}\n\
         ms per image: {ms_per_image}\n\
         images per second: {:.1}\n\n{}",
        1e3 / ms_per_image.median,
        output::table(std::iter::once(head).chain(rows), 1)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_of_the_values() {
        let spread = spread((0..=10).rev().map(f64::from).collect());
        assert_eq!(
            spread.to_string(),
            "min 0.000, p10 1.000, median 5.000, p90 9.000"
        );
    }

    #[test]
    fn short_names_are_models_with_a_distillation_token() {
        let model = random("deit-tiny").unwrap();
        assert_eq!((model.config().width, model.config().tokens()), (192, 198));
        assert!(random("deit-huge").is_err());
    }
}
