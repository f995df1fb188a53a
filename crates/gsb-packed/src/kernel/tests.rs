//! Kernels of every instruction set against sums written plainly.

use std::fmt::Debug;

use bytemuck::Pod;
use proptest::prelude::*;

use super::attended::{Together, VALUE_PLANES};
use super::instruction_set::{InstructionSet, Task};
use super::linear::{AddSigns, Arrange, Linear};
use super::micro::common::{Halves, ValuePlane};
use super::micro::linear::{Epilogue, Inputs, PANEL, ROW_PADDING, Weights};
use super::micro::patches::{PatchWeights, Patches};
use super::norm::{Norm, NormSigns};
use super::patches::{ArrangePatches, CutPatches};
use super::product::Product;
use super::shifts::ArrangeShifts;
use super::simd::{LANES, Line, Simd};
use super::{Isa, Kernels, Scalar};
use crate::Random;
use crate::products::{Products, limit_offset};

fn all() -> impl Iterator<Item = Kernels> {
    Isa::available().flat_map(|isa| Kernels::ways(isa, &Product::ALL))
}

/// The counts of every row and channel.
struct Counts(Vec<Vec<u32>>);

impl Epilogue for Counts {
    #[inline(always)]
    fn put<S: Simd>(&mut self, s: S, row: usize, panel: usize, counts: [S::U; 4]) {
        for (v, counts) in counts.into_iter().enumerate() {
            let mut lanes = [0; LANES];
            s.store_u(counts, &mut lanes);
            self.0[row][panel * PANEL + v * LANES..][..LANES].copy_from_slice(&lanes);
        }
    }
}

/// Words of mostly zeros, mostly ones or anything.
fn words(random: &mut Random, len: usize, density: usize) -> Vec<u32> {
    let word = |random: &mut Random| match density {
        0 => 0,
        1 => u32::MAX,
        _ => random.bits() as u32,
    };
    (0..len).map(|_| word(random)).collect()
}

/// Operations one by one.
struct Operations([Line; 3]);

impl Task for Operations {
    type Output = Vec<u32>;

    #[inline(always)]
    fn run<S: InstructionSet>(self, s: S) -> Vec<u32> {
        let [a, b, c] = [0, 1, 2].map(|i| s.load_u(&self.0[i].0));
        let floats = |line: &Line| line.0.map(|x| (x as i32 >> 8) as f32 / 16.0);
        let (x, y) = (s.load_f(&floats(&self.0[0])), s.load_f(&floats(&self.0[1])));
        let table = s.table(&std::array::from_fn(|i| i as f32 * 1.5));
        let doubles = |line: &Line| line.0.map(|x| f64::from(x as i32 >> 3));
        let (d, e) = (
            s.load_d(&doubles(&self.0[1])),
            s.load_d(&doubles(&self.0[2])),
        );
        let mut out = Vec::new();
        for u in [
            s.xor(a, b),
            s.and(a, b),
            s.or(a, b),
            s.add_u(a, b),
            s.sub_u(a, b),
            s.min_u(a, b),
            s.shift_right_4(a),
            s.widen(s.count(s.count(s.splat_u(0), a), b)),
            s.select_u(s.gt_u(a, b), c),
            s.select_u(s.test(a, b), c),
            s.select_u(s.or_m(s.gt(x, y), s.eq(x, y)), c),
            s.select_u(s.or_m(s.gt_d(d, e), s.eq_d(d, e)), c),
            s.dot(c, s.and(a, s.splat_u(0x007f_007f)), b),
            s.load_levels(&self.0[0].0.map(|x| x as i8)),
        ] {
            let mut lanes = [0; LANES];
            s.store_u(u, &mut lanes);
            out.extend(lanes);
        }
        for f in [
            s.add(x, y),
            s.sub(x, y),
            s.mul(x, y),
            s.div(x, y),
            s.max(x, y),
            s.min(x, y),
            s.to_f(c),
            s.lookup(table, a),
        ] {
            let mut lanes = [0.0; LANES];
            s.store_f(f, &mut lanes);
            // 0 / 0 has one meaning and many bit patterns.
            out.extend(lanes.map(|x| if x.is_nan() { 0 } else { x.to_bits() }));
        }
        for d in [
            s.add_d(d, e),
            s.mul_d(d, e),
            s.to_d(c),
            s.select_d(s.gt_u(a, b), e),
        ] {
            let mut lanes = [0.0; LANES];
            s.store_d(d, &mut lanes);
            out.extend(
                lanes
                    .iter()
                    .flat_map(|x| [x.to_bits() as u32, (x.to_bits() >> 32) as u32]),
            );
        }
        out.push(s.mask_bits(s.gt_u(a, b)).into());
        out
    }
}

/// Pixels in a lane.
struct Pixels;

impl Task for Pixels {
    type Output = usize;

    #[inline(always)]
    fn run<S: InstructionSet>(self, _: S) -> usize {
        S::PIXELS
    }
}

/// Puts lines of a plane of the value in the order that they are read in.
struct PairChannels<'a>(&'a mut [Line]);

impl Task for PairChannels<'_> {
    /// Whether [`Together`] counts.
    type Output = bool;

    #[inline(always)]
    fn run<S: InstructionSet>(self, s: S) -> bool {
        for line in self.0 {
            s.store_u(s.pair_channels(s.load_u(&line.0)), &mut line.0);
        }
        S::TOGETHER
    }
}

/// Rows of shifts, or of levels, turned by every kernel as one turns them by hand.
fn turned_by_all<T: Pod + PartialEq + Debug>(tokens: usize, padding: T, value: impl Fn(u64) -> T) {
    let heads = 2;
    let mut random = Random::new(tokens as u64);
    let len = heads * tokens * tokens;
    let rows: Vec<T> = (0..len).map(|_| value(random.bits())).collect();
    let blocks = tokens.div_ceil(LANES);
    let mut expected = vec![[padding; LANES]; heads * blocks * tokens];
    for (at, &shift) in rows.iter().enumerate() {
        let (head, query, key) = (at / tokens / tokens, at / tokens % tokens, at % tokens);
        expected[(head * blocks + query / LANES) * tokens + key][query % LANES] = shift;
    }
    for kernels in all() {
        let mut lines = vec![[value(1); LANES]; expected.len()];
        let right = kernels.run(ArrangeShifts {
            lines: &mut lines,
            padding,
            tokens,
            decode: |first: usize, out: &mut [T]| out.copy_from_slice(&rows[first..][..out.len()]),
            check: |_| true,
        });
        assert!(right && lines == expected, "{kernels:?}, {tokens} tokens");
    }
}

#[test]
fn shifts_are_turned_alike() {
    let tokens = [1, 15, 16, 17, 63, 64, 65, 80, 127, 128, 198];
    for tokens in tokens
        .into_iter()
        .filter(|&tokens| !cfg!(miri) || tokens < 20)
    {
        turned_by_all(tokens, f32::NEG_INFINITY, |bits| (bits as i16).into());
        turned_by_all(tokens, 0, |bits| bits as u8);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 1 } else { 64 }))]

    #[test]
    fn operations_agree(seed: u64, alike: bool) {
        let mut random = Random::new(seed);
        let mut lines = [(); 3].map(|()| Line(std::array::from_fn(|_| random.bits() as u32)));
        if alike {
            lines[1].0[3] = lines[0].0[3];
            lines[2].0[5] = lines[1].0[5];
        }
        let expected = Kernels::Scalar(Scalar).run(Operations(lines));
        for kernels in all() {
            // VNNI multiplies bytes where others multiply halves: products have a test of their own.
            let mut found = kernels.run(Operations(lines));
            if kernels.run(Pixels) != Scalar::PIXELS {
                let dot = 12 * LANES..13 * LANES;
                found[dot.clone()].copy_from_slice(&expected[dot]);
            }
            prop_assert_eq!(&found, &expected, "{:?}", kernels);
        }
    }

    #[test]
    fn binary_products_are_exact(
        seed: u64,
        rows in prop_oneof![1usize..50, 250usize..290],
        channels in 1usize..150,
        columns in prop_oneof![1usize..5, 5usize..70],
        density in 0usize..4,
    ) {
        // An interpreter would take minutes.
        let rows = if cfg!(miri) { rows % 20 + 1 } else { rows };
        let mut random = Random::new(seed);
        let stride = columns + seed as usize % 3;
        let inputs = words(&mut random, (rows + ROW_PADDING) * stride, density);
        let weights = words(&mut random, channels * columns, (density + 1) % 4);
        let padded = channels.next_multiple_of(PANEL);
        for kernels in all() {
            let row = |channel: usize, out: &mut [u32]| match weights.get(channel * columns..) {
                Some(row) if channel < channels => out.copy_from_slice(&row[..columns]),
                _ => out.fill(0),
            };
            let mut panels = vec![Default::default(); padded / PANEL * columns];
            kernels.run(Arrange { words: columns, row, out: &mut panels });
            let position = seed as usize % (32 * columns);
            let mut sums = vec![0; channels];
            kernels.run(AddSigns {
                weights: Weights { panels: &panels, words: columns },
                position,
                sums: &mut sums,
            });
            for (sum, row) in sums.iter().zip(weights.chunks(columns)) {
                let set = row[position / 32] >> (position % 32) & 1 == 1;
                prop_assert_eq!(*sum, if set { 1 } else { -1 }, "{:?}", kernels);
            }
            let mut counts = Counts(vec![vec![u32::MAX; padded]; rows]);
            // Rows in two parts, as rows with zeros divide them.
            let part = rows / 2;
            for range in [0..part, part..rows] {
                kernels.run(Linear {
                    inputs: Inputs::new(&inputs, stride, range),
                    weights: Weights { panels: &panels, words: columns },
                    epilogue: &mut counts,
                });
            }
            for (row, counts) in counts.0.iter().enumerate() {
                let x = &inputs[row * stride..][..columns];
                for (channel, w) in weights.chunks(columns).enumerate() {
                    let different = x.iter().zip(w).map(|(x, w)| (x ^ w).count_ones()).sum::<u32>();
                    prop_assert_eq!(counts[channel], different, "{:?}, row {}", kernels, row);
                }
            }
        }
    }

    #[test]
    fn common_ones_are_exact(
        seed: u64,
        keys in 1usize..20,
        vectors in prop_oneof![Just(2), Just(4), Just(6)],
        planes in 1usize..=VALUE_PLANES,
        density in 0usize..4,
    ) {
        let mut random = Random::new(seed);
        let channels = vectors * LANES;
        let stride = vectors + seed as usize % 3;
        let mut lines = |count: usize, density: usize| -> Vec<Line> {
            let words = words(&mut random, count * LANES, density);
            let (lines, _) = words.as_chunks();
            lines.iter().copied().map(Line).collect()
        };
        let blocks = [lines(keys, density), lines(keys, density.max(1))];
        let values: Vec<_> = (0..planes).map(|_| lines(keys * stride, (density + 1) % 4)).collect();
        for kernels in all() {
            let mut paired = values.clone();
            let mut counts = true;
            for plane in &mut paired {
                counts = kernels.run(PairChannels(plane));
            }
            if !counts {
                continue;
            }
            let value_planes: Vec<_> =
                paired.iter().map(|lines| ValuePlane { lines, stride }).collect();
            let mut out = vec![Halves([[u16::MAX; LANES]; 2]); VALUE_PLANES * channels];
            kernels.run(Together {
                attention: &[[&blocks[0], &blocks[1]]],
                planes: &value_planes,
                channels,
                out: &mut out,
            });
            for (plane, value) in values.iter().enumerate() {
                for channel in 0..channels {
                    let (vector, lane) = (channel / LANES, channel % LANES);
                    for (block, counts) in blocks.iter().zip(out[plane * channels + channel].0) {
                        let expected: [u16; LANES] = std::array::from_fn(|query| {
                            let word = |key: usize| {
                                block[key].0[query] & value[key * stride + vector].0[lane]
                            };
                            (0..keys).map(|key| word(key).count_ones() as u16).sum()
                        });
                        prop_assert_eq!(counts, expected, "{:?}, channel {}", kernels, channel);
                    }
                }
            }
        }
    }

    /// Counts are compared with limits where sums would be compared with thresholds.
    #[test]
    fn limits_decide_as_thresholds(
        scales in prop::array::uniform2(1e-5f32..2.0),
        keys in 1usize..300,
        at in -320i32..320,
        off in prop_oneof![Just(0.0f64), -1.0f64..1.0],
    ) {
        let products = Products::new(&scales[..1], &scales[1..], keys);
        let worth = products.groups[0][0];
        let threshold = (f64::from(at) + off) * worth;
        let sums = -(keys as i32)..=keys as i32;
        match products.limit(keys, threshold) {
            None => prop_assert_eq!(off, 0.0),
            Some(limit) => for sum in sums {
                let product = f64::from(sum) * worth;
                prop_assert!(product != threshold);
                let shifted = limit_offset(keys).wrapping_add_signed(sum);
                prop_assert_eq!(shifted > limit, product > threshold, "{} of {}", sum, threshold);
            },
        }
    }

    #[test]
    fn precise_products_are_rounded_as_single_precision_is(
        attention in prop::collection::vec(1e-5f32..1.0, 1..4),
        value in prop::collection::vec(1e-2f32..100.0, 1..4),
        small in 1e-5f32..1e-2,
        keys in 1usize..1 << 14,
    ) {
        let mut attention = attention;
        for small in [1.0, small] {
            attention[0] *= small;
            let products = Products::new(&attention, &value, keys);
            let exact = attention.iter().flat_map(|&a| value.iter().map(move |&v| f64::from(a) * f64::from(v)));
            let rounded = products.groups.iter().flat_map(|group| &group[..value.len()]);
            let near = exact.zip(rounded).all(|(exact, rounded)| (exact - rounded).abs() <= exact / f64::from(1u32 << 24));
            prop_assert!(near || !Products::are_precise(&attention, &value, keys));
        }
    }

    #[test]
    fn patches_are_exact(
        seed: u64,
        side in 1usize..5,
        patch in 1usize..9,
        colours in 1usize..4,
        channels in 1usize..100,
        extreme: bool,
    ) {
        let mut random = Random::new(seed);
        let size = side * patch;
        let values = patch * patch;
        let byte = |random: &mut Random| if extreme { 255 } else { random.bits() as u8 };
        let image: Vec<u8> = (0..size * size * colours).map(|_| byte(&mut random)).collect();
        let levels: Vec<i8> = (0..channels * colours * values)
            .map(|_| if extreme { -128 } else { random.bits() as i8 })
            .collect();
        let panels = channels.div_ceil(PANEL);
        for kernels in all() {
            let level = |channel: usize, colour: usize, at: usize| {
                levels[(channel * colours + colour) * values + at]
            };
            let (arranged, words) = kernels.run(ArrangePatches { levels: &levels, panels, colours, values });
            let weights = PatchWeights {
                panels: arranged,
                words,
                factors: vec![[Line([1.0; LANES]); 4]; colours * panels],
                constants: vec![[Line([0.5; LANES]); 4]; panels],
            };
            let mut pixels = vec![0; (side * side + ROW_PADDING) * colours * words];
            let positions = vec![[Line([2.0; LANES]); 4]; side * side * panels];
            kernels.run(CutPatches { image: &image, size, colours, patch, out: &mut pixels, words });
            let mut out = vec![[Line([0.0; LANES]); 4]; side * side * panels];
            kernels.run(Patches {
                pixels: Inputs::new(&pixels, colours * words, 0..side * side),
                weights: &weights,
                positions: &positions,
                out: &mut out,
            });
            for index in 0..side * side {
                for channel in 0..channels {
                    let mut expected = 0.5f32;
                    for colour in 0..colours {
                        let mut sum = 0;
                        for at in 0..values {
                            let (y, x) = (index / side * patch + at / patch, index % side * patch + at % patch);
                            let pixel = image[(y * size + x) * colours + colour];
                            sum += i32::from(pixel) * i32::from(level(channel, colour, at));
                        }
                        expected += sum as f32;
                    }
                    expected += 2.0;
                    let line = &out[index * panels + channel / PANEL][channel % PANEL / LANES];
                    prop_assert_eq!(line.0[channel % LANES], expected, "{:?}", kernels);
                }
            }
        }
    }

    #[test]
    fn normalizations_agree(seed: u64, rows in 1usize..15, width in 1usize..200, constant: bool) {
        let mut random = Random::new(seed);
        let chunks = width.div_ceil(4 * LANES);
        let mut line = |valid: &dyn Fn(usize) -> bool, padding: f32| -> Vec<[Line<f32>; 4]> {
            let mut lines = vec![[Line([padding; LANES]); 4]; chunks];
            for at in (0..width).filter(|&at| valid(at)) {
                lines[at / 64][at % 64 / LANES].0[at % LANES] = random.normal();
            }
            lines
        };
        let mut stream: Vec<[Line<f32>; 4]> = (0..rows).flat_map(|_| line(&|_| true, 0.0)).collect();
        if constant {
            for at in 0..width {
                stream[at / 64][at % 64 / LANES].0[at % LANES] = 1.0;
            }
        }
        let norm = Norm {
            width,
            epsilon: 1e-12,
            gamma: line(&|_| true, 0.0),
            // Some are -1, and where the row is constant or the factor 0, others are 0.
            offset: line(&|at| at % 3 > 0, -1.0),
        };
        let run = |kernels: Kernels| {
            let (mut out, mut zeros) = (vec![0; rows * 2 * chunks], Vec::new());
            kernels.run(NormSigns { norm: &norm, stream: &stream, out: &mut out, zeros: &mut zeros });
            (out, zeros)
        };
        let expected = run(Kernels::Scalar(Scalar));
        for kernels in all() {
            prop_assert_eq!(run(kernels), expected.clone(), "{:?}", kernels);
        }
    }
}
