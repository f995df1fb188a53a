//! Devices by their names.

use std::fmt;

use burn::tensor::Device;
#[cfg(any(feature = "wgpu", feature = "vulkan", feature = "cuda"))]
use burn::tensor::DeviceType;
use serde::{Deserialize, Serialize};

use super::devices::Devices;
use crate::error::Error;

/// A kind of device. All kinds have a name everywhere; which can be opened depends on the features that the program was
/// built with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum DeviceName {
    /// The CPU, in pure Rust.
    Flex,
    /// A GPU by WebGPU.
    Wgpu,
    /// A GPU by Vulkan.
    Vulkan,
    /// A GPU by CUDA.
    Cuda,
    /// The CPU by LibTorch, which is deprecated in Burn.
    Libtorch,
}

/// How several devices work together, see [`Devices`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Strategy {
    /// The first adds up the gradients and takes the step.
    #[default]
    Multi,
    /// They average their gradients and each takes the step (distributed data parallel).
    Ddp,
}

impl Default for DeviceName {
    /// The first that can be opened.
    fn default() -> Self {
        Self::AVAILABLE.first().copied().unwrap_or(Self::Flex)
    }
}

impl fmt::Display for DeviceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl DeviceName {
    /// The kinds that this program was built for.
    pub const AVAILABLE: &'static [Self] = &[
        #[cfg(feature = "flex")]
        Self::Flex,
        #[cfg(feature = "wgpu")]
        Self::Wgpu,
        #[cfg(feature = "vulkan")]
        Self::Vulkan,
        #[cfg(feature = "cuda")]
        Self::Cuda,
        #[cfg(feature = "tch")]
        Self::Libtorch,
    ];

    /// The name, as it is displayed and serialized.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Flex => "flex",
            Self::Wgpu => "wgpu",
            Self::Vulkan => "vulkan",
            Self::Cuda => "cuda",
            Self::Libtorch => "libtorch",
        }
    }

    /// Opens the first device of its kind.
    ///
    /// # Errors
    /// [`Error::NoDevice`] if the machine has none; [`Error::Option`] if the program was not built for it.
    pub fn open(self) -> Result<Device, Error> {
        Ok(self.open_first(1)?.swap_remove(0))
    }

    /// Opens the first `count` devices of its kind for a run.
    ///
    /// # Errors
    /// [`Error::NoDevice`] if the machine has fewer; [`Error::Option`] if there are to be none, the strategy is not one
    /// of that number, or the program was not built for the device.
    pub fn open_all(self, count: usize, strategy: Strategy) -> Result<Devices, Error> {
        match (count, strategy) {
            (0 | 1025.., _) => {
                let reason = format!("must be between 1 and 1024, got {count}");
                Err(Error::option("devices", reason))
            }
            (1, Strategy::Multi) => Ok(Devices::Single(self.open()?)),
            (1, Strategy::Ddp) => Err(Error::option(
                "strategy",
                "ddp is for several devices: expected 2 or more",
            )),
            (_, Strategy::Multi) => Ok(Devices::Multi(self.open_first(count)?)),
            (_, Strategy::Ddp) => Ok(Devices::Distributed(self.open_first(count)?)),
        }
    }

    #[allow(
        unused_variables,
        reason = "without a backend there is nothing to open"
    )]
    fn open_first(self, count: usize) -> Result<Vec<Device>, Error> {
        match self {
            #[cfg(feature = "flex")]
            Self::Flex => Ok(vec![Device::flex(); count]),
            #[cfg(feature = "wgpu")]
            Self::Wgpu => self.enumerate(DeviceType::Wgpu, count),
            #[cfg(feature = "vulkan")]
            Self::Vulkan => self.enumerate(DeviceType::Vulkan, count),
            #[cfg(feature = "cuda")]
            Self::Cuda => self.enumerate(DeviceType::Cuda, count),
            #[cfg(feature = "tch")]
            Self::Libtorch => Ok(vec![Device::libtorch(); count]),
            #[allow(unreachable_patterns, reason = "with all features every kind is there")]
            _ => {
                let there: Vec<&str> = Self::AVAILABLE.iter().map(|kind| kind.as_str()).collect();
                let reason = format!(
                    "this program was built without {self}: expected one of {}",
                    there.join(", ")
                );
                Err(Error::option("device", reason))
            }
        }
    }

    /// The first devices of a kind. One that is not there would panic at its first operation.
    #[cfg(any(feature = "wgpu", feature = "vulkan", feature = "cuda"))]
    fn enumerate(self, kind: DeviceType, count: usize) -> Result<Vec<Device>, Error> {
        let mut devices = Device::enumerate(kind).into_vec();
        if devices.len() < count {
            return Err(Error::NoDevice {
                name: self.as_str(),
                count,
                found: devices.len(),
            });
        }
        devices.truncate(count);
        Ok(devices)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn impossible_devices_are_refused() {
        let complaint = |count, strategy| {
            let opened = DeviceName::default().open_all(count, strategy);
            opened.unwrap_err().to_string()
        };
        assert_eq!(
            complaint(0, Strategy::Multi),
            "devices: must be between 1 and 1024, got 0"
        );
        assert_eq!(
            complaint(usize::MAX / 4, Strategy::Multi),
            format!(
                "devices: must be between 1 and 1024, got {}",
                usize::MAX / 4
            )
        );
        assert_eq!(
            complaint(1, Strategy::Ddp),
            "strategy: ddp is for several devices: expected 2 or more"
        );
    }

    #[cfg(all(feature = "flex", not(feature = "vulkan")))]
    #[test]
    fn a_device_that_was_left_out_has_a_name() {
        let name: DeviceName = serde_json::from_str("\"vulkan\"").unwrap();
        let error = name.open().unwrap_err().to_string();
        assert!(
            error
                .starts_with("device: this program was built without vulkan: expected one of flex"),
            "{error}"
        );
    }
}
