//! Fetching data sets that are not there.

use std::io::Write;
use std::path::Path;

use crate::checksum::{check_md5, md5_hex};
use crate::sets::cifar::{CIFAR10, CIFAR100};
use crate::{DataSetName, Error};

const CIFAR: &str = "https://www.cs.toronto.edu/~kriz/";
const MNIST: &str = "https://storage.googleapis.com/cvdf-datasets/mnist/";
const MNIST_FILES: [(&str, &str); 4] = [
    (
        "train-images-idx3-ubyte.gz",
        "f68b3c2dcbeaaa9fbdd348bbdeb94873",
    ),
    (
        "train-labels-idx1-ubyte.gz",
        "d53e105ee54ea40749a09fcbcd1e9432",
    ),
    (
        "t10k-images-idx3-ubyte.gz",
        "9fb629c4189551a2d022fa330f9573f3",
    ),
    (
        "t10k-labels-idx1-ubyte.gz",
        "ec29112dd5afa0611ce80d1b7f02629c",
    ),
];

/// Fetches the files of a set that are not in the folder yet.
pub(crate) fn download(name: DataSetName, folder: &Path) -> Result<(), Error> {
    match name {
        DataSetName::Mnist => {
            for (file, md5) in MNIST_FILES {
                fetch(MNIST, file, md5, folder)?;
            }
            Ok(())
        }
        DataSetName::Cifar10 => fetch(CIFAR, CIFAR10.binary.archive, CIFAR10.binary.md5, folder),
        DataSetName::Cifar100 => fetch(CIFAR, CIFAR100.binary.archive, CIFAR100.binary.md5, folder),
        _ => Err(Error::Option {
            option: "download",
            problem: format!("{name} cannot be downloaded: expected mnist, cifar10 or cifar100"),
        }),
    }
}

/// Fetches a file unless it is there already; it appears in the folder only whole and checked.
fn fetch(server: &str, file: &str, md5: &str, folder: &Path) -> Result<(), Error> {
    let path = folder.join(file);
    if path.exists() {
        return check_md5(&path, md5);
    }
    std::fs::create_dir_all(folder).map_err(Error::io(folder))?;
    let url = format!("{server}{file}");
    let bytes = bytes_of(&url)
        .map_err(|error| Error::format(&path, format!("{url} cannot be downloaded: {error}")))?;
    let got = md5_hex(&bytes);
    if got != md5 {
        let problem = format!("the MD5 checksum of {url} is {got}, not {md5}");
        return Err(Error::format(&path, problem));
    }
    gsb_files::replace(&path, |target| target.write_all(&bytes)).map_err(Error::io(&path))
}

/// Larger than any file that is fetched.
const LARGEST: u64 = 1 << 30;

/// What a server sends for an address.
fn bytes_of(url: &str) -> Result<Vec<u8>, ureq::Error> {
    let mut response = ureq::get(url).call()?;
    response
        .body_mut()
        .with_config()
        .limit(LARGEST)
        .read_to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_there_is_checked_and_kept() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("abc"), "abc").unwrap();
        let md5 = md5_hex(b"abc");
        fetch("http://127.0.0.1:1/", "abc", &md5, folder.path()).unwrap();
        let error = fetch("http://127.0.0.1:1/", "abc", "0", folder.path()).unwrap_err();
        assert!(error.to_string().contains("MD5 checksum"), "{error}");
    }

    #[test]
    fn a_server_that_is_not_there_is_an_error_and_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let error = fetch("http://127.0.0.1:1/", "abc", "0", folder.path()).unwrap_err();
        assert!(
            error.to_string().contains("cannot be downloaded"),
            "{error}"
        );
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_file_of_a_server_appears_only_with_its_checksum() {
        use std::io::Read;
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let server = format!("http://{}/", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            for stream in listener.incoming().take(2) {
                let mut stream = stream.unwrap();
                let _ = stream.read(&mut [0; 4096]).unwrap();
                let head = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\n";
                stream.write_all(format!("{head}abc").as_bytes()).unwrap();
            }
        });
        let folder = tempfile::tempdir().unwrap();
        let error = fetch(&server, "abc", "0", folder.path()).unwrap_err();
        assert!(error.to_string().contains("MD5 checksum"), "{error}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        fetch(&server, "abc", &md5_hex(b"abc"), folder.path()).unwrap();
        assert_eq!(std::fs::read(folder.path().join("abc")).unwrap(), b"abc");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn other_sets_cannot_be_fetched() {
        let folder = tempfile::tempdir().unwrap();
        assert!(download(DataSetName::Flowers102, folder.path()).is_err());
    }
}
