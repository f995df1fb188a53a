//! What a picture becomes on its way through a packed model, as JSON: `trace MODEL`. The picture is random;
//! numbers of the patch embedding and of the first block's query, key and value. `tests/python` compares them with
//! those of NumPy.

use gsb_packed::{Image, PackedModel, Random};
use serde_json::json;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).ok_or("expected a packed model")?;
    let model = PackedModel::open(path)?;
    let pixels = Random::new(1).image(model.config());
    let trace = model.trace(Image::Bytes(&pixels))?;
    let block = &trace.blocks[0];
    let text = json!({
        "pixels": pixels,
        "embedding": trace.embedding,
        "qkv_input": block.qkv_input,
        "query": block.query,
        "key": block.key,
    });
    println!("{text}");
    Ok(())
}
