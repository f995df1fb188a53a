//! The packed file: what is written comes back, and nothing that is read is trusted.

mod common;

use std::sync::Mutex;

use common::counting::{Counting, allocations, most_bytes, peak};
use common::sealed::{seal, unsealed};
use common::{KINDS, Kind, config, model, network};
use gsb_packed::{
    Error, Image, Isa, PackedConfig, PackedFile, PackedModel, PackedNetwork, Random, ShiftStorage,
    TensorLayout,
};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

/// Tests that look at the counters, or use much, take turns.
static TURN: Mutex<()> = Mutex::new(());

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn turn() -> std::sync::MutexGuard<'static, ()> {
    TURN.lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[test]
fn networks_come_back() {
    let _turn = turn();
    for seed in 0..40 {
        let config = config(seed);
        let mut packed =
            PackedFile::unnamed(network(&config, seed, KINDS[seed as usize % KINDS.len()]));
        packed
            .provenance
            .insert("source".into(), "a \"test\"".into());
        let bytes = packed.to_bytes(ShiftStorage::F32).unwrap();
        assert_eq!(
            PackedFile::from_bytes(&bytes).unwrap(),
            packed,
            "seed {seed}"
        );
    }
}

#[test]
fn smaller_shifts_are_near() {
    let _turn = turn();
    let packed = PackedFile::unnamed(PackedNetwork::random(&PackedConfig::micro(), 1).unwrap());
    let full = packed.to_bytes(ShiftStorage::F32).unwrap().len();
    for (storage, part, bound) in [(ShiftStorage::F16, 2, 1e-4), (ShiftStorage::I8, 4, 1e-3)] {
        let bytes = packed.to_bytes(storage).unwrap();
        let shifts = 4 * 4 * 18 * 18 * 4;
        assert!(full - bytes.len() + 1000 > shifts - shifts / part);
        let back = PackedFile::from_bytes(&bytes).unwrap();
        for (a, b) in packed.network.blocks.iter().zip(&back.network.blocks) {
            let pairs = a
                .attention
                .attention_shift
                .iter()
                .zip(&b.attention.attention_shift);
            pairs.for_each(|(a, b)| assert!((a - b).abs() <= bound, "{a} against {b}"));
        }
    }
}

/// Nothing is written that cannot be read.
#[test]
fn shifts_that_would_be_infinite_are_refused() {
    let _turn = turn();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let mut packed = PackedFile::unnamed(PackedNetwork::random(&PackedConfig::micro(), 1).unwrap());
    // In the second head.
    let at = 18 * 18 + 5;
    packed.network.blocks[3].attention.attention_shift[at] = f32::MIN;
    packed.write(&path, ShiftStorage::I8).unwrap();
    PackedModel::open(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    let (storage, last, first) = (ShiftStorage::F16, 65_519.996, 65_520.0);
    for sign in [1.0, -1.0] {
        packed.network.blocks[3].attention.attention_shift[at] = sign * last;
        packed.write(&path, storage).unwrap();
        PackedModel::open(&path).unwrap();
        std::fs::remove_file(&path).unwrap();

        packed.network.blocks[3].attention.attention_shift[at] = sign * first;
        match packed.write(&path, storage) {
            Err(Error::Value {
                tensor,
                value,
                index,
                ..
            }) => {
                assert_eq!(tensor, "blocks.3.attention.attention_shift.bias");
                assert_eq!((value, index), ((sign * first).to_string(), at));
            }
            other => panic!("{storage:?}: {other:?}"),
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        let bytes = packed.to_bytes(ShiftStorage::F32).unwrap();
        assert_eq!(PackedFile::from_bytes(&bytes).unwrap(), packed);
    }
}

/// Names, shapes and bits are those of the file.
#[test]
fn the_tensors_that_are_listed_are_those_of_a_file() {
    let _turn = turn();
    for seed in 0..20 {
        let config = config(seed);
        let packed =
            PackedFile::unnamed(network(&config, seed, KINDS[seed as usize % KINDS.len()]));
        let bytes = packed.to_bytes(ShiftStorage::F32).unwrap();
        let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        let mut names = file.names();
        names.retain(|name| !name.ends_with(".zeros"));
        names.sort_unstable();
        let tensors = config.tensors().unwrap();
        let name = |tensor: &TensorLayout| format!("{}.{}", tensor.layer, tensor.part);
        let mut listed: Vec<String> = tensors.iter().map(name).collect();
        for (tensor, name) in tensors.iter().zip(&listed) {
            let entries: usize = tensor.shape.iter().product();
            let found = file.tensor(name).unwrap().data().len();
            let is_one_for_all = tensor.part == "weight_scale" && found == 4;
            let expected = (entries * usize::from(tensor.bits)).div_ceil(8);
            assert!(
                found == expected || is_one_for_all,
                "{tensor:?}: {found} bytes"
            );
        }
        listed.sort_unstable();
        assert_eq!(listed, names, "{config:?}");
    }
}

/// Threads that write one file do not write into each other's.
#[test]
fn a_file_may_be_written_by_many() {
    let _turn = turn();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let config = PackedConfig {
        depth: 1,
        ..PackedConfig::micro()
    };
    // Of processes that were killed.
    const LEFT: usize = 100;
    for number in 0..LEFT {
        std::fs::write(path.with_file_name(format!(".tmp-gsb-{number}")), "").unwrap();
    }
    std::thread::scope(|scope| {
        for seed in 0..8 {
            let packed = PackedFile::unnamed(PackedNetwork::random(&config, seed).unwrap());
            let path = &path;
            scope.spawn(move || {
                for _ in 0..8 {
                    packed.write(path, ShiftStorage::F32).unwrap();
                    PackedFile::open(path).unwrap();
                }
            });
        }
    });
    PackedModel::open(&path).unwrap();
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), LEFT + 1);
}

/// One bit a binary weight, eight a weight of the ends, 32 anything else.
#[test]
fn a_file_holds_what_it_costs() {
    let _turn = turn();
    let config = PackedConfig::deit_small(1000);
    let packed = PackedFile::unnamed(PackedNetwork::random(&config, 1).unwrap());
    let bytes = packed.to_bytes(ShiftStorage::F32).unwrap();
    let (width, hidden, tokens, heads) = (384, 1536, 198, 6);
    let bits = 12 * (4 * width * width + 2 * width * hidden);
    let bytes8 = width * 768 + 2 * 1000 * width;
    let floats_of_block = 4 * width // normalizations
        + (width + 2 + 3 * width) + 3 * width // qkv, shifts
        + 2 + 6 + heads * tokens * tokens
        + (width + 2 + width) + (width + 2 + hidden) + (hidden + 2 + width);
    let floats = 2 * width
        + 2 * width
        + tokens * width
        + 12 * floats_of_block
        + 2 * width
        + 2 * (width + 2 + 1000);
    let expected = bits / 8 + bytes8 + 4 * floats;
    let header = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    assert_eq!(bytes.len() - 8 - header, expected);
    assert!(expected - 4 * 12 * heads * tokens * tokens < 4_500_000);
}

#[test]
fn mutated_files_are_refused_or_run() {
    let _turn = turn();
    let network = PackedNetwork::random(
        &PackedConfig {
            depth: 1,
            ..PackedConfig::micro()
        },
        1,
    )
    .unwrap();
    let packed = PackedFile::unnamed(network);
    let storages = [ShiftStorage::F32, ShiftStorage::F16, ShiftStorage::I8];
    let files = storages.map(|storage| packed.to_bytes(storage).unwrap());
    let mut random = Random::new(7);
    let (mut refused, mut ran) = (0, 0);
    for round in 0..10_000 {
        let mut mutated = files[round % files.len()].clone();
        let header = 8 + u64::from_le_bytes(mutated[..8].try_into().unwrap()) as usize;
        for _ in 0..1 + random.below(4) {
            // Most of what can go wrong is in the header.
            let end = if random.below(4) == 0 {
                mutated.len()
            } else {
                header.min(mutated.len())
            };
            if end == 0 {
                break;
            }
            let at = random.below(end);
            match random.below(7) {
                0 => mutated[at] = random.bits() as u8,
                1 => mutated[at] ^= 1 << random.below(8),
                2 => mutated.truncate(at),
                3 => mutated[at] = b'0' + random.below(10) as u8,
                4 => mutated.insert(at, b'0' + random.below(10) as u8),
                5 => {
                    mutated.remove(at);
                }
                _ => {
                    let from = random.below(mutated.len());
                    let len = random.below(32).min(mutated.len() - at.max(from));
                    mutated.copy_within(from..from + len, at);
                }
            }
        }
        seal(&mut mutated);
        let (model, most) = peak(|| PackedModel::from_bytes(&mutated));
        assert!(
            most <= most_bytes(mutated.len()),
            "round {round}: {most} bytes"
        );
        match model {
            Err(error) => {
                refused += 1;
                assert!(!error.to_string().is_empty());
            }
            Ok(model) => {
                ran += 1;
                if ran % 50 == 0 {
                    let image = vec![round as u8; model.config().pixels()];
                    model.predict(&image).unwrap();
                }
            }
        }
    }
    assert!(refused > 5_000 && ran > 100, "{refused} refused, {ran} ran");
}

/// A small file.
fn tiny() -> (PackedFile, Vec<u8>) {
    let config = PackedConfig {
        image_size: 2,
        patch_size: 2,
        classes: 2,
        width: 4,
        depth: 1,
        heads: 1,
        mlp_width: 3,
        ..PackedConfig::micro()
    };
    let packed = PackedFile::unnamed(PackedNetwork::random(&config, 1).unwrap());
    let bytes = packed.to_bytes(ShiftStorage::F32).unwrap();
    (packed, bytes)
}

#[test]
fn every_flipped_bit_is_found() {
    let _turn = turn();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let (_, bytes) = tiny();
    PackedFile::from_bytes(&bytes).unwrap();
    let mut others = 0;
    for bit in 0..8 * bytes.len() {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        match PackedFile::from_bytes(&flipped) {
            Ok(_) => panic!("bit {bit} of {}", 8 * bytes.len()),
            Err(Error::Damaged) => {}
            // The checksum itself was not found any more.
            Err(error) => {
                others += 1;
                assert!(error.to_string().contains("damaged"), "bit {bit}: {error}");
            }
        }
    }
    let start = "{\"__metadata__\":{\"checksum\":\"".len();
    assert!(others <= 8 * start, "{others}");
    for len in 0..bytes.len() {
        PackedFile::from_bytes(&bytes[..len]).unwrap_err();
    }
    let mut flipped = bytes;
    *flipped.last_mut().unwrap() ^= 1;
    std::fs::write(&path, flipped).unwrap();
    let error = PackedModel::open(&path).unwrap_err().to_string();
    assert!(
        error.starts_with(&format!("{}: damaged", path.display())),
        "{error}"
    );
}

#[test]
fn files_from_before_there_were_checksums_are_read() {
    let _turn = turn();
    let (packed, bytes) = tiny();
    let before = unsealed(&bytes);
    assert!(before.len() < bytes.len());
    assert_eq!(PackedFile::from_bytes(&before).unwrap(), packed);
}

/// Sizes that padding to whole words, vectors and panels makes the most of.
#[test]
fn memory_is_in_proportion() {
    let _turn = turn();
    let narrow = PackedConfig {
        width: 1,
        heads: 1,
        mlp_width: 1,
        depth: 1,
        ..PackedConfig::micro()
    };
    let mut configs = vec![
        PackedConfig {
            mlp_width: 1 << 14,
            ..narrow.clone()
        },
        PackedConfig {
            classes: 1 << 14,
            head_bits: 1,
            ..narrow.clone()
        },
        PackedConfig {
            depth: 200,
            ..narrow.clone()
        },
        PackedConfig {
            image_size: 16,
            patch_size: 1,
            ..narrow.clone()
        },
        PackedConfig {
            image_size: 256,
            patch_size: 256,
            ..narrow.clone()
        },
    ];
    // Two tokens, and heads of one channel.
    configs.extend([32, 128, 512].map(|width| PackedConfig {
        image_size: 1,
        patch_size: 1,
        distillation_token: false,
        width,
        heads: width,
        depth: 1 + 1024 / width,
        ..narrow.clone()
    }));
    // Weights of one bit that each become a level, a word and a factor.
    configs.extend(
        [(129, 1), (321, 3), (577, 577)].map(|(width, heads)| PackedConfig {
            image_size: 1,
            patch_size: 1,
            channels: 1 << 14,
            patch_bits: 1,
            width,
            heads,
            ..narrow.clone()
        }),
    );
    for config in configs {
        let mut network = PackedNetwork::random(&config, 1).unwrap();
        // Those of 0 are listed, which takes more of the file.
        for level in &mut network.patch_embedding.weight {
            *level = level.signum() + i8::from(*level == 0);
        }
        let bytes = PackedFile::unnamed(network)
            .to_bytes(ShiftStorage::I8)
            .unwrap();
        let (model, most) = peak(|| PackedModel::from_bytes(&bytes));
        let len = bytes.len();
        assert!(
            most <= most_bytes(len),
            "{most} bytes for a file of {len}: {config:?}"
        );
        let model = model.unwrap();
        let image = vec![0; config.pixels()];
        model.predict(&image).unwrap();
    }
}

/// Memory for attention shifts and weights is taken before they are read.
#[test]
fn a_file_is_not_asked_for_more_than_it_can_hold() {
    let deep = PackedConfig {
        depth: 1000,
        ..PackedConfig::deit_small(10)
    };
    // Heads of one channel, which are padded most.
    let narrow = PackedConfig {
        image_size: 2,
        patch_size: 2,
        width: 16,
        heads: 16,
        mlp_width: 1,
        depth: 16384,
        ..PackedConfig::micro()
    };
    for config in [deep, narrow] {
        let entries = [
            ("format", "gsb-packed".into()),
            ("version", "1".into()),
            ("config", serde_json::to_string(&config).unwrap()),
        ];
        let header = entries.map(|(key, value): (_, String)| (key.to_string(), value));
        let something = TensorView::new(Dtype::U8, vec![4096], &[0; 4096]).unwrap();
        let bytes = safetensors::serialize([("x", something)], Some(header.into())).unwrap();
        let error = PackedModel::from_bytes(&bytes).unwrap_err().to_string();
        let (len, most) = (bytes.len(), most_bytes(bytes.len()));
        let expected = format!(" bytes, expected at most {most} for a file of {len}");
        assert!(
            error.starts_with("the memory for weights and attention shifts is ")
                && error.ends_with(&expected),
            "{error}"
        );
    }
}

/// A file whose attention shifts have 8 bits, without a checksum, some of its tensors
/// replaced, or left out where there is nothing in their place.
fn with_levels(packed: &PackedFile, replace: impl Fn(&str) -> Option<(Dtype, Vec<u8>)>) -> Vec<u8> {
    let bytes = unsealed(&packed.to_bytes(ShiftStorage::I8).unwrap());
    let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let replaced = tensors.tensors().into_iter().map(|(name, tensor)| {
        let (dtype, data) =
            replace(&name).unwrap_or_else(|| (tensor.dtype(), tensor.data().to_vec()));
        (name, dtype, tensor.shape().to_vec(), data)
    });
    let replaced: Vec<_> = replaced.collect();
    let kept = replaced.iter().filter(|(.., data)| !data.is_empty());
    let views = kept.map(|(name, dtype, shape, data)| {
        (name, TensorView::new(*dtype, shape.clone(), data).unwrap())
    });
    safetensors::serialize(views, header.metadata().clone()).unwrap()
}

/// Shifts are kept as the levels they are stored as, or as the floats that those stand for where a block
/// has others: the same logits come of both.
#[test]
fn levels_give_what_their_floats_give() {
    let _turn = turn();
    for seed in 0..4 * KINDS.len() as u64 {
        let config = config(seed);
        let network = network(&config, seed, KINDS[seed as usize % KINDS.len()]);
        let packed = PackedFile::unnamed(network);
        let bytes = with_levels(&packed, |_| None);
        let as_floats = PackedFile::from_bytes(&bytes).unwrap();
        let shift = &as_floats.network.blocks[0].attention.attention_shift;
        let mixed = with_levels(&packed, |name| {
            let values = || shift.iter().flat_map(|value| value.to_le_bytes()).collect();
            match name {
                "blocks.0.attention.attention_shift.bias" => Some((Dtype::F32, values())),
                "blocks.0.attention.attention_shift.scale" => Some((Dtype::F32, Vec::new())),
                _ => None,
            }
        });
        let image = Random::new(seed).image(&config);
        let logits = |model: PackedModel| model.predict(&image).unwrap().logits().to_vec();
        let expected = logits(PackedModel::new(as_floats).unwrap());
        for bytes in [bytes, mixed] {
            let found = logits(PackedModel::from_bytes(&bytes).unwrap());
            assert_eq!(found, expected, "seed {seed}");
        }
    }
}

/// Shifts that are not finite, as floats, as levels, and as levels beside the floats of another block.
#[test]
fn shifts_that_are_not_finite_are_refused() {
    let _turn = turn();
    let network = PackedNetwork::random(&PackedConfig::micro(), 1).unwrap();
    let last = network.blocks[1].attention.attention_shift.len() - 1;
    let packed = PackedFile::unnamed(network);
    let floats = |wrong: f32| {
        let mut values = vec![0.5f32; last + 1];
        values[last] = wrong;
        values.into_iter().flat_map(f32::to_le_bytes).collect()
    };
    let halves = || {
        let mut values = vec![[0; 2]; last];
        values.push([0, 0x7e]);
        values.concat()
    };
    // The steps of two of the four heads.
    let steps = || {
        let steps = [1.0, 1.0, f32::INFINITY, f32::NAN];
        steps.into_iter().flat_map(f32::to_le_bytes).collect()
    };
    type Replacement<'a> = &'a dyn Fn(&str) -> Option<(Dtype, Vec<u8>)>;
    let of_float: Replacement = &|part| match part {
        "bias" => Some((Dtype::F32, floats(f32::NAN))),
        _ => Some((Dtype::F32, Vec::new())),
    };
    let of_half: Replacement = &|part| match part {
        "bias" => Some((Dtype::F16, halves())),
        _ => Some((Dtype::F32, Vec::new())),
    };
    let of_levels: Replacement = &|part| (part == "scale").then(|| (Dtype::F32, steps()));
    let fine: Replacement = &|part| match part {
        "bias" => Some((Dtype::F32, floats(0.5))),
        _ => Some((Dtype::F32, Vec::new())),
    };
    let none: Replacement = &|_| None;
    for (first, second, index) in [
        (none, of_float, last),
        (none, of_half, last),
        (none, of_levels, last.div_ceil(2)),
        (fine, of_levels, last.div_ceil(2)),
    ] {
        let bytes = with_levels(&packed, |name| {
            let part = |block: &str| name.strip_prefix(block);
            part("blocks.0.attention.attention_shift.")
                .map(first)
                .or_else(|| part("blocks.1.attention.attention_shift.").map(second))
                .flatten()
        });
        for error in [
            PackedModel::from_bytes(&bytes).unwrap_err(),
            PackedFile::from_bytes(&bytes).unwrap_err(),
        ] {
            let Error::Value {
                tensor,
                index: found,
                expected,
                ..
            } = &error
            else {
                panic!("{error}")
            };
            assert_eq!(tensor, "blocks.1.attention.attention_shift.bias");
            assert_eq!((*found, *expected), (index, "a finite number"));
        }
    }
}

/// Nothing is allocated for any image, but for exact zeros, which are listed.
#[test]
fn memory_is_reused() {
    let _turn = turn();
    for seed in 0..4 * KINDS.len() {
        let kind = KINDS[seed % KINDS.len()];
        let config = config(seed as u64);
        let network = network(&config, seed as u64, kind);
        let mut random = Random::new(3);
        let images: Vec<Vec<u8>> = (0..5).map(|_| random.image(&config)).collect();
        let normalized: Vec<f32> = (0..config.pixels()).map(|_| random.normal()).collect();
        let mut all: Vec<Image> = images.iter().map(Image::from).collect();
        all.push(Image::Normalized(&normalized));
        for isa in Isa::available() {
            let model = model(&network, isa);
            let mut scratch = model.scratch();
            let mut logits = vec![0.0; config.classes];
            let mut run = |images: &[Image]| {
                for &image in images {
                    model.logits_into(image, &mut scratch, &mut logits).unwrap();
                }
            };
            // Shifts of 0 leave sums that are exactly 0.
            if kind == Kind::Fresh {
                run(&all);
            }
            let ((), count) = allocations(|| run(&all));
            assert_eq!(count, 0, "{isa}, {kind:?}, {config:?}");
        }
    }
}

/// Lists of one would be long enough for the other.
#[test]
#[should_panic(expected = "another configuration")]
fn the_memory_of_a_larger_model_is_refused() {
    let micro = PackedConfig::micro();
    let larger = PackedConfig {
        image_size: 2 * micro.image_size,
        ..micro.clone()
    };
    let model = |config: &PackedConfig| model(&network(config, 1, Kind::Plain), Isa::Scalar);
    let image = Random::new(2).image(&micro);
    let mut logits = vec![0.0; micro.classes];
    let mut scratch = model(&larger).scratch();
    let _ = model(&micro).logits_into(Image::from(&image), &mut scratch, &mut logits);
}

/// Nor by a thread of the pool that shares an image.
#[cfg(feature = "rayon")]
#[test]
fn shared_memory_is_reused() {
    let _turn = turn();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2);
    let pool = pool.build().unwrap();
    for seed in 0..4 * KINDS.len() {
        let kind = KINDS[seed % KINDS.len()];
        let config = config(seed as u64);
        let network = network(&config, seed as u64, kind);
        let mut random = Random::new(3);
        let images: Vec<Vec<u8>> = (0..5).map(|_| random.image(&config)).collect();
        for isa in Isa::available() {
            let model = model(&network, isa);
            let mut scratch = model.shared_scratch(3);
            let mut logits = vec![0.0; config.classes];
            let mut run = || {
                for image in &images {
                    let image = Image::from(image);
                    model.logits_into(image, &mut scratch, &mut logits).unwrap();
                }
            };
            pool.install(|| {
                if kind == Kind::Fresh {
                    run();
                }
                let ((), count) = allocations(&mut run);
                assert_eq!(count, 0, "{isa}, {kind:?}, {config:?}");
            });
        }
    }
}

#[test]
fn complaints_name_what_is_wrong() {
    let _turn = turn();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let complaint = |packed: &PackedFile| {
        let bytes = packed.to_bytes(ShiftStorage::F32).unwrap_err();
        bytes.to_string()
    };
    let fresh = || PackedFile::unnamed(PackedNetwork::random(&PackedConfig::micro(), 1).unwrap());

    let mut packed = fresh();
    packed.network.blocks[2].fc1.bias[7] = f32::NAN;
    assert_eq!(
        complaint(&packed),
        "tensor \"blocks.2.mlp.fc1.bias\" holds NaN at 7, expected a finite number"
    );
    let mut packed = fresh();
    packed.network.positions.pop();
    assert_eq!(
        complaint(&packed),
        "tokens.position has 1151 entries, expected 1152"
    );
    let mut packed = fresh();
    packed.class_names.pop();
    assert_eq!(
        complaint(&packed),
        "metadata entry \"class_names\": 9 names for 10 classes"
    );

    let packed = fresh();
    packed.write(&path, ShiftStorage::F32).unwrap();
    let files: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
    assert_eq!(files.len(), 1, "{files:?}");
    let model = PackedModel::open(&path).unwrap();
    assert_eq!(model.class_names()[3], "3");
    assert_eq!(
        model.predict(&vec![0; 63]).unwrap_err().to_string(),
        "an image of 63 values, expected 64 (8 x 8 pixels of 1 bytes)"
    );

    let missing = folder.path().join("missing");
    let error = PackedModel::open(&missing).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with(&format!("{}: cannot open it", missing.display()))
    );
    let mut bytes = std::fs::read(&path).unwrap();
    let version = b"\"version\":\"2\"";
    let at = bytes
        .windows(version.len())
        .position(|window| window == version)
        .unwrap();
    bytes[at + version.len() - 2] = b'9';
    seal(&mut bytes);
    assert!(matches!(
        PackedModel::from_bytes(&bytes),
        Err(Error::Version { .. })
    ));
    let error = packed
        .write(folder.path().join("no/such/folder"), ShiftStorage::F32)
        .unwrap_err();
    let error = error.to_string();
    assert!(error.contains("folder: cannot write it: "), "{error}");
}
