//! Positions of one grid of patches for another.

use burn::tensor::TensorData;

/// The parameter of the cubic kernel (Keys 1981), that of Pillow and of PyTorch with antialiasing.
const KEYS: f64 = -0.5;
/// Where the kernel ends.
const SUPPORT: f64 = 2.0;

/// The positions `[1, tokens, width]` of a square grid, with those of the patches resampled to a grid of
/// `side` by `side` as timm does: bicubic, by the centres of the patches, with a wider kernel where the
/// grid becomes smaller (antialiasing). The first `others` are not of patches and stay. `None` if they are
/// not those of a square grid.
pub(super) fn resized(positions: &TensorData, others: usize, side: usize) -> Option<TensorData> {
    let [1, tokens, width] = positions.shape().to_vec()[..] else {
        return None;
    };
    let patches = tokens.checked_sub(others)?;
    let before = patches.isqrt();
    if before == 0 || before * before != patches || width == 0 {
        return None;
    }
    let values: Vec<f32> = positions.iter::<f32>().collect();
    let (others, grid) = values.split_at(others * width);
    let grid: Vec<f64> = grid.iter().copied().map(f64::from).collect();
    let taps = taps(before, side);
    let narrow = resample(&grid, &taps, before, width);
    let resized = resample(&narrow, &taps, before, side * width);
    let resized = resized.into_iter().map(|x| x as f32);
    let all: Vec<f32> = others.iter().copied().chain(resized).collect();
    let tokens = all.len() / width;
    Some(TensorData::new(all, [1, tokens, width]))
}

/// What each of the places after is made of: the first of the places before, and weights from there on.
fn taps(before: usize, after: usize) -> Vec<(usize, Vec<f64>)> {
    let scale = before as f64 / after as f64;
    let stretch = scale.max(1.0);
    let tap = |place: usize| {
        let centre = scale * (place as f64 + 0.5);
        let first = (centre - SUPPORT * stretch + 0.5).max(0.0) as usize;
        let last = ((centre + SUPPORT * stretch + 0.5) as usize).min(before);
        let weight = |at: usize| cubic((at as f64 + 0.5 - centre) / stretch);
        let weights: Vec<f64> = (first..last).map(weight).collect();
        let sum: f64 = weights.iter().sum();
        (
            first,
            weights.into_iter().map(|weight| weight / sum).collect(),
        )
    };
    (0..after).map(tap).collect()
}

fn cubic(x: f64) -> f64 {
    let x = x.abs();
    if x < 1.0 {
        ((KEYS + 2.0) * x - (KEYS + 3.0)) * x * x + 1.0
    } else if x < SUPPORT {
        (((x - 5.0) * x + 8.0) * x - 4.0) * KEYS
    } else {
        0.0
    }
}

/// `[.., places, inner]` with other places, each a weighted sum of those before.
fn resample(values: &[f64], taps: &[(usize, Vec<f64>)], places: usize, inner: usize) -> Vec<f64> {
    let mut resampled = Vec::with_capacity(values.len() / places * taps.len());
    for from in values.chunks_exact(places * inner) {
        for (first, weights) in taps {
            let mut sums = vec![0.0; inner];
            for (weight, row) in weights
                .iter()
                .zip(from[first * inner..].chunks_exact(inner))
            {
                for (sum, value) in sums.iter_mut().zip(row) {
                    *sum += weight * value;
                }
            }
            resampled.append(&mut sums);
        }
    }
    resampled
}
