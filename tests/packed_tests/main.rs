//! Packed students against the Burn models they come from: every binary decision of every layer.

mod compare;
// What the golden tests read their files with; not all of it is used here.
#[allow(dead_code, unused_imports, unused_macros)]
#[path = "../golden_tests/fixture.rs"]
mod fixture;
mod golden;
mod odd;
mod random;
mod step;
mod trained;

use std::sync::{Mutex, MutexGuard, PoisonError};

use burn::tensor::Device;

/// Seeds the generator of random tensors, which all threads of a process share: until this is dropped, no
/// other test draws from it.
fn seeded(device: &Device, seed: u64) -> MutexGuard<'static, ()> {
    static GENERATOR: Mutex<()> = Mutex::new(());
    let guard = GENERATOR.lock().unwrap_or_else(PoisonError::into_inner);
    device.seed(seed);
    guard
}
