//! The first frame of GIF files, on its screen as Pillow lays it.

use std::io::Read;
use std::num::NonZeroU64;

use gif::{DecodeOptions, Decoder, Frame, MemoryLimit};

use super::limits::{MAX_BYTES, check_size};
use super::problem::told;
use crate::Image;

/// Width and height by the headers of the file and its first frame.
pub(super) fn size(reader: impl Read) -> Result<(u32, u32), String> {
    let mut decoder = open(reader)?;
    let frame = decoder.next_frame_info().map_err(told)?.cloned();
    canvas(&decoder, &frame.ok_or_else(empty)?)
}

/// The pixels: colours of the palette, where there is no frame its transparent or first one.
pub(super) fn decode(bytes: &[u8]) -> Result<Image, String> {
    let mut decoder = open(bytes)?;
    let frame = decoder.next_frame_info().map_err(told)?.cloned();
    let frame = frame.ok_or_else(empty)?;
    let (width, height) = canvas(&decoder, &frame)?;
    let mut indices = vec![0; decoder.buffer_size()];
    decoder.read_into_buffer(&mut indices).map_err(told)?;
    let palette = frame.palette.as_deref().or(decoder.global_palette());
    let palette = palette
        .ok_or("it is a GIF file without a palette")?
        .as_chunks::<3>()
        .0;
    let color = |index: u8| palette.get(usize::from(index)).copied().unwrap_or_default();
    let outside = color(frame.transparent.unwrap_or(0));
    let mut pixels = vec![outside; width as usize * height as usize];
    let rows = indices.chunks_exact(frame.width.into());
    for (y, row) in rows.enumerate() {
        let start = (usize::from(frame.top) + y) * width as usize + usize::from(frame.left);
        for (pixel, &index) in pixels[start..].iter_mut().zip(row) {
            *pixel = color(index);
        }
    }
    let pixels = pixels.into_flattened();
    Image::new(width as usize, height as usize, 3, pixels).map_err(told)
}

fn open<R: Read>(reader: R) -> Result<Decoder<R>, String> {
    let mut options = DecodeOptions::new();
    let most = NonZeroU64::new(MAX_BYTES).expect("not zero");
    options.set_memory_limit(MemoryLimit::Bytes(most));
    options.read_info(reader).map_err(told)
}

/// Width and height of the screen, or of what its first frame needs beyond.
fn canvas<R: Read>(decoder: &Decoder<R>, frame: &Frame<'_>) -> Result<(u32, u32), String> {
    let side = |screen: u16, start: u16, length: u16| {
        u32::from(screen).max(u32::from(start) + u32::from(length))
    };
    let width = side(decoder.width(), frame.left, frame.width);
    let height = side(decoder.height(), frame.top, frame.height);
    check_size(frame.width.into(), frame.height.into(), 3)?;
    check_size(width, height, 3)?;
    Ok((width, height))
}

fn empty() -> String {
    "it is a GIF file without a picture".into()
}
