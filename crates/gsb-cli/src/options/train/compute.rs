//! Where to compute.

use clap::Args;
use gsb_train::{DeviceName, Products, Strategy};
use serde::Serialize;

use crate::compute;
use crate::options::names::{ProductsName, named};
use crate::options::numbers::few;

/// Where to compute.
#[derive(Debug, Clone, Default, PartialEq, Args, Serialize)]
pub struct ComputeArgs {
    /// Where to compute
    #[arg(long, value_parser = named::<compute::DeviceName, DeviceName>(), help_heading = "Run")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<DeviceName>,

    /// Devices that share each batch, the first ones of their kind
    #[arg(long, value_name = "NUMBER", value_parser = few(), help_heading = "Run")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub devices: Option<usize>,

    /// How several devices work together
    #[arg(long, value_parser = named::<compute::StrategyName, Strategy>(), help_heading = "Run")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strategy: Option<Strategy>,

    /// What matrix products multiply
    #[arg(long, value_parser = named::<ProductsName, Products>(), help_heading = "Run")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub products: Option<Products>,
}
