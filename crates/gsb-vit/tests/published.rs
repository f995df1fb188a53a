//! Models out to files and back, under the published names and our own.

#![cfg(feature = "flex")]

use std::path::{Path, PathBuf};

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Distribution, Int, Tensor, TensorData};
use gsb_core::binarize::ThresholdScope;
use gsb_vit::checkpoint::{Hints, Published, Strictness, export, import, inspect, load, save};
use gsb_vit::{
    Model, Phase, Stage1Student, Stage2Student, VisionTransformer, VitConfig, parameters,
};

/// 3 x 3 patches of 4 pixels.
fn tiny() -> VitConfig {
    VitConfig::new(12, 5)
        .with_patch_size(4)
        .with_channels(3)
        .with_width(8)
        .with_depth(2)
        .with_heads(2)
}

fn images(config: &VitConfig, device: &Device) -> Tensor<4> {
    let shape = [3, config.channels, config.image_size, config.image_size];
    Tensor::random(shape, Distribution::Normal(0.0, 1.0), device)
}

/// Path and bytes of every parameter, running statistic and state of calibration.
#[derive(Default)]
struct Contents {
    path: Vec<String>,
    found: Vec<(String, TensorData)>,
}

impl Contents {
    fn of<M: Module>(module: &M) -> Vec<(String, TensorData)> {
        let mut contents = Self::default();
        module.visit(&mut contents);
        contents.found
    }
}

impl ModuleVisitor for Contents {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.into());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.found
            .push((self.path.join("."), param.val().into_data()));
    }

    fn visit_int<const D: usize>(&mut self, param: &Param<Tensor<D, Int>>) {
        self.found
            .push((self.path.join("."), param.val().into_data()));
    }
}

/// The ids of what trains. Those of running statistics do not last.
#[derive(Default)]
struct Ids {
    name: String,
    found: Vec<u64>,
}

impl Ids {
    fn of<M: Module>(module: &M) -> Vec<u64> {
        let mut ids = Self::default();
        module.visit(&mut ids);
        ids.found
    }
}

impl ModuleVisitor for Ids {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.name = name.into();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if !self.name.starts_with("running_") {
            self.found.push(param.id.val());
        }
    }
}

fn round_trips<M: Model>(model: &M, folder: &Path) {
    let device = Device::flex();
    let published = folder.join("model.safetensors");
    export(model, &published).unwrap();
    let (again, report) =
        import::<M>(&published, model.config(), Strictness::Strict, &device).unwrap();
    assert!(report.fits() && report.reinitialized.is_empty());
    assert_eq!(Contents::of(&again), Contents::of(model));
    let described = Published::read(&published).unwrap().describe().unwrap();
    assert_eq!(described, (M::PHASE, model.config().clone()));

    let native = folder.join("model.bpk");
    save(model, &native).unwrap();
    let again: M = load(&native, &device).unwrap();
    assert_eq!(Contents::of(&again), Contents::of(model));
    // An optimizer finds its parameters by id.
    assert_eq!(Ids::of(&again), Ids::of(model));
    assert_eq!(
        inspect(&native).unwrap(),
        (M::PHASE, model.config().clone())
    );
}

#[test]
fn every_model_comes_back_bit_by_bit() {
    let device = Device::flex();
    let folder = tempfile::tempdir().unwrap();
    for distilled in [false, true] {
        for groups in 1..=3 {
            let config = tiny()
                .with_distillation_token(distilled)
                .with_attention_groups(groups)
                .with_value_groups(4 - groups)
                .with_dropout(0.1);
            let images = images(&config, &device);
            round_trips(&config.init_teacher(&device).unwrap(), folder.path());
            round_trips(&config.init_stage1(&device).unwrap(), folder.path());
            let student = config.init_stage2(&device).unwrap();
            round_trips(&student, folder.path());
            let student = student.calibrate(&images);
            round_trips(&student, folder.path());
        }
    }
}

#[test]
fn a_partly_calibrated_model_stays_one() {
    let device = Device::flex();
    let folder = tempfile::tempdir().unwrap();
    let mut student = tiny().init_stage2(&device).unwrap();
    let calibrated = student.clone().calibrate(&images(&tiny(), &device));
    student.blocks[1].attention.value = calibrated.blocks[1].attention.value.clone();
    student.class_head.input = calibrated.class_head.input.clone();
    // A scale that has been set, to the value that scales start from.
    let scale = &mut student.blocks[0].attention.query;
    scale.calibrated = calibrated.blocks[0].attention.query.calibrated.clone();
    round_trips(&student, folder.path());
}

#[test]
fn a_strict_import_names_what_does_not_fit() {
    let device = Device::flex();
    let student = tiny().init_stage1(&device).unwrap();
    let published = Published::of(&student);
    let tensors = published.names().filter(|&name| name != "norm.bias");
    let tensors = tensors.map(|name| {
        let renamed = name.replace("blocks.1.norm1.weight", "blocks.1.norm3.weight");
        let data = match name {
            "blocks.0.norm1.weight" => TensorData::from([1.0f32, 2.0]),
            _ => published.get(name).unwrap().clone(),
        };
        (renamed, data)
    });
    let broken = Published::new(tensors.collect::<Vec<_>>());
    let into = |strictness| {
        broken
            .clone()
            .into_model::<Stage1Student>(&tiny(), strictness, &device)
    };
    assert_eq!(
        into(Strictness::Strict).unwrap_err().to_string(),
        "the tensors: not a model of stage1: 46 loaded; 5 ignored: blocks.0.mlp.fc1.weight_clip_val, \
         blocks.0.mlp.fc2.weight_clip_val, blocks.1.mlp.fc1.weight_clip_val, blocks.1.mlp.fc2.weight_clip_val, \
         patch_embed.norm.num_batches_tracked; 2 missing: blocks.1.norm1.weight, norm.bias; \
         1 unexpected: blocks.1.norm3.weight; 1 mismatched: blocks.0.norm1.weight [2] instead of [8]; \
         gsb import --lenient leaves what does not fit"
    );
    let (lenient, report) = into(Strictness::Lenient).unwrap();
    assert_eq!(report.missing, ["blocks.1.norm1.weight", "norm.bias"]);
    let data = |student: &Stage1Student| student.blocks[1].attention.qkv.weight.val().into_data();
    assert_eq!(data(&lenient), data(&student));
}

#[test]
fn a_foreign_file_is_refused_even_leniently() {
    let device = Device::flex();
    let foreign = Published::new([("layer.weight".to_string(), TensorData::from([1.0f32]))]);
    assert!(foreign.describe().is_err());
    let error = foreign
        .into_model::<VisionTransformer>(&tiny(), Strictness::Lenient, &device)
        .unwrap_err();
    assert!(error.to_string().contains("0 loaded"), "{error}");
}

#[test]
fn heads_of_other_classes_start_again() {
    let device = Device::flex();
    let config = tiny();
    let student = config.init_stage2(&device).unwrap();
    let student = student.calibrate(&images(&config, &device));
    let ten = VitConfig {
        classes: 10,
        ..config.clone()
    };
    let (other, report) = Published::of(&student)
        .into_model::<Stage2Student>(&ten, Strictness::Strict, &device)
        .unwrap();
    let names = [
        "weight",
        "bias",
        "weight_clip_val",
        "input_clip_val",
        "move.bias",
    ];
    let expected = |head| names.map(|name| format!("{head}.{name}"));
    for name in expected("head").iter().chain(&expected("head_dist")) {
        assert!(report.reinitialized.contains(name), "{name}");
    }
    assert_eq!(report.reinitialized.len(), 10);
    assert!(!other.class_head.input.is_calibrated());
    assert!(other.blocks[0].attention.query.is_calibrated());
    assert_eq!(other.infer(images(&ten, &device)).dims(), [3, 10]);
}

#[test]
fn positions_of_another_grid_are_interpolated() {
    let device = Device::flex();
    let config = tiny().with_distillation_token(false);
    let large = VitConfig {
        image_size: 16,
        width: 2,
        heads: 1,
        ..config.clone()
    };
    let small = VitConfig {
        image_size: 12,
        ..large.clone()
    };
    let mut teacher = small.init_teacher(&device).unwrap();
    // The values of two channels on a grid of 3 x 3, after those of the class token; the expected
    // ones are those of timm 1.0.15, resample_abs_pos_embed to 4 x 4.
    let channels = [
        [-1.5, 5.5, 1.5, -2.5, 4.5, 0.5, -3.5, 3.5, -0.5],
        [0.5, 3.0, 2.0, 1.0, 0.0, 2.5, 1.5, 0.5, 3.0],
    ];
    let expected = [
        [
            -1.813433, 3.220153, 4.550367, 1.343284, -2.422266, 2.611319, 3.941534, 0.734450,
            -3.309077, 1.724509, 3.054724, -0.152360, -3.917911, 1.115675, 2.445_89, -0.761194,
        ],
        [
            0.333732, 2.238345, 2.903453, 1.912091, 0.762294, 0.886566, 1.551674, 2.340652,
            1.286769, 0.248419, 0.913527, 2.865127, 1.578358, 0.723968, 1.389076, 3.156717,
        ],
    ];
    let tokens = |grid: &[&[f32]; 2]| -> Vec<f32> {
        let patches = (0..grid[0].len()).flat_map(|i| [grid[0][i], grid[1][i]]);
        [7.0, 8.0].into_iter().chain(patches).collect()
    };
    let data = TensorData::new(tokens(&[&channels[0], &channels[1]]), [1, 10, 2]);
    teacher.tokens.position = Param::from_tensor(Tensor::from_data(data, &device));
    let (resized, report) = Published::of(&teacher)
        .into_model::<VisionTransformer>(&large, Strictness::Strict, &device)
        .unwrap();
    assert_eq!(report.resized, ["pos_embed"]);
    let got: Vec<f32> = resized.tokens.position.val().into_data().iter().collect();
    let expected = tokens(&[&expected[0], &expected[1]]);
    assert_eq!(got.len(), expected.len());
    for (got, expected) in got.iter().zip(&expected) {
        // The expected values have six decimals; sums of 16 terms of magnitude up to 6.
        assert!((got - expected).abs() < 5e-6, "{got} {expected}");
    }
}

#[test]
fn a_scale_of_one_counts_as_not_set_where_a_file_says_nothing() {
    let device = Device::flex();
    let config = tiny();
    let mut student = config.init_stage2(&device).unwrap();
    student = student.calibrate(&images(&config, &device));
    let value = &mut student.blocks[0].attention.value;
    value.scales = Param::from_tensor(Tensor::from_floats([0.5, 1.0, 2.0], &device));
    let published = Published::of(&student);
    let tensors = published
        .names()
        .map(|name| (name.to_string(), published.get(name).unwrap().clone()));
    let (again, _) = Published::new(tensors.collect::<Vec<_>>())
        .into_model::<Stage2Student>(&config, Strictness::Strict, &device)
        .unwrap();
    let flags = again.blocks[0].attention.value.calibrated.val().into_data();
    assert_eq!(flags.iter::<i64>().collect::<Vec<_>>(), [1, 0, 1]);
    assert!(again.blocks[1].attention.value.is_calibrated());
    assert!(again.patch_embedding.weight_quantizer.is_calibrated());
}

#[test]
fn shapes_tell_the_model() {
    let device = Device::flex();
    let anonymous = |published: Published| {
        let tensors: Vec<_> = published
            .names()
            .map(|name| (name.to_string(), published.get(name).unwrap().clone()))
            .collect();
        let hints = Hints {
            scope: Some(ThresholdScope::Sample),
            ..Hints::default()
        };
        let found = Published::new(tensors).describe_with(&hints).unwrap();
        (found.phase, found.config)
    };
    let config = tiny().with_value_groups(2).with_mlp_width(24);
    let student = config.init_stage2(&device).unwrap();
    assert_eq!(anonymous(Published::of(&student)), (Phase::Stage2, config));
    let config = tiny().with_distillation_token(false);
    let student = config.init_stage1(&device).unwrap();
    assert_eq!(anonymous(Published::of(&student)), (Phase::Stage1, config));
    // The heads of a teacher have 64 channels, if it has the size of a published one.
    let config = VitConfig::new(12, 5)
        .with_patch_size(4)
        .with_channels(3)
        .with_width(192)
        .with_depth(12)
        .with_heads(3)
        .with_mlp_width(24);
    let teacher = config.init_teacher(&device).unwrap();
    assert_eq!(anonymous(Published::of(&teacher)), (Phase::Teacher, config));
}

/// The tensors of a model without what an export says besides.
fn bare(published: &Published) -> Vec<(String, TensorData)> {
    let names = published.names();
    let tensor = |name: &str| (name.to_string(), published.get(name).unwrap().clone());
    names.map(tensor).collect()
}

/// A safetensors file as Python writes it.
fn write_bare(published: &Published, path: &Path) {
    Published::new(bare(published)).write(path).unwrap();
}

/// A file for tensors, and the description that may lie beside it.
struct Place {
    _folder: tempfile::TempDir,
    path: PathBuf,
    beside: PathBuf,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self {
            path: folder.path().join("model.safetensors"),
            beside: folder.path().join("config.json"),
            _folder: folder,
        }
    }

    fn read(&self) -> Published {
        Published::read(&self.path).unwrap()
    }
}

/// Four heads of 16 channels; by 64 channels there would be one.
fn narrow_heads() -> VitConfig {
    VitConfig::new(12, 5)
        .with_patch_size(4)
        .with_channels(3)
        .with_width(64)
        .with_depth(2)
        .with_heads(4)
        .with_distillation_token(false)
}

fn heads(heads: usize) -> Hints {
    Hints {
        heads: Some(heads),
        ..Hints::default()
    }
}

fn scope(scope: ThresholdScope) -> Hints {
    Hints {
        scope: Some(scope),
        ..Hints::default()
    }
}

#[test]
fn the_heads_of_a_teacher_are_asked_for() {
    let (place, config) = (Place::new(), narrow_heads());
    let teacher = config.init_teacher(&Device::flex()).unwrap();
    write_bare(&Published::of(&teacher), &place.path);
    let message = place.read().describe().unwrap_err().to_string();
    assert!(
        message.contains("model.safetensors") && message.contains("--heads"),
        "{message}"
    );
    assert_eq!(
        place.read().describe_with(&heads(4)).unwrap().config,
        config
    );
    assert!(place.read().describe_with(&heads(5)).is_err());
}

#[test]
fn a_description_beside_tells_the_heads() {
    let (place, config) = (Place::new(), narrow_heads());
    let teacher = config.init_teacher(&Device::flex()).unwrap();
    write_bare(&Published::of(&teacher), &place.path);
    for (text, expected) in [
        (config.to_json(), true),
        (
            format!(r#"{{"recipe": {{"model": {}}}}}"#, config.to_json()),
            true,
        ),
        (
            r#"{"num_attention_heads": 4, "hidden_size": 64}"#.into(),
            true,
        ),
        (
            r#"{"architecture": "vit", "model_args": {"num_heads": 4}}"#.into(),
            true,
        ),
        // Of another model, or of none.
        (
            r#"{"num_attention_heads": 4, "hidden_size": 128}"#.into(),
            false,
        ),
        (
            r#"{"num_attention_heads": 5, "hidden_size": 64}"#.into(),
            false,
        ),
        (config.clone().with_mlp_width(128).to_json(), false),
        ("[1".into(), false),
    ] {
        std::fs::write(&place.beside, &text).unwrap();
        let described = place.read().describe_with(&Hints::default());
        assert_eq!(described.is_ok(), expected, "{text}");
        if let Ok(described) = described {
            assert_eq!(described.config, config);
            assert!(
                described.assumed[0].contains("config.json"),
                "{:?}",
                described.assumed
            );
        }
    }
}

/// Neither has a tensor that would tell of it.
#[test]
fn a_description_beside_tells_the_variants() {
    let place = Place::new();
    let config = narrow_heads()
        .with_token_shifts(true)
        .with_binary_query_key(true);
    std::fs::write(&place.beside, config.to_json()).unwrap();
    let described = |published: Published| {
        write_bare(&published, &place.path);
        let described = place.read().describe_with(&Hints::default()).unwrap();
        let variants = (
            described.config.binary_query_key,
            described.config.token_shifts,
        );
        (described.assumed.join("; "), variants)
    };
    let (assumed, variants) = described(Published::of(
        &config.init_teacher(&Device::flex()).unwrap(),
    ));
    assert_eq!(variants, (true, false));
    assert!(assumed.contains("query and key of one bit"), "{assumed}");
    let (assumed, variants) =
        described(Published::of(&config.init_stage1(&Device::flex()).unwrap()));
    assert_eq!(variants, (false, true));
    assert!(assumed.contains("neighbouring tokens"), "{assumed}");
    let (_, variants) = described(Published::of(&config.init_stage2(&Device::flex()).unwrap()));
    assert_eq!(variants, (false, true));
}

#[test]
fn a_name_of_timm_beside_tells_the_heads() {
    let place = Place::new();
    let tiny = VitConfig::new(12, 5)
        .with_patch_size(4)
        .with_channels(3)
        .with_width(192)
        .with_depth(2)
        .with_heads(3)
        .with_mlp_width(19);
    write_bare(
        &Published::of(&tiny.init_teacher(&Device::flex()).unwrap()),
        &place.path,
    );
    std::fs::write(
        &place.beside,
        r#"{"architecture": "deit_tiny_patch16_224.fb_in1k"}"#,
    )
    .unwrap();
    assert_eq!(place.read().describe().unwrap().1.heads, 3);
    std::fs::write(
        &place.beside,
        r#"{"architecture": "deit_small_patch16_224"}"#,
    )
    .unwrap();
    assert!(place.read().describe().is_err());
}

#[test]
fn the_scope_of_a_student_is_asked_for() {
    let place = Place::new();
    let config = tiny().with_scope(ThresholdScope::Row).with_head_bits(4);
    write_bare(
        &Published::of(&config.init_stage2(&Device::flex()).unwrap()),
        &place.path,
    );
    let message = place.read().describe().unwrap_err().to_string();
    assert!(
        message.contains("model.safetensors") && message.contains("--scope"),
        "{message}"
    );
    assert_eq!(
        place
            .read()
            .describe_with(&scope(ThresholdScope::Row))
            .unwrap()
            .config
            .stage2
            .scope,
        ThresholdScope::Row
    );
    // The heads are in its shapes.
    let message = place
        .read()
        .describe_with(&heads(4))
        .unwrap_err()
        .to_string();
    assert!(
        message.contains("a model of 2 heads, not of 4"),
        "{message}"
    );
    std::fs::write(&place.beside, config.to_json()).unwrap();
    assert_eq!(
        place.read().describe().unwrap(),
        (Phase::Stage2, config.clone())
    );
}

#[test]
fn an_export_is_not_to_be_contradicted() {
    let place = Place::new();
    let config = tiny().with_scope(ThresholdScope::Row).with_head_bits(4);
    export(&config.init_stage2(&Device::flex()).unwrap(), &place.path).unwrap();
    let (same, other) = (scope(ThresholdScope::Row), scope(ThresholdScope::Batch));
    assert_eq!(place.read().describe_with(&same).unwrap().config, config);
    let message = place.read().describe_with(&other).unwrap_err().to_string();
    assert!(
        message.contains("a model of Row thresholds' scope, not of Batch"),
        "{message}"
    );
}

#[test]
fn a_published_checkpoint_has_the_scope_of_a_batch() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/d_ckpt_stage2.pth");
    let described = Published::read(path)
        .unwrap()
        .describe_with(&Hints::default())
        .unwrap();
    assert_eq!(described.config.stage2.scope, ThresholdScope::Batch);
    assert!(
        described.assumed[0].contains("--scope"),
        "{:?}",
        described.assumed
    );
}

#[test]
fn heads_of_a_file_without_any_start_fresh_if_their_classes_are_known() {
    let device = Device::flex();
    let config = tiny();
    let student = config.init_stage2(&device).unwrap();
    let tensors = bare(&Published::of(&student)).into_iter();
    let headless = Published::new(tensors.filter(|(name, _)| !name.starts_with("head")));
    let scope = Some(config.stage2.scope);
    let hints = |classes| Hints {
        classes,
        scope,
        heads: None,
    };
    let message = headless
        .describe_with(&hints(None))
        .unwrap_err()
        .to_string();
    assert!(message.contains("--classes"), "{message}");
    let found = headless.describe_with(&hints(Some(7))).unwrap();
    assert_eq!(found.config.classes, 7);
    let (student, report) = headless
        .into_model::<Stage2Student>(&found.config, Strictness::Strict, &device)
        .unwrap();
    assert_eq!(report.reinitialized.len(), 10);
    assert!(!student.class_head.input.is_calibrated());
    assert_eq!(student.infer(images(&config, &device)).dims(), [3, 7]);
}

#[test]
fn weights_that_are_not_finite_are_refused_by_name() {
    let device = Device::flex();
    let folder = tempfile::tempdir().unwrap();
    let native = folder.path().join("student.bpk");
    for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut student = tiny().init_stage2(&device).unwrap();
        let weight = &mut student.blocks[1].norm1.gamma;
        *weight = Param::from_tensor(Tensor::from_floats(
            [0.0, value, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
            &device,
        ));
        let refused = Published::of(&student)
            .into_model::<Stage2Student>(&tiny(), Strictness::Lenient, &device)
            .unwrap_err()
            .to_string();
        assert!(
            refused.contains("blocks.1.norm1.weight holds values that are not finite"),
            "{refused}"
        );
        save(&student, &native).unwrap();
        let refused = load::<Stage2Student>(&native, &device)
            .unwrap_err()
            .to_string();
        assert!(
            refused.contains("student.bpk: blocks.1.norm1.gamma holds"),
            "{refused}"
        );
    }
}

#[test]
fn leftovers_are_ignored_and_extras_are_not() {
    let device = Device::flex();
    let config = tiny().with_distillation_token(false);
    let teacher = config.init_teacher(&device).unwrap();
    let with = |extra: &str| {
        let extra = (extra.to_string(), TensorData::from([1.0f32]));
        let tensors = bare(&Published::of(&teacher)).into_iter().chain([extra]);
        Published::new(tensors).into_model::<VisionTransformer>(
            &config,
            Strictness::Strict,
            &device,
        )
    };
    for name in ["blocks.0.attn.total_ops", "norm.num_batches_tracked"] {
        assert_eq!(with(name).unwrap().1.ignored, [name]);
    }
    let message = with("extra.weight").unwrap_err().to_string();
    assert!(
        message.contains("1 unexpected: extra.weight; gsb import --lenient"),
        "{message}"
    );
}

#[test]
fn a_packed_model_is_no_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("packed.safetensors");
    let header = r#"{"__metadata__":{"format":"gsb-packed"},"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#;
    let len = (header.len() as u64).to_le_bytes();
    std::fs::write(&path, [&len, header.as_bytes(), &[0; 4]].concat()).unwrap();
    let message = Published::read(&path).unwrap_err().to_string();
    assert!(
        message.contains("packed.safetensors") && message.contains("gsb predict"),
        "{message}"
    );
}

#[test]
fn a_loaded_model_does_not_need_its_file() {
    let device = Device::flex();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("teacher.bpk");
    let teacher = VitConfig::micro().init_teacher(&device).unwrap();
    save(&teacher, &path).unwrap();
    let loaded: VisionTransformer = load(&path, &device).unwrap();
    std::fs::remove_file(&path).unwrap();
    assert_eq!(Contents::of(&loaded), Contents::of(&teacher));
}

#[test]
fn wrong_native_files_are_named() {
    let device = Device::flex();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("student.bpk");
    let complaint = |path: &Path| {
        load::<Stage2Student>(path, &device)
            .unwrap_err()
            .to_string()
    };
    assert!(complaint(&path).contains("student.bpk: not a checkpoint that can be read"));

    save(&tiny().init_stage1(&device).unwrap(), &path).unwrap();
    assert!(complaint(&path).ends_with("it holds a model of stage1, expected one of stage2"));

    let whole = std::fs::read(&path).unwrap();
    for len in [0, 10, 100, whole.len() / 2, whole.len() - 1] {
        std::fs::write(&path, &whole[..len]).unwrap();
        assert!(load::<Stage1Student>(&path, &device).is_err(), "{len}");
    }

    // A record of Burn alone does not say what it holds.
    let model = tiny().init_stage1(&device).unwrap();
    model.into_record().save(&path).unwrap();
    let message = load::<Stage1Student>(&path, &device)
        .unwrap_err()
        .to_string();
    assert!(message.ends_with("it has no gsb.phase: not a checkpoint of this library"));
}

/// Gives changed bytes the checksum of what they are now, if they have one.
fn sealed(bytes: &mut [u8]) {
    let entry = b"gsb.checksum";
    let at = bytes
        .windows(entry.len())
        .position(|window| window == entry);
    let Some(end) = at.map(|at| at + entry.len()) else {
        return;
    };
    // In JSON there are quotes and a colon, in CBOR the length of the text.
    let start = end + if bytes[end] == b'"' { 3 } else { 1 };
    bytes[start..start + 8].fill(b'0');
    let digits = format!("{:08x}", crc32fast::hash(bytes));
    bytes[start..start + 8].copy_from_slice(digits.as_bytes());
}

/// The bits of the first bytes, of the checksum and of the name of its entry.
fn beside_the_checksum(bytes: &[u8]) -> impl Iterator<Item = usize> {
    let entry = b"gsb.checksum";
    let at = bytes
        .windows(entry.len())
        .position(|window| window == entry);
    let at = at.expect("a checksum");
    (0..8 * 10).chain(8 * (at - 2)..8 * (at + entry.len() + 12))
}

#[test]
fn damaged_exports_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (path, again) = (folder.path().join("a.safetensors"), folder.path().join("b"));
    let student = tiny().init_stage1(&Device::flex()).unwrap();
    export(&student, &path).unwrap();
    export(&student, &again).unwrap();
    let whole = std::fs::read(&path).unwrap();
    assert!(
        whole == std::fs::read(again).unwrap(),
        "the order of entries is not random"
    );
    Published::read(&path).unwrap();
    for bit in beside_the_checksum(&whole).chain((0..8 * whole.len()).step_by(211)) {
        let mut flipped = whole.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        std::fs::write(&path, flipped).unwrap();
        let message = Published::read(&path).unwrap_err().to_string();
        assert!(message.contains("a.safetensors"), "bit {bit}: {message}");
    }
    assert!(
        Published::read(&path)
            .unwrap_err()
            .to_string()
            .contains("it is damaged")
    );
}

#[test]
fn damaged_native_files_are_refused() {
    let device = Device::flex();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("student.bpk");
    save(&tiny().init_stage1(&device).unwrap(), &path).unwrap();
    let whole = std::fs::read(&path).unwrap();
    // Every bit of what the checksum is found by, and some of everything.
    for bit in beside_the_checksum(&whole).chain((0..8 * whole.len()).step_by(211)) {
        let mut flipped = whole.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        std::fs::write(&path, flipped).unwrap();
        let message = inspect(&path).unwrap_err().to_string();
        assert!(
            message.contains("student.bpk: ") && message.contains("it is damaged"),
            "bit {bit}: {message}"
        );
    }
    let message = load::<Stage1Student>(&path, &device).unwrap_err();
    assert!(message.to_string().contains("it is damaged"), "{message}");
}

#[test]
fn native_files_from_before_there_were_checksums_are_read() {
    let device = Device::flex();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("student.bpk");
    let student = tiny().init_stage1(&device).unwrap();
    let tensors = parameters(&student).into_iter().map(|parameter| {
        let (bytes, shape, dtype) = parameter.data.into_parts();
        let id = Some(parameter.id.val());
        burn_pack::Tensor::new(parameter.path, dtype, shape, id, bytes)
    });
    burn_pack::Writer::new(tensors.collect())
        .with_metadata("gsb.phase", "stage1")
        .with_metadata("gsb.config", &tiny().to_json())
        .with_metadata("gsb.version", "0.1.0")
        .write_to_file(&path)
        .unwrap();
    let loaded: Stage1Student = load(&path, &device).unwrap();
    assert_eq!(Published::of(&loaded), Published::of(&student));
}

/// A file may say that it holds a model that no machine has a place for.
#[test]
fn a_model_much_larger_than_its_file_is_refused() {
    let device = Device::flex();
    let folder = tempfile::tempdir().unwrap();
    let (native, published) = (
        folder.path().join("a.bpk"),
        folder.path().join("a.safetensors"),
    );
    let student = tiny().init_stage1(&device).unwrap();
    save(&student, &native).unwrap();
    export(&student, &published).unwrap();
    // In both, the configuration is text. Its length must stay.
    let swell = |path: &Path, from: &str, to: &str| {
        let bytes = std::fs::read(path).unwrap();
        let at = bytes
            .windows(from.len())
            .position(|window| window == from.as_bytes());
        let at = at.unwrap_or_else(|| panic!("no {from} in {}", path.display()));
        let mut swollen = [&bytes[..at], to.as_bytes(), &bytes[at + from.len()..]].concat();
        sealed(&mut swollen);
        std::fs::write(path, swollen).unwrap();
    };
    swell(
        &native,
        "\"depth\": 2,\n  \"heads\": 2",
        "\"depth\": 9999,\"heads\": 2",
    );
    swell(
        &published,
        "\\\"depth\\\": 2,\\n  \\\"heads",
        "\\\"depth\\\": 9999, \\\"heads",
    );
    let message = load::<Stage1Student>(&native, &device)
        .unwrap_err()
        .to_string();
    assert!(message.contains("the model described has"), "{message}");
    let message = Published::read(&published)
        .unwrap()
        .describe()
        .unwrap_err()
        .to_string();
    assert!(message.contains("the model described has"), "{message}");
}

#[cfg(unix)]
#[test]
fn an_export_is_as_readable_as_any_new_file() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let (plain, exported) = (folder.path().join("plain"), folder.path().join("exported"));
    std::fs::write(&plain, "").unwrap();
    export(&tiny().init_stage1(&Device::flex()).unwrap(), &exported).unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode();
    assert_eq!(mode(&exported), mode(&plain));
}

#[test]
fn a_failed_write_leaves_nothing() {
    let device = Device::flex();
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing");
    let student = tiny().init_stage1(&device).unwrap();
    for error in [
        save(&student, missing.join("a.bpk")).unwrap_err(),
        export(&student, missing.join("a.safetensors")).unwrap_err(),
        // A folder is in the way.
        save(&student, folder.path()).unwrap_err(),
        export(&student, folder.path()).unwrap_err(),
    ] {
        assert!(error.to_string().contains("cannot be written"), "{error}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

/// Its name says that it is our own kind.
#[test]
fn contents_count_more_than_the_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("student.bpk");
    let device = Device::default();
    let student = tiny().init_stage2(&device).unwrap();
    let student = student.calibrate(&images(&tiny(), &device));
    export(&student, &path).unwrap();
    let loaded = Stage2Student::load(&path, &device).unwrap();
    assert_eq!(loaded.config(), student.config());
    std::fs::write(&path, "neither").unwrap();
    let refusal = Stage2Student::load(&path, &device).unwrap_err().to_string();
    assert!(refusal.contains("burnpack"), "{refusal}");
}
