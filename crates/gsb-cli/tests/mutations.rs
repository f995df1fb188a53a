//! Damaged pictures through `gsb predict`. `GSB_MUTATIONS` says how many.

mod program;

use std::collections::HashSet;
use std::io::Cursor;

use image::{DynamicImage, ImageFormat};
use program::{folder, gsb, random_model, stderr, stdout};
use rand::rngs::ChaCha8Rng;
use rand::{Rng, RngExt, SeedableRng};

/// Pictures in a folder.
const FOLDER: usize = 1000;

/// What is not made here: by libjpeg-turbo (progressive gray; 4:2:0 with restart markers) and Pillow.
const MADE: [&[u8]; 5] = [
    include_bytes!("pictures/progressive.jpg"),
    include_bytes!("pictures/colour.jpg"),
    include_bytes!("pictures/palette.gif"),
    include_bytes!("pictures/lzw.tif"),
    include_bytes!("pictures/deflate.tif"),
];

/// Sound pictures of all formats, small enough that a change hits something.
fn sound() -> Vec<Vec<u8>> {
    let colour = image::RgbImage::from_fn(19, 13, |x, y| {
        image::Rgb([(x * 13) as u8, (y * 19) as u8, 77])
    });
    let colour = DynamicImage::from(colour);
    let kinds = [
        colour.clone(),
        colour.to_luma8().into(),
        colour.to_rgba8().into(),
        colour.to_luma16().into(),
        colour.to_rgb16().into(),
    ];
    let formats = [
        ImageFormat::Png,
        ImageFormat::Bmp,
        ImageFormat::WebP,
        ImageFormat::Pnm,
    ];
    let mut all = MADE.map(<[u8]>::to_vec).to_vec();
    for format in formats {
        for kind in &kinds {
            let mut bytes = Cursor::new(Vec::new());
            // Not every format has every kind.
            if kind.write_to(&mut bytes, format).is_ok() {
                all.push(bytes.into_inner());
            }
        }
    }
    all
}

fn mutated(sound: &[Vec<u8>], random: &mut ChaCha8Rng) -> Vec<u8> {
    let mut bytes = sound[random.random_range(0..sound.len())].clone();
    for _ in 0..random.random_range(1..=4) {
        let place = random
            .random_range(0..bytes.len().max(1))
            .min(bytes.len().saturating_sub(1));
        // Headers decide about most.
        let place = if random.random_bool(0.5) {
            place.min(random.random_range(0..64))
        } else {
            place
        };
        let rest = bytes.len() - place;
        match random.random_range(0..6) {
            0 => bytes.truncate(place),
            1 => bytes.extend((0..place % 9).map(|_| random.next_u32() as u8)),
            2 if rest >= 4 => {
                let extreme = [0, 1, 0x7fff_ffff, 0xffff_ffff, 0xffff, 0x8000_0000]
                    [random.random_range(0..6)];
                bytes[place..place + 4].copy_from_slice(&u32::to_le_bytes(extreme));
            }
            3 if rest >= 2 => {
                bytes.remove(place);
            }
            4 => bytes.insert(place, random.next_u32() as u8),
            _ if rest >= 1 => bytes[place] ^= 1 << random.random_range(0..8),
            _ => {}
        }
    }
    bytes
}

#[test]
fn every_damaged_picture_is_classified_or_named() {
    let count =
        std::env::var("GSB_MUTATIONS").map_or(1000, |count| count.parse().expect("a number"));
    let sound = sound();
    assert!(sound.len() >= 20);
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let (mut classified, mut refused) = (0, 0);
    for start in (0..count).step_by(FOLDER) {
        let folder = folder();
        random_model(&folder.path().join("m.st"));
        let pictures = folder.path().join("p");
        std::fs::create_dir(&pictures).expect("a folder");
        let names = (start..count.min(start + FOLDER)).map(|number| {
            let name = format!("p/{number:07}.png");
            std::fs::write(folder.path().join(&name), mutated(&sound, &mut random))
                .expect("written");
            name
        });
        let mut names: HashSet<String> = names.collect();
        let all = names.len();
        let output = gsb(folder.path())
            .args(["predict", "m.st", "p", "--top-k", "1"])
            .output()
            .expect("the program starts");
        let errors = stderr(&output);
        assert!(
            matches!(output.status.code(), Some(0 | 1)),
            "{}: {errors}",
            output.status
        );
        assert!(
            !errors.contains("panicked") && !errors.contains("internal error"),
            "{errors}"
        );
        for line in stdout(&output).lines() {
            let name = line.split("  ").next().unwrap_or_default();
            assert!(names.remove(name) && line.ends_with(" %"), "{line}");
            classified += 1;
        }
        let failed = names.len();
        for line in errors.lines() {
            let line = line.strip_prefix("error: ").expect(line);
            if line == format!("{failed} of {all} images could not be classified") {
                continue;
            }
            let name = line.split(':').next().unwrap_or_default();
            assert!(names.remove(name), "{line}");
            refused += 1;
        }
        assert!(names.is_empty(), "nothing was said of {names:?}");
    }
    assert_eq!(classified + refused, count);
    assert!(
        classified > count / 20 && refused > count / 20,
        "{classified} and {refused}"
    );
}
