//! One binarization: what the packed engine decided against what Burn's floats say.

use std::collections::BTreeMap;

use burn::Tensor;
use burn::tensor::TensorData;

/// What a comparison came to.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Binary decisions compared, by kind: those of all blocks together.
    pub decisions: BTreeMap<String, u64>,
    /// Those that differ, all of them within rounding of a threshold.
    pub flips: Vec<Flip>,
    /// Those that differ although they should not.
    pub wrong: Vec<Flip>,
    /// Largest difference of the tokens that enter or leave a block, relative to the largest token.
    pub stream: f64,
}

/// A decision of the packed engine that is not Burn's.
#[derive(Debug, Clone)]
pub(crate) struct Flip {
    /// Which.
    pub name: String,
    /// Its [kind](Tally::decisions).
    pub kind: String,
    /// How far Burn's float is from the threshold, over the rounding allowed.
    pub distance: f64,
}

/// A quantizer: how Burn decides, and what a decision leads to.
pub(crate) struct Quantizer<'a> {
    /// The decision on the float at a position.
    pub decide: &'a dyn Fn(usize, f32) -> i8,
    /// The value of a decision.
    pub value: &'a dyn Fn(i8) -> f32,
    /// How far the float at a position is from where the decision changes.
    pub margin: &'a dyn Fn(usize, f32) -> f32,
}

/// Spacings of floats of the magnitude of the largest partial sum that a float may be off by.
const ROUNDINGS: f64 = 16.0;

impl Tally {
    /// Compares the decisions on `floats`, of which Burn made `binarized`, and returns what the packed
    /// engine's decisions make of them: `binarized` to the bit where all agree.
    ///
    /// # Shapes
    /// - packed, floats, binarized, output: the same, whatever it is
    pub(crate) fn step<const D: usize>(
        &mut self,
        name: &str,
        packed: &[i8],
        floats: Tensor<D>,
        binarized: Tensor<D>,
        magnitude: f32,
        quantizer: &Quantizer,
    ) -> Tensor<D> {
        let (shape, device) = (floats.shape(), floats.device());
        let floats = numbers(floats);
        let burn = numbers(binarized);
        assert_eq!(packed.len(), floats.len(), "{name}: decisions traced");
        let kind = name.rsplit('.').next().unwrap_or(name);
        let largest = floats.iter().fold(magnitude, |most, x| most.max(x.abs()));
        let allowed = ROUNDINGS * f64::from(largest) * f64::from(f32::EPSILON);
        for (index, (&x, &burn)) in floats.iter().zip(&burn).enumerate() {
            let decision = (quantizer.decide)(index, x);
            assert_eq!(
                (quantizer.value)(decision),
                burn,
                "{name}: this test decides as Burn does"
            );
            if decision != packed[index] {
                let margin = f64::from((quantizer.margin)(index, x));
                let name = format!(
                    "{name}[{index}]: {x} is {decision}, packed {}",
                    packed[index]
                );
                let flip = Flip {
                    name,
                    kind: kind.into(),
                    distance: margin / allowed,
                };
                match margin <= allowed {
                    true => self.flips.push(flip),
                    false => self.wrong.push(flip),
                }
            }
        }
        *self.decisions.entry(kind.into()).or_default() += packed.len() as u64;
        let values = packed.iter().map(|&decision| (quantizer.value)(decision));
        Tensor::from_data(
            TensorData::new(values.collect::<Vec<f32>>(), shape),
            &device,
        )
    }

    /// Compares tokens.
    pub(crate) fn tokens(&mut self, packed: &[f32], burn: Tensor<3>) {
        let burn = numbers(burn);
        assert_eq!(packed.len(), burn.len());
        self.stream = self.stream.max(relative(packed, &burn));
    }

    /// Adds the tally of another image.
    pub(crate) fn add(&mut self, other: Self) {
        for (kind, decisions) in other.decisions {
            *self.decisions.entry(kind).or_default() += decisions;
        }
        self.flips.extend(other.flips);
        self.wrong.extend(other.wrong);
        self.stream = self.stream.max(other.stream);
    }
}

/// Largest difference, relative to the largest magnitude.
pub(crate) fn relative(packed: &[f32], burn: &[f32]) -> f64 {
    let largest = burn.iter().fold(0f32, |most, x| most.max(x.abs()));
    let pairs = packed.iter().zip(burn);
    let difference = pairs.fold(0f32, |most, (a, b)| most.max((a - b).abs()));
    f64::from(difference) / f64::from(largest.max(f32::MIN_POSITIVE))
}

/// The elements of a tensor.
pub(crate) fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor
        .into_data()
        .try_to_vec()
        .expect("the tests use f32 tensors")
}
