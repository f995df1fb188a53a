//! What students start from that no student came before.

use std::path::PathBuf;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What the first student of a run starts from: that of stage 1, or that of stage 2 where there is no stage 1.
///
/// Written as `"fresh"`, `"teacher"`, or the path of the file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Init {
    /// From fresh weights.
    #[default]
    Fresh,
    /// From the weights of the teacher.
    Teacher,
    /// From a float model of a file: heads for other classes start fresh, positions of another image size are
    /// interpolated.
    File(PathBuf),
}

impl From<PathBuf> for Init {
    fn from(path: PathBuf) -> Self {
        match path.to_str() {
            Some("fresh") => Self::Fresh,
            Some("teacher") => Self::Teacher,
            _ => Self::File(path),
        }
    }
}

impl Serialize for Init {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Fresh => to.serialize_str("fresh"),
            Self::Teacher => to.serialize_str("teacher"),
            Self::File(path) => crate::path_text::serialize(&Some(path.clone()), to),
        }
    }
}

impl<'de> Deserialize<'de> for Init {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Ok(crate::path_text::deserialize(from)?.map_or(Self::Fresh, Self::from))
    }
}

impl Init {
    /// Whether it is that of runs from before there was a choice, whose configuration says nothing of it.
    pub(crate) fn is_fresh(&self) -> bool {
        *self == Self::Fresh
    }

    /// The file, if it is one.
    pub fn file(&self) -> Option<&PathBuf> {
        match self {
            Self::File(path) => Some(path),
            Self::Fresh | Self::Teacher => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_paths_survive_json() {
        for (init, json) in [
            (Init::Fresh, "\"fresh\""),
            (Init::Teacher, "\"teacher\""),
            (Init::File("./teacher".into()), "\"./teacher\""),
        ] {
            assert_eq!(serde_json::to_string(&init).unwrap(), json);
            assert_eq!(serde_json::from_str::<Init>(json).unwrap(), init);
        }
        assert_eq!(serde_json::from_str::<Init>("null").unwrap(), Init::Fresh);
    }
}
