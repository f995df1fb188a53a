//! Products of bfloat16 and of floats on this processor: pairs that its instructions multiply and add up in a nanosecond, and
//! the three products of linear layers of DeiT-S, with float and with one-bit weights, in turns.
//!
//! The instructions are `vfmadd231ps`, 16 pairs of floats, `vdpbf16ps`, 32 pairs of bfloat16, and `tdpbf16ps`, 8,192 of
//! them, on one thread. The products are whole: rounding and packing, multiplying, writing the output. `RAYON_NUM_THREADS`
//! sets their number of threads, `ROUNDS` the number of turns.

use std::time::Instant;

use burn::backend::{Flex, Scalar, flex::FlexTensor, ops::FloatTensorOps};
use burn::tensor::{Device, Distribution, Tensor};
use gsb_cpu::{FloatOps, Products, on_worker, with_products};

#[cfg(target_arch = "x86_64")]
mod rates {
    use std::arch::x86_64::*;
    use std::hint::black_box;
    use std::time::Instant;

    /// Independent sums, so that no instruction waits for the one before.
    const SUMS: usize = 24;
    const ROUNDS: u32 = 10_000_000;

    /// Pairs in a nanosecond: a macro, because a closure has no target features to be inlined with.
    macro_rules! rate {
        ($name:ident, $features:literal, $pairs:literal, |$sum:ident| $add:expr, $x:ident = $value:expr) => {
            #[target_feature(enable = $features)]
            pub fn $name() -> f64 {
                let $x = black_box($value);
                let mut sums = [_mm512_setzero_ps(); SUMS];
                let start = Instant::now();
                for _ in 0..ROUNDS {
                    for $sum in &mut sums {
                        *$sum = $add;
                    }
                }
                let nanoseconds = start.elapsed().as_secs_f64() * 1e9;
                black_box(sums);
                $pairs * f64::from(ROUNDS) * SUMS as f64 / nanoseconds
            }
        };
    }

    rate!(
        floats,
        "avx512f",
        16.0,
        |sum| _mm512_fmadd_ps(x, x, *sum),
        x = _mm512_set1_ps(1.0)
    );
    rate!(
        bfloats,
        "avx512f,avx512bf16",
        32.0,
        |sum| _mm512_dpbf16_ps(*sum, x, x),
        x = _mm512_cvtne2ps_pbh(_mm512_set1_ps(1.0), _mm512_set1_ps(1.0))
    );
}

/// Pairs that tiles multiply and add up in a nanosecond.
#[cfg(target_arch = "x86_64")]
fn tiles(amx: gsb_amx::Amx) -> f64 {
    const ROUNDS: u64 = 2_000_000;
    let _tiles = amx.set_up();
    let start = Instant::now();
    #[allow(unsafe_code)]
    // SAFETY: tiles are set up, and what they hold does not matter.
    unsafe {
        std::arch::asm!(
            "2:",
            "tdpbf16ps tmm0, tmm4, tmm6",
            "tdpbf16ps tmm1, tmm4, tmm7",
            "tdpbf16ps tmm2, tmm5, tmm6",
            "tdpbf16ps tmm3, tmm5, tmm7",
            "dec {rounds}",
            "jnz 2b",
            rounds = inout(reg) ROUNDS => _,
            out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
            out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
            options(nostack),
        );
    }
    4.0 * 8192.0 * ROUNDS as f64 / (start.elapsed().as_secs_f64() * 1e9)
}

/// The rate of tiles, if the process may use them.
fn print_tiles() {
    #[cfg(target_arch = "x86_64")]
    if let Ok(amx) = gsb_amx::Amx::new(gsb_amx::Operands::Bfloat16) {
        for _ in 0..3 {
            let rate = tiles(amx);
            println!("tiles, pairs a nanosecond: bfloat16 {rate:.0}");
        }
    }
}

/// Rates of the vector instructions, if the processor has them.
fn vectors() {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx512bf16") {
        for _ in 0..3 {
            #[allow(unsafe_code)]
            // SAFETY: the processor has the instructions.
            let [floats, bfloats] = unsafe { [rates::floats(), rates::bfloats()] };
            println!("vectors, pairs a nanosecond: floats {floats:.1}, bfloat16 {bfloats:.1}");
        }
        return;
    }
    println!("this processor has no vector instructions for bfloat16");
}

/// Inputs and outputs of the layers, on 8 images of 198 tokens: `qkv`, `output`, `fc1`, `fc2`.
const LAYERS: [[usize; 2]; 4] = [[384, 1152], [384, 384], [384, 1536], [1536, 384]];
const TOKENS: usize = 8 * 198;

fn products() {
    let computed = |products: &Products| match products.check() {
        Ok(()) => true,
        Err(missing) => {
            println!("{missing}");
            false
        }
    };
    let kinds: Vec<Products> = Products::ALL.into_iter().filter(computed).collect();
    let rounds = std::env::var("ROUNDS")
        .ok()
        .and_then(|rounds| rounds.parse().ok());
    println!("{TOKENS} tokens, ms (medians; least)");
    for [inputs, outputs] in LAYERS {
        let x = random([TOKENS, inputs]);
        let (weight, bias) = (random([inputs, outputs]), random([outputs]));
        let grad = random([TOKENS, outputs]);
        let signs = Flex::float_mul_scalar(Flex::float_sign(weight.clone()), Scalar::from(0.1));
        for (name, weight) in [("floats", weight), ("one bit", signs)] {
            let mut times = vec![[const { Vec::new() }; 3]; kinds.len()];
            // The first round finds memory and warms up.
            for round in 0..=rounds.unwrap_or(20) {
                for (times, &products) in times.iter_mut().zip(&kinds) {
                    let step = || {
                        let (x, weight) = (|| x.clone(), || weight.clone());
                        [
                            time(|| Flex::affine(x(), weight(), bias.clone())),
                            time(|| Flex::affine_x_backward(weight(), grad.clone())),
                            time(|| Flex::affine_weight_backward(x(), grad.clone())),
                        ]
                    };
                    let step = with_products(products, step).expect("was checked");
                    if round > 0 {
                        for (times, time) in times.iter_mut().zip(step) {
                            times.push(time);
                        }
                    }
                }
            }
            for (products, times) in kinds.iter().zip(times) {
                let [y, for_x, for_weight] = times.map(|mut times| {
                    times.sort_by(f64::total_cmp);
                    format!("{:.2}; {:.2}", times[times.len() / 2], times[0])
                });
                println!(
                    "{inputs} to {outputs}, weight of {name}, {products}: forward {y}, gradient of input {for_x}, of weight \
                     {for_weight}"
                );
            }
        }
    }
}

/// Milliseconds that a task takes, without those of freeing its result.
fn time<T>(task: impl FnOnce() -> T) -> f64 {
    let start = Instant::now();
    let result = std::hint::black_box(task());
    let time = start.elapsed();
    drop(result);
    time.as_secs_f64() * 1e3
}

fn random<const D: usize>(shape: [usize; D]) -> FlexTensor {
    let values = Tensor::<D>::random(shape, Distribution::Normal(0.0, 1.0), &Device::flex());
    FlexTensor::from_data(values.into_data())
}

fn main() {
    vectors();
    print_tiles();
    on_worker(products);
}
