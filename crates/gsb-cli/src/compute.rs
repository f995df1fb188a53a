//! Where to compute.

use burn::tensor::Device;
use clap::ValueEnum;

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
    let found = Device::enumerate(kind).into_vec().into_iter().next();
    found.ok_or(Error::NoDevice(name))
}
