//! What a run ran on.

use serde::Serialize;

use super::devices::Devices;

/// Version, machine and device of a run, for whoever wants to repeat it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Environment {
    version: &'static str,
    system: &'static str,
    architecture: &'static str,
    threads: usize,
    devices: Vec<String>,
}

impl Environment {
    pub fn of(devices: &Devices) -> Self {
        let devices = match devices {
            Devices::Single(device) => std::slice::from_ref(device),
            Devices::Multi(devices) | Devices::Distributed(devices) => devices,
        };
        Self {
            version: env!("CARGO_PKG_VERSION"),
            system: std::env::consts::OS,
            architecture: std::env::consts::ARCH,
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            devices: devices.iter().map(|device| format!("{device:?}")).collect(),
        }
    }
}
