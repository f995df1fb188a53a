//! Positions of one grid of patches for another.

use burn::Tensor;
use burn::tensor::module::interpolate;
use burn::tensor::ops::{InterpolateMode, InterpolateOptions};
use burn::tensor::{Device, TensorData, s};

/// The positions `[1, tokens, width]` of a square grid, with those of the patches interpolated
/// (bicubic, by the centres of the patches) to a grid of `side` by `side`. The first `others` are
/// not of patches and stay. `None` if they are not those of a square grid.
pub(super) fn resized(
    positions: &TensorData,
    others: usize,
    side: usize,
    device: &Device,
) -> Option<TensorData> {
    let [1, tokens, width] = positions.shape().to_vec()[..] else {
        return None;
    };
    let patches = tokens.checked_sub(others)?;
    let before = patches.isqrt();
    if before == 0 || before * before != patches {
        return None;
    }
    let all = Tensor::<3>::from_data(positions.clone(), device);
    let grid = all
        .clone()
        .slice(s![.., others.., ..])
        .reshape([1, before, before, width])
        .permute([0, 3, 1, 2]);
    let options = InterpolateOptions::new(InterpolateMode::Bicubic)
        .with_align_corners(false)
        .with_output_size([side, side]);
    let grid = interpolate(grid, options)
        .permute([0, 2, 3, 1])
        .reshape([1, side * side, width]);
    let resized = match others {
        0 => grid,
        _ => Tensor::cat(vec![all.slice(s![.., ..others, ..]), grid], 1),
    };
    Some(resized.into_data())
}
