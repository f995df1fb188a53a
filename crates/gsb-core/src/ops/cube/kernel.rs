//! The kernels. A unit handles every `n`-th element, `n` being the number of units, so that there are never more
//! partial sums than cubes; what the units of a cube have is put together in shared memory.

use burn_cubecl::cubecl;
use cubecl::prelude::*;
use cubecl::std::tensor::layout::linear::{LinearView, LinearViewMut};

/// Units of a cube that adds something up, a power of two.
pub(super) const UNITS: usize = 256;

/// A superposition of an element of its scope; that of one group is the quantizer.
#[cube(launch)]
pub(super) fn superpose_kernel(
    x: LinearView<'_, f32>,
    scales: LinearView<'_, f32>,
    extrema: LinearView<'_, f32>,
    mut y: LinearViewMut<'_, f32>,
    thresholds: Sequence<f32>,
    low: f32,
    high: f32,
    guard: f32,
    len: usize,
    #[comptime] signs: bool,
    #[comptime] guarded: bool,
) {
    let i = ABSOLUTE_POS;
    if !y.is_in_bounds(i) {
        terminate!();
    }
    let x = x.read(i);
    let first = usable(scales.read(0usize), guard, guarded);
    let mut sum = level(x, x / first, low, high, signs) * first;
    let groups = comptime![thresholds.len()];
    #[unroll]
    for k in 0..groups {
        let scale = usable(scales.read(k + 1), guard, guarded);
        let member = is_member(x, &extrema, i / len, *thresholds.index(k), signs);
        sum += select(member, unit(x, signs) * scale, 0.0f32);
    }
    y.write(i, sum);
}

/// The gradient to `x`; and, for each cube, the sums of the terms of the scales' gradients, one row for each
/// group, and below them the numbers of the groups' members.
#[cube(launch)]
pub(super) fn superpose_backward_kernel(
    x: LinearView<'_, f32>,
    scales: LinearView<'_, f32>,
    extrema: LinearView<'_, f32>,
    grad: LinearView<'_, f32>,
    mut grad_x: LinearViewMut<'_, f32>,
    partial: &mut Tensor<f32>,
    thresholds: Sequence<f32>,
    low: f32,
    high: f32,
    guard: f32,
    len: usize,
    n: usize,
    cubes: usize,
    #[comptime] signs: bool,
    #[comptime] guarded: bool,
    #[comptime] plain: bool,
) {
    let further = comptime![thresholds.len()];
    let groups = comptime![further + 1];
    let rows = comptime![2 * groups];
    let unit_pos = UNIT_POS as usize;
    let mut sums = Shared::<[f32]>::new_slice(comptime![rows * UNITS]);
    #[unroll]
    for row in 0..rows {
        sums[row * UNITS + unit_pos] = 0.0f32;
    }
    let first = usable(scales.read(0usize), guard, guarded);
    let mut i = ABSOLUTE_POS;
    while i < n {
        let x = x.read(i);
        let g = grad.read(i);
        let q = x / first;
        let inside = is_within(q, low, high);
        let inner = select(inside, q, 0.0f32);
        sums[unit_pos] += (level(x, q, low, high, signs) - inner) * g;
        let mut factor = select(inside, 1.0f32, 0.0f32);
        let mut dx = select(inside, g, 0.0f32);
        #[unroll]
        for k in 0..further {
            let scale = usable(scales.read(k + 1), guard, guarded);
            let threshold = *thresholds.index(k);
            let index = i / len;
            let member = is_member(x, &extrema, index, threshold, signs);
            let count = select(member, 1.0f32, 0.0f32);
            sums[(groups + k + 1) * UNITS + unit_pos] += count;
            if comptime![signs] {
                let q = x / scale;
                let inside = is_within(q, low, high);
                let inner = select(inside, q, 0.0f32);
                let term = (unit(x, signs) - inner) * g;
                sums[(k + 1) * UNITS + unit_pos] += select(member, term, 0.0f32);
                // Off its group the part is 0 and lets the gradient pass, unless the scope has no such group.
                let max = extrema.read(2 * index);
                let min = extrema.read(2 * index + 1);
                let present = max > max * threshold || min < min * threshold;
                factor += select((member && inside) || (!member && present), 1.0f32, 0.0f32);
            } else {
                let term = select(member, g, 0.0f32);
                sums[(k + 1) * UNITS + unit_pos] += term;
                dx += term * scale;
            }
        }
        if comptime![signs && further > 0 && !plain] {
            dx = factor * g;
        }
        grad_x.write(i, dx);
        i += cubes * UNITS;
    }
    add_up_units(&mut sums, rows);
    if unit_pos == 0 {
        #[unroll]
        for row in 0..rows {
            partial[row * cubes + CUBE_POS] = sums[row * UNITS];
        }
    }
}

/// Gradients of the scales from the sums of the cubes: terms over `sqrt(members * Qp)`, the members of the first
/// group being all `n` elements. That of an empty group is 0. One unit for each group.
#[cube(launch)]
pub(super) fn scale_gradients_kernel(
    partial: &Tensor<f32>,
    mut grad_scales: LinearViewMut<'_, f32>,
    n: f32,
    high: f32,
    groups: usize,
    cubes: usize,
) {
    let group = UNIT_POS as usize;
    if group < groups {
        let mut terms = 0.0f32;
        let mut count = 0.0f32;
        for cube in 0..cubes {
            terms += partial[group * cubes + cube];
            count += partial[(groups + group) * cubes + cube];
        }
        let members = select(group == 0, n, count);
        grad_scales.write(group, terms / (members.max(1.0f32) * high).sqrt());
    }
}

/// Maximum and minimum of a scope of `len` elements, a cube for each.
#[cube(launch)]
pub(super) fn extrema_kernel(
    x: LinearView<'_, f32>,
    mut extrema: LinearViewMut<'_, f32>,
    len: usize,
    scopes: usize,
) {
    let unit_pos = UNIT_POS as usize;
    // The cubes beyond the last scope repeat it: a cube that left would not reach the barriers.
    let index = select(CUBE_POS < scopes, CUBE_POS, scopes - 1);
    let start = index * len;
    let mut ends = Shared::<[f32]>::new_slice(comptime![2 * UNITS]);
    let mut max = x.read(start);
    let mut min = x.read(start);
    let mut i = unit_pos;
    while i < len {
        let x = x.read(start + i);
        max = select(x > max, x, max);
        min = select(x < min, x, min);
        i += UNITS;
    }
    ends[unit_pos] = max;
    ends[UNITS + unit_pos] = min;
    let mut half = (UNITS / 2).runtime();
    while half > 0 {
        sync_cube();
        if unit_pos < half {
            let (max, other) = (ends[unit_pos], ends[unit_pos + half]);
            ends[unit_pos] = select(other > max, other, max);
            let (min, other) = (ends[UNITS + unit_pos], ends[UNITS + unit_pos + half]);
            ends[UNITS + unit_pos] = select(other < min, other, min);
        }
        half /= 2;
    }
    if unit_pos == 0 {
        extrema.write(2 * index, ends[0]);
        extrema.write(2 * index + 1, ends[UNITS]);
    }
}

/// Sums of `w` and below them of `|w|`, each element times `part`, one column for each cube.
#[cube(launch)]
pub(super) fn sums_kernel(
    w: LinearView<'_, f32>,
    partial: &mut Tensor<f32>,
    part: f32,
    n: usize,
    cubes: usize,
) {
    let unit_pos = UNIT_POS as usize;
    let mut sums = Shared::<[f32]>::new_slice(comptime![2 * UNITS]);
    let mut sum = 0.0f32;
    let mut size = 0.0f32;
    let mut i = ABSOLUTE_POS;
    while i < n {
        let w = w.read(i) * part;
        sum += w;
        size += w.abs();
        i += cubes * UNITS;
    }
    sums[unit_pos] = sum;
    sums[UNITS + unit_pos] = size;
    add_up_units(&mut sums, 2usize);
    if unit_pos == 0 {
        partial[CUBE_POS] = sums[0];
        partial[cubes + CUBE_POS] = sums[UNITS];
    }
}

/// `sign(w - mean) * scale`, both being a sum of partial sums over `count`.
#[cube(launch)]
pub(super) fn binarize_weight_kernel(
    w: LinearView<'_, f32>,
    partial: &Tensor<f32>,
    mut y: LinearViewMut<'_, f32>,
    count: f32,
    n: usize,
    cubes: usize,
) {
    let mut means = Shared::<[f32]>::new_slice(2usize);
    if UNIT_POS == 0 {
        let mut sum = 0.0f32;
        let mut size = 0.0f32;
        for cube in 0..cubes {
            sum += partial[cube];
            size += partial[cubes + cube];
        }
        means[0] = sum / count;
        means[1] = size / count;
    }
    sync_cube();
    let mean = means[0];
    let scale = means[1];
    let mut i = ABSOLUTE_POS;
    while i < n {
        y.write(i, sign(w.read(i) - mean) * scale);
        i += cubes * UNITS;
    }
}

/// Adds up what the units of a cube have in each row, for the first unit, which finds it at its own place.
#[cube]
fn add_up_units(sums: &mut Shared<[f32]>, #[comptime] rows: usize) {
    let unit_pos = UNIT_POS as usize;
    let mut half = (UNITS / 2).runtime();
    while half > 0 {
        sync_cube();
        if unit_pos < half {
            #[unroll]
            for row in 0..rows {
                let other = sums[row * UNITS + unit_pos + half];
                sums[row * UNITS + unit_pos] += other;
            }
        }
        half /= 2;
    }
}

/// The scale as it acts: guarded, or only kept from being 0.
#[cube]
fn usable(scale: f32, guard: f32, #[comptime] guarded: bool) -> f32 {
    let good = if comptime![guarded] {
        scale > guard
    } else {
        scale != 0.0f32
    };
    select(good, scale, guard)
}

#[cube]
fn sign(x: f32) -> f32 {
    select(x > 0.0f32, 1.0f32, 0.0f32) - select(x < 0.0f32, 1.0f32, 0.0f32)
}

/// What a member of a group adds, in units of the group's scale.
#[cube]
fn unit(x: f32, #[comptime] signs: bool) -> f32 {
    if comptime![signs] {
        sign(x)
    } else {
        1.0f32.runtime()
    }
}

/// The level of an element whose quotient is `q`.
#[cube]
fn level(x: f32, q: f32, low: f32, high: f32, #[comptime] signs: bool) -> f32 {
    if comptime![signs] {
        sign(x)
    } else {
        let above = select(q < low, low, q);
        select(above > high, high, above).round()
    }
}

#[cube]
fn is_within(q: f32, low: f32, high: f32) -> bool {
    // What is no number is neither below nor above.
    !(q < low || q > high)
}

/// Beyond the threshold's part of the maximum or, of signed values, of the minimum.
#[cube]
fn is_member(
    x: f32,
    extrema: &LinearView<'_, f32>,
    index: usize,
    threshold: f32,
    #[comptime] signs: bool,
) -> bool {
    let above = x > extrema.read(2 * index) * threshold;
    if comptime![signs] {
        above || x < extrema.read(2 * index + 1) * threshold
    } else {
        above
    }
}
