//! Whether a set can be read, before hours of training.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;

use crate::error::{BrokenPictures, counted, first_ten};
use crate::prefetch::each_picture;
use crate::{DataSet, DataSplits, Error, Subset, image_size};

/// How pictures that cannot be read are handled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Broken {
    /// An error names them.
    #[default]
    Refused,
    /// They are left out.
    LeftOut,
}

impl DataSplits {
    /// Checks every picture in a file of every part, and whether each class has some.
    ///
    /// To find broken pictures their headers are read, and their last bytes: what does not end as its
    /// format does is decoded. That misses damage in the middle of a file. To leave them out each
    /// picture is decoded, which takes longer, but then the training cannot end at one of them.
    /// Classes that the test part lacks are [remarked](Self::remarks).
    ///
    /// # Errors
    /// [`Error::Broken`] with all pictures that cannot be read, or [`Error::NoPictures`] if leaving
    /// them out takes all pictures of a part, or all training pictures of a class.
    pub fn check(mut self, broken: Broken) -> Result<Self, Error> {
        let names = self.classes().to_vec();
        let before = of_classes(&*self.train);
        let validated = self
            .validation
            .as_ref()
            .is_some_and(|part| !part.is_empty());
        let mut parts = vec![&mut self.train, &mut self.test];
        parts.extend(&mut self.validation);
        let left_out = check(parts, broken)?;
        self.remarks.extend(left_out);
        if validated && self.validation.as_ref().is_some_and(|part| part.is_empty()) {
            let what = "pictures to validate on".into();
            return Err(Error::NoPictures { what });
        }
        let after = of_classes(&*self.train);
        let lost = (0..names.len()).filter(|&class| before[class] > 0 && after[class] == 0);
        let lost: Vec<&str> = lost.map(|class| &*names[class]).collect();
        if !lost.is_empty() {
            let what = format!("training pictures of {}", first_ten(&lost));
            return Err(Error::NoPictures { what });
        }
        self.remark_classes("training", &after);
        self.checked_test()
    }

    /// Checks the test part alone, as [`check`](Self::check) does.
    ///
    /// # Errors
    /// As [`check`](Self::check).
    pub fn check_test(mut self, broken: Broken) -> Result<Self, Error> {
        let left_out = check(vec![&mut self.test], broken)?;
        self.remarks.extend(left_out);
        self.checked_test()
    }

    fn checked_test(mut self) -> Result<Self, Error> {
        if self.test.is_empty() {
            let what = "pictures to test on".into();
            return Err(Error::NoPictures { what });
        }
        self.remark_classes("test", &of_classes(&*self.test));
        Ok(self)
    }

    /// Remarks which classes a part lacks.
    fn remark_classes(&mut self, part: &str, pictures: &[usize]) {
        let classes = self.classes().iter().zip(pictures);
        let lacking = classes.filter(|&(_, &pictures)| pictures == 0);
        let lacking: Vec<&String> = lacking.map(|(name, _)| name).collect();
        if !lacking.is_empty() {
            let remark = format!("no {part} pictures of {}", first_ten(&lacking));
            self.remarks.push(remark);
        }
    }
}

/// Pictures of each class.
fn of_classes(set: &dyn DataSet) -> Vec<usize> {
    let mut pictures = vec![0; set.classes().len()];
    for index in 0..set.len() {
        pictures[set.label(index)] += 1;
    }
    pictures
}

/// Looks at the pictures of some parts, and leaves broken ones out or refuses them.
fn check(parts: Vec<&mut Arc<dyn DataSet>>, broken: Broken) -> Result<Option<String>, Error> {
    let mut found = BrokenPictures {
        errors: Vec::new(),
        images: parts.iter().map(|part| part.len()).sum(),
    };
    let mut names = Vec::new();
    for part in parts {
        let errors = errors(part, broken);
        if broken == Broken::LeftOut && !errors.is_empty() {
            let mut left_out = errors.iter().map(|&(index, _)| index).peekable();
            let kept = (0..part.len()).filter(|index| left_out.next_if_eq(index).is_none());
            let kept = kept.collect();
            let files = errors.iter().filter_map(|&(index, _)| part.file(index));
            names.extend(files.map(|path| path.display().to_string()));
            *part = Arc::new(Subset::new(part.clone(), kept));
        }
        found
            .errors
            .extend(errors.into_iter().map(|(_, error)| error));
    }
    match (found.errors.len(), broken) {
        (0, _) => Ok(None),
        (_, Broken::Refused) => Err(found.into()),
        (count, Broken::LeftOut) => {
            let (pictures, names) = (counted(count, "broken picture"), first_ten(&names));
            Ok(Some(format!("left out {pictures}: {names}")))
        }
    }
}

/// What is wrong with the pictures of a set, in order.
fn errors(set: &Arc<dyn DataSet>, broken: Broken) -> Vec<(usize, Error)> {
    let found = each_picture(set, move |set, index| {
        let path = set.file(index)?;
        let found = match broken {
            Broken::Refused => glance(set, index, path),
            Broken::LeftOut => set.image(index).map(drop),
        };
        found.err().map(|error| (index, error))
    });
    found.flatten().collect()
}

/// Finds most of what can be wrong with a picture without decoding it.
fn glance(set: &dyn DataSet, index: usize, path: &Path) -> Result<(), Error> {
    image_size(path)?;
    if !is_whole(path).map_err(Error::io(path))? {
        set.image(index)?;
    }
    Ok(())
}

/// Whether a file is a PNG file that ends as these do, or a JPEG file, whose end [`image_size`] has looked
/// for. Others must be decoded to know.
fn is_whole(path: &Path) -> io::Result<bool> {
    const END: &[u8] = b"IEND\xAE\x42\x60\x82";
    let mut file = File::open(path)?;
    let size = file.metadata()?.len();
    let (mut start, mut end) = (Vec::new(), Vec::new());
    file.by_ref().take(4).read_to_end(&mut start)?;
    file.seek(SeekFrom::Start(size.saturating_sub(END.len() as u64)))?;
    file.read_to_end(&mut end)?;
    Ok(start.starts_with(b"\xFF\xD8") || (start == b"\x89PNG" && end == END))
}
