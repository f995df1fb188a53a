//! Any bytes are refused with an error, or are a checkpoint whose tensors are read or refused one by one;
//! neither takes more memory than the documentation of the crate promises.
#![no_main]

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use gsb_checkpoint::{Take, TensorFile};
use peak_alloc::PeakAlloc;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// As in `tests/hostile.rs`.
const PER_BYTE: usize = 32;
const CONSTANT: usize = 1 << 17;

/// A file in memory where there is a place for such: the disk would set the pace.
static PLACE: LazyLock<PathBuf> = LazyLock::new(|| {
    let memory = Path::new("/dev/shm");
    let folder = match memory.is_dir() {
        true => memory.to_path_buf(),
        false => std::env::temp_dir(),
    };
    folder.join(format!("gsb-checkpoint-fuzz-{}", std::process::id()))
});

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let written = File::create(&*PLACE).and_then(|mut file| file.write_all(bytes));
    written.expect("the file can be written");
    // What is taken changes what is found, not what may be allocated.
    let take = match bytes.len() % 2 {
        0 => Take::Weights,
        _ => Take::Average,
    };
    MEMORY.reset_peak_usage();
    let before = MEMORY.current_usage();
    if let Ok(file) = TensorFile::open(&*PLACE, take) {
        for name in file.names() {
            let _ = file.read(name);
        }
    }
    let most = MEMORY.peak_usage() - before;
    assert!(most <= PER_BYTE * bytes.len() + CONSTANT, "{most} bytes");
});
