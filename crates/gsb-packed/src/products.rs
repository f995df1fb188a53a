//! Products of the scales of the attention matrix and the value.
//!
//! They are rounded to a common quantum, so large that every sum of them is exact in double precision.
//! Scales so far apart that single precision would see the rounding are
//! [refused](Products::are_precise).

/// Products of the scales of the attention's groups (outer) and the value's.
#[derive(Debug, Clone)]
pub(crate) struct Products {
    /// For each group of the attention, that of each group of the value.
    pub(crate) groups: [[f64; 3]; 3],
    /// For each group of the attention, what each [`place`] adds to that of the value's bit.
    corrections: [[f64; 7]; 3],
}

/// The place of a level among corrections.
fn place(level: i8) -> usize {
    (level + 3) as usize
}

/// What products of scales are rounded to, for a number of keys.
fn quantum(attention: &[f32], value: &[f32], keys: usize) -> f64 {
    let sum = |scales: &[f32]| scales.iter().copied().map(f64::from).sum::<f64>();
    // Everything that is ever added up stays below this, in quanta below 2^52.
    let most = 4.0 * sum(attention) * sum(value) * keys as f64;
    // A power of two by its exponent: logarithms and powers are not exact everywhere, and sums must be.
    let exponent = (most.to_bits() >> 52) + 1;
    f64::from_bits((exponent - 52) << 52)
}

/// The fewest quanta of a product: rounding them is half of the last bit of a single precision float,
/// or less.
const FEWEST_QUANTA: f64 = (1u32 << 23) as f64;

/// What is added to a sum of signs, for limits to be positive.
pub(crate) fn limit_offset(keys: usize) -> u32 {
    keys as u32 + 1
}

impl Products {
    /// Whether each product of positive scales is enough quanta for single precision to see nothing of
    /// their rounding.
    pub(crate) fn are_precise(attention: &[f32], value: &[f32], keys: usize) -> bool {
        let least =
            |scales: &[f32]| f64::from(scales.iter().copied().fold(f32::INFINITY, f32::min));
        least(attention) * least(value) >= FEWEST_QUANTA * quantum(attention, value, keys)
    }

    /// Those of a number of keys; groups that there are not have a scale of 0.
    pub(crate) fn new(attention: &[f32], value: &[f32], keys: usize) -> Self {
        let quantum = quantum(attention, value, keys);
        let scale =
            |scales: &[f32], group: usize| scales.get(group).copied().map_or(0.0, f64::from);
        let groups: [[f64; 3]; 3] = std::array::from_fn(|a| {
            std::array::from_fn(|v| {
                let product = scale(attention, a) * scale(value, v);
                (product / quantum).round_ties_even() * quantum
            })
        });
        let corrections = groups.map(|[first, second, third]| {
            let mut worth = [0.0; 7];
            worth[place(0)] = first;
            for sign in [-1, 1] {
                worth[place(2 * sign)] = f64::from(sign) * second;
                worth[place(3 * sign)] = f64::from(sign) * (second + third);
            }
            worth
        });
        Self {
            groups,
            corrections,
        }
    }

    /// What a level of the value adds to that of its bit, for a group of the attention.
    #[inline(always)]
    pub(crate) fn correction(&self, group: usize, level: i8) -> f64 {
        self.corrections[group][place(level)]
    }

    /// What the sum of the signs of a number of keys, [`limit_offset`] added, must exceed for the sum of
    /// products to exceed a threshold; none if it can be the threshold.
    pub(crate) fn limit(&self, keys: usize, threshold: f64) -> Option<u32> {
        let offset = limit_offset(keys);
        let sum = |limit: u32| (f64::from(limit) - f64::from(offset)) * self.groups[0][0];
        let (mut low, mut high) = (0, 2 * offset);
        // The sum of a limit is not above the threshold, the next one's is.
        while low < high {
            let middle = (low + high).div_ceil(2);
            if sum(middle) > threshold {
                high = middle - 1;
            } else {
                low = middle;
            }
        }
        (sum(low) != threshold).then_some(low)
    }
}
