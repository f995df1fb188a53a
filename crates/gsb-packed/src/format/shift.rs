//! Attention shifts as a file stores them.

use half::f16;
use half::slice::HalfFloatSliceExt;

/// The attention shifts of a block, `[heads, queries, keys]`, in the bytes of a file.
#[derive(Debug)]
pub(crate) enum StoredShift<'a> {
    F32(&'a [[u8; 4]]),
    F16(&'a [[u8; 2]]),
    I8 {
        levels: &'a [u8],
        /// A step for each head.
        steps: Vec<f32>,
    },
}

impl StoredShift<'_> {
    /// Some shifts of a head, from one on.
    #[inline(always)]
    pub(crate) fn decode(&self, first: usize, out: &mut [f32]) {
        match self {
            Self::F32(values) => {
                let values = &values[first..][..out.len()];
                for (out, &value) in out.iter_mut().zip(values) {
                    *out = f32::from_le_bytes(value);
                }
            }
            Self::F16(values) => decode_halves(&values[first..][..out.len()], out),
            Self::I8 { levels, steps } => {
                let step = steps[first / (levels.len() / steps.len())];
                let levels = &levels[first..][..out.len()];
                for (out, &level) in out.iter_mut().zip(levels) {
                    *out = f32::from(level as i8) * step;
                }
            }
        }
    }

    /// All of them.
    pub(super) fn values(&self) -> Vec<f32> {
        let (len, heads) = match self {
            Self::F32(values) => (values.len(), 1),
            Self::F16(values) => (values.len(), 1),
            Self::I8 { levels, steps } => (levels.len(), steps.len()),
        };
        let mut out = vec![0.0; len];
        for (head, out) in out.chunks_exact_mut(len / heads).enumerate() {
            self.decode(head * (len / heads), out);
        }
        out
    }
}

/// By parts, because the crate that knows halves may look for the machine's instructions each time it is called.
fn decode_halves(values: &[[u8; 2]], out: &mut [f32]) {
    const PART: usize = 256;
    let mut halves = [f16::ZERO; PART];
    for (values, out) in values.chunks(PART).zip(out.chunks_mut(PART)) {
        let halves = &mut halves[..values.len()];
        for (half, &value) in halves.iter_mut().zip(values) {
            *half = f16::from_le_bytes(value);
        }
        halves.convert_to_f32_slice(out);
    }
}
