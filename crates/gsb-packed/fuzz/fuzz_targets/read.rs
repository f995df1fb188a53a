//! Any bytes are refused with an error or make a model that predicts: `cargo fuzz run read`.
#![no_main]

use gsb_packed::PackedModel;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(model) = PackedModel::from_bytes(bytes) {
        let image = vec![0; model.config().pixels()];
        model.predict(&image).expect("an image of the model's size");
    }
});
