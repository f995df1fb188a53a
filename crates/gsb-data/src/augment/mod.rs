//! Random changes of pictures that are trained on.

pub(crate) mod affine;
pub(crate) mod color;
pub(crate) mod crop;
pub(crate) mod erasing;
mod levels;
pub(crate) mod rand_augment;
pub(crate) mod train;
