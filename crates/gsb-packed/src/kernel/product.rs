//! The ways of binary products.

use crate::Error;

/// Name of the environment variable that chooses a way.
const FORCE: &str = "GSB_FORCE_PRODUCT";

/// A way to multiply, where an instruction set has several.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Product {
    /// Bits that differ are counted word by word.
    #[default]
    Plain,
    /// Those of three words are added up before they are counted.
    Threes,
}

impl Product {
    pub(crate) const ALL: [Self; 2] = [Self::Plain, Self::Threes];

    fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Threes => "threes",
        }
    }

    /// That which the environment variable names, if it is set.
    pub(super) fn forced() -> Result<Option<Self>, Error> {
        let Some(name) = std::env::var_os(FORCE) else {
            return Ok(None);
        };
        let named = Self::ALL.into_iter().find(|way| name == way.name());
        named.map(Some).ok_or_else(|| Error::Product {
            name: name.to_string_lossy().into_owned(),
            known: Self::ALL.map(Self::name).join(", "),
        })
    }
}
