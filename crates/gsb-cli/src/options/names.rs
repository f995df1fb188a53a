//! Choices of the library by their names on the command line.

use clap::ValueEnum;
use clap::builder::{EnumValueParser, TypedValueParser};
use gsb_core::binarize::{InitialScales, ThresholdScope, ValueGradient};
use gsb_core::distill::Distillation;
use gsb_data::Orientation;
use gsb_train::Products;

/// A choice of the library, by its name on the command line.
pub fn named<Name, Choice>() -> impl TypedValueParser<Value = Choice>
where
    Name: ValueEnum + Into<Choice> + Clone + Send + Sync + 'static,
    Choice: Clone + Send + Sync + 'static,
{
    EnumValueParser::<Name>::new().map(Name::into)
}

/// Matrix products on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ProductsName {
    /// Floats
    Float,
    /// Factors rounded to bfloat16, by the tiles of the processor (AMX)
    Bfloat16,
    /// Each factor as the sum of two numbers of bfloat16: three such products
    Bfloat16x3,
    /// Each factor as the sum of three: six such products, as exact as floats
    Bfloat16x6,
}

impl From<ProductsName> for Products {
    fn from(name: ProductsName) -> Self {
        match name {
            ProductsName::Float => Self::Float,
            ProductsName::Bfloat16 => Self::Bfloat16,
            ProductsName::Bfloat16x3 => Self::Bfloat16x3,
            ProductsName::Bfloat16x6 => Self::Bfloat16x6,
        }
    }
}

/// A threshold scope on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ScopeName {
    /// The whole batch, as published
    Batch,
    /// Each image
    Sample,
    /// Each row: the keys of a query, the channels of a token
    Row,
}

impl From<ScopeName> for ThresholdScope {
    fn from(name: ScopeName) -> Self {
        match name {
            ScopeName::Batch => Self::Batch,
            ScopeName::Sample => Self::Sample,
            ScopeName::Row => Self::Row,
        }
    }
}

/// Initial scales on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum InitialName {
    /// Each group's scale by its own mean
    Published,
    /// Each group adds what those below lack
    Residual,
    /// The first group by its mean, the others at almost nothing
    Plain,
}

impl From<InitialName> for InitialScales {
    fn from(name: InitialName) -> Self {
        match name {
            InitialName::Published => Self::Published,
            InitialName::Residual => Self::Residual,
            InitialName::Plain => Self::Plain,
        }
    }
}

/// The gradient of the value on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum GradientName {
    /// Once for each group, as the published code does
    Published,
    /// Once, in the range of the first group, as in the plain binarizer
    Plain,
}

impl From<GradientName> for ValueGradient {
    fn from(name: GradientName) -> Self {
        match name {
            GradientName::Published => Self::Published,
            GradientName::Plain => Self::Plain,
        }
    }
}

/// A distillation on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DistillationName {
    /// From the labels alone
    None,
    /// From the teacher's probabilities
    Soft,
    /// From the teacher's decisions
    Hard,
}

impl From<DistillationName> for Distillation {
    fn from(name: DistillationName) -> Self {
        match name {
            DistillationName::None => Self::None,
            DistillationName::Soft => Self::Soft,
            DistillationName::Hard => Self::Hard,
        }
    }
}

/// The orientation of pictures on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OrientationName {
    /// As the pixels are stored
    Stored,
    /// As people see them
    Upright,
}

impl From<OrientationName> for Orientation {
    fn from(name: OrientationName) -> Self {
        match name {
            OrientationName::Stored => Self::Stored,
            OrientationName::Upright => Self::Upright,
        }
    }
}
