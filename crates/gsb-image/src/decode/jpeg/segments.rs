//! The segments of a JPEG file, which say what is in it.

use std::io::{BufRead, Cursor, Read, Seek};

use libjpeg_turbo_rs::FrameHeader;

use crate::decode::limits::check_size;
use crate::decode::problem::told;

const START: [u8; 2] = [0xFF, 0xD8];
pub(super) const END: u8 = 0xD9;

/// What the segments before the first scan say.
pub(super) struct Header {
    pub width: u32,
    pub height: u32,
    /// Horizontal and vertical sampling factor of each component.
    pub sampling: Vec<(u8, u8)>,
}

impl Header {
    pub fn read(reader: &mut (impl BufRead + Seek)) -> Result<Self, String> {
        let short = |_| "the JPEG file is cut off".to_owned();
        reader.read_exact(&mut [0; 2]).map_err(short)?;
        let mut frame = None;
        loop {
            let marker = marker(reader).map_err(short)?;
            if marker == END {
                return Err("it is a JPEG file without a picture".into());
            }
            let mut length = [0; 2];
            reader.read_exact(&mut length).map_err(short)?;
            let length = u16::from_be_bytes(length);
            let left = length.checked_sub(2).ok_or("a segment has no length")?;
            match marker {
                0xC0..=0xC2 => {
                    let mut segment = vec![0; left.into()];
                    reader.read_exact(&mut segment).map_err(short)?;
                    frame = Some(Self::frame(&segment)?);
                }
                0xC3 | 0xCB => return Err(refused("lossless")),
                // Nobody else reads them, and a few bytes may claim any number of blocks.
                0xC9 | 0xCA => return Err(refused("arithmetic-coded")),
                0xC5..=0xC7 | 0xCD..=0xCF | 0xDE => return Err(refused("hierarchical")),
                0xDA => return frame.ok_or_else(|| "a scan comes before its frame".into()),
                _ => reader.seek_relative(left.into()).map_err(told)?,
            }
        }
    }

    /// What a frame segment says.
    fn frame(segment: &[u8]) -> Result<Self, String> {
        let damaged = || "its frame is damaged".to_owned();
        let (&[precision, y1, y0, x1, x0, count], components) =
            segment.split_first_chunk().ok_or_else(damaged)?;
        if precision != 8 {
            return Err(refused(&format!("{precision} bits a sample")));
        }
        if ![1, 3, 4].contains(&count) {
            return Err(format!("it is a JPEG file of {count} components"));
        }
        let (components, rest) = components.as_chunks::<3>();
        if components.len() != usize::from(count) || !rest.is_empty() {
            return Err(damaged());
        }
        let sampling = components
            .iter()
            .map(|&[_, factors, _]| (factors >> 4, factors & 15));
        let header = Self {
            width: u16::from_be_bytes([x1, x0]).into(),
            height: u16::from_be_bytes([y1, y0]).into(),
            sampling: sampling.collect(),
        };
        if header.height == 0 {
            return Err(refused("its height follows a scan"));
        }
        let (across, down) = header.most();
        for &(x, y) in &header.sampling {
            if !(1..=4).contains(&x) || !(1..=4).contains(&y) {
                return Err(damaged());
            }
            if across % x != 0 || down % y != 0 {
                return Err(format!(
                    "a component of its JPEG data has {x}x{y} samples where another has {across}x{down}, no multiple"
                ));
            }
        }
        Ok(header)
    }

    /// Whether the decoder reads the same frame.
    pub fn agrees(&self, frame: &FrameHeader) -> bool {
        let sampling = frame.components.iter();
        (self.width, self.height) == (frame.width.into(), frame.height.into())
            && sampling
                .map(|part| (part.horizontal_sampling, part.vertical_sampling))
                .eq(self.sampling.iter().copied())
    }

    /// The largest sampling factors.
    fn most(&self) -> (u8, u8) {
        let most = |which: fn(&(u8, u8)) -> u8| self.sampling.iter().map(which).max();
        let missing = "a frame has components";
        (most(|s| s.0).expect(missing), most(|s| s.1).expect(missing))
    }

    /// Whether the decoder does all: gray, or colours of which the first has the finest samples.
    /// It misplaces the right edge of CMYK with fewer samples, and refuses the others.
    pub fn is_common(&self) -> bool {
        match self.sampling.len() {
            1 => true,
            3 => self.sampling[0] == self.most(),
            _ => false,
        }
    }

    /// Refuses sizes that are not read, or that a file of this size cannot hold.
    pub fn check(&self, len: u64) -> Result<(), String> {
        check_size(self.width, self.height, 3)?;
        let (across, down) = self.most();
        let blocks = |side: u32, factor: u8, most: u8| {
            u64::from((side * u32::from(factor)).div_ceil(8 * u32::from(most)))
        };
        let all = self
            .sampling
            .iter()
            .map(|&(x, y)| blocks(self.width, x, across) * blocks(self.height, y, down));
        // A Huffman code has one bit at least, and every block one code.
        if all.sum::<u64>() > len * 8 {
            return Err(format!(
                "{len} bytes cannot hold {}x{} pixels: the JPEG file is cut off or damaged",
                self.width, self.height
            ));
        }
        Ok(())
    }
}

fn refused(kind: &str) -> String {
    format!("its kind of JPEG is not read ({kind}): convert it to PNG or baseline JPEG")
}

/// The next marker that has a segment, or the end.
fn marker(reader: &mut impl BufRead) -> std::io::Result<u8> {
    let mut byte = [0];
    loop {
        // Whatever stands between segments is passed over.
        reader.skip_until(0xFF)?;
        loop {
            reader.read_exact(&mut byte)?;
            if byte[0] != 0xFF {
                break;
            }
        }
        // An 0xFF of the data, restarts, and others without a segment.
        if !matches!(byte[0], 0x00 | 0x01 | 0xD0..=0xD8) {
            return Ok(byte[0]);
        }
    }
}

/// Refuses a file that is cut off, as Pillow does: the decoder would fill it up.
///
/// The marker of the end must come after the segments and scans; one in a thumbnail does not count.
pub(super) fn check_end(bytes: &[u8]) -> Result<(), String> {
    let mut reader = Cursor::new(bytes);
    reader.set_position(START.len() as u64);
    let mut length = [0; 2];
    loop {
        let cut_off = |_| "the JPEG file is cut off".to_owned();
        if marker(&mut reader).map_err(cut_off)? == END {
            return Ok(());
        }
        reader.read_exact(&mut length).map_err(cut_off)?;
        // A length includes itself; of a scan it is that of its header.
        let left = u64::from(u16::from_be_bytes(length)).saturating_sub(2);
        reader.set_position(reader.position() + left);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_found_only_where_it_counts() {
        // A segment that holds an end, a scan with an escaped 0xFF and a restart.
        let file = [
            0xFF, 0xD8, 0xFF, 0xE1, 0, 4, 0xFF, 0xD9, 0xFF, 0xDA, 0, 3, 7, 1, 0xFF, 0, 2, 0xFF,
            0xD0, 3, 0xFF, 0xFF, 0xD9,
        ];
        assert!(check_end(&file).is_ok());
        for end in 2..file.len() {
            assert!(check_end(&file[..end]).is_err(), "{end} bytes");
        }
        let trailing = [&file[..], &[1, 2, 3]].concat();
        assert!(check_end(&trailing).is_ok());
    }
}
