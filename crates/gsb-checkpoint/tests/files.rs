//! Checkpoints as PyTorch writes them, whole and damaged in one place.

use std::path::{Path, PathBuf};

use gsb_checkpoint::{CheckpointError, ElementType, Format, Take, Tensor, TensorFile, Values};

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(name)
}

fn open(name: &str) -> TensorFile {
    TensorFile::open(data(name), Take::Weights).unwrap_or_else(|error| panic!("{error}"))
}

/// The message of the error that opening a file gives.
fn refusal(path: &Path) -> String {
    let error = TensorFile::open(path, Take::Weights).expect_err("it should be refused");
    let message = error.to_string();
    assert!(message.contains(&path.display().to_string()), "{message}");
    message
}

/// A copy of a file, changed.
fn changed(name: &str, change: impl FnOnce(&mut Vec<u8>)) -> (tempfile::TempDir, PathBuf) {
    let mut bytes = std::fs::read(data(name)).expect("the file is there");
    change(&mut bytes);
    let folder = tempfile::tempdir().expect("a folder can be made");
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).expect("the file can be written");
    (folder, path)
}

/// Shape and bits of a tensor, `f32` or `i64`.
fn bits(tensor: &Tensor) -> (Vec<usize>, Vec<u64>) {
    let bits = match &tensor.values {
        Values::Floats(values) => values.iter().map(|v| v.to_bits().into()).collect(),
        Values::Integers(values) => values.iter().map(|&v| v as u64).collect(),
    };
    (tensor.shape.clone(), bits)
}

fn assert_same(name: &str, expected: &str) {
    let (file, expected) = (open(name), open(expected));
    let mut names: Vec<_> = expected.names().collect();
    assert_eq!(file.names().collect::<Vec<_>>(), names, "{name}: its order");
    for name in names.drain(..) {
        let read = |file: &TensorFile| bits(&file.read(name).unwrap_or_else(|e| panic!("{e}")));
        assert_eq!(read(&file), read(&expected), "{name}");
    }
}

#[test]
fn every_element_type_stride_and_wrapper() {
    assert_same("kinds.pth", "kinds.safetensors");
}

#[test]
fn pickle_protocol_4() {
    assert_same("kinds_protocol4.pth", "kinds.safetensors");
}

#[test]
fn the_format_before_pytorch_1_6() {
    assert_same("legacy.pth", "kinds.safetensors");
    assert_eq!(open("legacy.pth").found().format, Format::Legacy);
}

#[test]
fn nested_state_dict_of_a_parallel_model() {
    assert_same("parallel.pth", "model.safetensors");
}

#[test]
fn without_checksums() {
    assert_same("no_checksums.pth", "model.safetensors");
}

#[test]
fn info_and_metadata() {
    use ElementType::*;
    let file = open("kinds.pth");
    let element = |name| file.info(name).expect("the tensor is there").element;
    let names = [
        "f64", "f16", "bf16", "base", "i64", "i32", "i16", "i8", "u8",
    ];
    assert_eq!(
        names.map(element),
        [F64, F16, BF16, F32, I64, I32, I16, I8, U8]
    );
    assert_eq!(["u16", "u32", "bool"].map(element), [U16, U32, Bool]);
    let shape = |name| &file.info(name).expect("the tensor is there").shape[..];
    assert_eq!(shape("scalar"), [0; 0]);
    assert_eq!(shape("empty"), [0, 3]);
    assert_eq!(shape("permuted"), [4, 2, 3]);
    assert!(file.info("nothing").is_none());
    assert!(file.metadata().is_empty());
    assert_eq!(file.path(), data("kinds.pth"));

    let metadata = open("kinds.safetensors").metadata().clone();
    assert!(metadata["made_by"].starts_with("torch 2.9.0"));
}

#[test]
fn missing_tensor() {
    let file = open("parallel.pth");
    let error = file.read("head.weight").expect_err("there is none");
    assert!(matches!(error, CheckpointError::Missing { count: 7, .. }));
    let message = error.to_string();
    assert!(message.contains("parallel.pth") && message.contains("head.weight"));
}

#[test]
fn formats_that_are_not_read() {
    for (name, expected) in [
        ("script.pth", "TorchScript"),
        ("module.pth", "a whole pickled object (Sequential)"),
        (
            "sparse.pth",
            "tensor \"sparse\": tensors made by _rebuild_sparse_tensor",
        ),
        ("README.md", "text (\"Checkpoints written by PyTorch"),
    ] {
        let message = refusal(&data(name));
        assert!(message.contains(expected), "{message}");
    }
    assert!(refusal(&data("nothing.pth")).contains("No such file"));
    refusal(&data(""));
}

#[test]
fn every_truncation_is_refused() {
    for name in ["kinds.safetensors", "parallel.pth", "legacy.pth"] {
        let (_folder, path) = changed(name, |_| {});
        let file = std::fs::File::options().write(true).open(&path);
        let file = file.expect("the file can be opened");
        let whole = file.metadata().expect("the file is there").len();
        for len in (0..whole).rev() {
            file.set_len(len).expect("the file can be cut");
            refusal(&path);
        }
    }
}

#[test]
fn a_damaged_storage_is_found_when_it_is_read() {
    let at = |bytes: &[u8], part: &[u8]| bytes.windows(part.len()).position(|w| w == part);
    let (_folder, path) = changed("kinds.pth", |bytes| {
        // The first byte of the storage of 2.5, the scalar.
        let scalar = at(bytes, &2.5f32.to_le_bytes()).expect("the scalar is stored");
        bytes[scalar] ^= 1;
    });
    let file = TensorFile::open(&path, Take::Weights).expect("nothing is wrong before the data");
    let message = file.read("scalar").expect_err("it is damaged").to_string();
    assert!(message.contains("\"scalar\"") && message.contains("checksum"));
    assert!(file.read("base").is_ok());
}

#[test]
fn a_damaged_pickle_is_found_when_it_is_opened() {
    let (_folder, path) = changed("kinds.pth", |bytes| {
        let at = bytes.windows(3).position(|w| w == b"f16");
        bytes[at.expect("the name is stored")] = b'g';
    });
    assert!(refusal(&path).contains("data.pkl\" is damaged"));
}

#[test]
fn a_name_that_is_there_twice_is_refused() {
    let (_folder, path) = changed("no_checksums.pth", |bytes| {
        // 0.weight becomes 1.weight, which is there too; the archive states no checksum.
        let at = bytes.windows(8).position(|w| w == b"0.weight");
        bytes[at.expect("the name is stored")] = b'1';
    });
    assert!(refusal(&path).contains("tensor \"1.weight\": it is there twice"));
}
