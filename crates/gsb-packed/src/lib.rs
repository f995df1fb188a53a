//! Binary Vision Transformers run as bits.
