//! What a layer or a model costs.

use std::collections::BTreeMap;
use std::iter::Sum;
use std::ops::AddAssign;

use serde::ser::SerializeStruct;
use serde::{Deserialize, Serialize, Serializer};

/// Width of a float parameter.
pub(super) const FLOAT_BITS: u8 = 32;

/// What a layer or a model costs: parameters, bytes, and the operations for one image.
///
/// [`Cost`](super::Cost) states what counts as what. In JSON there is also a field `operations`, the
/// [operations](Self::operations).
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
pub struct Amount {
    /// Number of learned values for each bit width at which they act; 32 is float.
    pub parameters: BTreeMap<u8, u64>,
    /// Size when packed for deployment.
    pub packed_bytes: u64,
    /// Multiplications with addition (MACs) of one-bit factors: BOPs.
    pub binary_macs: u64,
    /// MACs of factors of 2 to 8 bits.
    pub integer_macs: u64,
    /// MACs with a float factor: FLOPs.
    pub float_macs: u64,
    /// Elements that steps other than matrix products compute.
    pub elementwise: u64,
}

impl Amount {
    /// Number of learned values of all bit widths.
    pub fn total_parameters(&self) -> u64 {
        self.parameters.values().sum()
    }

    /// Number of MACs of all kinds.
    pub fn macs(&self) -> u64 {
        self.binary_macs + self.integer_macs + self.float_macs
    }

    /// The OPs of the binary networks' literature: `BOPs / 64 + FLOPs`, a MAC of 2 to 8 bits
    /// counting as one of floats. Elementwise steps do not count.
    pub fn operations(&self) -> f64 {
        self.binary_macs as f64 / 64.0 + (self.integer_macs + self.float_macs) as f64
    }

    /// Adds weights of a number of bits, packed as one tensor.
    pub(super) fn weights(mut self, count: u64, bits: u8) -> Self {
        *self.parameters.entry(bits).or_default() += count;
        self.packed_bytes += (count * u64::from(bits)).div_ceil(8);
        self
    }

    /// Adds float parameters.
    pub(super) fn floats(self, count: u64) -> Self {
        self.weights(count, FLOAT_BITS)
    }

    /// Adds float parameters that go into others when packed.
    pub(super) fn folded_floats(mut self, count: u64) -> Self {
        *self.parameters.entry(FLOAT_BITS).or_default() += count;
        self
    }

    /// Adds floats that are computed from parameters and packed in their place.
    pub(super) fn computed_floats(mut self, count: u64) -> Self {
        self.packed_bytes += count * u64::from(FLOAT_BITS / 8);
        self
    }

    /// Adds MACs whose factors have that number of bits at most.
    pub(super) fn macs_of(mut self, count: u64, bits: u8) -> Self {
        match bits {
            1 => self.binary_macs += count,
            2..=8 => self.integer_macs += count,
            _ => self.float_macs += count,
        }
        self
    }

    /// Adds elements that elementwise steps compute.
    pub(super) fn elements(mut self, count: u64) -> Self {
        self.elementwise += count;
        self
    }
}

impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Amount", 7)?;
        fields.serialize_field("parameters", &self.parameters)?;
        fields.serialize_field("packed_bytes", &self.packed_bytes)?;
        fields.serialize_field("binary_macs", &self.binary_macs)?;
        fields.serialize_field("integer_macs", &self.integer_macs)?;
        fields.serialize_field("float_macs", &self.float_macs)?;
        fields.serialize_field("operations", &self.operations())?;
        fields.serialize_field("elementwise", &self.elementwise)?;
        fields.end()
    }
}

impl AddAssign<&Self> for Amount {
    fn add_assign(&mut self, other: &Self) {
        for (&bits, count) in &other.parameters {
            *self.parameters.entry(bits).or_default() += count;
        }
        self.packed_bytes += other.packed_bytes;
        self.binary_macs += other.binary_macs;
        self.integer_macs += other.integer_macs;
        self.float_macs += other.float_macs;
        self.elementwise += other.elementwise;
    }
}

impl<'a> Sum<&'a Self> for Amount {
    fn sum<I: Iterator<Item = &'a Self>>(amounts: I) -> Self {
        let mut total = Self::default();
        amounts.for_each(|amount| total += amount);
        total
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tensor_is_padded_to_whole_bytes() {
        let amount = Amount::default().weights(9, 1).weights(3, 5).floats(1);
        assert_eq!(amount.packed_bytes, 2 + 2 + 4);
        assert_eq!(amount.total_parameters(), 13);
    }

    #[test]
    fn sixty_four_binary_macs_are_one_operation() {
        let amount = Amount::default().macs_of(96, 1).macs_of(3, 8);
        assert_eq!(amount.clone().macs_of(2, 32).operations(), 6.5);
        assert_eq!(amount.macs(), 99);
    }
}
