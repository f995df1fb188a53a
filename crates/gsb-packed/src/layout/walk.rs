//! Walks over the tensors of a network, which make one or look at one.

use super::tensor::{Kind, Tensor};
use crate::{Error, SignMatrix};

/// Where the tensors of a new network come from, asked for in the order of the forward pass.
pub(crate) trait Source {
    /// Whether the floats of a tensor stay where they are, to be checked there; an empty list stands for them.
    fn leaves(&self, _tensor: &Tensor<'_>) -> bool {
        false
    }

    fn floats(&mut self, tensor: &Tensor<'_>) -> Result<Vec<f32>, Error>;
    fn levels(&mut self, tensor: &Tensor<'_>, bits: u8) -> Result<Vec<i8>, Error>;
    fn signs(&mut self, tensor: &Tensor<'_>) -> Result<SignMatrix, Error>;
}

/// What looks at the tensors of a network. They need not have the shapes that they should have.
pub(crate) trait Visitor {
    fn floats(&mut self, tensor: &Tensor<'_>, values: &[f32]) -> Result<(), Error>;
    fn levels(&mut self, tensor: &Tensor<'_>, bits: u8, values: &[i8]) -> Result<(), Error>;
    fn signs(&mut self, tensor: &Tensor<'_>, values: &SignMatrix) -> Result<(), Error>;
}

/// A source or a visitor: takes the values of a tensor, if there are some already, and gives those of a
/// new network, which are empty if nobody asks for one.
pub(super) trait Walk {
    fn floats(&mut self, tensor: &Tensor<'_>, of: Option<&[f32]>) -> Result<Vec<f32>, Error>;
    fn levels(
        &mut self,
        tensor: &Tensor<'_>,
        bits: u8,
        of: Option<&[i8]>,
    ) -> Result<Vec<i8>, Error>;
    fn signs(&mut self, tensor: &Tensor<'_>, of: Option<&SignMatrix>) -> Result<SignMatrix, Error>;
}

pub(super) struct Build<'a, S>(pub(super) &'a mut S);

impl<S: Source> Walk for Build<'_, S> {
    fn floats(&mut self, tensor: &Tensor<'_>, _: Option<&[f32]>) -> Result<Vec<f32>, Error> {
        self.0.floats(tensor)
    }

    fn levels(
        &mut self,
        tensor: &Tensor<'_>,
        bits: u8,
        _: Option<&[i8]>,
    ) -> Result<Vec<i8>, Error> {
        self.0.levels(tensor, bits)
    }

    fn signs(&mut self, tensor: &Tensor<'_>, _: Option<&SignMatrix>) -> Result<SignMatrix, Error> {
        self.0.signs(tensor)
    }
}

pub(super) struct Visit<'a, V>(pub(super) &'a mut V);

impl<V: Visitor> Walk for Visit<'_, V> {
    fn floats(&mut self, tensor: &Tensor<'_>, of: Option<&[f32]>) -> Result<Vec<f32>, Error> {
        self.0.floats(tensor, of.unwrap_or_default())?;
        Ok(Vec::new())
    }

    fn levels(
        &mut self,
        tensor: &Tensor<'_>,
        bits: u8,
        of: Option<&[i8]>,
    ) -> Result<Vec<i8>, Error> {
        self.0.levels(tensor, bits, of.unwrap_or_default())?;
        Ok(Vec::new())
    }

    fn signs(&mut self, tensor: &Tensor<'_>, of: Option<&SignMatrix>) -> Result<SignMatrix, Error> {
        let none = SignMatrix::default();
        self.0.signs(tensor, of.unwrap_or(&none))?;
        Ok(none)
    }
}

impl dyn Walk + '_ {
    pub(super) fn list(
        &mut self,
        layer: &str,
        part: &'static str,
        shape: &[usize],
        of: Option<&Vec<f32>>,
    ) -> Result<Vec<f32>, Error> {
        let tensor = Tensor::new(layer, part, shape, Kind::Floats);
        self.floats(&tensor, of.map(Vec::as_slice))
    }

    pub(super) fn number(
        &mut self,
        layer: &str,
        part: &'static str,
        of: Option<&f32>,
    ) -> Result<f32, Error> {
        let tensor = Tensor::new(layer, part, &[1], Kind::Floats);
        let values = self.floats(&tensor, of.map(std::slice::from_ref))?;
        Ok(values.first().copied().unwrap_or_default())
    }

    pub(super) fn weight(
        &mut self,
        layer: &str,
        shape: &[usize],
        bits: u8,
        of: Option<&Vec<i8>>,
    ) -> Result<Vec<i8>, Error> {
        let tensor = Tensor::new(layer, "weight", shape, Kind::Levels);
        self.levels(&tensor, bits, of.map(Vec::as_slice))
    }
}
