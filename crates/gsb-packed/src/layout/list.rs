//! The tensors of a network as a list.

use super::tensor::Tensor;
use super::walk::Source;
use crate::{Error, PackedConfig, PackedNetwork, SignMatrix};

/// A tensor of a network, as the configuration alone tells.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TensorLayout {
    /// Name of the layer. With a dot and the part it is the tensor's name in a file.
    pub layer: String,
    /// What of the layer it is, such as `weight`.
    pub part: &'static str,
    /// Its shape. Scales of a binary weight's rows may be a single one for all.
    pub shape: Vec<usize>,
    /// Bits of an entry. Attention shifts may be [stored in fewer](crate::ShiftStorage).
    pub bits: u8,
}

impl PackedConfig {
    /// All tensors of a network, in the order of the forward pass.
    ///
    /// # Errors
    /// As [`validate`](Self::validate).
    ///
    /// ```
    /// let tensors = gsb_packed::PackedConfig::micro().tensors()?;
    /// let query = tensors.iter().find(|tensor| tensor.layer == "blocks.0.attention.qkv");
    /// assert_eq!(query.map(|weight| (&weight.shape[..], weight.bits)), Some((&[192, 64][..], 1)));
    /// # Ok::<(), gsb_packed::Error>(())
    /// ```
    pub fn tensors(&self) -> Result<Vec<TensorLayout>, Error> {
        self.validate()?;
        let mut list = List(Vec::new());
        PackedNetwork::build(self, &mut list)?;
        Ok(list.0)
    }
}

/// Lists tensors, of which it gives none.
struct List(Vec<TensorLayout>);

impl List {
    fn push(&mut self, tensor: &Tensor<'_>, bits: u8) {
        self.0.push(TensorLayout {
            layer: tensor.layer.into(),
            part: tensor.part,
            shape: tensor.shape.into(),
            bits,
        });
    }
}

impl Source for List {
    fn floats(&mut self, tensor: &Tensor<'_>) -> Result<Vec<f32>, Error> {
        self.push(tensor, 32);
        Ok(Vec::new())
    }

    fn levels(&mut self, tensor: &Tensor<'_>, bits: u8) -> Result<Vec<i8>, Error> {
        self.push(tensor, bits);
        Ok(Vec::new())
    }

    fn signs(&mut self, tensor: &Tensor<'_>) -> Result<SignMatrix, Error> {
        self.push(tensor, 1);
        Ok(SignMatrix::default())
    }
}
