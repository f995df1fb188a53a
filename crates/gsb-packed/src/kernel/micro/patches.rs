//! Products of patches of bytes with their weight.
//!
//! Each colour's mean and deviation are folded into the factor and the constant of its sum of products
//! of bytes, which is exact.

use super::linear::Inputs;
use crate::kernel::simd::{Line, Simd};

/// The patches of an image, to be embedded.
pub(crate) struct Patches<'a> {
    /// Pixels of each patch, colour by colour.
    pub(crate) pixels: Inputs<'a>,
    pub(crate) weights: &'a PatchWeights,
    /// What is added last: `[patches, panels]`.
    pub(crate) positions: &'a [[Line<f32>; 4]],
    /// A row for each patch: `[patches, panels]`.
    pub(crate) out: &'a mut [[Line<f32>; 4]],
}

/// The weight of a patch embedding.
#[derive(Debug, Default)]
pub(crate) struct PatchWeights {
    /// `[panels, colours, words]`.
    pub(crate) panels: Vec<[Line; 4]>,
    /// Words of a colour of a patch.
    pub(crate) words: usize,
    /// What a colour's sum is multiplied by: `[colours, panels]`.
    pub(crate) factors: Vec<[Line<f32>; 4]>,
    /// What is added: `[panels]`.
    pub(crate) constants: Vec<[Line<f32>; 4]>,
}

/// The micro-kernel: tiles of `R` patches by `V` vectors of a panel.
#[inline(always)]
pub(crate) fn run<S: Simd, const R: usize, const V: usize>(s: S, patches: Patches<'_>) {
    let PatchWeights {
        panels: weights,
        words,
        factors,
        constants,
    } = patches.weights;
    let panels = constants.len();
    let colours = factors.len() / panels;
    for panel in 0..panels {
        let weights = &weights[panel * colours * words..][..colours * words];
        for (first, rows) in patches.pixels.tiles::<R>() {
            for v in (0..4).step_by(V) {
                let mut values = [[s.splat_f(0.0); V]; R];
                for value in &mut values {
                    for i in 0..V {
                        value[i] = s.load_f(&constants[panel][v + i].0);
                    }
                }
                for (colour, weights) in weights.chunks_exact(*words).enumerate() {
                    let tile = patches.pixels.tile::<R>(first, colour * words, *words);
                    let sums = products::<S, R, V>(s, &tile, weights, v);
                    let factors = &factors[colour * panels + panel];
                    for r in 0..R {
                        for i in 0..V {
                            let sum = s.mul(s.to_f(sums[r][i]), s.load_f(&factors[v + i].0));
                            values[r][i] = s.add(values[r][i], sum);
                        }
                    }
                }
                for (r, value) in values.into_iter().enumerate().take(rows) {
                    let at = (first + r) * panels + panel;
                    let (out, position) = (&mut patches.out[at], &patches.positions[at]);
                    for i in 0..V {
                        let sum = s.add(value[i], s.load_f(&position[v + i].0));
                        s.store_f(sum, &mut out[v + i].0);
                    }
                }
            }
        }
    }
}

/// The sums of a colour.
#[inline(always)]
fn products<S: Simd, const R: usize, const V: usize>(
    s: S,
    tile: &[&[u32]; R],
    weights: &[[Line; 4]],
    v: usize,
) -> [[S::U; V]; R] {
    let mut sums = [[s.splat_u(0); V]; R];
    for (k, lines) in weights.iter().enumerate() {
        let mut w = [s.splat_u(0); V];
        for i in 0..V {
            w[i] = s.load_u(&lines[v + i].0);
        }
        for r in 0..R {
            let x = s.splat_u(tile[r][k]);
            for i in 0..V {
                sums[r][i] = s.dot(sums[r][i], x, w[i]);
            }
        }
    }
    sums
}
