//! Pictures of what packed models attend to, and of their bits.
//!
//! - [`AttentionMaps`]: the attention of an image, head by head, and its rollout over all layers
//! - [`overlay`] and [`sheet`]: such maps over the picture, one or all of them
//! - [`draw`]: the weights of a network as an image, a pixel or a square for each
//!
//! ```
//! use gsb_explain::{AttentionMaps, overlay, png};
//! use gsb_image::Image;
//! use gsb_packed::{PackedNetwork, PackedConfig, PackedFile, PackedModel};
//!
//! let network = PackedNetwork::random(&PackedConfig::micro(), 1)?;
//! let model = PackedModel::new(PackedFile::unnamed(network))?;
//! let picture = Image::filled(8, 8, &[100]);
//! let maps = AttentionMaps::of(&model, &picture)?;
//! let rollout = maps.rollout();
//! assert_eq!(rollout.len(), maps.grid() * maps.grid());
//! let file = png(&overlay(&picture, &rollout));
//! assert_eq!(file[1..4], *b"PNG");
//! # Ok::<(), gsb_packed::Error>(())
//! ```

#![cfg_attr(docsrs, feature(doc_cfg))]

mod attention;
mod bits;
mod canvas;
mod overlay;
mod sheet;

pub use attention::AttentionMaps;
pub use bits::draw;
pub use canvas::png;
pub use overlay::overlay;
pub use sheet::sheet;
