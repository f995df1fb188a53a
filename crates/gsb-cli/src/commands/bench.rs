//! `gsb bench`.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use gsb_packed::{Image, PackedFile, PackedModel, PackedNetwork, Random, Scratch, Stage};
use serde::{Serialize, Serializer};

use crate::error::Error;
use crate::model::{ModelName, open_packed};
use crate::options::numbers::{few, rounds};
use crate::options::path;
use crate::output;

/// Options of `gsb bench`.
#[derive(Debug, Clone, clap::Args)]
#[command(
    after_help = "The environment variable GSB_FORCE_ISA chooses an instruction set: avx512, avx2, neon or \
                  scalar; GSB_FORCE_PRODUCT a way of AVX-512 to multiply: plain, threes or tiles.\n\nExamples:\n  gsb bench digits.safetensors\n  \
                  gsb bench --model deit-small --batch 8 --threads 2",
    group(clap::ArgGroup::new("what").required(true).args(["file", "model"]))
)]
pub struct BenchArgs {
    /// A packed model
    #[arg(value_parser = path::argument())]
    pub file: Option<PathBuf>,

    /// A model of random weights instead: a preset, a configuration (.json), or deit-tiny, deit-small,
    /// deit-base for DeiT with a distillation token at 224 pixels
    #[arg(long, value_name = "MODEL", value_parser = path::option())]
    pub model: Option<PathBuf>,

    /// Images in a batch, 1 if it is not given
    #[arg(long, value_name = "IMAGES", value_parser = few())]
    pub batch: Option<usize>,

    /// Threads that share a batch or an image, 1 if it is not given. Without either option, latency and
    /// throughput follow for 1 to as many threads as there are cores
    #[arg(long, value_parser = few())]
    pub threads: Option<usize>,

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
    #[serde(skip_serializing_if = "Vec::is_empty")]
    by_threads: Vec<OfThreads>,
}

/// What a number of threads comes to.
#[derive(Debug, Serialize)]
struct OfThreads {
    threads: usize,
    /// Median milliseconds of one image, which all of them share.
    latency_ms: f64,
    /// Of batches of [`BATCH`] images.
    images_per_second: f64,
}

/// Images of a batch whose throughput is measured.
const BATCH: usize = 8;

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
        (None, name) => random(&name.as_deref().unwrap_or(Path::new("")).to_string_lossy())?,
    };
    let opened = milliseconds(start.elapsed());
    let mut random = Random::new(2);
    let (batch, threads) = (args.batch.unwrap_or(1), args.threads.unwrap_or(1));
    let images: Vec<Vec<u8>> = (0..batch.max(BATCH))
        .map(|_| random.image(model.config()))
        .collect();
    let images: Vec<Image> = images.iter().map(Image::from).collect();
    let mut report = pool(threads)?.install(|| time(&model, &images[..batch], threads, args))?;
    if args.batch.is_none() && args.threads.is_none() {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        for threads in 1..=cores {
            let pool = pool(threads)?;
            let of_threads = pool.install(|| scale(&model, &images[..BATCH], threads, args))?;
            report.by_threads.push(of_threads);
        }
    }
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

/// Threads.
fn pool(threads: usize) -> Result<rayon::ThreadPool, Error> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    pool.map_err(|error| Error::Option {
        option: "--threads",
        reason: error.to_string(),
    })
}

/// A model of random weights.
fn random(name: &str) -> Result<PackedModel, Error> {
    let config = ModelName::new(Path::new(name))?.config()?;
    if config.token_shifts {
        let reason = "packed networks add no copies of neighbouring tokens (token_shifts)".into();
        let option = "--model";
        return Err(Error::Option { option, reason });
    }
    let config = config.packed();
    Ok(PackedModel::new(PackedFile::unnamed(
        PackedNetwork::random(&config, 1)?,
    ))?)
}

/// Latency and throughput of as many threads as the current pool has.
fn scale(
    model: &PackedModel,
    images: &[Image],
    threads: usize,
    args: &BenchArgs,
) -> Result<OfThreads, Error> {
    let mut scratch = model.shared_scratch(threads);
    let mut logits = vec![0.0; model.config().classes];
    let (mut latencies, mut batches) = (Vec::new(), Vec::new());
    for round in 0..args.warm_up + args.rounds {
        let start = Instant::now();
        model.logits_into(images[0], &mut scratch, &mut logits)?;
        if round >= args.warm_up {
            latencies.push(milliseconds(start.elapsed()));
        }
    }
    // As many images, but for those of the first batch, which takes memory.
    for batch in 0..=args.rounds.div_ceil(images.len()) {
        let start = Instant::now();
        model.logits_batch(images)?;
        if batch > 0 {
            batches.push(milliseconds(start.elapsed()));
        }
    }
    Ok(OfThreads {
        threads,
        latency_ms: spread(latencies).median,
        images_per_second: 1e3 * images.len() as f64 / spread(batches).median,
    })
}

fn time(
    model: &PackedModel,
    images: &[Image],
    threads: usize,
    args: &BenchArgs,
) -> Result<Report, Error> {
    let mut scratch = model.scratch();
    let mut shared = model.shared_scratch(threads);
    let mut logits = vec![0.0; model.config().classes];
    let mut stages = Vec::new();
    let mut alone = |scratch: &mut Scratch| -> Result<(Duration, Vec<_>), Error> {
        let start = Instant::now();
        model.logits_into(images[0], scratch, &mut logits)?;
        let time = start.elapsed();
        Ok((time, scratch.stage_times().collect::<Vec<_>>()))
    };
    for _ in 0..args.warm_up {
        alone(&mut shared)?;
        if images.len() > 1 {
            model.logits_batch(images)?;
        }
    }
    let mut times = Vec::with_capacity(args.rounds);
    for _ in 0..args.rounds {
        if images.len() == 1 {
            let (time, of_stages) = alone(&mut shared)?;
            times.push(milliseconds(time));
            if threads == 1 {
                stages.push(of_stages);
            }
            continue;
        }
        let start = Instant::now();
        model.logits_batch(images)?;
        times.push(milliseconds(start.elapsed()) / images.len() as f64);
    }
    // Stages on several threads overlap: they are those of one image on one thread.
    while stages.len() < args.rounds.min(20) {
        stages.push(alone(&mut scratch)?.1);
    }
    Ok(Report {
        isa: model.isa().name(),
        batch: images.len(),
        threads,
        ms_per_image: spread(times),
        stages: medians(&stages),
        by_threads: Vec::new(),
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
        by_threads,
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
    let mut text = format!(
        "{isa}, batch {batch}, threads {threads}\n\
         ms per image: {ms_per_image}\n\
         images per second: {:.1}\n\n{}",
        1e3 / ms_per_image.median,
        output::table(std::iter::once(head).chain(rows), 1)
    );
    if !by_threads.is_empty() {
        let head = ["threads", "latency, ms", "images per second"].map(String::from);
        let rows = by_threads.iter().map(|of| {
            [
                of.threads.to_string(),
                format!("{:.3}", of.latency_ms),
                format!("{:.1}", of.images_per_second),
            ]
        });
        text.push('\n');
        text.push_str(&output::table(std::iter::once(head).chain(rows), 0));
    }
    text
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
