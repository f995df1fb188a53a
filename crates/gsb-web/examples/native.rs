//! What the page compares itself with: logits of packed models for pictures, computed here, as trained and with
//! other thresholds of the attention's groups, and the time of a DeiT-S of random weights on one thread.
//! `native SAMPLES MODEL... --more MODEL...` writes JSON; logits are the bits of their floats. Models after `--more`
//! take pictures of other sizes: theirs are random.

use std::time::Instant;

use gsb_packed::{Image, PackedConfig, PackedFile, PackedModel, PackedNetwork, Random};
use serde_json::{Value, json};

/// Other thresholds, with the third group within the second and the other way round.
const MOVED: [[f32; 3]; 2] = [[0.9, 0.4, 0.6], [0.2, 0.8, 0.3]];

/// With those, one sample in five is predicted.
const APART: usize = 5;

/// Random pictures that other models are asked of, seeds from 0 on.
const RANDOM: u64 = 20;

/// Images of DeiT-S that are timed.
const ROUNDS: usize = 30;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let samples = arguments
        .next()
        .ok_or("expected a file of samples and packed models")?;
    let samples: Vec<Value> = serde_json::from_slice(&std::fs::read(samples)?)?;
    let samples = samples
        .iter()
        .map(|sample| serde_json::from_value(sample["pixels"].clone()));
    let samples = samples.collect::<Result<Vec<Vec<u8>>, _>>()?;
    let (mut answers, mut moved) = (Vec::new(), Vec::new());
    let mut instructions = "";
    let arguments: Vec<String> = arguments.collect();
    let mut parts = arguments.split(|argument| argument == "--more");
    let (of_samples, others) = (parts.next(), parts.next());
    let mut more = Vec::new();
    for path in others.unwrap_or_default() {
        let model = PackedModel::open(path)?;
        let pictures = (0..RANDOM).map(|seed| Random::new(seed).image(model.config()));
        more.push(logits_of(&model, &pictures.collect::<Vec<_>>())?);
    }
    for path in of_samples.unwrap_or_default() {
        let mut model = PackedModel::open(path)?;
        instructions = model.isa().name();
        answers.push(logits_of(&model, &samples)?);
        let at = |thresholds: [f32; 3]| {
            model.set_attention_thresholds(thresholds)?;
            let some: Vec<Vec<u8>> = samples.iter().step_by(APART).cloned().collect();
            Ok(json!({ "thresholds": thresholds, "answers": logits_of(&model, &some)? }))
        };
        moved.push(
            MOVED
                .into_iter()
                .map(at)
                .collect::<Result<Vec<_>, gsb_packed::Error>>()?,
        );
    }
    let packed = PackedFile::unnamed(PackedNetwork::random(&PackedConfig::deit_small(1000), 1)?);
    let model = PackedModel::new(packed)?;
    let pixels = Random::new(2).image(model.config());
    let (mut scratch, mut logits) = (model.scratch(), vec![0.0; 1000]);
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let start = Instant::now();
        model.logits_into(Image::Bytes(&pixels), &mut scratch, &mut logits)?;
        times.push(start.elapsed().as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    let native = json!({
        "instructions": instructions,
        "processor": std::env::consts::ARCH,
        "answers": answers,
        "moved": moved,
        "more": more,
        "deitSmall": { "least": times[0], "median": times[ROUNDS / 2], "logits": bits(&logits) },
    });
    println!("{native}");
    Ok(())
}

fn logits_of(model: &PackedModel, samples: &[Vec<u8>]) -> Result<Vec<Vec<u32>>, gsb_packed::Error> {
    let logits = samples.iter();
    logits
        .map(|pixels| Ok(bits(model.predict(pixels)?.logits())))
        .collect()
}

fn bits(logits: &[f32]) -> Vec<u32> {
    logits.iter().map(|logit| logit.to_bits()).collect()
}
