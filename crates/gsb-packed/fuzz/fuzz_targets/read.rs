//! Any bytes are refused with an error, or make a model that predicts; neither takes memory out of
//! proportion to them.
#![no_main]

#[path = "../../tests/common/counting.rs"]
mod counting;

use counting::{Counting, most_bytes, peak};
use gsb_packed::PackedModel;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let (model, most) = peak(|| PackedModel::from_bytes(bytes));
    assert!(most <= most_bytes(bytes.len()), "{most} bytes");
    if let Ok(model) = model {
        let image = vec![0; model.config().pixels()];
        model.predict(&image).expect("an image of the model's size");
    }
});
