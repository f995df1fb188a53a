//! MD5 checksums, which the makers of the data sets publish.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use md5::{Digest, Md5};

use crate::Error;

/// Refuses a file whose checksum is another.
pub(crate) fn check_md5(path: &Path, expected: &str) -> Result<(), Error> {
    let mut reader = BufReader::new(File::open(path).map_err(Error::io(path))?);
    let mut digest = Md5::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        let read = reader.read(&mut buffer).map_err(Error::io(path))?;
        if read == 0 {
            break;
        }
        digest.update(&buffer[..read]);
    }
    let got = hex(&digest.finalize());
    if got == expected {
        return Ok(());
    }
    let problem = format!(
        "the MD5 checksum is {got}, not {expected}: the file is cut off, changed, or another"
    );
    Err(Error::format(path, problem))
}

/// The checksum of bytes, in lower-case hexadecimal.
#[cfg(any(test, feature = "download"))]
pub(crate) fn md5_hex(bytes: &[u8]) -> String {
    hex(&Md5::digest(bytes))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_of_abc() {
        // RFC 1321, A.5.
        assert_eq!(md5_hex(b"abc"), "900150983cd24fb0d6963f7d28e17f72");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("abc");
        std::fs::write(&path, "abc").unwrap();
        check_md5(&path, "900150983cd24fb0d6963f7d28e17f72").unwrap();
        assert!(check_md5(&path, "0").is_err());
    }
}
