//! Any bytes are refused with an error, or are a picture; neither takes memory out of bounds.
#![no_main]

#[path = "../../tests/support/pictures.rs"]
mod pictures;

use std::path::Path;

use gsb_image::{Orientation, decode_image};
use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let before = ALLOCATOR.current_usage();
    ALLOCATOR.reset_peak_usage();
    let result = decode_image(bytes, Path::new("picture"), Orientation::Upright);
    let most = ALLOCATOR.peak_usage().saturating_sub(before);
    assert!(most <= pictures::most_bytes(bytes), "{most} bytes");
    if let Ok(image) = result {
        let values = image.width * image.height * image.channels;
        assert_eq!(image.pixels.len(), values);
    }
});
