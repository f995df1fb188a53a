//! Properties of the binarizers and layers that hold for all inputs.

mod finite;
mod inputs;
mod levels;
mod odd;
mod records;
mod scope;
