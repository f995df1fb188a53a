//! Any bytes are refused with an error, or hold tensors that can be read or are damaged; neither takes
//! memory out of proportion to them.
#![no_main]

#[allow(dead_code)] // Made for packed models, it counts for others as well.
#[path = "../../../gsb-packed/tests/common/counting.rs"]
mod counting;

use counting::{Counting, peak};
use gsb_checkpoint::{Take, TensorFile};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What the documentation of the crate promises, and the file itself, which is in memory here.
const OPENING: usize = 32 + 1;
const READING: usize = 10;
/// The chunk that checksums are computed from, the end of an archive, what is not the file's.
const CONSTANT: usize = 1 << 17;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    for take in [Take::Weights, Take::Average] {
        let open = || TensorFile::from_bytes("file", bytes.to_vec(), take);
        let (file, most) = peak(open);
        let allowed = OPENING * bytes.len() + CONSTANT;
        assert!(most <= allowed, "opening took {most} bytes of {allowed}");
        let Ok(file) = file else { continue };
        for name in file.names() {
            let (_, most) = peak(|| file.read(name));
            let allowed = READING * bytes.len() + CONSTANT;
            assert!(most <= allowed, "reading took {most} bytes of {allowed}");
        }
    }
});
