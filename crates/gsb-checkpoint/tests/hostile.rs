//! Damaged and hostile checkpoints: an error or tensors, but no panic, and no memory beyond what the
//! size of the file allows.

#[path = "common/mutate.rs"]
mod mutate;

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use gsb_checkpoint::{CheckpointError, Take, TensorFile};
use mutate::{Random, mutants, mutate, without_checksums};
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

/// Files that are changed. The two of training runs are the largest.
const SOURCES: [&str; 9] = [
    "tests/data/legacy.pth",
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
        let file = TensorFile::open(path, Take::Weights)?;
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

#[test]
fn damaged() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let sources: Vec<Vec<u8>> = SOURCES
        .iter()
        .map(|name| {
            let bytes = fs::read(root.join(name)).expect("the file is there");
            // As PyTorch can write them.
            without_checksums(bytes)
        })
        .collect();
    let folder = tempfile::tempdir().expect("a folder can be made");
    let path = folder.path().join("mutant");

    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let (mut opened, mut refused, mut tensors, mut worst) = (0, 0, 0, 0.0f64);
    let count = mutants(10_000);
    for number in 0..count {
        // The large ones take longer.
        let pick = random.below(100);
        let source = if pick < 8 { 7 + pick % 2 } else { pick % 7 };
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
    assert!(opened > count / 10 && refused > count / 10);
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
    zip(&[("a/data.pkl", pickle, method), ("a/data/0", &[1; 16], 0)])
}

/// An archive of entries by name, each with its method.
fn zip(entries: &[(&str, &[u8], u16)]) -> Vec<u8> {
    let (mut archive, mut directory) = (Vec::new(), Vec::new());
    for &(name, data, method) in entries {
        entry(&mut archive, &mut directory, name, data, method);
    }
    let start = archive.len() as u32;
    archive.extend(&directory);
    archive.extend(b"PK\x05\x06\0\0\0\0");
    archive.extend([entries.len() as u8, 0, entries.len() as u8, 0]);
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
    let name = vec![b'a'; 1000];
    let first = [
        &b"X"[..],
        &(name.len() as u32).to_le_bytes(),
        &name,
        b"q\0",
        &tensor(&[4], &[1], 0, 4),
        b"q\x01",
    ];
    let more = b"h\0h\x01".repeat(20_000);
    // Large enough for as many tensors, and not for as much text.
    let room = [&b"("[..], &vec![b'N'; 1_000_000], b"1"].concat();
    [b"\x80\x02}(", &first.concat()[..], &room, &more, b"u."].concat()
}

/// State dicts of one tensor each under one key, a long one, and many short ones.
fn long_keys() -> Vec<u8> {
    let key = vec![b'a'; 1000];
    let first = [
        &b"X"[..],
        &(key.len() as u32).to_le_bytes(),
        &key,
        b"q\0}\x8c\x01w",
    ]
    .concat();
    let first = [&first[..], &tensor(&[4], &[1], 0, 4), b"q\x01s"].concat();
    let more = b"h\0}\x8c\x01wh\x01s".repeat(20_000);
    [b"\x80\x02}(", &first[..], &more, b"u."].concat()
}

/// A dictionary of many objects of one class, whose name is long.
fn long_class() -> Vec<u8> {
    let name = vec![b'x'; 1_000_000];
    let more = b"h\x01h\0s".repeat(200_000);
    let class = [&b"\x80\x02}cm\n"[..], &name, b"\n)Rq\x000\x8c\x01kq\x010"].concat();
    [&class[..], &more, b"."].concat()
}

/// A file of before PyTorch 1.6, with storages of the value 1 in every byte.
fn legacy(object: &[u8], keys: &[u8], storages: usize) -> Vec<u8> {
    [
        &b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."[..],
        b"\x80\x02M\xe9\x03.\x80\x02}.\x80\x02",
        object,
        b".\x80\x02",
        keys,
        b".",
        &vec![1; storages],
    ]
    .concat()
}

/// A legacy file without keys and storages, cut off before its object ends.
fn without_keys(mut file: Vec<u8>) -> Vec<u8> {
    file.truncate(file.len() - b".\x80\x02.".len());
    file
}

fn safetensors(header: &str, data: usize) -> Vec<u8> {
    let len = (header.len() as u64).to_le_bytes();
    [&len, header.as_bytes(), &vec![0; data]].concat()
}

/// Names of files, and what the error of opening them says; nothing if they can be opened.
fn hostile() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let million = |byte: u8| vec![byte; 1_000_000];
    let whole = state_dict(&tensor(&[4], &[1], 0, 4));
    // Without protocol and end.
    let one_tensor = whole[2..whole.len() - 1].to_vec();
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
        (
            "objects of a long class",
            pth(&long_class(), 0),
            "no tensors",
        ),
        (
            "two models",
            zip(&[
                ("a/data.pkl", &whole, 0),
                ("b/data.pkl", &whole, 0),
                ("a/data/0", &[1; 16], 0),
                ("b/data/0", &[2; 16], 0),
            ]),
            "two pickles, a/data.pkl and b/data.pkl",
        ),
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
            "items of an outermost list",
            run(&[b"](", &million(b'}'), b"e", &b"(}e".repeat(300_000)]),
            "no tensors",
        ),
        (
            "references to a storage",
            run(&[b"(\x85Qq\0", &b"h\0Q".repeat(300_000), b"t"]),
            "",
        ),
        (
            "dictionaries in dictionaries",
            run(&[
                b"X\x40\x42\x0f\0",
                &million(b'a'),
                b"q\0}(",
                &b"h\0}h\0Ns".repeat(200_000),
                b"u",
            ]),
            "no tensors",
        ),
        ("state dicts by long keys", pth(&long_keys(), 0), ""),
        (
            "a legacy file of storages",
            legacy(
                b"}",
                &[&b"](X\x01\0\0\x000q\0"[..], &b"h\0".repeat(100_000), b"e"].concat(),
                1_000_000,
            ),
            "used by no tensor",
        ),
        (
            "a legacy file with a storage twice",
            legacy(&one_tensor, b"](\x8c\x010\x8c\x010e", 100),
            "there twice",
        ),
        (
            "a legacy file with a long storage",
            legacy(&one_tensor, b"](\x8c\x010e", 20),
            "cut off",
        ),
        (
            "a legacy file of one long pickle",
            legacy(&[&b"("[..], &million(b'N'), b"t"].concat(), b"]", 0),
            "no tensors",
        ),
        (
            "a legacy file without an end",
            without_keys(legacy(&[&b"("[..], &million(b'N')].concat(), b"", 0)),
            "object",
        ),
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
            "no tensors",
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
