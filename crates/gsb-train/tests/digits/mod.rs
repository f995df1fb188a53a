//! A few digits, and a model that learns from them in seconds.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gsb_data::{DataSplits, per_class};
use gsb_vit::VitConfig;

/// Runs of one process share the random numbers of its device: they take turns.
pub fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Eight images of each digit to train on.
pub fn data() -> DataSplits {
    let mut splits = gsb_data::digits().unwrap().split(0.2, 0).unwrap();
    splits.train = Arc::new(per_class(splits.train, 8, 0).unwrap());
    splits.test = Arc::new(per_class(splits.test, 2, 0).unwrap());
    splits
}

/// The model.
pub fn tiny() -> VitConfig {
    VitConfig::new(8, 10)
        .with_patch_size(4)
        .with_channels(1)
        .with_width(16)
        .with_depth(2)
        .with_heads(2)
}
