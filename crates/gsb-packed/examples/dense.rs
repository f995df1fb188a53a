//! What sparse groups are worth: a DeiT-S of random weights against the same whose attention is nearly
//! uniform and whose values are of nearly one magnitude, so that the second and third groups of both
//! are dense. `dense [ROUNDS]`.

use std::time::Instant;

use gsb_packed::{Error, Image, PackedConfig, PackedFile, PackedModel, PackedNetwork, Random};

fn main() -> Result<(), Error> {
    let rounds = std::env::args()
        .nth(1)
        .and_then(|argument| argument.parse().ok())
        .unwrap_or(100)
        .max(1);
    let sparse = PackedNetwork::random(&PackedConfig::deit_small(1000), 1)?;
    let mut uniform = sparse.clone();
    for block in &mut uniform.blocks {
        block.attention.query_scale = 1e-3;
        for shift in &mut block.attention.attention_shift {
            *shift *= 1e-3;
        }
    }
    let flat = |mut network: PackedNetwork| {
        for block in &mut network.blocks {
            block.attention.qkv.weight_scale = vec![1e-4];
            block.attention.qkv.bias.fill(0.0);
            for shift in &mut block.attention.value_shift {
                *shift = shift.signum();
            }
        }
        network
    };
    let networks = [
        ("sparse", sparse.clone()),
        ("dense attention", uniform.clone()),
        ("dense value", flat(sparse)),
        ("dense both", flat(uniform)),
    ];
    let models = networks.map(|(name, network)| {
        PackedModel::new(PackedFile::unnamed(network)).map(|model| (name, model, Vec::new()))
    });
    let mut models = models.into_iter().collect::<Result<Vec<_>, _>>()?;
    let image = Random::new(2).image(models[0].1.config());
    let mut scratch = models[0].1.scratch();
    let mut logits = vec![0.0; models[0].1.config().classes];
    // In turn, for what else the machine does to meet all alike.
    for _ in 0..rounds {
        for (_, model, times) in &mut models {
            let start = Instant::now();
            model.logits_into(Image::from(&image), &mut scratch, &mut logits)?;
            times.push(start.elapsed().as_secs_f64() * 1e3);
        }
    }
    let [mut least, mut usual] = [None; 2];
    for (name, model, times) in &mut models {
        times.sort_by(f64::total_cmp);
        let (min, median) = (times[0], times[rounds / 2]);
        println!(
            "{} {name}: min {min:.3} ms, median {median:.3} ms, ratio {:.2} and {:.2}",
            model.isa(),
            min / *least.get_or_insert(min),
            median / *usual.get_or_insert(median),
        );
    }
    Ok(())
}
