//! What the phases start from.

use std::path::PathBuf;

use clap::Args;
use clap::builder::TypedValueParser;
use gsb_train::Init;
use serde::Serialize;

use crate::options::numbers::positive;
use crate::options::path;

/// What the phases start from.
#[derive(Debug, Clone, Default, PartialEq, Args, Serialize)]
pub struct StartArgs {
    /// A float model that the teacher starts from (.bpk, .pth, .safetensors)
    #[arg(long, value_name = "FILE", value_parser = path::option(), help_heading = "Recipe")]
    #[serde(
        skip_serializing_if = "Option::is_none",
        serialize_with = "gsb_train::path_text::serialize"
    )]
    pub finetune: Option<PathBuf>,

    /// A trained stage-1 student to start stage 2 from (.bpk, .pth, .safetensors)
    #[arg(id = "stage1_path", long = "stage1-path", value_name = "FILE", value_parser = path::option(), help_heading = "Recipe")]
    #[serde(
        skip_serializing_if = "Option::is_none",
        serialize_with = "gsb_train::path_text::serialize"
    )]
    pub stage1: Option<PathBuf>,

    /// What the first student starts from: fresh weights, those of the teacher, or a float model (.bpk, .pth,
    /// .safetensors)
    #[arg(long, value_name = "fresh|teacher|FILE", value_parser = path::option().map(Init::from), help_heading = "Recipe")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub init: Option<Init>,

    /// A trained teacher (.bpk, .pth, .safetensors); none is trained then
    #[arg(id = "teacher_path", long = "teacher-path", value_name = "FILE", value_parser = path::option(), help_heading = "Distillation")]
    #[serde(
        skip_serializing_if = "Option::is_none",
        serialize_with = "gsb_train::path_text::serialize"
    )]
    pub teacher: Option<PathBuf>,

    /// Attention heads of the model of --teacher-path or --finetune, where its file does not say it
    #[arg(long, value_name = "HEADS", value_parser = positive(), help_heading = "Recipe")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub heads: Option<usize>,

    /// Take the moving average of the weights from the files to start from, where they hold one
    #[arg(long, help_heading = "Recipe")]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub ema: bool,
}
