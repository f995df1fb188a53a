//! Parts that the teacher has no layers for, in the layers that it has.

use std::collections::BTreeSet;

use burn::tensor::TensorData;

use super::translation::{Tensors, Translation};

/// Layer scale, and the layer before it.
const SCALES: [(&str, &str); 2] = [("ls1.gamma", "attn.proj"), ("ls2.gamma", "mlp.fc2")];

/// Changes tensors with the published names of layers to those that a teacher has.
pub(super) fn all(tensors: &mut Tensors, translation: &mut Translation) -> Result<(), String> {
    let blocks: BTreeSet<String> = tensors.keys().filter_map(|name| block(name)).collect();
    for block in &blocks {
        join(tensors, block)?;
        refuse_gate(tensors, block)?;
    }
    let notes = [
        scales(tensors, &blocks)?,
        query_key_value_biases(tensors, &blocks),
        positions(tensors),
    ];
    translation.notes.extend(notes.into_iter().flatten());
    heads(tensors, translation)
}

/// The block of a tensor, such as `blocks.3.`.
fn block(name: &str) -> Option<String> {
    let (number, _) = name.strip_prefix("blocks.")?.split_once('.')?;
    Some(format!("blocks.{number}."))
}

/// Puts query, key and value side by side.
fn join(tensors: &mut Tensors, block: &str) -> Result<(), String> {
    for parameter in ["weight", "bias"] {
        let names = ["query", "key", "value"].map(|part| format!("{block}attn.{part}.{parameter}"));
        let parts = names.each_ref().map(|name| tensors.remove(name));
        if parts.iter().all(Option::is_none) {
            continue;
        }
        if let Some(missing) = parts.iter().position(Option::is_none) {
            let missing = ["query", "key", "value"][missing];
            return Err(format!("{block}attn has no {parameter} of the {missing}"));
        }
        let parts: Vec<TensorData> = parts.into_iter().flatten().collect();
        let shape = parts[0].shape().to_vec();
        if shape.is_empty() || parts.iter().any(|part| part.shape().to_vec() != shape) {
            let shapes: Vec<_> = parts.iter().map(|part| part.shape().to_vec()).collect();
            return Err(format!(
                "{block}attn has a {parameter} of query, key and value of shapes {shapes:?}, expected one shape"
            ));
        }
        let values: Vec<f32> = parts.iter().flat_map(|part| part.iter::<f32>()).collect();
        let rows = shape[0].checked_mul(3).ok_or_else(|| {
            format!("{block}attn has a {parameter} of the query that is too large, {shape:?}")
        })?;
        let mut joined = shape;
        joined[0] = rows;
        let name = format!("{block}attn.qkv.{parameter}");
        if tensors
            .insert(name, TensorData::new(values, joined))
            .is_some()
        {
            return Err(format!(
                "{block}attn has query, key and value joined and apart"
            ));
        }
    }
    Ok(())
}

/// A first layer twice as wide as the second expects makes the values and their gates.
fn refuse_gate(tensors: &Tensors, block: &str) -> Result<(), String> {
    let rows = |name: &str, dim: usize| {
        let data = tensors.get(&format!("{block}mlp.{name}.weight"))?;
        data.shape().to_vec().get(dim).copied()
    };
    match (rows("fc1", 0), rows("fc2", 1)) {
        (Some(made), Some(taken)) if taken > 0 && made / 2 == taken && made % 2 == 0 => {
            Err(format!(
                "{block}mlp.fc1 makes {made} values and fc2 takes {taken}: a gated MLP (SwiGLU), which no model here has"
            ))
        }
        _ => Ok(()),
    }
}

/// Multiplies layer scale into the layers before it: `g (w x + b) = (g w) x + g b`.
fn scales(tensors: &mut Tensors, blocks: &BTreeSet<String>) -> Result<Option<String>, String> {
    let mut note = None;
    for (scale, layer) in SCALES {
        let has = |block: &String| tensors.contains_key(&format!("{block}{scale}"));
        if !blocks.iter().any(has) {
            continue;
        }
        if let Some(without) = blocks.iter().find(|block| !has(block)) {
            return Err(format!("there is no {without}{scale}, as in other blocks"));
        }
        for block in blocks {
            let Some(gamma) = tensors.remove(&format!("{block}{scale}")) else {
                continue;
            };
            for parameter in ["weight", "bias"] {
                let name = format!("{block}{layer}.{parameter}");
                if let Some(data) = tensors.get_mut(&name) {
                    *data = scaled(data, &gamma).map_err(|shapes| {
                        format!("{block}{scale} does not fit {name}: {shapes}")
                    })?;
                }
            }
        }
        note = Some("layer scale multiplied into attn.proj and mlp.fc2".into());
    }
    Ok(note)
}

/// Every row times its factor.
fn scaled(data: &TensorData, factors: &TensorData) -> Result<TensorData, String> {
    let (shape, rows) = (data.shape().to_vec(), factors.shape().to_vec());
    if rows.len() != 1 || shape.first() != rows.first() {
        return Err(format!("shapes {rows:?} and {shape:?}"));
    }
    let width = data.num_elements().checked_div(rows[0]).unwrap_or(0);
    let factors = factors.iter::<f32>();
    let factors = factors.flat_map(|factor| std::iter::repeat_n(factor, width));
    let values: Vec<f32> = data
        .iter::<f32>()
        .zip(factors)
        .map(|(x, g)| g * x)
        .collect();
    Ok(TensorData::new(values, shape))
}

/// Makes biases of query, key and value where no block has them.
fn query_key_value_biases(tensors: &mut Tensors, blocks: &BTreeSet<String>) -> Option<String> {
    let name = |block: &String, parameter: &str| format!("{block}attn.qkv.{parameter}");
    if blocks
        .iter()
        .any(|block| tensors.contains_key(&name(block, "bias")))
    {
        return None;
    }
    let mut made = false;
    for block in blocks {
        let weight = tensors.get(&name(block, "weight"));
        let shape = weight.map(|weight| (weight.shape().to_vec(), weight.num_elements()));
        // A matrix without elements could have any number of rows.
        if let Some((shape, elements)) = shape
            && let [rows, _] = shape[..]
            && rows <= elements
        {
            let bias = TensorData::new(vec![0f32; rows], [rows]);
            tensors.insert(name(block, "bias"), bias);
            made = true;
        }
    }
    made.then(|| "query, key and value have no bias: it is 0".into())
}

/// Makes positions of the tokens before the patches where only the patches have one.
fn positions(tensors: &mut Tensors) -> Option<String> {
    let data = tensors.get("pos_embed")?;
    let [1, patches, width] = data.shape().to_vec()[..] else {
        return None;
    };
    let side = patches.isqrt();
    if patches == 0 || side * side != patches || !tensors.contains_key("cls_token") {
        return None;
    }
    let tokens = 1 + usize::from(tensors.contains_key("dist_token"));
    let none = std::iter::repeat_n(0f32, tokens * width);
    let values: Vec<f32> = none.chain(data.iter::<f32>()).collect();
    let all = TensorData::new(values, [1, tokens + patches, width]);
    tensors.insert("pos_embed".into(), all);
    Some("only the patches have positions: those of the tokens before them are 0".into())
}

/// Leaves out a head that reads more than the class token, refuses a distillation token without head.
fn heads(tensors: &mut Tensors, translation: &mut Translation) -> Result<(), String> {
    let width = |name: &str| {
        let shape = tensors.get(name)?.shape().to_vec();
        shape.last().copied()
    };
    let head = width("head.weight");
    if let (Some(head), Some(width)) = (head, width("cls_token"))
        && width > 0
        && head / 2 == width
        && head % 2 == 0
    {
        for parameter in ["head.weight", "head.bias"] {
            if tensors.remove(parameter).is_some() {
                translation.ignored.push(parameter.into());
            }
        }
        translation.notes.push(
            "the head is left out: it reads the mean of the patches beside the class token, a head here the class \
             token alone"
                .into(),
        );
        return Ok(());
    }
    let has = |name: &str| tensors.contains_key(name);
    if has("dist_token") && head.is_some() && !has("head_dist.weight") {
        return Err(
            "it has a distillation token and no head for it, expected the mean of two heads".into(),
        );
    }
    Ok(())
}
