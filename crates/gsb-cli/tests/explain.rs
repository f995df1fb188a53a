//! Pictures of attention and of bits.

mod program;

use std::path::Path;

use gsb_explain::{AttentionMaps, draw, overlay};
use gsb_packed::{PackedFile, PackedModel};
use program::{fails, folder, gsb, misused, random_model, succeeds};

fn read(path: &Path) -> gsb_data::Image {
    gsb_data::read_image(path).expect("a picture")
}

#[test]
fn attention_is_drawn_over_the_picture() {
    let folder = folder();
    let path = |name: &str| folder.path().join(name);
    random_model(&path("m.st"));
    let gray = image::GrayImage::from_fn(16, 8, |x, y| image::Luma([(16 * x + 3 * y) as u8]));
    gray.save(path("p.png")).expect("written");
    let explain = |arguments: &[&str]| {
        let mut command = gsb(folder.path());
        command.args(["explain", "m.st", "p.png", "-o", "out.png"]);
        (succeeds(command.args(arguments)), read(&path("out.png")))
    };
    let model = PackedModel::open(path("m.st")).expect("a model");
    let mut transform = model.transform().expect("a transform");
    let maps = AttentionMaps::of(&model, &transform.pixels(&read(&path("p.png")))).expect("maps");
    (transform.image_size, transform.resize) = (448, 448);
    let picture = transform.pixels(&read(&path("p.png")));
    for (arguments, map, what) in [
        (&[][..], maps.rollout(), "attention rollout"),
        (
            &["--layer", "2"],
            maps.layer(2).expect("it is there"),
            "layer 2, mean of its heads",
        ),
        (
            &["--layer", "3", "--head", "1"],
            maps.head(3, 1).expect("it is there"),
            "layer 3, head 1",
        ),
    ] {
        let (text, drawn) = explain(arguments);
        assert!(
            text.starts_with("p.png  ") && text.ends_with(&format!("{what}: written to out.png\n")),
            "{text}"
        );
        assert_eq!(drawn, overlay(&picture, &map), "{what}");
    }
    let (text, sheet) = explain(&["--sheet"]);
    assert!(text.contains("all heads"), "{text}");
    assert!(sheet.width > 5 * 96 && sheet.height > 5 * 96);
}

#[test]
fn a_weight_is_drawn_by_its_name() {
    let folder = folder();
    let path = |name: &str| folder.path().join(name);
    random_model(&path("m.st"));
    let packed = PackedFile::open(path("m.st")).expect("a model");
    for (tensor, name) in [
        (None, "blocks.0.attention.qkv.weight"),
        (Some("blocks.3.mlp.fc2"), "blocks.3.mlp.fc2.weight"),
        (Some("patch_embedding.weight"), "patch_embedding.weight"),
        (Some("class_head"), "class_head.weight"),
    ] {
        let mut command = gsb(folder.path());
        command.args(["inspect", "m.st", "--bits", "bits.png"]);
        if let Some(tensor) = tensor {
            command.args(["--tensor", tensor]);
        }
        let text = succeeds(&mut command);
        assert!(text.starts_with(&format!("{name}, ")), "{text}");
        let weights = packed.network.weights();
        let weight = weights
            .iter()
            .find(|weight| weight.name == name)
            .expect("it is there");
        assert_eq!(read(&path("bits.png")), draw(weight));
    }
}

#[test]
fn what_cannot_be_drawn_is_named() {
    let folder = folder();
    let path = |name: &str| folder.path().join(name);
    random_model(&path("m.st"));
    image::GrayImage::new(8, 8)
        .save(path("p.png"))
        .expect("written");
    std::fs::write(path("text"), "text").expect("written");
    for (arguments, reason) in [
        (
            &["explain", "m.st", "p.png", "-o", "out.png", "--layer", "4"][..],
            "--layer: 4, but those of the model are 0 to 3",
        ),
        (
            &[
                "explain", "m.st", "p.png", "-o", "out.png", "--layer", "3", "--head", "4",
            ],
            "--head: 4, but those of the model are 0 to 3",
        ),
        (
            &["explain", "m.st", "p.png", "-o", "p.png"],
            "p.png: the file that is read would be overwritten",
        ),
        (
            &["explain", "m.st", "p.png", "-o", "m.st"],
            "m.st: the file that is read would be overwritten",
        ),
        (
            &["explain", "m.st", "p.png", "-o", "out.jpg"],
            "out.jpg: what is written is PNG",
        ),
        (
            &["explain", "m.st", "p.png", "-o", "nowhere/out.png"],
            "nowhere/out.png",
        ),
        (
            &["explain", "m.st", "text", "-o", "out.png"],
            "text: not a readable picture",
        ),
        (
            &["explain", "p.png", "p.png", "-o", "out.png"],
            "is a picture, expected a packed model",
        ),
        (
            &["inspect", "m.st", "--bits", "out.png", "--tensor", "norm"],
            "\"norm\" is no weight of the model, expected one of patch_embedding.weight, ",
        ),
        (
            &["inspect", "m.st", "--bits", "m.st"],
            "m.st: the file that is read would be overwritten",
        ),
    ] {
        let text = fails(gsb(folder.path()).args(arguments));
        assert!(text.contains(reason), "{arguments:?}: {text}");
        assert!(!path("out.png").exists(), "{arguments:?}");
    }
    for arguments in [
        &["explain", "m.st", "p.png", "-o", "out.png", "--head", "1"][..],
        &[
            "explain", "m.st", "p.png", "-o", "out.png", "--sheet", "--layer", "1",
        ],
        &["explain", "m.st", "p.png"],
        &["inspect", "m.st", "--tensor", "norm"],
        &["inspect", "m.st", "--bits", "out.png", "--json"],
    ] {
        misused(gsb(folder.path()).args(arguments));
    }
}
