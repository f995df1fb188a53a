//! Damaged and hostile checkpoints: an error or tensors, but no panic, and no memory beyond what the
//! size of the file allows.

#![cfg(feature = "flex")]

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use burn::tensor::Device;
use gsb_vit::checkpoint::{CheckpointError, Published, Strictness, TensorFile, export};
use gsb_vit::{Error, Phase, Stage1Student, Stage2Student, VisionTransformer, VitConfig};
use peak_alloc::PeakAlloc;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// The allocator counts for all threads together: one test at a time.
static ALONE: Mutex<()> = Mutex::new(());

/// Bytes that opening and reading may take for each byte of the file.
///
/// Reading takes 10: the stored bytes, again in order, and eight of them for one of a boolean.
/// Opening takes most where the file is all pickle: a byte makes one value of 8, in a vector that
/// doubles, copied as it does: 24.
const PER_BYTE: usize = 32;
/// And for a file of whatever size: the chunk that checksums are computed from, the end of an archive.
const CONSTANT: usize = 1 << 17;
/// Mutants are mostly data, as checkpoints are.
const PER_BYTE_OF_MUTANT: usize = 12;

const MUTANTS: usize = 10_000;

/// Files that are changed. The two of training runs are the largest.
const SOURCES: [&str; 8] = [
    "tests/data/kinds.pth",
    "tests/data/kinds.safetensors",
    "tests/data/kinds_protocol4.pth",
    "tests/data/model.safetensors",
    "tests/data/no_checksums.pth",
    "tests/data/parallel.pth",
    "../../tests/golden/d_ckpt_stage1.pth",
    "../../tests/golden/d_ckpt_stage2.pth",
];

/// Opens a file and reads all of it: the number of its tensors, and the peak of what was allocated.
fn read_all(path: &Path) -> (Result<usize, CheckpointError>, usize) {
    MEMORY.reset_peak_usage();
    let before = MEMORY.current_usage();
    let read = || {
        let file = TensorFile::open(path)?;
        let mut count = 0;
        for name in file.names() {
            count += usize::from(file.read(name).is_ok());
        }
        Ok(count)
    };
    let outcome = catch_unwind(AssertUnwindSafe(read))
        .unwrap_or_else(|_| panic!("reading {} panicked", path.display()));
    (outcome, MEMORY.peak_usage() - before)
}

/// The random numbers of Marsaglia's xorshift64.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end.max(1) as u64) as usize
    }
}

/// Where the directory of a `.pth` file states the checksums of its entries.
fn checksums(bytes: &[u8]) -> Vec<usize> {
    let entries = bytes.windows(4).enumerate();
    let entries = entries.filter(|(_, window)| window == b"PK\x01\x02");
    entries.map(|(at, _)| at + 16).collect()
}

/// Damages a file in up to three places.
fn mutate(bytes: &mut Vec<u8>, random: &mut Random) {
    for _ in 0..=random.below(3) {
        let len = bytes.len();
        // Pickles and headers come first, directories last, and there the damage is worse.
        let at = match random.below(4) {
            0 => random.below(len),
            1 => len - random.below(len.min(8000)),
            _ => random.below(len.min(30_000)),
        };
        let left = len - at.min(len);
        match random.below(8) {
            0..3 if left > 0 => bytes[at] ^= 1 << random.below(8),
            3 if left > 0 => bytes[at] = random.below(256) as u8,
            4 => {
                // A splice: a piece of the file over another.
                let from = random.below(len);
                let size = random.below(200).min(left).min(len - from);
                bytes.copy_within(from..from + size, at);
            }
            5 => {
                // A length: large, negative or zero.
                let size = [1, 2, 4, 8][random.below(4)].min(left);
                let value = [0xff, 0x7f, 0x00, 0x01][random.below(4)];
                bytes[at..at + size].fill(value);
            }
            6 if random.below(4) == 0 => drop(bytes.drain(at..at + random.below(40).min(left))),
            7 if random.below(8) == 0 => bytes.truncate(at),
            _ => {}
        }
        if bytes.is_empty() {
            return;
        }
    }
}

/// Makes the model that a file says it holds.
fn import_all(path: &Path) -> Result<(), Error> {
    let published = Published::read(path)?;
    let (phase, config) = published.describe()?;
    let (strictness, device) = (Strictness::Lenient, Device::flex());
    match phase {
        Phase::Teacher => published
            .into_model::<VisionTransformer>(&config, strictness, &device)
            .map(drop),
        Phase::Stage1 => published
            .into_model::<Stage1Student>(&config, strictness, &device)
            .map(drop),
        Phase::Stage2 => published
            .into_model::<Stage2Student>(&config, strictness, &device)
            .map(drop),
    }
}

/// Damaged files whose tensors can be read nevertheless do not make a model that their size does not
/// justify: the model has twice the numbers of the file at most, and drawing them takes twice that.
#[test]
fn models_of_mutants() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = tempfile::tempdir().expect("a folder can be made");
    let path = folder.path().join("mutant");
    let device = Device::flex();
    let config = VitConfig::new(12, 4, 3, 5, 8, 2, 2);
    let mut sources = vec![
        fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join(SOURCES[7]))
            .expect("the file is there"),
    ];
    export(&config.init_teacher(&device).expect("a model"), &path).expect("written");
    sources.push(fs::read(&path).expect("written"));
    export(&config.init_stage2(&device).expect("a model"), &path).expect("written");
    sources.push(fs::read(&path).expect("written"));
    for at in checksums(&sources[0].clone()) {
        sources[0][at..at + 4].fill(0);
    }
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    let (mut made, mut refused) = (0, 0);
    for number in 0..MUTANTS {
        let mut bytes = sources[number % 3].clone();
        mutate(&mut bytes, &mut random);
        fs::write(&path, &bytes).expect("written");
        MEMORY.reset_peak_usage();
        let before = MEMORY.current_usage();
        let outcome = catch_unwind(AssertUnwindSafe(|| import_all(&path)))
            .unwrap_or_else(|_| panic!("mutant {number} panicked"));
        let peak = MEMORY.peak_usage() - before;
        let allowed = 2 * PER_BYTE * bytes.len() + (1 << 20);
        assert!(
            peak <= allowed,
            "mutant {number}: {peak} bytes of {allowed}"
        );
        match outcome {
            Ok(()) => made += 1,
            Err(_) => refused += 1,
        }
    }
    assert!(
        made > 100 && refused > 100,
        "{made} made, {refused} refused"
    );
}

#[test]
fn mutants() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let sources: Vec<Vec<u8>> = SOURCES
        .iter()
        .map(|name| {
            let mut bytes = fs::read(root.join(name)).expect("the file is there");
            // Without checksums, as PyTorch can write them, damage gets past the archive.
            for at in checksums(&bytes) {
                bytes[at..at + 4].fill(0);
            }
            bytes
        })
        .collect();
    let folder = tempfile::tempdir().expect("a folder can be made");
    let path = folder.path().join("mutant");

    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let (mut opened, mut refused, mut tensors, mut worst) = (0, 0, 0, 0.0f64);
    for number in 0..MUTANTS {
        // The large ones take longer.
        let pick = random.below(100);
        let source = if pick < 8 { 6 + pick % 2 } else { pick % 6 };
        let mut bytes = sources[source].clone();
        mutate(&mut bytes, &mut random);
        fs::write(&path, &bytes).expect("the file can be written");
        let (outcome, peak) = read_all(&path);
        // Overwritten, it might have to reach the disk.
        fs::remove_file(&path).expect("the file can be removed");
        let allowed = PER_BYTE_OF_MUTANT * bytes.len() + CONSTANT;
        assert!(
            peak <= allowed,
            "mutant {number} of {}: {peak} bytes allocated, at most {allowed} expected",
            SOURCES[source]
        );
        worst = worst.max(peak as f64 / allowed as f64);
        match outcome {
            Ok(count) => {
                opened += 1;
                tensors += count;
            }
            Err(error) => {
                refused += 1;
                assert!(error.to_string().contains("mutant"), "{error}");
            }
        }
    }
    println!("{opened} opened with {tensors} tensors read, {refused} refused, peak {worst:.2}");
    // Otherwise the mutants would test little.
    assert!(opened > MUTANTS / 10 && refused > MUTANTS / 10);
}

/// A stored entry of an archive, and its entry in the directory.
fn entry(archive: &mut Vec<u8>, directory: &mut Vec<u8>, name: &str, data: &[u8], method: u16) {
    let at = archive.len() as u32;
    let size = data.len() as u32;
    let mut common = Vec::new();
    common.extend([0, 0, 0, 0]);
    common.extend(method.to_le_bytes());
    common.extend([0; 8]);
    common.extend(size.to_le_bytes());
    common.extend(size.to_le_bytes());
    common.extend((name.len() as u16).to_le_bytes());
    common.extend([0, 0]);
    archive.extend(b"PK\x03\x04");
    archive.extend(&common);
    archive.extend(name.as_bytes());
    archive.extend(data);
    directory.extend(b"PK\x01\x02\0\0");
    directory.extend(&common);
    directory.extend([0; 10]);
    directory.extend(at.to_le_bytes());
    directory.extend(name.as_bytes());
}

/// A `.pth` file of a pickle and one storage, of 16 bytes.
fn pth(pickle: &[u8], method: u16) -> Vec<u8> {
    pth_with(pickle, method, &[1; 16])
}

fn pth_with(pickle: &[u8], method: u16, storage: &[u8]) -> Vec<u8> {
    let (mut archive, mut directory) = (Vec::new(), Vec::new());
    entry(&mut archive, &mut directory, "a/data.pkl", pickle, method);
    entry(&mut archive, &mut directory, "a/data/0", storage, 0);
    let start = archive.len() as u32;
    archive.extend(&directory);
    archive.extend(b"PK\x05\x06\0\0\0\0\x02\0\x02\0");
    archive.extend((directory.len() as u32).to_le_bytes());
    archive.extend(start.to_le_bytes());
    archive.extend([0, 0]);
    archive
}

/// A pickled integer.
fn integer(value: u64) -> Vec<u8> {
    [&b"\x8a\x09"[..], &value.to_le_bytes(), &[0]].concat()
}

/// A pickled tensor of the storage, which is said to have `len` elements.
fn tensor(shape: &[u64], strides: &[u64], offset: u64, len: u64) -> Vec<u8> {
    let tuple = |sizes: &[u64]| -> Vec<u8> {
        let sizes: Vec<u8> = sizes.iter().flat_map(|&size| integer(size)).collect();
        [b"(", &sizes[..], b"t"].concat()
    };
    [
        &b"ctorch._utils\n_rebuild_tensor_v2\n((\x8c\x07storagectorch\nFloatStorage\n"[..],
        b"\x8c\x010\x8c\x03cpu",
        &integer(len),
        b"tQ",
        &integer(offset),
        &tuple(shape),
        &tuple(strides),
        b"\x89ccollections\nOrderedDict\n)RtR",
    ]
    .concat()
}

/// The pickle of a state dict of one tensor.
fn state_dict(tensor: &[u8]) -> Vec<u8> {
    [b"\x80\x02}\x8c\x01w", tensor, b"s."].concat()
}

/// A state dict that names one tensor many times.
fn aliases() -> Vec<u8> {
    let first = [b"\x8c\x01w", &tensor(&[4], &[1], 0, 4)[..], b"q\0"].concat();
    let more = (0..100_000).flat_map(|number| format!("\u{8c}{number:06x}h\0").into_bytes());
    // U+008C takes two bytes in UTF-8; the operation is one, followed by the length.
    let more: Vec<u8> = more.filter(|&byte| byte != 0xc2).collect();
    let mut named = Vec::new();
    for chunk in more.chunks(9) {
        named.extend([chunk[0], 6]);
        named.extend(&chunk[1..]);
    }
    [b"\x80\x02}(", &first[..], &named, b"u."].concat()
}

/// A state dict whose tensors share one name, a long one.
fn repeated_names() -> Vec<u8> {
    let name = vec![b'a'; 900_000];
    let first = [
        &b"X"[..],
        &(name.len() as u32).to_le_bytes(),
        &name,
        b"q\0",
        &tensor(&[4], &[1], 0, 4),
        b"q\x01",
    ];
    let more = b"h\0h\x01".repeat(20_000);
    [b"\x80\x02}(", &first.concat()[..], &more, b"u."].concat()
}

/// Every tensor would be read into memory of its own.
#[test]
fn a_large_storage_under_many_names_is_refused() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = tempfile::tempdir().expect("a folder can be made");
    let path = folder.path().join("shared");
    let mut named = [
        b"\x8c\x01w",
        &tensor(&[100_000], &[1], 0, 100_000)[..],
        b"q\0",
    ]
    .concat();
    for number in 0..1000 {
        named.extend(b"\x8c\x04");
        named.extend(format!("{number:04}").bytes());
        named.extend(b"h\0");
    }
    let pickle = [b"\x80\x02}(", &named[..], b"u."].concat();
    fs::write(&path, pth_with(&pickle, 0, &vec![1; 400_000])).expect("written");
    MEMORY.reset_peak_usage();
    let before = MEMORY.current_usage();
    let error = import_all(&path).expect_err("a kilotensor");
    let peak = MEMORY.peak_usage() - before;
    assert!(
        error.to_string().contains("tensors of 400400000 bytes"),
        "{error}"
    );
    assert!(peak < 1 << 22, "{peak} bytes allocated");
}

fn safetensors(header: &str, data: usize) -> Vec<u8> {
    let len = (header.len() as u64).to_le_bytes();
    [&len, header.as_bytes(), &vec![0; data]].concat()
}

/// Names of files, and what the error of opening them says; nothing if they can be opened.
fn hostile() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let million = |byte: u8| vec![byte; 1_000_000];
    let run = |parts: &[&[u8]]| pth(&[b"\x80\x04", &parts.concat()[..], b"."].concat(), 0);
    let one = |shape: &[u64], strides: &[u64], offset, len| {
        pth(&state_dict(&tensor(shape, strides, offset, len)), 0)
    };
    let f32s = |shape: &str, end: usize| {
        let header =
            format!(r#"{{"w":{{"dtype":"F32","shape":{shape},"data_offsets":[0,{end}]}}}}"#);
        safetensors(&header, 16)
    };
    let zeros = "0,".repeat(500_000);
    let texts = (0..100_000).map(|n| format!("\"{n}\":\"\""));
    let texts = texts.collect::<Vec<_>>().join(",");
    let empty =
        (0..20_000).map(|n| format!(r#""{n}":{{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}"#));
    let empty = empty.collect::<Vec<_>>().join(",");
    vec![
        ("a sound file", one(&[2, 2], &[1, 2], 0, 4), ""),
        ("stride zero", one(&[1 << 31], &[0], 0, 4), "repeats"),
        (
            "a huge shape",
            one(&[1 << 40], &[1], 0, 1 << 40),
            "16 bytes",
        ),
        (
            "a huge shape",
            one(&[1 << 40], &[1], 0, 4),
            "leaves its storage",
        ),
        (
            "a shape that overflows",
            one(&[1 << 40; 3], &[1; 3], 0, 4),
            "counted",
        ),
        (
            "an empty shape that overflows",
            one(&[1 << 40, 1 << 40, 0], &[1; 3], 0, 4),
            "counted",
        ),
        (
            "a stride that overflows",
            one(&[3, 3], &[1 << 63, 1], 0, 4),
            "leaves",
        ),
        (
            "an offset that overflows",
            one(&[1], &[1], u64::MAX / 2, 4),
            "leaves",
        ),
        ("an offset beyond the end", one(&[2], &[1], 3, 4), "leaves"),
        (
            "a length that overflows",
            one(&[1], &[1], 0, u64::MAX / 2),
            "expected",
        ),
        (
            "many dimensions",
            one(&[1; 12], &[1; 12], 0, 4),
            "dimensions",
        ),
        (
            "another rank of strides",
            one(&[2, 2], &[1], 0, 4),
            "strides",
        ),
        ("a compressed pickle", pth(b"\x80\x02}.", 8), "compressed"),
        (
            "nothing but None",
            run(&[b"(", &million(b'N'), b"t"]),
            "no tensors",
        ),
        (
            "many dictionaries",
            run(&[b"(", &million(b'}'), b"t"]),
            "no tensors",
        ),
        ("many marks", run(&[&million(b'(')]), "without enough"),
        (
            "many stored values",
            run(&[b"N", &million(0x94)]),
            "no tensors",
        ),
        (
            "deep lists",
            run(&[&million(b']'), &vec![b'a'; 999_999]]),
            "no tensors",
        ),
        ("deep tuples", run(&[b"N", &million(0x85)]), "no tensors"),
        (
            "deep dictionaries",
            run(&[&b"}\x8c\x01w".repeat(300_000), b"N", &vec![b's'; 300_000]]),
            "",
        ),
        (
            "doubled lists",
            run(&[b"]\x94", &b"(h\0h\0l\x94".repeat(100)]),
            "no tensors",
        ),
        (
            "repeated text",
            run(&[
                b"X\x40\x42\x0f\0",
                &million(b'a'),
                b"q\0",
                &b"h\0".repeat(100_000),
            ]),
            "no tensors",
        ),
        ("a long text", run(&[b"X\xff\xff\xff\xffabc"]), "ends early"),
        (
            "a longer text",
            run(&[b"\x8d\xff\xff\xff\xff\xff\xff\xff\xffabc"]),
            "ends early",
        ),
        (
            "a long integer",
            run(&[b"\x8b\xff\xff\xff\x7fabc"]),
            "ends early",
        ),
        (
            "a far memo",
            run(&[b"Nr\xff\xff\xff\xff"]),
            "expected value 0",
        ),
        (
            "a call",
            run(&[b"cos\nsystem\n\x8c\x02ls\x85R"]),
            "no tensors",
        ),
        ("aliases", pth(&aliases(), 0), "tensors in"),
        ("repeated names", pth(&repeated_names(), 0), "names of"),
        (
            "a long header",
            [&(1u64 << 26).to_le_bytes()[..], b"{}"].concat(),
            "the file has",
        ),
        (
            "a huge shape in JSON",
            f32s("[1099511627776]", 16),
            "does not fill",
        ),
        (
            "a shape that overflows in JSON",
            f32s("[4294967296,4294967296,4]", 16),
            "counted",
        ),
        (
            "data beyond the end",
            f32s("[1024]", 4096),
            "within the 16 bytes",
        ),
        (
            "many dimensions in JSON",
            f32s(&format!("[{zeros}0]"), 0),
            "dimensions",
        ),
        (
            "much metadata",
            safetensors(&format!("{{\"__metadata__\":{{{texts}}}}}"), 0),
            "",
        ),
        (
            "many empty tensors",
            safetensors(&format!("{{{empty}}}"), 0),
            "",
        ),
        (
            "deep JSON",
            safetensors(&format!("{{\"w\":{}", "[".repeat(500_000)), 0),
            "header",
        ),
        (
            "many names in JSON",
            safetensors(&format!("{{{}}}", "\"w\":0,".repeat(100_000)), 0),
            "header",
        ),
    ]
}

#[test]
fn crafted() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = tempfile::tempdir().expect("a folder can be made");
    for (name, bytes, expected) in hostile() {
        let path: PathBuf = folder.path().join(name);
        fs::write(&path, &bytes).expect("the file can be written");
        let (outcome, peak) = read_all(&path);
        println!(
            "{name}: {} bytes, peak {peak}, {:.1} per byte",
            bytes.len(),
            peak as f64 / bytes.len() as f64
        );
        let allowed = PER_BYTE * bytes.len() + CONSTANT;
        assert!(
            peak <= allowed,
            "{name}: {peak} bytes allocated of {allowed}"
        );
        match outcome {
            Ok(count) => assert!(expected.is_empty(), "{name}: {count} tensors read"),
            Err(error) => {
                let message = error.to_string();
                assert!(message.contains(name), "{message}");
                assert!(message.contains(expected), "{name}: {message}");
            }
        }
    }
}
