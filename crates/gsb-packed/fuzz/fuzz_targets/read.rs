//! Any bytes are refused with an error, or make a model that predicts; neither takes memory out of
//! proportion to them. They get the checksum of what they are, which would keep all else from being read.
#![no_main]

#[path = "../../tests/common/counting.rs"]
mod counting;
#[path = "../../tests/common/sealed.rs"]
mod sealed;

use counting::{Counting, most_bytes, peak};
use gsb_packed::PackedModel;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut bytes = bytes.to_vec();
    sealed::seal(&mut bytes);
    let (model, most) = peak(|| PackedModel::from_bytes(&bytes));
    assert!(most <= most_bytes(bytes.len()), "{most} bytes");
    if let Ok(model) = model {
        let image = vec![0; model.config().pixels()];
        model.predict(&image).expect("an image of the model's size");
    }
});
