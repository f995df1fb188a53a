//! What the fuzz targets have in common: a folder that a data set is read from, and the memory that this takes.

use std::fs;
use std::path::{Path, PathBuf};

use gsb_data::{DataSet, DataSplits, Error};
use peak_alloc::PeakAlloc;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// Memory that does not depend on the files: buffers, paths, errors.
const CONSTANT: usize = 1 << 20;

/// A folder of this process, in memory where there is a place for such: the disk would set the pace.
pub fn folder() -> PathBuf {
    let memory = Path::new("/dev/shm");
    let root = match memory.is_dir() {
        true => memory.to_path_buf(),
        false => std::env::temp_dir(),
    };
    let folder = root.join(format!("gsb-data-fuzz-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("the folder can be made");
    folder
}

/// Writes a file under several names.
pub fn write(folder: &Path, names: &[&str], bytes: &[u8]) {
    for name in names {
        fs::write(folder.join(name), bytes).expect("the file can be written");
    }
}

/// Opens a data set, which is refused or can be read; neither takes more than that many bytes of memory.
pub fn open(open: impl FnOnce() -> Result<DataSplits, Error>, most: usize) {
    MEMORY.reset_peak_usage();
    let before = MEMORY.current_usage();
    let splits = open();
    let taken = MEMORY.peak_usage().saturating_sub(before);
    assert!(taken <= most + CONSTANT, "{taken} bytes");
    if let Ok(splits) = splits {
        check(&*splits.train);
        check(&*splits.test);
    }
}

/// All pictures lie in one array: the first ones are enough.
fn check(set: &dyn DataSet) {
    for index in 0..set.len().min(1000) {
        set.image(index).expect("a picture of the set");
        assert!(set.label(index) < set.classes().len());
    }
}
