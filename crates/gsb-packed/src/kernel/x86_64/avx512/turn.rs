//! Matrices of 16 rows turned, for which a compiler scatters elements one by one.

use core::arch::x86_64::*;

use bytemuck::Pod;

use super::registers::Avx512;
use crate::kernel::simd::LANES;

/// Bytes of a register.
const BYTES: usize = 64;

/// `lines[column][row] = rows[row][column]` for the first columns, as many of them as fill registers: gives how many.
///
/// # Panics
/// If a row has fewer columns than there are lines.
#[inline(always)]
pub(super) fn turn<T: Pod>(s: Avx512, rows: [&[T]; LANES], lines: &mut [[T; LANES]]) -> usize {
    let columns = BYTES / size_of::<T>();
    if !matches!(size_of::<T>(), 1 | 4) {
        return 0;
    }
    let whole = lines.len() / columns * columns;
    for (index, lines) in lines.chunks_exact_mut(columns).enumerate() {
        // Loops, because closures need not become part of the function that enables the instructions.
        let mut square = call!([_mm512_setzero_si512(); LANES]);
        for (x, row) in square.iter_mut().zip(rows) {
            let bytes = bytemuck::cast_slice::<T, u8>(&row[index * columns..][..columns]);
            *x = call!(_mm512_loadu_si512(bytes[..BYTES].as_ptr().cast()));
        }
        let turned = turn_words(s, square);
        let bytes = bytemuck::cast_slice_mut::<[T; LANES], u8>(lines);
        let registers = bytes.as_chunks_mut::<BYTES>().0;
        for (out, mut x) in registers.iter_mut().zip(turned) {
            if size_of::<T>() == 1 {
                x = turn_bytes(s, x);
            }
            call!(_mm512_storeu_si512(out.as_mut_ptr().cast(), x));
        }
    }
    whole
}

/// A square of words of four bytes.
#[inline(always)]
fn turn_words(_: Avx512, x: [__m512i; LANES]) -> [__m512i; LANES] {
    let mut y = x;
    call!({
        // Of each four rows, four words of a column side by side.
        for i in (0..LANES).step_by(4) {
            let [a, b, c, d] = [x[i], x[i + 1], x[i + 2], x[i + 3]];
            let (low, high) = (_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
            let (low_2, high_2) = (_mm512_unpacklo_epi32(c, d), _mm512_unpackhi_epi32(c, d));
            y[i] = _mm512_unpacklo_epi64(low, low_2);
            y[i + 1] = _mm512_unpackhi_epi64(low, low_2);
            y[i + 2] = _mm512_unpacklo_epi64(high, high_2);
            y[i + 3] = _mm512_unpackhi_epi64(high, high_2);
        }
        // Those quarters of registers, of all rows.
        let mut z = y;
        for j in 0..4 {
            let [a, b, c, d] = [y[j], y[4 + j], y[8 + j], y[12 + j]];
            let even = _mm512_shuffle_i32x4::<0x88>(a, b);
            let odd = _mm512_shuffle_i32x4::<0xdd>(a, b);
            let even_2 = _mm512_shuffle_i32x4::<0x88>(c, d);
            let odd_2 = _mm512_shuffle_i32x4::<0xdd>(c, d);
            z[j] = _mm512_shuffle_i32x4::<0x88>(even, even_2);
            z[4 + j] = _mm512_shuffle_i32x4::<0x88>(odd, odd_2);
            z[8 + j] = _mm512_shuffle_i32x4::<0xdd>(even, even_2);
            z[12 + j] = _mm512_shuffle_i32x4::<0xdd>(odd, odd_2);
        }
        z
    })
}

/// Four columns of bytes of 16 rows, which are words of a column each before.
#[inline(always)]
fn turn_bytes(_: Avx512, x: __m512i) -> __m512i {
    call!({
        let within = _mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
        let across = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
        let bytes = _mm512_shuffle_epi8(x, _mm512_broadcast_i32x4(within));
        _mm512_permutexvar_epi32(across, bytes)
    })
}
