//! Damaged and hostile checkpoints through the whole import: an error or a model, but no panic, and no
//! memory beyond what the size of the file allows.

#![cfg(feature = "flex")]

#[path = "../../gsb-checkpoint/tests/common/mutate.rs"]
mod mutate;
#[path = "../../gsb-checkpoint/tests/common/write.rs"]
mod write;

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use burn::tensor::Device;
use gsb_core::binarize::ThresholdScope;
use gsb_vit::checkpoint::{Hints, Published, Strictness, export};
use gsb_vit::{Error, Model, Phase, Stage1Student, Stage2Student, VisionTransformer, VitConfig};
use mutate::{Random, mutants, mutate, without_checksums};
use peak_alloc::PeakAlloc;
use write::{Tree, dict, legacy, pth, safetensors};

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// The allocator counts for all threads together: one test at a time.
static ALONE: Mutex<()> = Mutex::new(());

/// Bytes that an import may take for each byte of the file: 32 for opening it, twice the numbers of the
/// file for the model, and twice that for drawing them.
const PER_BYTE: usize = 64;

/// Makes the model that a file says it holds.
fn import_all(path: &Path) -> Result<(), Error> {
    let published = Published::read(path)?;
    let hints = Hints {
        heads: Some(2),
        scope: Some(ThresholdScope::Batch),
        classes: Some(3),
    };
    let described = published
        .describe_with(&hints)
        .or_else(|error| match error {
            // What the file says counts.
            Error::Contradiction { .. } => published.describe_with(&Hints::default()),
            error => Err(error),
        })?;
    let (config, strictness, device) = (&described.config, Strictness::Lenient, Device::flex());
    match described.phase {
        Phase::Teacher => published
            .into_model::<VisionTransformer>(config, strictness, &device)
            .map(drop),
        Phase::Stage1 => published
            .into_model::<Stage1Student>(config, strictness, &device)
            .map(drop),
        Phase::Stage2 => published
            .into_model::<Stage2Student>(config, strictness, &device)
            .map(drop),
    }
}

/// The tensors of a model as other programs save them.
fn entries<M: Model>(model: &M) -> Vec<(String, Tree)> {
    let published = Published::of(model);
    let tensor = |name: &str| {
        let data = published.get(name).expect("a tensor");
        let tree = Tree::Tensor(data.shape().to_vec(), data.iter::<f32>().collect());
        (name.to_string(), tree)
    };
    published.names().map(tensor).collect()
}

/// Checkpoints of every kind: the published one, an export, and as others save them.
fn sources(folder: &Path) -> Vec<Vec<u8>> {
    let device = Device::flex();
    let config = VitConfig::new(12, 5)
        .with_patch_size(4)
        .with_channels(3)
        .with_width(8)
        .with_depth(2)
        .with_heads(2);
    let teacher = config.init_teacher(&device).expect("a model");
    let stage1 = config.init_stage1(&device).expect("a model");
    let stage2 = config.init_stage2(&device).expect("a model");
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/d_ckpt_stage2.pth");
    let path = folder.join("export");
    export(&stage2, &path).expect("written");
    let wrapped = entries(&stage2)
        .into_iter()
        .map(|(name, tensor)| (format!("module._orig_mod.{name}"), tensor));
    let averaged = Tree::OrderedDict(entries(&stage1));
    vec![
        without_checksums(fs::read(golden).expect("the file is there")),
        fs::read(path).expect("written"),
        safetensors(&entries(&teacher)),
        pth(&dict([("state_dict", Tree::Dict(wrapped.collect()))])),
        legacy(&dict([
            ("model", averaged.clone()),
            ("model_ema", averaged),
        ])),
    ]
}

/// Damaged files whose tensors can be read nevertheless do not make a model that their size does not
/// justify.
#[test]
fn models_of_mutants() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = tempfile::tempdir().expect("a folder can be made");
    let path = folder.path().join("mutant");
    let sources = sources(folder.path());
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    let (mut made, mut refused, mut worst) = (0, 0, 0.0f64);
    for number in 0..mutants(3_000) {
        let mut bytes = sources[number % sources.len()].clone();
        mutate(&mut bytes, &mut random);
        fs::write(&path, &bytes).expect("written");
        MEMORY.reset_peak_usage();
        let before = MEMORY.current_usage();
        let outcome = catch_unwind(AssertUnwindSafe(|| import_all(&path)))
            .unwrap_or_else(|_| panic!("mutant {number} panicked"));
        let peak = MEMORY.peak_usage() - before;
        let allowed = PER_BYTE * bytes.len() + (1 << 20);
        assert!(
            peak <= allowed,
            "mutant {number}: {peak} bytes of {allowed}"
        );
        worst = worst.max(peak as f64 / allowed as f64);
        match outcome {
            Ok(()) => made += 1,
            Err(error) => {
                refused += 1;
                assert!(error.to_string().contains("mutant"), "{error}");
            }
        }
        // Overwritten, it might have to reach the disk.
        fs::remove_file(&path).expect("the file can be removed");
    }
    println!("{made} made, {refused} refused, peak {worst:.2} of what is allowed");
    assert!(
        made > 100 && refused > 100,
        "{made} made, {refused} refused"
    );
}

/// Every tensor would be read into memory of its own.
#[test]
fn a_large_storage_under_many_names_is_refused() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = tempfile::tempdir().expect("a folder can be made");
    let path = folder.path().join("shared");
    let large = Tree::Tensor(vec![100_000], vec![1.0; 100_000]);
    let bytes = pth(&dict([("w", large)]));
    // The name and the tensor, stored; then the tensor again under a thousand others.
    let at = |bytes: &[u8], part: &[u8]| bytes.windows(part.len()).position(|w| w == part);
    let (start, end) = (
        at(&bytes, b"\x80\x02").expect("a pickle"),
        at(&bytes, b"RtRu.").expect("its end"),
    );
    let mut pickle = [&bytes[start..end + 3], b"q\0"].concat();
    for number in 0..1000 {
        pickle.extend(b"\x8c\x04");
        pickle.extend(format!("{number:04}").bytes());
        pickle.extend(b"h\0");
    }
    pickle.extend(b"u.");
    let entries = [
        ("archive/data.pkl".to_string(), pickle),
        (
            "archive/data/0".to_string(),
            [0, 0, 0x80, 0x3f].repeat(100_000),
        ),
    ];
    fs::write(&path, write::zip(&entries)).expect("written");
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
