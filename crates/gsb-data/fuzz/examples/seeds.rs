//! Writes small files of MNIST and CIFAR-100 to a folder, for the fuzzer to begin with: `seeds FOLDER`. A target
//! refuses those of the other at once.

use std::io::Write;

use flate2::write::GzEncoder;

/// Values of a picture of CIFAR.
const PIXELS: usize = 3 * 32 * 32;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args().nth(1).ok_or("usage: seeds FOLDER")?;
    std::fs::create_dir_all(&folder)?;
    let pictures = idx(0x803, &[2, 1, 2], &[1, 2, 3, 4]);
    let labels = idx(0x801, &[2], &[7, 9]);
    for (name, bytes) in [
        ("idx", mnist(&pictures, &labels)?),
        ("idx.gz", mnist(&gzip(&pictures)?, &gzip(&labels)?)?),
        ("pickle-2", cifar(SHORT_2, &array_2())),
        ("pickle-5", cifar(SHORT_5, &array_5())),
    ] {
        std::fs::write(format!("{folder}/{name}"), bytes)?;
    }
    Ok(())
}

/// An IDX file of bytes.
fn idx(magic: u32, sizes: &[u32], values: &[u8]) -> Vec<u8> {
    let words = std::iter::once(&magic).chain(sizes);
    let mut bytes: Vec<u8> = words.flat_map(|word| word.to_be_bytes()).collect();
    bytes.extend_from_slice(values);
    bytes
}

fn gzip(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Default::default());
    encoder.write_all(bytes)?;
    encoder.finish()
}

/// Both files, as the target takes them.
fn mnist(pictures: &[u8], labels: &[u8]) -> Result<Vec<u8>, std::num::TryFromIntError> {
    let len = u16::try_from(pictures.len())?.to_le_bytes();
    Ok([&len[..], pictures, labels].concat())
}

/// How Python 2 begins a short string, and Python 3.
const SHORT_2: u8 = b'U';
const SHORT_5: u8 = 0x8C;

/// A dictionary with the names of the classes, and a label and an array of a picture.
fn cifar(short: u8, array: &[u8]) -> Vec<u8> {
    let string = |text: &str| [&[short, text.len() as u8][..], text.as_bytes()].concat();
    let names: Vec<u8> = (0..100)
        .flat_map(|class| string(&class.to_string()))
        .collect();
    [
        &b"\x80\x02}q\x01("[..],
        &string("fine_label_names"),
        b"]q\x02(",
        &names,
        b"e",
        &string("fine_labels"),
        b"]q\x03K\x07a",
        &string("data"),
        array,
        b"u.",
    ]
    .concat()
}

/// An array of NumPy, as Python 2 writes it.
fn array_2() -> Vec<u8> {
    [
        &b"cnumpy.core.multiarray\n_reconstruct\nq\x04cnumpy\nndarray\nq\x05"[..],
        b"K\x00\x85U\x01b\x87R(K\x01K\x01M\x00\x0C\x86cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R\x89T",
        &(PIXELS as u32).to_le_bytes(),
        &[100; PIXELS],
        b"tb",
    ]
    .concat()
}

/// The same as protocol 5 of Python 3 writes it.
fn array_5() -> Vec<u8> {
    [
        &b"\x8C\x12numpy.core.numeric\x94\x8C\x0B_frombuffer\x94\x93\x94(\x96"[..],
        &(PIXELS as u64).to_le_bytes(),
        &[100; PIXELS],
        b"\x94\x8C\x05numpy\x94\x8C\x05dtype\x94\x93\x94\x8C\x02u1\x94\x89\x88\x87\x94R\x94",
        b"K\x01M\x00\x0C\x86\x94\x8C\x01C\x94t\x94R\x94",
    ]
    .concat()
}
