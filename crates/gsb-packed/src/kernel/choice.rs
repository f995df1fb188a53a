//! The choice among ways of binary products that give the same, by measuring them.

use std::hint::black_box;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use super::linear::{Arrange, Linear, ToCounts};
use super::micro::linear::{Inputs, ROW_PADDING, Weights};
use super::product::Product;
use super::simd::Line;
use super::{Isa, Kernels};
use crate::Error;

/// The kernels of an instruction set with the fastest way of products on this machine, or that of the
/// environment variable `GSB_FORCE_PRODUCT`.
///
/// # Errors
/// [`Error::Isa`] if the machine does not have it, [`Error::Product`] if the variable names a way that is
/// unknown or that the machine lacks.
pub(crate) fn choose(isa: Isa) -> Result<Kernels, Error> {
    let forced = Product::forced()?;
    let mut ways = Kernels::ways(isa, &Product::MEASURED);
    let first = ways.next().ok_or_else(|| isa.unavailable())?;
    let others: Vec<Kernels> = ways.collect();
    match forced {
        Some(product) if isa == Isa::Avx512 => {
            return Kernels::with(isa, product).ok_or_else(|| product.unavailable());
        }
        // Other instruction sets have one way, whatever is asked for, unless the machine cannot know it.
        Some(Product::Tiles) if Kernels::with(Isa::Avx512, Product::Tiles).is_none() => {
            return Err(Product::Tiles.unavailable());
        }
        _ if others.is_empty() => return Ok(first),
        _ => {}
    }
    // One instruction set at most has several.
    static FASTEST: OnceLock<Kernels> = OnceLock::new();
    Ok(*FASTEST.get_or_init(|| fastest(first, &others)))
}

/// Words of a row and panels of the product that is measured: a layer of DeiT-S, in the nearest cache.
const WORDS: usize = 12;
const PANELS: usize = 6;
/// Rows: whole tiles of every way.
const ROWS: usize = 24;
/// Turns of every way, of which the shortest counts: a few microseconds each.
const TURNS: usize = 24;

/// That which takes the least time.
fn fastest(first: Kernels, others: &[Kernels]) -> Kernels {
    let ways: Vec<Kernels> = [first].into_iter().chain(others.iter().copied()).collect();
    let arrange = |kernels: &Kernels| {
        let mut panels = vec![Default::default(); PANELS * WORDS];
        kernels.run(Arrange {
            words: WORDS,
            row: |channel: usize, out: &mut [u32]| out.fill(channel as u32),
            out: &mut panels,
        });
        panels
    };
    let weights: Vec<Vec<[Line; 4]>> = ways.iter().map(arrange).collect();
    let rows: Vec<u32> = (0..).take((ROWS + ROW_PADDING) * WORDS).collect();
    let mut counts = vec![Default::default(); PANELS];
    let mut least = vec![Duration::MAX; ways.len()];
    for _ in 0..TURNS {
        for (index, kernels) in ways.iter().enumerate() {
            let start = Instant::now();
            kernels.run(Linear {
                inputs: Inputs::new(black_box(&rows), WORDS, 0..ROWS),
                weights: Weights {
                    panels: &weights[index],
                    words: WORDS,
                },
                epilogue: &mut ToCounts(&mut counts),
            });
            black_box(&counts);
            least[index] = least[index].min(start.elapsed());
        }
    }
    let best = (0..ways.len()).min_by_key(|&index| least[index]);
    best.map_or(first, |index| ways[index])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_instruction_set_has_a_way() {
        for isa in Isa::available() {
            let chosen = choose(isa).unwrap();
            let ways: Vec<String> = Kernels::ways(isa, &Product::ALL)
                .map(|way| format!("{way:?}"))
                .collect();
            assert!(ways.contains(&format!("{chosen:?}")), "{isa}: {ways:?}");
        }
    }

    // An interpreter would take minutes to measure.
    #[cfg_attr(miri, ignore)]
    #[test]
    fn measuring_chooses_among_those_there_are() {
        let ways: Vec<Kernels> = Isa::available()
            .flat_map(|isa| Kernels::ways(isa, &Product::ALL))
            .collect();
        let chosen = format!("{:?}", fastest(ways[0], &ways[1..]));
        assert!(ways.iter().any(|way| format!("{way:?}") == chosen));
        // Plain arithmetic comes last.
        if ways.len() > 1 {
            assert_ne!(chosen, format!("{:?}", ways[ways.len() - 1]));
        }
    }
}
