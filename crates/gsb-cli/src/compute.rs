//! Where to compute.

use burn::tensor::Device;
use clap::ValueEnum;
use gsb_train::{Devices, RunConfig, Strategy};

use crate::config::by_option;
use crate::error::Error;

/// The devices that this program was built for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DeviceName {
    /// The CPU, in pure Rust
    #[cfg(feature = "flex")]
    Flex,
    /// A GPU by WebGPU
    #[cfg(feature = "wgpu")]
    Wgpu,
    /// A GPU by Vulkan
    #[cfg(feature = "vulkan")]
    Vulkan,
    /// A GPU by CUDA
    #[cfg(feature = "cuda")]
    Cuda,
    /// The CPU by LibTorch (deprecated)
    #[cfg(feature = "tch")]
    Libtorch,
}

impl Default for DeviceName {
    fn default() -> Self {
        Self::value_variants()[0]
    }
}

impl From<DeviceName> for gsb_train::DeviceName {
    fn from(name: DeviceName) -> Self {
        match name {
            #[cfg(feature = "flex")]
            DeviceName::Flex => Self::Flex,
            #[cfg(feature = "wgpu")]
            DeviceName::Wgpu => Self::Wgpu,
            #[cfg(feature = "vulkan")]
            DeviceName::Vulkan => Self::Vulkan,
            #[cfg(feature = "cuda")]
            DeviceName::Cuda => Self::Cuda,
            #[cfg(feature = "tch")]
            DeviceName::Libtorch => Self::Libtorch,
        }
    }
}

impl DeviceName {
    /// Opens the device.
    ///
    /// # Errors
    /// [`Error::NoDevice`] if the machine has none of this kind.
    pub fn open(self) -> Result<Device, Error> {
        gsb_train::DeviceName::from(self).open().map_err(by_option)
    }
}

/// How several devices work together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum StrategyName {
    /// The first adds up the gradients and takes the step
    Multi,
    /// They average their gradients and each takes the step (distributed data parallel)
    Ddp,
}

impl From<StrategyName> for Strategy {
    fn from(name: StrategyName) -> Self {
        match name {
            StrategyName::Multi => Self::Multi,
            StrategyName::Ddp => Self::Ddp,
        }
    }
}

/// Opens the devices of a run.
///
/// # Errors
/// [`Error::NoDevice`] if the machine has fewer of this kind, [`Error::Option`] if the strategy is not
/// one of that number of devices.
pub fn open_devices(config: &RunConfig) -> Result<Devices, Error> {
    if config.devices == 1 && config.strategy == Strategy::Ddp {
        return Err(Error::Option {
            option: "--strategy",
            reason: "ddp is for several devices: expected --devices 2 or more".into(),
        });
    }
    config.open_devices().map_err(by_option)
}
