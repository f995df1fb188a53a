//! Milliseconds of a DeiT-S of random weights: `timing [BATCH [ROUNDS [THREADS]]]`, the threads sharing one
//! image or a batch of several. Stages are those of one image, all threads added up.

use std::time::{Duration, Instant};

use gsb_packed::{
    Error, Image, PackedConfig, PackedFile, PackedModel, PackedNetwork, Random, Stage,
};

fn main() -> Result<(), Error> {
    let mut arguments = std::env::args()
        .skip(1)
        .filter_map(|argument| argument.parse().ok());
    let mut argument = |default| arguments.next().unwrap_or(default);
    let (batch, rounds, threads) = (argument(1), argument(100), argument(1));
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
    let pool = pool.build().expect("threads");
    pool.install(|| time(batch, rounds, threads))
}

fn time(batch: usize, rounds: usize, threads: usize) -> Result<(), Error> {
    let start = Instant::now();
    let model = PackedModel::new(PackedFile::unnamed(PackedNetwork::random(
        &PackedConfig::deit_small(1000),
        1,
    )?))?;
    println!("{} made in {:?}", model.isa(), start.elapsed());
    let mut random = Random::new(2);
    let images: Vec<Vec<u8>> = (0..batch).map(|_| random.image(model.config())).collect();
    let images: Vec<Image> = images.iter().map(Image::from).collect();
    let mut scratch = model.shared_scratch(threads);
    let mut logits = vec![0.0; model.config().classes];
    let mut times = Vec::new();
    let mut stages = [Duration::MAX; Stage::ALL.len()];
    for _ in 0..rounds {
        let start = Instant::now();
        match images[..] {
            [image] => model.logits_into(image, &mut scratch, &mut logits)?,
            _ => logits = model.logits_batch(&images)?,
        }
        times.push(start.elapsed().as_secs_f64() * 1e3);
        for (least, (_, time)) in stages.iter_mut().zip(scratch.stage_times()) {
            *least = time.min(*least);
        }
    }
    times.sort_by(f64::total_cmp);
    println!(
        "min {:.3} ms, median {:.3} ms, first logit {}",
        times[0],
        times[rounds / 2],
        logits[0]
    );
    for (stage, time) in Stage::ALL.iter().zip(stages) {
        println!("{:<10} {:>8.1} us", stage.name(), time.as_secs_f64() * 1e6);
    }
    Ok(())
}
