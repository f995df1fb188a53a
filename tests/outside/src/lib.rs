//! A crate outside the workspace, with `gsb` as its only dependency: `tests/predict.rs` goes from a
//! checkpoint to a prediction, `tests/layer.rs` puts a binary layer into a Burn model.
