//! Any bytes are refused with an error, or are the pickles of CIFAR-100; neither takes memory out of proportion
//! to them.
#![no_main]

use std::path::PathBuf;
use std::sync::LazyLock;

use gsb_data::cifar100;
use gsb_data_fuzz::{folder, open, write};
use libfuzzer_sys::Corpus;

/// A byte makes a value of 32 bytes, in a list that doubles when it is full; or it is in the name of all 100
/// classes, of which there are three copies.
const PER_BYTE: usize = 512;

static FOLDER: LazyLock<PathBuf> = LazyLock::new(folder);

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| -> Corpus {
    // It would be unpacked, as files of MNIST are.
    if bytes.starts_with(b"\x1F\x8B") {
        return Corpus::Reject;
    }
    // One pickle has the names of the classes, the pictures and their labels.
    write(&FOLDER, &["meta", "train", "test"], bytes);
    open(|| cifar100(&FOLDER), PER_BYTE * bytes.len());
    Corpus::Keep
});
