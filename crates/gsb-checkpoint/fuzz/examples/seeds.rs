//! Writes small checkpoints of all kinds to a folder, for the fuzzer to begin with: `seeds FOLDER`.

#[path = "../../tests/common/write.rs"]
mod write;

use write::{Tree, dict, legacy, pth, safetensors, scalar};

/// What PyTorch itself has written.
const OF_PYTORCH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data");

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args().nth(1).ok_or("usage: seeds FOLDER")?;
    std::fs::create_dir_all(&folder)?;
    let named = |prefix: &str| -> Vec<(String, Tree)> {
        ["cls_token", "blocks.0.norm1.weight", "head.weight"]
            .map(|name| {
                (
                    format!("{prefix}{name}"),
                    Tree::Tensor(vec![2, 1], vec![1.0; 2]),
                )
            })
            .into()
    };
    let weights = |prefix: &str| Tree::OrderedDict(named(prefix));
    let settings = || dict([("name", Tree::Text("deit".into())), ("depth", Tree::Int(2))]);
    let trees = [
        weights("module._orig_mod."),
        dict([
            ("model", weights("")),
            ("model_ema", weights("module.")),
            ("epoch", Tree::Int(1)),
        ]),
        dict([
            ("model", settings()),
            ("state_dict", dict([("net", weights("model."))])),
        ]),
        Tree::List(vec![settings(), weights("student.")]),
        Tree::Tuple(vec![weights("ema."), scalar(1.0)]),
        dict([(
            "model",
            Tree::Object("timm", "VisionTransformer", named("")),
        )]),
    ];
    for (index, tree) in trees.iter().enumerate() {
        std::fs::write(format!("{folder}/{index}.pth"), pth(tree))?;
        std::fs::write(format!("{folder}/{index}.legacy.pth"), legacy(tree))?;
    }
    let mut all = named("model.");
    all.extend(named("ema_model."));
    all.push(("n_averaged".into(), scalar(1.0)));
    std::fs::write(format!("{folder}/0.safetensors"), safetensors(&all))?;
    for file in std::fs::read_dir(OF_PYTORCH)? {
        let path = file?.path();
        let ending = path.extension().unwrap_or_default();
        if ending == "pth" || ending == "safetensors" {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            std::fs::copy(&path, format!("{folder}/pytorch-{name}"))?;
        }
    }
    Ok(())
}
