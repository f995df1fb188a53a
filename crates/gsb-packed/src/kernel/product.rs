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
    /// Bits become bytes, which tiles of AMX multiply, where the machine has them.
    Tiles,
}

impl Product {
    pub(crate) const ALL: [Self; 3] = [Self::Plain, Self::Threes, Self::Tiles];

    /// Those among which a measurement chooses. How fast tiles are depends on what other threads do later.
    pub(super) const MEASURED: [Self; 2] = [Self::Plain, Self::Threes];

    fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Threes => "threes",
            Self::Tiles => "tiles",
        }
    }

    /// That which the environment variable names, if it is set.
    pub(super) fn forced() -> Result<Option<Self>, Error> {
        let Some(name) = std::env::var_os(FORCE) else {
            return Ok(None);
        };
        let named = Self::ALL.into_iter().find(|way| name == way.name());
        let unknown = || refusal(&name.to_string_lossy(), "unknown");
        named.map(Some).ok_or_else(unknown)
    }

    /// The complaint that the machine lacks it.
    pub(super) fn unavailable(self) -> Error {
        refusal(self.name(), "not available on this machine")
    }
}

fn refusal(name: &str, problem: &'static str) -> Error {
    Error::Product {
        name: name.into(),
        problem,
        known: Product::ALL.map(Product::name).join(", "),
    }
}
