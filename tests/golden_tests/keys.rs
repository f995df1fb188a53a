//! `keys/*.json`: names, shapes and optimizer groups of the published models at full size.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use burn::Tensor;
use burn::module::{ModuleMapper, Param, ParamId};
use burn::nn::Initializer;
use burn::tensor::Device;
use gsb_train::OptimizerConfig;
use gsb_vit::checkpoint::{Published, published_names};
use gsb_vit::{
    Model, PatchNormalization, Phase, Stage1Student, Stage2Student, VisionTransformer, VitConfig,
};
use libtest_mimic::{Failed, Trial};
use serde_json::{Map, Value};

use crate::Outcome;

/// A test for each file of a directory, if it is there.
pub(crate) fn trials(directory: &Path) -> Vec<Trial> {
    let Ok(entries) = std::fs::read_dir(directory.join("keys")) else {
        return Vec::new();
    };
    let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    paths.retain(|path| {
        path.extension()
            .is_some_and(|extension| extension == "json")
    });
    paths.sort();
    let trial = |path: std::path::PathBuf| {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        Trial::test(format!("keys::{stem}"), move || {
            run(&path).map_err(|message| Failed::from(format!("{}: {message}", path.display())))
        })
    };
    paths.into_iter().map(trial).collect()
}

fn run(path: &Path) -> Outcome {
    let text = std::fs::read(path).map_err(|error| error.to_string())?;
    let file: Map<String, Value> =
        serde_json::from_slice(&text).map_err(|error| error.to_string())?;
    if let Some(stored) = file.get("state_dict").and_then(Value::as_array) {
        return state_dict(&file, stored);
    }
    if file.contains_key("transferred") {
        return transfer(&file);
    }
    if ["stage1", "stage2"]
        .iter()
        .all(|stage| file.contains_key(*stage))
    {
        return optimizer_groups(&file);
    }
    Err("a file of an unknown kind".into())
}

/// A model whose weights take no time to make.
fn config(preset: &str, classes: usize) -> Result<VitConfig, String> {
    let config = VitConfig::preset(preset, classes).map_err(|error| error.to_string())?;
    Ok(config
        .with_initializer(Initializer::Zeros)
        .with_token_initializer(Initializer::Zeros))
}

/// The students whose names do not say their size are of the size that the paper uses.
fn small() -> Result<VitConfig, String> {
    config("deit_small_distilled_patch16_224", 1000)
}

fn fresh<M: Model>(config: &VitConfig) -> Result<M, String> {
    M::fresh(config, &Device::flex()).map_err(|error| error.to_string())
}

/// The model exports exactly the stored names and shapes, and has as many parameters.
fn state_dict(file: &Map<String, Value>, stored: &[Value]) -> Outcome {
    let name = file
        .get("model")
        .and_then(Value::as_str)
        .ok_or("no \"model\"")?;
    let number = |name: &str| file.get(name).and_then(Value::as_u64);
    let classes = number("num_classes").ok_or("no \"num_classes\"")? as usize;
    let published = if let Some(teacher) = name.strip_prefix("timm_") {
        Published::of(&fresh::<VisionTransformer>(&config(teacher, classes)?)?)
    } else {
        let mut config = small()?;
        config.classes = classes;
        match name.split('_').next() {
            Some("stage1") => Published::of(&fresh::<Stage1Student>(&config)?),
            Some("stage2") => Published::of(&fresh::<Stage2Student>(&config)?),
            _ => return Err(format!("no model is called {name:?}")),
        }
    };
    let got: BTreeMap<String, Vec<usize>> = published
        .names()
        .map(|name| (name.to_string(), published.shape(name).unwrap_or_default()))
        .collect();
    let mut expected = BTreeMap::new();
    let mut parameters = 0;
    for entry in stored {
        let text = |field: &str| entry.get(field).and_then(Value::as_str);
        let shape = entry
            .get("shape")
            .and_then(Value::as_array)
            .ok_or("no shape")?;
        let shape: Vec<usize> = shape
            .iter()
            .filter_map(Value::as_u64)
            .map(|n| n as usize)
            .collect();
        if text("kind") == Some("parameter") {
            parameters += shape.iter().product::<usize>();
        }
        expected.insert(text("name").ok_or("no name")?.to_string(), shape);
    }
    if got != expected {
        let differing: BTreeSet<_> = got
            .iter()
            .chain(&expected)
            .filter(|(name, _)| got.get(*name) != expected.get(*name))
            .map(|(name, _)| (name, got.get(name), expected.get(name)))
            .collect();
        return Err(format!("got and expected differ: {differing:?}"));
    }
    if Some(parameters as u64) != number("n_parameters") {
        return Err(format!("{parameters} parameters in all"));
    }
    Ok(())
}

/// What carries over from stage 1 to stage 2, and what does not.
fn transfer(file: &Map<String, Value>) -> Outcome {
    let config = small()?;
    let stage1: Stage1Student = fresh(&config)?;
    let dropped = PatchNormalization::Dropped;
    let (stage2, report) =
        Stage2Student::from_stage1(&stage1, &config, dropped).map_err(|error| error.to_string())?;
    let (before, after) = (Published::of(&stage1), Published::of(&stage2));
    let names = |published: &Published| -> BTreeSet<String> {
        published.names().map(String::from).collect()
    };
    let (before, after) = (names(&before), names(&after));
    let lists = [
        (
            "transferred",
            before.intersection(&after).cloned().collect(),
        ),
        ("stage1_only", before.difference(&after).cloned().collect()),
        ("stage2_only", after.difference(&before).cloned().collect()),
    ];
    for (list, got) in lists {
        let expected = strings(file.get(list)).ok_or_else(|| format!("no list {list:?}"))?;
        let got: BTreeSet<String> = got;
        if got != expected {
            let other: Vec<_> = got.symmetric_difference(&expected).collect();
            return Err(format!("{list}: only here or only there: {other:?}"));
        }
    }
    let carried: BTreeSet<String> = published_names(Phase::Stage2, &config)
        .into_iter()
        .filter(|(_, path)| report.carried.contains(path))
        .map(|(name, _)| name)
        .collect();
    if Some(&carried) != strings(file.get("transferred")).as_ref() {
        return Err(format!("what carried over is {carried:?}"));
    }
    Ok(())
}

fn strings(list: Option<&Value>) -> Option<BTreeSet<String>> {
    let names = list?.as_array()?.iter();
    names.map(|name| name.as_str().map(String::from)).collect()
}

/// Which parameters decay, under both rules.
fn optimizer_groups(file: &Map<String, Value>) -> Outcome {
    let config = small()?;
    groups(file, "stage1", &fresh::<Stage1Student>(&config)?)?;
    groups(file, "stage2", &fresh::<Stage2Student>(&config)?)
}

fn groups<M: Model>(file: &Map<String, Value>, stage: &str, model: &M) -> Outcome {
    let stored = file
        .get(stage)
        .and_then(Value::as_array)
        .ok_or("no groups")?;
    let scales = file
        .iter()
        .find(|(name, _)| name.starts_with(&format!("{stage}_zero_dim")))
        .and_then(|(_, names)| strings(Some(names)))
        .ok_or("no list of the scales")?;
    let mut expected = BTreeSet::new();
    for group in stored {
        if group.get("weight_decay").and_then(Value::as_f64) == Some(0.0) {
            expected.extend(strings(group.get("names")).ok_or("a group without names")?);
        }
    }
    for decay_scales in [true, false] {
        let rule = OptimizerConfig::new().with_decay_scales(decay_scales);
        let got = marked(model, &rule.undecayed(model));
        let mut expected = expected.clone();
        if decay_scales {
            expected.retain(|name| !scales.contains(name));
        } else {
            expected.extend(scales.iter().cloned());
        }
        if got != expected {
            let other: Vec<_> = got.symmetric_difference(&expected).collect();
            return Err(format!("{stage}, scales decay: {decay_scales}: {other:?}"));
        }
    }
    Ok(())
}

/// The published names of some of a model's parameters: those that are 1 once all others are 0.
fn marked<M: Model>(model: &M, ids: &[ParamId]) -> BTreeSet<String> {
    struct Mark(BTreeSet<u64>);
    impl ModuleMapper for Mark {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            let value = f32::from(u8::from(self.0.contains(&param.id.val())));
            param.map(|tensor| tensor.full_like(value))
        }
    }
    let ids = ids.iter().map(|id| id.val()).collect();
    let published = Published::of(&model.clone().map(&mut Mark(ids)));
    let buffers = [
        "running_mean",
        "running_var",
        "num_batches_tracked",
        "init_state",
    ];
    let is_one = |name: &&str| {
        let data = published.get(name).expect("one of its names");
        !buffers.iter().any(|buffer| name.ends_with(buffer))
            && data.iter::<f32>().all(|value| value == 1.0)
    };
    published.names().filter(is_one).map(String::from).collect()
}
