//! Gzip files, told by their bytes: names say too little, as browsers unpack files and keep their names.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use flate2::bufread::GzDecoder;

use crate::Error;

/// What a gzip file, and each of its members, begins with.
const MAGIC: [u8; 2] = [0x1F, 0x8B];

/// What a file holds, unpacked if it is gzipped; and whether it is.
pub(crate) fn open(path: &Path) -> Result<(Box<dyn Read>, bool), Error> {
    let file = File::open(path).map_err(Error::io(path))?;
    let mut file = BufReader::new(file);
    let gzipped = begins_member(&mut file).map_err(Error::io(path))?;
    let reader: Box<dyn Read> = match gzipped {
        true => Box::new(Members(Member::Within(GzDecoder::new(file)))),
        false => Box::new(file),
    };
    Ok((reader, gzipped))
}

/// Whether a file is gzipped.
pub(crate) fn is_gzip(path: &Path) -> Result<bool, Error> {
    open(path).map(|(_, gzipped)| gzipped)
}

/// A buffer of a file holds at least two bytes, unless the file ends.
fn begins_member(file: &mut impl BufRead) -> io::Result<bool> {
    Ok(file.fill_buf()?.starts_with(&MAGIC))
}

/// The members of a gzip file, one after the other, and the zeros that fill up a tape or a block.
struct Members<R>(Member<R>);

enum Member<R> {
    Within(GzDecoder<R>),
    Behind(R),
    /// Only while one becomes the other.
    Between,
}

impl<R: BufRead> Read for Members<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            self.0 = match std::mem::replace(&mut self.0, Member::Between) {
                Member::Within(mut member) => {
                    let read = member.read(buffer)?;
                    if read > 0 || buffer.is_empty() {
                        self.0 = Member::Within(member);
                        return Ok(read);
                    }
                    Member::Behind(member.into_inner())
                }
                Member::Behind(mut file) => {
                    let rest = file.fill_buf()?;
                    let zeros = rest.iter().take_while(|&&byte| byte == 0).count();
                    match rest.get(zeros) {
                        None if rest.is_empty() => return Ok(0),
                        None => {
                            file.consume(zeros);
                            Member::Behind(file)
                        }
                        Some(_) if zeros > 0 => {
                            file.consume(zeros);
                            Member::Behind(file)
                        }
                        Some(&first) if first == MAGIC[0] => Member::Within(GzDecoder::new(file)),
                        Some(_) => {
                            let problem = "there is something else after the gzip data";
                            return Err(io::Error::new(io::ErrorKind::InvalidData, problem));
                        }
                    }
                }
                Member::Between => return Ok(0),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), Default::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn read(bytes: &[u8]) -> io::Result<Vec<u8>> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("file");
        std::fs::write(&path, bytes)?;
        let mut all = Vec::new();
        open(&path).unwrap().0.read_to_end(&mut all)?;
        Ok(all)
    }

    #[test]
    fn members_follow_each_other_and_zeros_are_filling() {
        let [first, second] = [gzip(b"one, "), gzip(b"two")];
        for file in [
            [&first[..], &second].concat(),
            [&first[..], &[0; 5], &second, &[0; 20_000]].concat(),
            [&first[..], &gzip(b""), &second].concat(),
            b"one, two".to_vec(),
        ] {
            assert_eq!(read(&file).unwrap(), b"one, two");
        }
        assert_eq!(read(b"").unwrap(), b"");
        assert_eq!(read(&[0x1F]).unwrap(), [0x1F]);
    }

    #[test]
    fn what_is_no_gzip_behind_it_is_an_error() {
        let first = gzip(b"one");
        for rest in [&b"x"[..], &[0, 0, 7], &[0x1F], &gzip(b"two")[..9]] {
            assert!(read(&[&first[..], rest].concat()).is_err(), "{rest:?}");
        }
        assert!(read(&first[..first.len() - 1]).is_err());
    }
}
