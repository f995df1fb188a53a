//! Whether products of bfloat16 would be faster than those of floats on this processor: pairs that it multiplies and adds
//! up in a nanosecond, by `vdpbf16ps`, 32 an instruction, and by `vfmadd231ps`, 16.

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

#[cfg(target_arch = "x86_64")]
fn main() {
    if !is_x86_feature_detected!("avx512bf16") {
        println!("this processor has no instructions for bfloat16");
        return;
    }
    for _ in 0..5 {
        #[allow(unsafe_code)]
        // SAFETY: the processor has the instructions.
        let [floats, bfloats] = unsafe { [rates::floats(), rates::bfloats()] };
        println!("pairs a nanosecond: floats {floats:.1}, bfloat16 {bfloats:.1}");
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn main() {
    println!("instructions for bfloat16 are only known for x86-64");
}
