//! Damaged pictures of every kind are read or refused with their name: no panic, and no more memory
//! than there is a bound for. `GSB_MUTATIONS` is how many; 2,000 without it.

#[path = "support/pictures.rs"]
mod pictures;
#[path = "support/png.rs"]
mod png;

use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use gsb_image::{Orientation, decode_image, encoded_size};
use peak_alloc::PeakAlloc;
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// Who counts bytes does so alone.
static TURN: Mutex<()> = Mutex::new(());

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
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
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

/// A colour profile of which nothing is used.
#[test]
fn a_profile_that_inflates_takes_no_memory() {
    use std::io::Write;

    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let profile = vec![0; 256 << 20];
    let mut packed = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    packed.write_all(&profile).unwrap();
    drop(profile);
    let data = [b"icc\0\0".to_vec(), packed.finish().unwrap()].concat();
    let chunk = |name: &[u8], data: &[u8]| {
        let named = [name, data].concat();
        let mut crc = flate2::Crc::new();
        crc.update(&named);
        let len = (data.len() as u32).to_be_bytes();
        [&len[..], &named, &crc.sum().to_be_bytes()].concat()
    };
    let most = |read: &dyn Fn()| {
        let before = ALLOCATOR.current_usage();
        ALLOCATOR.reset_peak_usage();
        read();
        ALLOCATOR.peak_usage() - before
    };
    let path = Path::new("profile.png");
    // Behind the signature and the header.
    let mut file = png::png(1, 1, [1, 2, 3]);
    file.splice(33..33, chunk(b"iCCP", &data));
    let small = most(&|| {
        let image = decode_image(&file, path, Orientation::Stored).unwrap();
        assert_eq!(image.pixels, [1, 2, 3]);
    });
    // A picture whose pixels would take almost all that a picture may.
    let sides = 18_000u32.to_be_bytes();
    let header = [&sides[..], &sides, &[8, 2, 0, 0, 0]].concat();
    file.splice(8..33, chunk(b"IHDR", &header));
    let large = most(&|| {
        assert_eq!(encoded_size(&file, path).unwrap(), (18_000, 18_000));
    });
    for most in [small, large] {
        assert!(most < 96 << 20, "{most} bytes");
    }
}
