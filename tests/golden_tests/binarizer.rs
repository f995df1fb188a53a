//! The four binarizers with learned scales, behind one face.

use burn::Tensor;
use burn::module::{Param, ParamId};
use burn::tensor::{Device, Int};
use gsb_core::binarize::{
    AttentionBinarizer, AttentionBinarizerConfig, FirstForward, SignedBinarizer,
    SignedBinarizerConfig, ThresholdScope, UnsignedBinarizer, UnsignedBinarizerConfig,
    ValueBinarizer, ValueBinarizerConfig,
};

use crate::reference::{self, Reference};

/// Which of them a file is about.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Kind {
    Signed,
    Unsigned,
    Attention,
    Value,
}

impl Kind {
    /// Names of the stored scales.
    pub(crate) fn scales(self) -> &'static [&'static str] {
        match self {
            Self::Signed | Self::Unsigned => &["alpha"],
            Self::Attention | Self::Value => &["alpha", "alpha2", "alpha3"],
        }
    }

    pub(crate) fn reference(self, x: &[f32], g: &[f32], scales: &[f32], bits: u8) -> Reference {
        match self {
            Self::Signed => reference::quantize(x, g, scales[0], true, bits),
            Self::Unsigned if bits == 1 => reference::quantize(x, g, scales[0], false, bits),
            Self::Unsigned => reference::quantize_from_minimum(x, g, scales[0], bits),
            Self::Attention => reference::attention(x, g, scales, bits),
            Self::Value => reference::value(x, g, scales, bits),
        }
    }
}

pub(crate) enum Binarizer {
    Signed(SignedBinarizer),
    Unsigned(UnsignedBinarizer),
    Attention(AttentionBinarizer),
    Value(ValueBinarizer),
}

impl Binarizer {
    /// As published (the whole batch shares its extrema), with these scales, calibrated where
    /// `fresh` is false.
    pub(crate) fn new(
        kind: Kind,
        bits: u8,
        scales: &[f32],
        fresh: &[bool],
        device: &Device,
    ) -> Self {
        let scales = Param::from_tensor(Tensor::<1>::from_floats(scales, device));
        let flags: Vec<i32> = fresh.iter().map(|&fresh| i32::from(!fresh)).collect();
        let flags = Tensor::<1, Int>::from_ints(flags.as_slice(), device);
        let calibrated = Param::initialized(ParamId::new(), flags);
        let scope = ThresholdScope::Batch;
        match kind {
            Kind::Signed => {
                let config = SignedBinarizerConfig::new().with_bits(bits);
                let mut binarizer = config.init(device);
                (binarizer.scale, binarizer.calibrated) = (scales, calibrated);
                Self::Signed(binarizer)
            }
            Kind::Unsigned => {
                let config = UnsignedBinarizerConfig::new()
                    .with_bits(bits)
                    .with_scope(scope);
                let mut binarizer = config.init(device);
                (binarizer.scale, binarizer.calibrated) = (scales, calibrated);
                Self::Unsigned(binarizer)
            }
            Kind::Attention => {
                let config = AttentionBinarizerConfig::new()
                    .with_bits(bits)
                    .with_scope(scope);
                let mut binarizer = config.init(device);
                (binarizer.scales, binarizer.calibrated) = (scales, calibrated);
                Self::Attention(binarizer)
            }
            Kind::Value => {
                let config = ValueBinarizerConfig::new()
                    .with_bits(bits)
                    .with_scope(scope);
                let mut binarizer = config.init(device);
                (binarizer.scales, binarizer.calibrated) = (scales, calibrated);
                Self::Value(binarizer)
            }
        }
    }

    pub(crate) fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        match self {
            Self::Signed(binarizer) => binarizer.forward(x),
            Self::Unsigned(binarizer) => binarizer.forward(x),
            Self::Attention(binarizer) => binarizer.forward(x),
            Self::Value(binarizer) => binarizer.forward(x),
        }
    }

    /// The first forward pass of the published code, which sets the scales that are fresh.
    pub(crate) fn first_forward<const D: usize>(self, x: Tensor<D>) -> (Self, Tensor<D>) {
        match self {
            Self::Signed(binarizer) => {
                let binarizer = binarizer.calibrate(&x);
                let y = binarizer.forward(x);
                (Self::Signed(binarizer), y)
            }
            Self::Unsigned(binarizer) => {
                let binarizer = binarizer.calibrate(&x);
                let y = binarizer.forward(x);
                (Self::Unsigned(binarizer), y)
            }
            Self::Attention(binarizer) => {
                let (binarizer, y) = binarizer.calibrate_forward(x, FirstForward::Published);
                (Self::Attention(binarizer), y)
            }
            Self::Value(binarizer) => {
                let (binarizer, y) = binarizer.calibrate_forward(x, FirstForward::Published);
                (Self::Value(binarizer), y)
            }
        }
    }

    /// The scales, shape `[groups]`.
    pub(crate) fn scales(&self) -> Tensor<1> {
        match self {
            Self::Signed(binarizer) => binarizer.scale.val(),
            Self::Unsigned(binarizer) => binarizer.scale.val(),
            Self::Attention(binarizer) => binarizer.scales.val(),
            Self::Value(binarizer) => binarizer.scales.val(),
        }
    }
}
