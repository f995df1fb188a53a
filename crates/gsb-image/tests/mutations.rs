//! Damaged pictures of every kind are read or refused with their name: no panic, and no more memory
//! than there is a bound for. `GSB_MUTATIONS` is how many; 2,000 without it.

#[path = "support/pictures.rs"]
mod pictures;

use std::path::Path;
use std::time::Instant;

use gsb_image::{Orientation, decode_image};
use peak_alloc::PeakAlloc;
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// A file with some bytes changed, taken out or repeated.
fn damaged(file: &[u8], random: &mut ChaCha8Rng) -> Vec<u8> {
    let mut bytes = file.to_vec();
    for _ in 0..random.random_range(1..5) {
        // Headers are short, and half of the changes are theirs.
        let range = if random.random() {
            bytes.len()
        } else {
            bytes.len().min(128)
        };
        let place = random.random_range(0..range);
        match random.random_range(0..12) {
            0 => bytes.truncate(place.max(1)),
            1 => {
                let end = random.random_range(place..bytes.len().min(place + 64));
                bytes.drain(place..end);
            }
            2 => {
                let end = random.random_range(place..bytes.len().min(place + 64));
                bytes.extend_from_within(place..end);
                bytes[place..].rotate_right(end - place);
            }
            3 => bytes[place] = 0,
            4 => bytes[place] = 255,
            5..8 => bytes[place] = random.random(),
            _ => bytes[place] ^= 1 << random.random_range(0..8),
        }
    }
    bytes
}

#[test]
fn damaged_pictures_are_read_or_refused() {
    let count = std::env::var("GSB_MUTATIONS").map_or(2_000, |count| {
        count.parse().expect("GSB_MUTATIONS is a number")
    });
    let bundle = pictures::bundle();
    let files = pictures::files(&bundle);
    let mut random = ChaCha8Rng::seed_from_u64(11);
    let (mut read, mut largest, mut slowest) = (0, 0, Default::default());
    for index in 0..count {
        let (name, file) = &files[index % files.len()];
        let file = damaged(file, &mut random);
        let name = format!("{index}_{name}");
        let orientation = [Orientation::Stored, Orientation::Upright][index % 2];
        let start = Instant::now();
        let before = ALLOCATOR.current_usage();
        ALLOCATOR.reset_peak_usage();
        let result = decode_image(&file, Path::new(&name), orientation);
        let most = ALLOCATOR.peak_usage() - before;
        slowest = start.elapsed().max(slowest);
        largest = most.max(largest);
        assert!(
            most <= pictures::most_bytes(&file),
            "{name}: {most} bytes for {}",
            file.len()
        );
        match result {
            Ok(image) => {
                assert_eq!(
                    image.pixels.len(),
                    image.width * image.height * image.channels
                );
                read += 1;
            }
            Err(error) => assert!(
                error.to_string().starts_with(&format!("{name}: ")),
                "{error}"
            ),
        }
    }
    println!("{read} of {count} read; at most {largest} bytes and {slowest:?} for one");
    assert!(0 < read && read < count);
}
