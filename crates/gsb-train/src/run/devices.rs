//! Where to train: on one device, or on several that share each batch.

use burn::tensor::Device;
use burn::tensor::distributed::{DistributedConfig, ReduceOperation};
use burn_train::{ExecutionStrategy, MultiDeviceOptim};

use crate::error::Error;

/// The devices of a run.
///
/// Several devices share each batch, and their gradients are put together before each step: what
/// they compute is what one device computes with the whole batch, but for rounding and for what sees a device's own share
/// alone: the statistics of batch normalization (stage 1), thresholds of the whole batch, dropout and drop path. Which
/// device is first decides about the running variance of stage 1, so such runs cannot be repeated bit for bit.
#[derive(Debug, Clone)]
pub enum Devices {
    /// One device.
    Single(Device),
    /// Several devices of this process; the first adds up the gradients and takes the step.
    Multi(Vec<Device>),
    /// Several devices of this process that average their gradients and each take the step
    /// (distributed data parallel). CUDA alone.
    Distributed(Vec<Device>),
}

impl Devices {
    /// The device of evaluation and of the teacher.
    ///
    /// # Panics
    /// If there is no device.
    pub fn main(&self) -> &Device {
        match self {
            Self::Single(device) => device,
            Self::Multi(devices) | Self::Distributed(devices) => &devices[0],
        }
    }

    /// Number of devices.
    pub fn count(&self) -> usize {
        match self {
            Self::Single(_) => 1,
            Self::Multi(devices) | Self::Distributed(devices) => devices.len(),
        }
    }

    /// Whether there is one, the CPU in pure Rust.
    pub(crate) fn is_flex(&self) -> bool {
        match self {
            Self::Single(device) => is_named(device, "flex"),
            Self::Multi(_) | Self::Distributed(_) => false,
        }
    }

    /// Number of gradients that are added up, not averaged.
    pub(crate) fn summed(&self) -> usize {
        match self {
            Self::Multi(devices) => devices.len(),
            Self::Single(_) | Self::Distributed(_) => 1,
        }
    }

    /// Checks that the devices can work together.
    pub(crate) fn validate(&self) -> Result<(), Error> {
        if self.count() == 0 {
            return Err(Error::option("devices", "expected at least one, got none"));
        }
        if let Self::Distributed(devices) = self {
            // Burn has the collective operations for CUDA alone, and panics elsewhere.
            if !is_named(&devices[0], "cuda") {
                let device = &devices[0];
                let reason =
                    format!("{device:?} cannot average gradients: expected CUDA devices, or multi");
                return Err(Error::option("strategy", reason));
            }
        }
        Ok(())
    }

    pub(crate) fn strategy(&self) -> ExecutionStrategy {
        let tracked = |devices: &[Device]| devices.iter().cloned().map(Device::autodiff).collect();
        match self {
            Self::Single(device) => ExecutionStrategy::single(device.clone().autodiff()),
            Self::Multi(devices) => {
                ExecutionStrategy::multi(tracked(devices), MultiDeviceOptim::OptimMainDevice)
            }
            Self::Distributed(devices) => {
                let config = DistributedConfig {
                    all_reduce_op: ReduceOperation::Mean,
                };
                ExecutionStrategy::ddp(tracked(devices), config)
            }
        }
    }
}

/// Whether a device is of a backend, which Burn tells in words alone.
fn is_named(device: &Device, backend: &str) -> bool {
    format!("{device:?}").to_lowercase().contains(backend)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(feature = "flex")]
    #[test]
    fn one_device_flex_is_known_by_its_name() {
        for device in [Device::flex(), Device::flex().autodiff()] {
            assert!(Devices::Single(device.clone()).is_flex(), "{device:?}");
            assert!(!Devices::Multi(vec![device.clone(), device]).is_flex());
        }
    }
}
