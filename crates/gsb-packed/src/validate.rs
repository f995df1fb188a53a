//! Checking a network: that every list has the length that the configuration asks for, and holds what it
//! may hold.

use std::fmt::Display;

use gsb_numerics::guarded;

use crate::layout::{Kind, Source, Tensor, Visitor, length};
use crate::levels::level_range;
use crate::products::Products;
use crate::{Attention, BinaryLinear, Block, Error, PackedConfig, PackedNetwork, SignMatrix};

impl PackedNetwork {
    /// Checks the configuration, that every list has the length it asks for, that levels are within
    /// their bits, that all values and the factors of binary layers are finite, and that the scales of the attended value are not so far
    /// apart that the smallest would be lost in sums of the largest.
    ///
    /// # Errors
    /// The first that is not so.
    pub fn validate(&self) -> Result<(), Error> {
        self.config.validate()?;
        self.visit(&mut Check)?;
        (0..)
            .zip(&self.blocks)
            .try_for_each(|(index, block)| block.check_scales(index, &self.config))
    }
}

impl Block {
    /// Makes a block as [`build`](Self::build) does, and checks it as [`PackedNetwork::validate`] does.
    ///
    /// # Errors
    /// Those of the source, and what is not as it should be.
    pub(crate) fn build_checked(
        config: &PackedConfig,
        index: usize,
        source: &mut impl Source,
    ) -> Result<Self, Error> {
        let block = Self::build(config, index, &mut Checked(source))?;
        block.check_scales(index, config)?;
        Ok(block)
    }

    /// Checks what scales make together.
    fn check_scales(&self, index: usize, config: &PackedConfig) -> Result<(), Error> {
        for (layer, linear) in [
            ("attention.qkv", &self.attention.qkv),
            ("attention.output", &self.attention.output),
            ("mlp.fc1", &self.fc1),
            ("mlp.fc2", &self.fc2),
        ] {
            factors_are_finite(linear, index, layer)?;
        }
        scales_are_near(&self.attention, index, config)
    }
}

/// A source whose tensors are checked as they come.
pub(crate) struct Checked<'a, S>(pub(crate) &'a mut S);

impl<S: Source> Source for Checked<'_, S> {
    fn floats(&mut self, tensor: &Tensor<'_>) -> Result<Vec<f32>, Error> {
        let values = self.0.floats(tensor)?;
        if !self.0.leaves(tensor) {
            Check.floats(tensor, &values)?;
        }
        Ok(values)
    }

    fn levels(&mut self, tensor: &Tensor<'_>, bits: u8) -> Result<Vec<i8>, Error> {
        let values = self.0.levels(tensor, bits)?;
        Check.levels(tensor, bits, &values)?;
        Ok(values)
    }

    fn signs(&mut self, tensor: &Tensor<'_>) -> Result<SignMatrix, Error> {
        let values = self.0.signs(tensor)?;
        Check.signs(tensor, &values)?;
        Ok(values)
    }
}

/// Checks each tensor by itself.
struct Check;

impl Visitor for Check {
    fn floats(&mut self, tensor: &Tensor<'_>, values: &[f32]) -> Result<(), Error> {
        if !(tensor.kind == Kind::RowScales && values.len() == 1) {
            length(&tensor.name(), values.len(), tensor.len())?;
        }
        all_are(&tensor.name(), values, FINITE, |value| value.is_finite())
    }

    fn levels(&mut self, tensor: &Tensor<'_>, bits: u8, values: &[i8]) -> Result<(), Error> {
        length(&tensor.name(), values.len(), tensor.len())?;
        let (low, high) = level_range(bits);
        all_are(&tensor.name(), values, "a level of its bits", |value| {
            value >= low && value <= high
        })
    }

    fn signs(&mut self, tensor: &Tensor<'_>, values: &SignMatrix) -> Result<(), Error> {
        let name = tensor.name();
        let [rows, columns] = tensor.matrix();
        length(&name, values.rows(), rows)?;
        length(&name, values.columns(), columns)
    }
}

/// Refuses scales whose product is too large: a sum of 0 times that would be no number.
fn factors_are_finite(linear: &BinaryLinear, block: usize, layer: &str) -> Result<(), Error> {
    let input = guarded(linear.input_scale);
    let wrong = |&scale: &f32| !(input * scale).is_finite();
    match linear.weight_scale.iter().position(wrong) {
        None => Ok(()),
        Some(index) => Err(Error::Value {
            tensor: format!("blocks.{block}.{layer}.weight_scale"),
            value: linear.weight_scale[index].to_string(),
            index,
            expected: "a scale whose product with the input's scale is finite",
        }),
    }
}

/// Refuses scales whose products cannot be added up as precisely as each of them is.
fn scales_are_near(
    attention: &Attention,
    block: usize,
    config: &PackedConfig,
) -> Result<(), Error> {
    let lists = [
        ("attention_scales", &attention.attention_scales),
        ("value_scales", &attention.value_scales),
    ];
    let of_attention = attention.plane_scales(config);
    let of_value: Vec<f32> = attention
        .value_scales
        .iter()
        .copied()
        .map(guarded)
        .collect();
    if Products::are_precise(&of_attention, &of_value, config.tokens()) {
        return Ok(());
    }
    // The list whose smallest is the smaller part of its largest is to blame.
    let least = |scales: &[f32]| scales.iter().copied().fold(f32::INFINITY, f32::min);
    let part = |scales: &[f32]| least(scales) / scales.iter().copied().fold(0.0, f32::max);
    let ((list, scales), acting) = match part(&of_attention) <= part(&of_value) {
        true => (lists[0], of_attention),
        false => (lists[1], of_value),
    };
    let least = least(&acting);
    let index = acting.iter().take_while(|&&scale| scale > least).count();
    Err(Error::Value {
        tensor: format!("blocks.{block}.attention.attended.{list}"),
        value: scales[index].to_string(),
        index,
        expected: "a scale nearer to the others: any product of an attention and a value scale must be \
                   2^-26 of the sum of all products and tokens or more",
    })
}

/// What finite numbers are called.
const FINITE: &str = "a finite number";

/// The complaint about the first value of a tensor that is not finite, or the last if all are.
pub(crate) fn not_finite(tensor: String, values: &[f32]) -> Error {
    let wrong = values.iter().position(|value| !value.is_finite());
    let index = wrong.unwrap_or(values.len().saturating_sub(1));
    Error::Value {
        tensor,
        value: values.get(index).map(f32::to_string).unwrap_or_default(),
        index,
        expected: FINITE,
    }
}

/// Refuses the first value that is not what is expected.
fn all_are<T: Copy + Display>(
    tensor: &str,
    values: &[T],
    expected: &'static str,
    is_expected: impl Fn(T) -> bool,
) -> Result<(), Error> {
    // By parts, none of which stops early: so the compiler makes vectors of it.
    const PART: usize = 64;
    let all = |part: &[T]| {
        let wrong = |any, &value| any | u32::from(!is_expected(value));
        part.iter().fold(0, wrong) == 0
    };
    for (part, of_part) in values.chunks(PART).enumerate() {
        if all(of_part) {
            continue;
        }
        for (at, &value) in of_part.iter().enumerate() {
            if !is_expected(value) {
                return Err(Error::Value {
                    tensor: tensor.into(),
                    value: value.to_string(),
                    index: part * PART + at,
                    expected,
                });
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PackedConfig;

    fn tensor(kind: Kind, shape: &[usize]) -> Tensor<'_> {
        Tensor::new("x", "y", shape, kind)
    }

    #[test]
    fn the_first_wrong_value_is_named() {
        for wrong in [0, 63, 64, 200] {
            let mut values = vec![1.0; 201];
            values[wrong..].fill(f32::NAN);
            match Check.floats(&tensor(Kind::Floats, &[201]), &values) {
                Err(Error::Value { index, .. }) => assert_eq!(index, wrong),
                other => panic!("{other:?}"),
            }
            let mut values = vec![-2; 201];
            values[wrong..].fill(2);
            match Check.levels(&tensor(Kind::Levels, &[201]), 2, &values) {
                Err(Error::Value { index, .. }) => assert_eq!(index, wrong),
                other => panic!("{other:?}"),
            }
        }
        let extremes = Check.levels(&tensor(Kind::Levels, &[2]), 8, &[-128, 127]);
        assert!(extremes.is_ok());
    }

    fn small_network() -> PackedNetwork {
        let config = PackedConfig {
            width: 8,
            heads: 1,
            mlp_width: 1,
            depth: 2,
            ..PackedConfig::micro()
        };
        PackedNetwork::random(&config, 1).unwrap()
    }

    #[test]
    fn scales_whose_product_is_infinite_are_refused() {
        let mut network = small_network();
        let layer = &mut network.blocks[1].attention.qkv;
        layer.input_scale = 1e38;
        *layer.weight_scale.last_mut().unwrap() = 1e38;
        let message = network.validate().unwrap_err().to_string();
        assert!(
            message.contains("blocks.1.attention.qkv.weight_scale"),
            "{message}"
        );
        // One of them alone is not too large.
        network.blocks[1].attention.qkv.input_scale = 1.0;
        assert!(network.validate().is_ok());
    }

    /// A limit on products below which rounding them would be seen.
    #[test]
    fn scales_far_apart_are_refused() {
        let mut network = small_network();
        let mut validate = |attention: [f32; 3], value: [f32; 3]| {
            let block = &mut network.blocks[1].attention;
            (block.attention_scales, block.value_scales) = (attention.into(), value.into());
            network.validate()
        };
        // 18 tokens: 2^-28 of the power of two below 4 * 18 * 60 * 3.
        let limit = f32::from_bits((127 - 15) << 23);
        for far in [limit.next_down(), 1e-5, 0.0, -1.0] {
            for (attention, value, list) in [
                ([30.0, far, 30.0], [1.0; 3], "attention_scales"),
                ([1.0; 3], [30.0, far, 30.0], "value_scales"),
            ] {
                match validate(attention, value) {
                    Err(Error::Value {
                        tensor,
                        value,
                        index: 1,
                        ..
                    }) => {
                        assert_eq!(tensor, format!("blocks.1.attention.attended.{list}"));
                        assert_eq!(value, far.to_string());
                    }
                    other => panic!("{other:?}"),
                }
            }
        }
        for near in [limit, 1e-4, 30.0, 1e6] {
            assert!(validate([30.0, near, 30.0], [1.0; 3]).is_ok());
            assert!(validate([1.0; 3], [30.0, near, 30.0]).is_ok());
        }
        for alike in [0.0, f32::MIN_POSITIVE, 1.0, f32::MAX] {
            assert!(validate([alike; 3], [alike; 3]).is_ok());
        }
    }
}
