//! Where the weights are, in checkpoints as training scripts save them.

#[path = "common/write.rs"]
mod write;

use gsb_checkpoint::{CheckpointError, Format, Found, Take, TensorFile, Values};
use write::{Tree, dict, legacy, pth, safetensors, scalar, zip};

/// The names of a model's tensors.
const NAMES: [&str; 3] = ["cls_token", "blocks.0.norm1.weight", "head.weight"];

/// A state dict whose tensors hold one value.
fn weights(prefix: &str, value: f32) -> Tree {
    let entries = NAMES.map(|name| {
        (
            format!("{prefix}{name}"),
            Tree::Tensor(vec![2], vec![value; 2]),
        )
    });
    Tree::OrderedDict(entries.into())
}

fn settings() -> Tree {
    dict([("name", Tree::Text("deit".into())), ("depth", Tree::Int(2))])
}

fn open(bytes: Vec<u8>, take: Take) -> Result<TensorFile, CheckpointError> {
    TensorFile::from_bytes("checkpoint", bytes, take)
}

/// The names in a checkpoint, the value of its first tensor, and what was found; the same in both
/// formats of `torch.save`.
fn read(tree: &Tree, take: Take) -> (Vec<String>, f32, Found) {
    let mut read = [pth(tree), legacy(tree)].map(|bytes| {
        let file = open(bytes, take).unwrap_or_else(|error| panic!("{error} of {tree:?}"));
        let names: Vec<String> = file.names().map(String::from).collect();
        let Values::Floats(values) = file.read(&names[0]).expect("read").values else {
            panic!("integers");
        };
        (names, values[0], file.found().clone())
    });
    assert_eq!(
        [read[0].2.format, read[1].2.format],
        [Format::Torch, Format::Legacy]
    );
    read[1].2.format = Format::Torch;
    assert_eq!(read[0], read[1]);
    read[0].clone()
}

#[test]
fn found_wherever_it_lies() {
    let good = || weights("", 1.0);
    for (tree, key) in [
        (good(), None),
        (dict([("model", good())]), Some("model")),
        (
            dict([("model_state_dict", good()), ("epoch", Tree::Int(3))]),
            Some("model_state_dict"),
        ),
        (dict([("net", good()), ("acc", scalar(0.5))]), Some("net")),
        // As the ImageNet example of PyTorch.
        (
            dict([("best_acc1", scalar(0.5)), ("state_dict", good())]),
            Some("state_dict"),
        ),
        // Behind settings, with and without numbers that are tensors.
        (
            dict([("model", settings()), ("state_dict", good())]),
            Some("state_dict"),
        ),
        (
            dict([("model", dict([("state_dict", good())]))]),
            Some("model.state_dict"),
        ),
        (
            dict([
                ("args", settings()),
                ("checkpoint", dict([("inner", dict([("net", good())]))])),
            ]),
            Some("checkpoint.inner.net"),
        ),
        // Under a key of its own: the one with the most tensors.
        (
            dict([
                (
                    "statistics",
                    dict([("mean", scalar(2.0)), ("std", scalar(2.0))]),
                ),
                ("mine", good()),
            ]),
            Some("mine"),
        ),
        (Tree::List(vec![settings(), good()]), Some("[1]")),
        (Tree::Tuple(vec![good(), Tree::Int(3)]), Some("[0]")),
        (
            Tree::List(vec![dict([("model", good())])]),
            Some("[0].model"),
        ),
        // Beside an optimizer that keeps its averages by name.
        (
            dict([
                (
                    "optimizer",
                    dict([("exp_avg", weights("", 3.0)), ("weights", weights("", 3.0))]),
                ),
                ("student", good()),
                ("teacher", weights("", 4.0)),
            ]),
            Some("student"),
        ),
    ] {
        let (names, value, found) = read(&tree, Take::Weights);
        assert_eq!(
            (names, value),
            (NAMES.map(String::from).into(), 1.0),
            "{tree:?}"
        );
        assert_eq!(found.key.as_deref(), key, "{tree:?}");
        assert!(!found.average && found.averages.is_empty(), "{found:?}");
    }
}

#[test]
fn an_average_beside_the_weights_is_named_and_can_be_taken() {
    let (good, bad) = (|| weights("", 1.0), || weights("", 0.0));
    let averaged = || {
        let Tree::OrderedDict(mut entries) = weights("module.", 1.0) else {
            unreachable!()
        };
        entries.insert(0, ("n_averaged".into(), scalar(9.0)));
        Tree::OrderedDict(entries)
    };
    for (key, average) in [
        ("model_ema", good()),
        ("ema", good()),
        ("state_dict_ema", good()),
        ("ema_state_dict", good()),
        ("model_ema", dict([("module", good())])),
        ("swa_model", averaged()),
    ] {
        let tree = dict([
            ("model", bad()),
            (key, average.clone()),
            ("epoch", Tree::Int(1)),
        ]);
        let (names, value, found) = read(&tree, Take::Weights);
        assert_eq!((names, value), (NAMES.map(String::from).into(), 0.0));
        assert_eq!(found.averages.len(), 1);
        assert!(found.averages[0].starts_with(key), "{found:?}");
        assert!(
            found.notes().concat().contains("--ema takes it"),
            "{found:?}"
        );

        let (names, value, found) = read(&tree, Take::Average);
        assert_eq!((names, value), (NAMES.map(String::from).into(), 1.0));
        assert!(
            found.average
                && found
                    .key
                    .as_deref()
                    .is_some_and(|found| found.starts_with(key))
        );

        // Where there is nothing else, it is taken and said.
        let (_, value, found) = read(&dict([(key, average)]), Take::Weights);
        assert_eq!((value, found.average), (1.0, true));
        assert!(
            found
                .notes()
                .concat()
                .contains("average of the weights was taken")
        );
    }
    for bytes in [pth(&good()), legacy(&dict([("model", good())]))] {
        let error = open(bytes, Take::Average).expect_err("no average");
        assert!(error.to_string().contains("leave out --ema"), "{error}");
    }
}

#[test]
fn prefixes_and_leftovers_in_safetensors() {
    let mut tensors: Vec<(String, Tree)> = NAMES
        .map(|name| (format!("module._orig_mod.model.{name}"), scalar(1.0)))
        .into();
    for extra in [
        "n_averaged",
        "module._orig_mod.model.blocks.0.total_ops",
        "total_params",
    ] {
        tensors.push((extra.into(), scalar(3.0)));
    }
    let file = open(safetensors(&tensors), Take::Weights).expect("read");
    assert_eq!(file.names().collect::<Vec<_>>(), NAMES);
    assert_eq!(file.found().prefixes, ["_orig_mod.", "module.", "model."]);
    assert_eq!(file.found().ignored.len(), 3);
    assert_eq!(file.found().format, Format::Safetensors);
    assert!(matches!(
        open(safetensors(&tensors), Take::Average),
        Err(CheckpointError::NoAverage { .. })
    ));
}

/// Files that people take for checkpoints, what they are called and what to do.
#[test]
fn what_is_no_checkpoint_is_named() {
    let module = || {
        Tree::Object(
            "timm.models.vit",
            "VisionTransformer",
            vec![("training".into(), Tree::Int(1))],
        )
    };
    let stored = |names: &[&str]| {
        zip(&Vec::from_iter(
            names.iter().map(|name| (name.to_string(), vec![1; 8])),
        ))
    };
    let mut tar = vec![0; 512];
    tar[..9].copy_from_slice(b"model.pth");
    tar[257..262].copy_from_slice(b"ustar");
    let mut old = tar.clone();
    old[..9].copy_from_slice(b"storages\0");
    let whole = pth(&weights("", 1.0));
    let whole_tensors = safetensors(&[("w".into(), Tree::Tensor(vec![4], vec![1.0; 4]))]);
    for (bytes, what, remedy) in [
        (vec![], "an empty file", "again"),
        (
            b"<!DOCTYPE html><html>".to_vec(),
            "a web page",
            "download the file itself",
        ),
        (
            b"\n  <html>".to_vec(),
            "a web page",
            "download the file itself",
        ),
        (
            b"Entry not found".to_vec(),
            "text (\"Entry not found\")",
            "again",
        ),
        (
            b"version https://git-lfs.github.com/spec/v1\noid".to_vec(),
            "a Git LFS pointer",
            "git lfs pull",
        ),
        (
            b"\x1f\x8b\x08\0\0\0\0\0".to_vec(),
            "a gzip file",
            "unpack it",
        ),
        (tar, "a tar archive", "unpack it"),
        (
            old,
            "the tar format of the first versions of PyTorch",
            "torch.save",
        ),
        (
            b"\x08\x07\x12\x07pytorch\x1a".to_vec(),
            "an ONNX model",
            "state_dict",
        ),
        (
            b"{\"weight_map\": {}}".to_vec(),
            "the index of a checkpoint in several files",
            "one file",
        ),
        (
            b"NRUB\x01\0\0\0\0\0\0\0".to_vec(),
            "our own .bpk",
            "needs no import",
        ),
        (vec![0; 2000], "a file of zeros", "again"),
        (vec![0xab; 20], "ab ab ab ab", "neither"),
        (
            b"\x80\x04\x95\x0a\0\0\0\0\0\0\0}\x94.".to_vec(),
            "a pickle that torch.save has not written",
            "torch.save",
        ),
        (
            stored(&["a/weights.pth", "a/readme.txt"]),
            "a zip archive that holds a/weights.pth",
            "unpack it",
        ),
        (
            stored(&["w.npy"]),
            "an archive of NumPy arrays",
            "state_dict",
        ),
        (stored(&["a.txt"]), "it has no data.pkl", "torch.save"),
        (
            stored(&["m/data.pkl", "m/constants.pkl", "m/code/a.py"]),
            "a TorchScript archive",
            "torch.jit.load",
        ),
        (
            pth(&module()),
            "(VisionTransformer), not its weights",
            "torch.save(model.state_dict()",
        ),
        (
            legacy(&module()),
            "(VisionTransformer), not its weights",
            "torch.save(model.state_dict()",
        ),
        (
            pth(&dict([("model", module()), ("epoch", Tree::Int(3))])),
            "\"model\" is a whole pickled object (VisionTransformer)",
            "torch.save(model.state_dict()",
        ),
        (pth(&settings()), "no tensors", "state_dict()"),
        (pth(&scalar(1.0)), "a single tensor", "state_dict"),
        (whole[..whole.len() - 30].to_vec(), "cut off", "again"),
        (
            whole_tensors[..whole_tensors.len() - 3].to_vec(),
            "cut off",
            "again",
        ),
    ] {
        let error = open(bytes, Take::Weights).expect_err(what).to_string();
        assert!(
            error.starts_with("checkpoint: ") || error.starts_with("checkpoint, "),
            "{error}"
        );
        assert!(error.contains(what) && error.contains(remedy), "{error}");
    }
}

#[test]
fn a_folder_names_the_checkpoints_in_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let refused = || {
        let error = TensorFile::open(folder.path(), Take::Weights).expect_err("a folder");
        assert!(matches!(error, CheckpointError::Folder { .. }));
        error.to_string()
    };
    assert!(refused().contains("there is none in it"));
    std::fs::write(folder.path().join("model.safetensors"), "").expect("written");
    std::fs::write(folder.path().join("config.json"), "").expect("written");
    assert!(refused().ends_with("model.safetensors"), "{}", refused());
    std::fs::write(folder.path().join("stage2.bpk"), "").expect("written");
    let message = refused();
    let (bpk, other) = (
        message.find("stage2.bpk"),
        message.find("model.safetensors"),
    );
    assert!(bpk.is_some() && bpk < other, "{message}");
}

/// Data that lie between others and are of a type that is not read.
#[test]
fn a_legacy_file_with_other_storages() {
    let bytes = legacy(&dict([
        ("mask", weights("", 2.0)),
        ("model", weights("", 1.0)),
    ]));
    let at =
        |bytes: &[u8], part: &[u8]| bytes.windows(part.len()).position(|window| window == part);
    let position = at(&bytes, b"FloatStorage").expect("a class");
    // The mask's elements become complex ones, of 8 bytes: one where there were two.
    let name = b"ComplexFloatStorage";
    let mut complex = [&bytes[..position], name, &bytes[position + 12..]].concat();
    let first = at(&complex, &2u64.to_le_bytes()).expect("a number of elements");
    complex[first] = 1;
    let file = open(complex, Take::Weights).expect("read");
    assert_eq!(file.found().key.as_deref(), Some("model"));
    let Values::Floats(values) = file.read("head.weight").expect("read").values else {
        panic!("integers");
    };
    assert_eq!(values, [1.0, 1.0]);
}
