//! Checkpoints of plain Vision Transformers as other libraries save them, see
//! `tests/golden/plain/make.py`: what is read computes what their models do.

#![cfg(feature = "flex")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::tensor::{Device, Tensor, TensorData, s};
use gsb_vit::checkpoint::{
    Description, Hints, ImportReport, Published, Strictness, TensorFile, export,
};
use gsb_vit::{Phase, VisionTransformer, VitConfig};
use safetensors::tensor::{Dtype, TensorView};
use serde_json::{Value, json};

/// Deviations of single precision from double are those of one order of summation; another's may be
/// a few times as large.
const MARGIN: f64 = 8.0;

fn golden(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/golden/plain")
        .join(path)
}

fn hints() -> Hints {
    Hints {
        classes: Some(5),
        ..Hints::default()
    }
}

fn read(path: &Path, hints: &Hints) -> (VisionTransformer, ImportReport) {
    let published = Published::read(path).unwrap();
    let Description {
        phase,
        config,
        assumed,
    } = published.describe_with(hints).unwrap();
    assert_eq!(phase, Phase::Teacher);
    let (model, mut report) = published
        .into_model(&config, Strictness::Strict, &Device::flex())
        .unwrap();
    report.assumed = assumed;
    (model, report)
}

/// What the model of a folder is expected to compute, and how far that may be missed.
struct Expected {
    file: TensorFile,
    f32_maxabs: Value,
}

impl Expected {
    fn of(folder: &Path) -> Self {
        let file = TensorFile::open(folder.join("expected.safetensors")).unwrap();
        let f32_maxabs = serde_json::from_str(&file.metadata()["f32_maxabs"]).unwrap();
        Self { file, f32_maxabs }
    }

    fn images(&self) -> Tensor<4> {
        Tensor::from_data(self.file.read("x").unwrap(), &Device::flex())
    }

    fn compare(&self, name: &str, got: Tensor<2>) {
        let expected = self.file.read(name).unwrap();
        assert_eq!(expected.shape().to_vec(), got.dims());
        let allowed = MARGIN * self.f32_maxabs[name].as_f64().unwrap();
        let got = got.into_data();
        let away = got.iter::<f64>().zip(expected.iter::<f64>());
        let away = away.map(|(got, expected)| (got - expected).abs());
        let away = away.fold(0.0, f64::max);
        assert!(away < allowed, "{name}: {away:e}, at most {allowed:e}");
    }
}

/// Whether the checkpoint of a folder computes what its library's does.
fn computes_the_same(folder: &str, file: &str, heads: Option<usize>) -> ImportReport {
    let hints = Hints { heads, ..hints() };
    let (model, report) = read(&golden(folder).join(file), &hints);
    let expected = Expected::of(&golden(folder));
    agrees(&model, &report, &expected);
    report
}

fn agrees(model: &VisionTransformer, report: &ImportReport, expected: &Expected) {
    let found = model.activations(expected.images());
    let class = found.features.slice(s![.., ..1, ..]).squeeze_dim::<2>(1);
    expected.compare("features", class);
    if report.reinitialized.is_empty() {
        expected.compare("logits", model.infer(expected.images()));
    }
}

/// The notes of a report without those of the file.
fn notes(report: &ImportReport) -> Vec<&str> {
    let all = report.translated.iter().chain(&report.assumed);
    all.map(String::as_str).collect()
}

const HEADS: &str = "3 heads, as the config.json beside it says";
const SCALED: &str = "layer scale multiplied into attn.proj and mlp.fc2";
const VIT_NAMES: &str = "translated from the names of Hugging Face's ViT and DeiT";
const DINOV2_NAMES: &str = "translated from the names of Hugging Face's Dinov2";
const SMALL: &str = "normalizations add 1e-12 to the variance, as the config.json beside it says";
const UNBIASED: &str = "query, key and value have no bias: it is 0";

#[test]
fn timm() {
    let report = computes_the_same("timm_vit", "model.safetensors", None);
    assert_eq!(notes(&report), [HEADS]);
    let report = computes_the_same("timm_deit_distilled", "model.safetensors", None);
    assert_eq!(notes(&report), [HEADS]);
    let report = computes_the_same("timm_vit_without_qkv_bias", "model.safetensors", None);
    assert_eq!(notes(&report), [UNBIASED, HEADS]);
    let report = computes_the_same("timm_deit3", "model.safetensors", None);
    let patches = "only the patches have positions: those of the tokens before them are 0";
    assert_eq!(notes(&report), [SCALED, patches, HEADS]);
}

#[test]
fn timm_dinov2_of_every_float() {
    for folder in ["timm_dinov2", "timm_dinov2_f16", "timm_dinov2_bf16"] {
        let report = computes_the_same(folder, "model.safetensors", None);
        assert_eq!(notes(&report), [SCALED, HEADS]);
        assert_eq!(report.reinitialized, ["head.weight", "head.bias"]);
    }
}

#[test]
fn hugging_face_vit_and_deit() {
    let report = computes_the_same("hf_vit", "model.safetensors", None);
    assert_eq!(notes(&report), [VIT_NAMES, HEADS, SMALL]);
    assert_eq!(report.file.prefixes, ["vit."]);
    let report = computes_the_same("hf_deit", "model.safetensors", None);
    assert_eq!(notes(&report), [VIT_NAMES, HEADS, SMALL]);
    // Without a head of its own, and with a layer before one.
    let report = computes_the_same("hf_vit_model", "model.safetensors", None);
    assert_eq!(notes(&report), [VIT_NAMES, UNBIASED, HEADS, SMALL]);
    assert_eq!(report.ignored, ["pooler.dense.bias", "pooler.dense.weight"]);
}

#[test]
fn hugging_face_dinov2() {
    let report = computes_the_same("hf_dinov2", "model.safetensors", None);
    assert_eq!(notes(&report), [DINOV2_NAMES, SCALED, HEADS]);
    assert_eq!(report.ignored, ["embeddings.mask_token"]);
    let report = computes_the_same("hf_dinov2_classifier", "model.safetensors", None);
    assert_eq!(report.reinitialized, ["head.weight", "head.bias"]);
    assert!(report.translated[2].starts_with("the head is left out"));
    assert!(report.ignored.contains(&"head.weight".into()));
}

#[test]
fn torchvision() {
    let report = computes_the_same("torchvision_vit", "model.pth", Some(3));
    assert_eq!(notes(&report), ["translated from the names of torchvision"]);
}

/// A folder with the tensors of a file under names that are changed, or left out; with a config.json if
/// there is one.
fn changed(
    folder: &str,
    config: Option<Value>,
    change: impl Fn(&str) -> Option<String>,
) -> tempfile::TempDir {
    with_tensors(folder, config, change, &[])
}

fn with_tensors(
    folder: &str,
    config: Option<Value>,
    change: impl Fn(&str) -> Option<String>,
    more: &[(&str, &[usize])],
) -> tempfile::TempDir {
    let bytes = std::fs::read(golden(folder).join("model.safetensors")).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let zeros = vec![0; 1 << 16];
    let changed = tensors
        .iter()
        .filter_map(|(name, view)| Some((change(name)?, view)));
    let more = more.iter().map(|(name, shape)| {
        let bytes = 4 * shape.iter().product::<usize>();
        let view = TensorView::new(Dtype::F32, shape.to_vec(), &zeros[..bytes]).unwrap();
        (name.to_string(), view)
    });
    let all: BTreeMap<String, TensorView> = changed.chain(more).collect();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    std::fs::write(path, safetensors::serialize(all, None).unwrap()).unwrap();
    if let Some(config) = config {
        std::fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
    }
    folder
}

fn same(name: &str) -> Option<String> {
    Some(name.into())
}

fn config(folder: &str) -> Value {
    let text = std::fs::read(golden(folder).join("config.json")).unwrap();
    serde_json::from_slice(&text).unwrap()
}

/// As models of version 5 of transformers have them, whose files keep the old ones.
#[test]
fn names_of_hugging_face_since_version_5() {
    let renamed = |name: &str| {
        let renamed = [
            (".attention.attention.query.", ".attention.q_proj."),
            (".attention.attention.key.", ".attention.k_proj."),
            (".attention.attention.value.", ".attention.v_proj."),
            (".attention.output.dense.", ".attention.o_proj."),
            (".intermediate.dense.", ".mlp.fc1."),
            (".output.dense.", ".mlp.fc2."),
            ("vit.encoder.layer.", "vit.layers."),
        ];
        let renamed = renamed
            .into_iter()
            .fold(name.to_string(), |name, (from, to)| name.replace(from, to));
        Some(renamed)
    };
    for (folder, notes) in [
        ("hf_vit", [VIT_NAMES].as_slice()),
        ("hf_dinov2", &[DINOV2_NAMES, SCALED]),
    ] {
        let changed = changed(folder, Some(config(folder)), renamed);
        let (model, report) = read(&changed.path().join("model.safetensors"), &hints());
        assert_eq!(report.translated, notes);
        agrees(&model, &report, &Expected::of(&golden(folder)));
    }
}

/// The names of layer scale that the authors of DeiT III gave it, and timm's models with rotary positions have.
fn gamma(name: &str) -> Option<String> {
    let renamed = name.replace("ls1.gamma", "gamma_1");
    Some(renamed.replace("ls2.gamma", "gamma_2"))
}

#[test]
fn deit_3_as_its_authors_name_it() {
    let alike = "taken for DeiT III: a model of rotary positions has the same names, and timm's config.json beside \
                 it would say so";
    let hints = Hints {
        heads: Some(3),
        ..hints()
    };
    for (config, doubt) in [(Some(config("timm_deit3")), false), (None, true)] {
        let changed = changed("timm_deit3", config, gamma);
        let (model, report) = read(&changed.path().join("model.safetensors"), &hints);
        agrees(&model, &report, &Expected::of(&golden("timm_deit3")));
        assert_eq!(notes(&report).contains(&alike), doubt);
    }
}

/// Positions that are computed have no tensors: the configuration alone tells of them.
#[test]
fn rotary_positions_that_a_configuration_tells_of_are_refused() {
    let mut by_name = config("timm_deit3");
    by_name["architecture"] = json!("vit_small_patch16_rope_ape_224");
    let mut by_option = config("timm_deit3");
    by_option["model_args"]["use_rot_pos_emb"] = json!(true);
    for config in [by_name, by_option] {
        let message = refusal(&changed("timm_deit3", Some(config), gamma));
        assert!(
            message.ends_with(
                "the config.json beside it says that the positions are rotary ones, expected learned ones alone"
            ),
            "{message}"
        );
    }
    let mut none = config("timm_deit3");
    none["architecture"] = json!("vit_europe_patch4_16");
    none["model_args"]["use_rot_pos_emb"] = json!(false);
    let none = changed("timm_deit3", Some(none), gamma);
    read(&none.path().join("model.safetensors"), &hints());
}

/// What the images were normalized by is no part of a model here.
#[test]
fn another_normalization_of_the_images_is_said() {
    let notes_beside = |config: Option<Value>, preprocessor: Option<Value>| {
        let folder = changed("timm_vit", config, same);
        if let Some(preprocessor) = preprocessor {
            let path = folder.path().join("preprocessor_config.json");
            std::fs::write(path, preprocessor.to_string()).unwrap();
        }
        let hints = Hints {
            heads: Some(3),
            ..hints()
        };
        let (_, report) = read(&folder.path().join("model.safetensors"), &hints);
        let said = report.assumed.into_iter();
        said.filter(|note| note.starts_with("trained on images"))
            .collect::<Vec<_>>()
    };
    let note = |mean: &str, deviation: &str, file: &str| {
        [format!(
            "trained on images normalized by mean {mean} and deviation {deviation}, as the {file} beside it says, \
             not by ImageNet's: set them in a file for --config, as recipe.augmentation.normalization and \
             recipe.evaluation.normalization"
        )]
    };
    let imagenet: ([f64; 3], [f64; 3]) = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]);
    let half: ([f64; 3], [f64; 3]) = ([0.5; 3], [0.5; 3]);
    let timm = |(mean, std): ([f64; 3], [f64; 3])| {
        let mut config = config("timm_vit");
        config["pretrained_cfg"] = json!({"mean": mean, "std": std});
        Some(config)
    };
    let face =
        |(mean, std): ([f64; 3], [f64; 3])| Some(json!({"image_mean": mean, "image_std": std}));
    let halves = "0.5, 0.5, 0.5";
    assert_eq!(
        notes_beside(timm(half), None),
        note(halves, halves, "config.json")
    );
    let mut old = config("timm_vit");
    (old["mean"], old["std"]) = (json!(half.0), json!(half.1));
    assert_eq!(
        notes_beside(Some(old), None),
        note(halves, halves, "config.json")
    );
    // Doubles of single precision, as the library writes them.
    let single = ([f64::from(0.481f32); 3], [f64::from(0.26f32); 3]);
    assert_eq!(
        notes_beside(None, face(single)),
        note(
            "0.481, 0.481, 0.481",
            "0.26, 0.26, 0.26",
            "preprocessor_config.json"
        )
    );
    let rounded = imagenet.0.map(|mean| f64::from(mean as f32));
    let mut other = config("timm_vit");
    other["num_features"] = json!(24);
    let gray = json!({"image_mean": [0.1307], "image_std": [0.3081]});
    for (config, preprocessor) in [
        (None, None),
        (timm(imagenet), None),
        (None, face((rounded, imagenet.1))),
        // Of another model.
        (Some(other), face(half)),
        (None, Some(gray)),
        (None, Some(json!({"image_mean": 0.5, "image_std": 0.5}))),
    ] {
        let said = notes_beside(config, preprocessor);
        assert!(said.is_empty(), "{said:?}");
    }
}

/// No shape tells them, and not every model of these sizes has heads of 64 channels.
#[test]
fn assumed_heads_are_said_to_be_assumed() {
    let assumed = |width: usize| {
        let config = VitConfig::new(12, 5)
            .with_patch_size(4)
            .with_width(width)
            .with_depth(12)
            .with_heads(width / 64)
            .with_mlp_width(24)
            .with_distillation_token(false);
        let tensors = Published::of(&config.init_teacher(&Device::flex()).unwrap());
        let bare = tensors
            .names()
            .map(|name| (name.to_string(), tensors.get(name).unwrap().clone()));
        let description = Published::new(bare).describe_with(&Hints::default());
        let description = description.unwrap();
        assert_eq!(description.config, config);
        description.assumed
    };
    assert_eq!(
        assumed(192),
        [
            "3 heads of 64 channels assumed, as DeiT and ViT of width 192 have: --heads (Hints::heads) says otherwise"
        ]
    );
    assert_eq!(
        assumed(384),
        [
            "6 heads of 64 channels assumed, as DeiT and ViT of width 384 have (MoCo v3's small model has 12): \
             --heads (Hints::heads) says otherwise"
        ]
    );
}

/// DINO saves its projection head with the backbone.
#[test]
fn a_projection_head_is_no_head_for_classes() {
    let projection: [(&str, &[usize]); 4] = [
        ("head.last_layer.weight_g", &[5, 1]),
        ("head.last_layer.weight_v", &[5, 4]),
        ("head.mlp.0.bias", &[4]),
        ("head.mlp.0.weight", &[4, 12]),
    ];
    let folder = with_tensors(
        "timm_dinov2",
        Some(config("timm_dinov2")),
        same,
        &projection,
    );
    let published = Published::read(folder.path().join("model.safetensors")).unwrap();
    assert!(!published.has_heads());
    let message = published.describe().unwrap_err().to_string();
    assert!(
        message.contains("for how many classes, as it has no head"),
        "{message}"
    );
    let config = published.describe_with(&hints()).unwrap().config;
    let load = |strictness| {
        published
            .clone()
            .into_model::<VisionTransformer>(&config, strictness, &Device::flex())
    };
    let message = load(Strictness::Strict).unwrap_err().to_string();
    assert!(
        message.contains(
            "4 unexpected: head.last_layer.weight_g, head.last_layer.weight_v, head.mlp.0.bias, head.mlp.0.weight;"
        ),
        "{message}"
    );
    let (model, report) = load(Strictness::Lenient).unwrap();
    assert_eq!(report.reinitialized, ["head.weight", "head.bias"]);
    agrees(&model, &report, &Expected::of(&golden("timm_dinov2")));
}

/// Without a `config.json` the epsilon is that of the library, and goes wherever the model goes.
#[test]
fn the_epsilon_of_a_library_stays_with_the_model() {
    let folder = changed("hf_vit", None, same);
    let path = folder.path().join("model.safetensors");
    let hints = Hints {
        heads: Some(3),
        ..Hints::default()
    };
    let (model, report) = read(&path, &hints);
    assert_eq!(
        report.assumed,
        ["normalizations add 1e-12 to the variance, as Hugging Face's ViT and DeiT"]
    );
    let expected = Expected::of(&golden("hf_vit"));
    agrees(&model, &report, &expected);
    let exported = folder.path().join("exported.safetensors");
    export(&model, &exported).unwrap();
    let (again, report) = read(&exported, &Hints::default());
    assert_eq!(again.config().norm_epsilon, Some(1e-12));
    assert!(report.translated.is_empty());
    agrees(&again, &report, &expected);
    let saved = folder.path().join("saved.bpk");
    gsb_vit::checkpoint::save(&model, &saved).unwrap();
    let again = gsb_vit::checkpoint::load(&saved, &Device::flex()).unwrap();
    agrees(&again, &report, &expected);
    // With another epsilon it is another function.
    let config = VitConfig {
        norm_epsilon: None,
        ..model.config().clone()
    };
    let other: VisionTransformer = Published::read(&path)
        .unwrap()
        .into_model(&config, Strictness::Strict, &Device::flex())
        .unwrap()
        .0;
    let away = model.infer(expected.images()) - other.infer(expected.images());
    assert!(away.abs().max().into_scalar::<f32>() > 0.01);
}

/// The message that refuses a file.
fn refusal(folder: &tempfile::TempDir) -> String {
    let path = folder.path().join("model.safetensors");
    let described = Published::read(&path).and_then(|published| published.describe_with(&hints()));
    let message = described.unwrap_err().to_string();
    assert!(
        message.starts_with(&path.display().to_string()),
        "{message}"
    );
    message
}

#[test]
fn what_no_model_here_computes_is_refused_by_name() {
    for (folder, name, shape, reason) in [
        (
            "timm_dinov2",
            "reg_token",
            &[1, 4, 12][..],
            "register tokens",
        ),
        (
            "hf_dinov2",
            "embeddings.register_tokens",
            &[1, 4, 12],
            "register tokens",
        ),
        (
            "timm_vit",
            "blocks.1.attn.q_norm.weight",
            &[4],
            "a normalization of query and key",
        ),
        (
            "timm_vit_without_qkv_bias",
            "blocks.0.attn.q_bias",
            &[12],
            "biases of query and value alone",
        ),
        (
            "timm_vit_without_qkv_bias",
            "blocks.1.attn.v_bias",
            &[12],
            "biases of query and value alone",
        ),
        (
            "timm_vit",
            "blocks.0.mlp.w12.weight",
            &[96, 12],
            "a gated MLP (SwiGLU)",
        ),
        (
            "hf_dinov2",
            "encoder.layer.0.mlp.weights_in.weight",
            &[96, 12],
            "a gated MLP (SwiGLU)",
        ),
        (
            "timm_vit",
            "blocks.0.attn.relative_position_bias_table",
            &[10, 3],
            "relative positions",
        ),
        (
            "timm_vit",
            "norm_pre.weight",
            &[12],
            "a normalization before the first block",
        ),
        (
            "timm_vit",
            "blocks.0.attn.norm.weight",
            &[12],
            "a normalization inside of attention or MLP",
        ),
        (
            "timm_vit",
            "fc_norm.weight",
            &[12],
            "the mean of the patches in the place of the class token",
        ),
    ] {
        let changed = with_tensors(folder, Some(config(folder)), same, &[(name, shape)]);
        let message = refusal(&changed);
        assert!(
            message.ends_with(&format!("{name} is of {reason}, which no model here has")),
            "{message}"
        );
    }
    // timm names a packed gated MLP as it names any other.
    let fc1 = |name: &str| (!name.contains("0.mlp.fc1.weight")).then(|| name.into());
    let changed = with_tensors(
        "timm_vit",
        Some(config("timm_vit")),
        fc1,
        &[("blocks.0.mlp.fc1.weight", &[96, 12])],
    );
    assert!(
        refusal(&changed).ends_with(
            "blocks.0.mlp.fc1 makes 96 values and fc2 takes 48: a gated MLP (SwiGLU), which no model here has"
        )
    );
}

#[test]
fn what_a_configuration_says_is_heeded() {
    let with = |folder: &str, key: &str, value: Value| {
        let mut config = config(folder);
        config[key] = value;
        changed(folder, Some(config), same)
    };
    let activation = with("hf_vit", "hidden_act", json!("quick_gelu"));
    assert!(refusal(&activation).ends_with(
        "the config.json beside it says that the MLPs have the activation quick_gelu, expected gelu"
    ));
    let name = with(
        "timm_vit",
        "architecture",
        json!("vit_base_patch16_clip_quickgelu_224"),
    );
    assert!(refusal(&name).contains("quickgelu"));
    let pool = with("timm_vit", "global_pool", json!("avg"));
    assert!(
        refusal(&pool)
            .ends_with("the head reads the tokens pooled by \"avg\", expected the class token")
    );
    // Of another model, it says nothing of this one.
    let mut other = config("hf_vit");
    other["hidden_act"] = json!("relu");
    other["hidden_size"] = json!(24);
    let other = changed("hf_vit", Some(other), same);
    let hints = Hints {
        heads: Some(3),
        ..hints()
    };
    read(&other.path().join("model.safetensors"), &hints);
}

#[test]
fn what_is_missing_of_a_layer_is_named() {
    let without = |folder: &str, part: &str| {
        let changed = changed(folder, Some(config(folder)), |name| {
            (!name.contains(part)).then(|| name.into())
        });
        refusal(&changed)
    };
    let message = without("hf_vit", "layer.1.attention.attention.key.weight");
    assert!(
        message.ends_with("blocks.1.attn has no weight of the key"),
        "{message}"
    );
    // A head of the mean of the patches, and rotary positions.
    for folder in ["timm_vit", "hf_vit"] {
        let message = without(folder, "cls_token");
        assert!(
            message.ends_with(
                "there is no cls_token: the head reads the mean of the patches, expected a class token"
            ),
            "{message}"
        );
        let message = without(folder, "pos");
        assert!(
            message.ends_with(
                "there is no pos_embed: the positions are rotary ones, or there are none, expected learned ones"
            ),
            "{message}"
        );
    }
    let token = |name: &str| (!["cls_token", "pos_embed"].contains(&name)).then(|| name.into());
    let patches: [(&str, &[usize]); 1] = [("pos_embed", &[1, 16, 12])];
    let message = refusal(&with_tensors("timm_vit", None, token, &patches));
    assert!(message.contains("there is no cls_token"), "{message}");
    // Half a head is none to start anew.
    let message = without("timm_vit", "head.weight");
    assert!(message.ends_with("there is no head.weight"), "{message}");
    let message = without("timm_deit3", "blocks.1.ls2.gamma");
    assert!(
        message.ends_with("there is no blocks.1.ls2.gamma, as in other blocks"),
        "{message}"
    );
    let message = refusal(&changed("hf_deit_of_one_head", None, same));
    assert!(
        message.ends_with(
            "it has a distillation token and no head for it, expected the mean of two heads"
        ),
        "{message}"
    );
    let twice = with_tensors("hf_vit", None, same, &[("cls_classifier.bias", &[5])]);
    let message = refusal(&twice);
    assert!(
        message.ends_with("another tensor are both head.bias"),
        "{message}"
    );
    let scale = |name: &str| (name != "blocks.0.ls1.gamma").then(|| name.into());
    let changed = with_tensors("timm_deit3", None, scale, &[("blocks.0.ls1.gamma", &[7])]);
    let message = refusal(&changed);
    assert!(
        message.ends_with(
            "blocks.0.ls1.gamma does not fit blocks.0.attn.proj.weight: shapes [7] and [12, 12]"
        ),
        "{message}"
    );
}

/// Whatever the grid becomes, its positions are timm's.
#[test]
fn positions_are_resampled_as_timm_does() {
    let device = Device::flex();
    let file = TensorFile::open(golden("positions.safetensors")).unwrap();
    let mut cases = 0;
    for name in file.names().filter(|name| name.ends_with(".before")) {
        cases += 1;
        let case = name.trim_end_matches(".before");
        let (before, after) = case.split_once('_').unwrap();
        let [before, after] = [before, after].map(|side| side.parse::<usize>().unwrap());
        let config = VitConfig::new(2 * before, 5)
            .with_patch_size(2)
            .with_width(2)
            .with_depth(1)
            .with_heads(1)
            .with_distillation_token(false);
        let mut tensors = Published::of(&config.init_teacher(&device).unwrap());
        let names: Vec<String> = tensors.names().map(String::from).collect();
        let all = names.into_iter().map(|name| {
            let data = match name.as_str() {
                "pos_embed" => file.read(&format!("{case}.before")).unwrap(),
                other => tensors.get(other).unwrap().clone(),
            };
            (name, data)
        });
        let all: Vec<(String, TensorData)> = all.collect();
        tensors = Published::new(all);
        let config = VitConfig {
            image_size: 2 * after,
            ..config
        };
        let (model, report) = tensors
            .into_model::<VisionTransformer>(&config, Strictness::Strict, &device)
            .unwrap();
        assert_eq!(report.resized, ["pos_embed"]);
        let got = model.tokens.position.val().into_data();
        let expected = file.read(&format!("{case}.after")).unwrap();
        assert_eq!(got.shape(), expected.shape());
        for (got, expected) in got.iter::<f32>().zip(expected.iter::<f32>()) {
            // Sums of products of magnitude up to 4 in single precision there, of 15 by 15 places at most.
            assert!((got - expected).abs() < 4e-6, "{case}: {got} {expected}");
        }
    }
    assert_eq!(cases, 10);
}
