//! `gsb pack`.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::ValueEnum;
use gsb_packed::{PackedFile, PackedModel, Random, ShiftStorage};
use gsb_train::{Heads, load_model};
use gsb_vit::checkpoint::describe;
use gsb_vit::{Phase, Stage2Student, pack};
use indicatif::HumanCount;

use crate::compute::DeviceName;
use crate::error::Error;
use crate::model::{ModelInput, expect_checkpoint};
use crate::options::path;
use crate::output;
use crate::packed;

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

    /// How to store the attention shift, which is most of a large model [default: the smallest that changes nothing]
    #[arg(long, value_enum, value_name = "TYPE")]
    pub shift: Option<ShiftName>,
}

/// Storage of the attention shift on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ShiftName {
    /// As it is
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

/// Packs a checkpoint; a description of what was written.
///
/// # Errors
/// If the checkpoint cannot be read or packed, or the file not written.
pub fn run(args: &PackArgs) -> Result<String, Error> {
    output::check(&args.output, &args.checkpoint)?;
    output::check_format(&args.output, "a packed model", "safetensors")?;
    expect_checkpoint(&args.checkpoint)?;
    let (phase, config) = describe(&args.checkpoint)?;
    if phase != Phase::Stage2 {
        let reason = format!("a model of {phase}; packed are those of stage2 alone");
        return Err(Error::file(&args.checkpoint, reason));
    }
    let device = DeviceName::default().open()?;
    let model: Stage2Student = load_model(&args.checkpoint, &config, Heads::Kept, &device)?;
    let input = ModelInput::of(&args.checkpoint, &config)?;
    let options = packed::options(input.classes, &input.transform, &args.checkpoint);
    let packed = pack(&model, options)?;
    // Before the file is written, so that a failure leaves none.
    let changed = match args.shift {
        None | Some(ShiftName::F32) => None,
        Some(shift) => Some((shift, change(&packed, shift.into())?)),
    };
    let storage = match args.shift {
        Some(shift) => shift.into(),
        None => packed.exact_storage(),
    };
    packed.write(&args.output, storage)?;
    let bytes =
        std::fs::metadata(&args.output).map_err(|error| Error::file(&args.output, error))?;

    let mut text = format!(
        "{} blocks, width {}, {} heads, {} classes\n",
        config.depth, config.width, config.heads, config.classes
    );
    let _ = writeln!(text, "class names and preprocessing {}", input.source);
    let stored = config.with_shift_bits(storage.bits());
    let cost = stored.cost(Phase::Stage2)?.total;
    let widths = cost.parameters.iter().map(|(bits, count)| match bits {
        1 => format!("{} weights of 1 bit", HumanCount(*count)),
        _ => format!("{} of {bits}", HumanCount(*count)),
    });
    let _ = writeln!(text, "{} bits", widths.collect::<Vec<_>>().join(", "));
    if let Some((shift, (change, largest))) = changed {
        let _ = writeln!(
            text,
            "attention shift as {}: logits of random images change by up to {change:.1e}, the largest is {largest:.1e}",
            shift.name()
        );
    }
    let _ = writeln!(
        text,
        "written to {}: {} bytes",
        args.output.display(),
        HumanCount(bytes.len())
    );
    Ok(text)
}

/// Images that the change of logits is measured on.
const IMAGES: usize = 16;

/// The largest change of a logit by the storage of the shift, and the largest logit.
fn change(packed: &PackedFile, storage: ShiftStorage) -> Result<(f32, f32), Error> {
    let stored = PackedModel::from_bytes(&packed.to_bytes(storage)?)?;
    let exact = PackedModel::new(packed.clone())?;
    let mut random = Random::new(1);
    let (mut change, mut largest) = (0f32, 0f32);
    for _ in 0..IMAGES {
        let image = random.image(exact.config());
        let (a, b) = (exact.predict(&image)?, stored.predict(&image)?);
        for (a, b) in a.logits().iter().zip(b.logits()) {
            change = change.max((a - b).abs());
            largest = largest.max(a.abs());
        }
    }
    Ok((change, largest))
}
