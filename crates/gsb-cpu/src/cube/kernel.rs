//! The kernels: a cube handles a row, each of its units every `UNITS`-th element, and what the units have is put
//! together in shared memory.

use burn_cubecl::cubecl;
use cubecl::prelude::*;
use cubecl::std::tensor::layout::linear::{LinearView, LinearViewMut};

/// Units of a cube, a power of two.
pub(super) const UNITS: usize = 64;

/// Softmax of `x * scale` of a row of `len` elements.
#[cube(launch)]
pub(super) fn softmax_kernel(
    x: LinearView<'_, f32>,
    mut y: LinearViewMut<'_, f32>,
    scale: f32,
    len: usize,
    rows: usize,
) {
    let unit_pos = UNIT_POS as usize;
    // The cubes beyond the last row repeat it: a cube that left would not reach the barriers.
    let start = select(CUBE_POS < rows, CUBE_POS, rows - 1) * len;
    let mut shared = Shared::<[f32]>::new_slice(comptime![2 * UNITS]);
    let mut max = x.read(start) * scale;
    let mut i = unit_pos;
    while i < len {
        let x = x.read(start + i) * scale;
        max = select(x > max, x, max);
        i += UNITS;
    }
    shared[unit_pos] = max;
    let mut half = (UNITS / 2).runtime();
    while half > 0 {
        sync_cube();
        if unit_pos < half {
            let (max, other) = (shared[unit_pos], shared[unit_pos + half]);
            shared[unit_pos] = select(other > max, other, max);
        }
        half /= 2;
    }
    sync_cube();
    let max = shared[0];
    let mut sum = 0.0f32;
    let mut i = unit_pos;
    while i < len {
        sum += (x.read(start + i) * scale - max).exp();
        i += UNITS;
    }
    // Beside the maxima, which other units may still read.
    shared[UNITS + unit_pos] = sum;
    let sum = sum_of_units(&mut shared, UNITS);
    let mut i = unit_pos;
    while i < len {
        y.write(start + i, (x.read(start + i) * scale - max).exp() / sum);
        i += UNITS;
    }
}

/// `y (g - sum(g y)) scale` of a row: the gradient of the softmax whose value was `y`.
#[cube(launch)]
pub(super) fn softmax_backward_kernel(
    y: LinearView<'_, f32>,
    grad: LinearView<'_, f32>,
    mut grad_x: LinearViewMut<'_, f32>,
    scale: f32,
    len: usize,
    rows: usize,
) {
    let unit_pos = UNIT_POS as usize;
    let start = select(CUBE_POS < rows, CUBE_POS, rows - 1) * len;
    let mut sums = Shared::<[f32]>::new_slice(UNITS);
    let mut sum = 0.0f32;
    let mut i = unit_pos;
    while i < len {
        sum += grad.read(start + i) * y.read(start + i);
        i += UNITS;
    }
    sums[unit_pos] = sum;
    let sum = sum_of_units(&mut sums, 0usize);
    let mut i = unit_pos;
    while i < len {
        let along = grad.read(start + i) - sum;
        grad_x.write(start + i, along * y.read(start + i) * scale);
        i += UNITS;
    }
}

/// The sum of what each unit has put into shared memory, from `start` on, where it leaves partial sums.
#[cube]
fn sum_of_units(shared: &mut Shared<[f32]>, #[comptime] start: usize) -> f32 {
    let unit_pos = UNIT_POS as usize;
    let mut half = (UNITS / 2).runtime();
    while half > 0 {
        sync_cube();
        if unit_pos < half {
            let other = shared[start + unit_pos + half];
            shared[start + unit_pos] += other;
        }
        half /= 2;
    }
    sync_cube();
    shared[start]
}
