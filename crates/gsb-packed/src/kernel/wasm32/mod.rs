//! Kernels of WebAssembly.

pub(crate) mod simd128;
