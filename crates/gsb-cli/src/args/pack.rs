//! Options of `gsb pack`.

use std::path::PathBuf;

use clap::ValueEnum;
use gsb_packed::ShiftStorage;

use crate::path;

/// Options of `gsb pack`.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "Example:\n  gsb pack runs/digits-1/stage2.bpk -o digits.safetensors")]
pub struct PackArgs {
    /// A checkpoint of a stage-2 student: .bpk, or .pth and .safetensors with the published names
    #[arg(value_parser = path::argument())]
    pub checkpoint: PathBuf,

    /// The file to write
    #[arg(short, long, value_name = "FILE", value_parser = path::option())]
    pub output: PathBuf,

    /// How to store the attention shift, which is most of a large model
    #[arg(long, value_enum, value_name = "TYPE", default_value_t)]
    pub shift: ShiftName,
}

/// Storage of the attention shift on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum ShiftName {
    /// As it is
    #[default]
    F32,
    /// In half the bytes, off by 1/2048 of itself
    F16,
    /// In a quarter of the bytes, off by 1/254 of the largest of a head
    I8,
}

impl ShiftName {
    /// The name, as it is typed.
    pub const fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::I8 => "i8",
        }
    }
}

impl From<ShiftName> for ShiftStorage {
    fn from(name: ShiftName) -> Self {
        match name {
            ShiftName::F32 => Self::F32,
            ShiftName::F16 => Self::F16,
            ShiftName::I8 => Self::I8,
        }
    }
}
