//! Times a packed DeiT-S against the same network in floats: our teacher on Burn's `flex` backend, and
//! candle, which computes with the teacher's weights and must come to its logits.
//!
//! `RAYON_NUM_THREADS` is the number of threads of all of them.

mod deit;
mod engines;

use std::error::Error;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::Instant;

use burn::tensor::{Device, TensorData};
use clap::{Parser, value_parser};
use gsb_vit::VitConfig;
use gsb_vit::checkpoint::Published;

use crate::engines::{Engine, tensors};

type Fallible<T> = Result<T, Box<dyn Error>>;

/// Times a packed DeiT-S against float models of other engines.
#[derive(Parser)]
struct Args {
    /// Rounds, in each of which every engine has its turn.
    #[arg(long, default_value_t = 10, value_parser = value_parser!(u32).range(1..))]
    rounds: u32,
    /// Batches that are timed in a turn, after one that is not.
    #[arg(long, default_value_t = 3, value_parser = value_parser!(u32).range(1..))]
    turn: u32,
    /// Images of a batch.
    #[arg(long, default_value_t = 1, value_parser = value_parser!(u32).range(1..))]
    batch: u32,
    /// Write the float weights, an image and its logits to a file, for `onnx_runtime.py`, and end.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["rounds", "turn", "batch"])]
    write: Option<PathBuf>,
}

fn main() -> Fallible<()> {
    let args = Args::parse();
    // Each engine reads the variable itself: the threads cannot be an option.
    let threads = std::env::var("RAYON_NUM_THREADS")
        .map_err(|_| "RAYON_NUM_THREADS is not set; 1 is one thread")?;
    let config = VitConfig::preset("deit_small_distilled_patch16_224", 1000)?;
    let model = config.init_teacher(&Device::flex())?;
    let weights = Published::of(&model);
    let (config, batch) = (config.packed(), args.batch as usize);
    let images = engines::images(&config, batch);
    let teacher = engines::teacher(model, images.clone());
    if let Some(path) = args.write {
        return write(&path, &weights, images, teacher.classify()?);
    }

    let candle = engines::candle(&config, &weights, &images)?;
    let difference = difference(&candle.classify()?, &teacher.classify()?);
    let sizes = tensors(&weights).map(|(_, data)| data.num_elements());
    let parameters: usize = sizes.sum();
    println!("DeiT-S of {parameters} parameters, batch {batch}, {threads} thread(s)");
    println!("logits of candle and of our teacher differ by {difference:.1e} of the largest\n");
    if difference.is_nan() || difference > 1e-3 {
        return Err("candle's model and our teacher are not the same network".into());
    }
    let mut engines = engines::packed(&config, batch)?;
    engines.extend([candle, teacher]);
    for engine in &engines {
        let logits = engine.classify()?;
        if logits.len() != batch * config.classes || !logits.iter().all(|x| x.is_finite()) {
            return Err(format!("{} gives no logits", engine.name).into());
        }
    }
    print_table(&engines, race(&engines, &args)?);
    Ok(())
}

/// Milliseconds of an image, of all batches of each engine.
fn race(engines: &[Engine], args: &Args) -> Fallible<Vec<Vec<f64>>> {
    let mut times = vec![Vec::new(); engines.len()];
    for _ in 0..args.rounds {
        for (engine, times) in engines.iter().zip(&mut times) {
            // What the others left in the caches is not this one's affair.
            engine.classify()?;
            for _ in 0..args.turn {
                let start = Instant::now();
                black_box(engine.classify()?);
                times.push(start.elapsed().as_secs_f64() * 1e3 / f64::from(args.batch));
            }
        }
    }
    Ok(times)
}

/// The last column is the median over that of the first engine.
fn print_table(engines: &[Engine], times: Vec<Vec<f64>>) {
    let mut first = None;
    println!("| ms per image | min | median | ratio |");
    println!("| --- | --: | --: | --: |");
    for (engine, mut times) in engines.iter().zip(times) {
        times.sort_by(f64::total_cmp);
        let (min, median) = (times[0], times[times.len() / 2]);
        let ratio = median / *first.get_or_insert(median);
        println!("| {} | {min:.2} | {median:.2} | {ratio:.1} |", engine.name);
    }
}

fn write(path: &Path, weights: &Published, image: TensorData, logits: Vec<f32>) -> Fallible<()> {
    let shape = [1, logits.len()];
    let extra = [("image", image), ("logits", TensorData::new(logits, shape))];
    let weights = tensors(weights).map(|(name, data)| (name, data.clone()));
    let all = weights.chain(extra).map(|(name, data)| (name.into(), data));
    Ok(Published::new(all).write(path)?)
}

/// The largest difference, relative to the largest expected value.
fn difference(found: &[f32], expected: &[f32]) -> f32 {
    let pairs = found.iter().zip(expected);
    let most = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    most / expected.iter().map(|x| x.abs()).fold(0.0, f32::max)
}
