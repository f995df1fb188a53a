//! Where to compute.

use burn::tensor::Device;
use clap::ValueEnum;
use gsb_train::Devices;
use serde::{Deserialize, Serialize};

use crate::error::Error;

/// The devices that this program was built for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
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

impl DeviceName {
    /// Opens the device.
    ///
    /// # Errors
    /// [`Error::NoDevice`] if the machine has none of this kind.
    pub fn open(self) -> Result<Device, Error> {
        match self {
            #[cfg(feature = "flex")]
            Self::Flex => Ok(Device::flex()),
            #[cfg(feature = "wgpu")]
            Self::Wgpu => first(burn::tensor::DeviceType::Wgpu, "wgpu"),
            #[cfg(feature = "vulkan")]
            Self::Vulkan => first(burn::tensor::DeviceType::Vulkan, "vulkan"),
            #[cfg(feature = "cuda")]
            Self::Cuda => first(burn::tensor::DeviceType::Cuda, "cuda"),
            #[cfg(feature = "tch")]
            Self::Libtorch => Ok(Device::libtorch()),
        }
    }
}

/// The first device of a kind. One that is not there would panic at its first operation.
#[cfg(any(feature = "wgpu", feature = "vulkan", feature = "cuda"))]
fn first(kind: burn::tensor::DeviceType, name: &'static str) -> Result<Device, Error> {
    several(kind, name, 1).map(|devices| devices[0].clone())
}

/// The first devices of a kind.
#[cfg(any(feature = "wgpu", feature = "vulkan", feature = "cuda"))]
fn several(
    kind: burn::tensor::DeviceType,
    name: &'static str,
    count: usize,
) -> Result<Vec<Device>, Error> {
    let mut found = Device::enumerate(kind).into_vec();
    if found.len() < count {
        let found = found.len();
        return Err(Error::NoDevice { name, count, found });
    }
    found.truncate(count);
    Ok(found)
}

/// How several devices work together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Strategy {
    /// The first adds up the gradients and takes the step
    #[default]
    Multi,
    /// They average their gradients and each takes the step (distributed data parallel)
    Ddp,
}

impl DeviceName {
    /// Opens so many devices.
    ///
    /// # Errors
    /// [`Error::NoDevice`] if the machine has fewer of this kind, [`Error::Option`] if the strategy is not
    /// one of so many devices.
    pub fn open_all(self, count: usize, strategy: Strategy) -> Result<Devices, Error> {
        if count == 1 {
            if strategy == Strategy::Ddp {
                return Err(Error::Option {
                    option: "--strategy",
                    reason: "ddp is for several devices: expected --devices 2 or more".into(),
                });
            }
            return Ok(Devices::Single(self.open()?));
        }
        let devices = match self {
            #[cfg(feature = "flex")]
            Self::Flex => vec![Device::flex(); count],
            #[cfg(feature = "wgpu")]
            Self::Wgpu => several(burn::tensor::DeviceType::Wgpu, "wgpu", count)?,
            #[cfg(feature = "vulkan")]
            Self::Vulkan => several(burn::tensor::DeviceType::Vulkan, "vulkan", count)?,
            #[cfg(feature = "cuda")]
            Self::Cuda => several(burn::tensor::DeviceType::Cuda, "cuda", count)?,
            #[cfg(feature = "tch")]
            Self::Libtorch => vec![Device::libtorch(); count],
        };
        Ok(match strategy {
            Strategy::Multi => Devices::Multi(devices),
            Strategy::Ddp => Devices::Distributed(devices),
        })
    }
}
