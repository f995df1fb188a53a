//! Any bytes are refused with an error, or are the pictures and labels of MNIST; neither takes memory out of
//! proportion to what they can unpack to.
#![no_main]

use std::path::PathBuf;
use std::sync::LazyLock;

use gsb_data::mnist;
use gsb_data_fuzz::{folder, open, write};
use libfuzzer_sys::Corpus;

/// Deflate makes up to 1032 bytes of one. There are two parts, in lists that double when they are full, and a label
/// becomes 8 bytes.
const PER_BYTE: usize = 16 * 1032;

static FOLDER: LazyLock<PathBuf> = LazyLock::new(folder);

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| -> Corpus {
    let Some((pictures, labels)) = files(bytes) else {
        return Corpus::Reject;
    };
    let names = ["train-images-idx3-ubyte", "t10k-images-idx3-ubyte"];
    write(&FOLDER, &names, pictures);
    let names = ["train-labels-idx1-ubyte", "t10k-labels-idx1-ubyte"];
    write(&FOLDER, &names, labels);
    open(|| mnist(&FOLDER), PER_BYTE * bytes.len());
    Corpus::Keep
});

/// The first two bytes are the length of the file of pictures, which follows; the rest is that of labels.
fn files(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, files) = bytes.split_first_chunk()?;
    files.split_at_checked(u16::from_le_bytes(*len).into())
}
