//! Pictures from files, and what an image classifier sees of them.
//!
//! - [`read_image`], [`read_image_as`] and [`decode_image`]: JPEG, PNG, WebP, GIF, BMP, TIFF and PNM
//!   files as gray or RGB of 8 bits; [`image_size`] and [`encoded_size`] by the header alone
//! - [`EvalTransform`] and [`Normalization`]: resize, centre crop and normalization, as Pillow and
//!   torchvision do
//!
//! A file is not trusted: one that is damaged or made to do harm gives an [`Error`], and what decoding
//! allocates is bounded.
//!
//! ```
//! use gsb_image::{EvalTransform, Normalization, Orientation, decode_image};
//!
//! let file = [&b"P5 8 8 255 "[..], &[255; 64]].concat();
//! let picture = decode_image(&file, "white.pgm".as_ref(), Orientation::Upright)?;
//! let transform = EvalTransform::new(8, Normalization::half(1));
//! assert_eq!(transform.apply(&picture), [1.0; 64]);
//! # Ok::<(), gsb_image::Error>(())
//! ```

#![cfg_attr(docsrs, feature(doc_cfg))]

mod decode;
mod error;
mod eval;
mod image;
mod normalization;
mod resize;

pub use decode::{Orientation, decode_image, encoded_size, image_size, read_image, read_image_as};
pub use error::Error;
pub use eval::EvalTransform;
pub use image::{Image, luma};
pub use normalization::Normalization;
pub use resize::Filter;
