//! Parts of a data set.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use rand::seq::SliceRandom;

use crate::random::generator;
use crate::{DataSet, DataSplits, Error, Image};

/// Some pictures of a set, in a given order.
#[derive(Clone)]
pub struct Subset {
    set: Arc<dyn DataSet>,
    indices: Vec<usize>,
}

impl Subset {
    /// The pictures of these indices, in this order.
    ///
    /// # Panics
    /// If there is no picture of one of the indices.
    pub fn new(set: Arc<dyn DataSet>, indices: Vec<usize>) -> Self {
        let len = set.len();
        if let Some(index) = indices.iter().find(|&&index| index >= len) {
            panic!("there is no picture {index} in a set of {len}");
        }
        Self { set, indices }
    }

    /// Where the pictures are in the whole set.
    pub fn indices(&self) -> &[usize] {
        &self.indices
    }
}

impl fmt::Debug for Subset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subset")
            .field("indices", &self.indices)
            .finish_non_exhaustive()
    }
}

impl DataSet for Subset {
    fn classes(&self) -> &[String] {
        self.set.classes()
    }

    fn len(&self) -> usize {
        self.indices.len()
    }

    fn label(&self, index: usize) -> usize {
        self.set.label(self.indices[index])
    }

    fn image(&self, index: usize) -> Result<Image, Error> {
        self.set.image(self.indices[index])
    }

    fn channels(&self) -> usize {
        self.set.channels()
    }

    fn file(&self, index: usize) -> Option<&Path> {
        self.set.file(self.indices[index])
    }
}

/// Splits a set: `test_fraction` of the pictures, rounded up, go to the test part.
///
/// Chosen at random, but stratified: each class is represented in both parts by its share, to
/// within one picture. The same seed gives the same split on every machine.
///
/// # Errors
/// [`Error::Split`] if a part would be empty.
///
/// ```
/// use std::sync::Arc;
///
/// let splits = gsb_data::split(Arc::new(gsb_data::digits()?), 0.2, 0)?;
/// assert_eq!((splits.train.len(), splits.test.len()), (1437, 360));
/// # Ok::<(), gsb_data::Error>(())
/// ```
pub fn split(set: Arc<dyn DataSet>, test_fraction: f64, seed: u64) -> Result<DataSplits, Error> {
    let images = set.len();
    // A fraction that is not a number becomes 0 here, and is refused below.
    let test = ((images as f64 * test_fraction).ceil() as usize).min(images);
    if test == 0 || test == images {
        return Err(Error::Split {
            fraction: test_fraction,
            images,
            train: images - test,
            test,
        });
    }
    let mut order: Vec<usize> = (0..images).collect();
    order.shuffle(&mut generator(seed));
    order.sort_by_key(|&i| set.label(i));
    // Evenly spaced places of the pictures sorted by class: each class gives its share.
    let mut held_out = vec![false; images];
    for k in 0..test {
        held_out[order[k * images / test]] = true;
    }
    let (test, train): (Vec<usize>, Vec<usize>) = (0..images).partition(|&i| held_out[i]);
    Ok(DataSplits {
        train: Arc::new(Subset::new(set.clone(), train)),
        test: Arc::new(Subset::new(set, test)),
        validation: None,
        remarks: Vec::new(),
    })
}

/// `n` pictures of each class, chosen at random, in the order of the set.
///
/// # Errors
/// [`Error::TooFew`] if a class has fewer.
///
/// ```
/// use gsb_data::DataSet;
///
/// let splits = gsb_data::digits()?.split(0.2, 0)?;
/// assert_eq!(gsb_data::per_class(splits.train, 20, 0)?.len(), 200);
/// # Ok::<(), gsb_data::Error>(())
/// ```
pub fn per_class(set: Arc<dyn DataSet>, n: usize, seed: u64) -> Result<Subset, Error> {
    let mut of_class = vec![Vec::new(); set.classes().len()];
    for index in 0..set.len() {
        of_class[set.label(index)].push(index);
    }
    let mut rng = generator(seed);
    let mut chosen = Vec::with_capacity(set.len().min(n.saturating_mul(of_class.len())));
    for (class, indices) in of_class.iter_mut().enumerate() {
        if indices.len() < n {
            return Err(Error::TooFew {
                class: set.classes()[class].clone(),
                images: indices.len(),
                wanted: n,
            });
        }
        indices.shuffle(&mut rng);
        chosen.extend_from_slice(&indices[..n]);
    }
    chosen.sort_unstable();
    Ok(Subset::new(set, chosen))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ImageArray;

    fn numbered(labels: Vec<usize>) -> Arc<dyn DataSet> {
        let pixels = (0..labels.len()).map(|i| i as u8).collect();
        let classes = vec!["a".into(), "b".into(), "c".into()];
        Arc::new(ImageArray::new([1, 1, 1], pixels, labels, classes).unwrap())
    }

    fn numbers(set: &dyn DataSet) -> Vec<u8> {
        (0..set.len())
            .map(|i| set.image(i).unwrap().pixels[0])
            .collect()
    }

    fn count(set: &dyn DataSet, class: usize) -> usize {
        (0..set.len()).filter(|&i| set.label(i) == class).count()
    }

    #[test]
    fn a_split_is_disjoint_complete_and_stratified() {
        let set = numbered(
            (0..60)
                .map(|i| if i < 30 { 0 } else { 1 + i % 2 })
                .collect(),
        );
        let splits = split(set.clone(), 0.2, 7).unwrap();
        let mut all = numbers(&*splits.train);
        all.extend(numbers(&*splits.test));
        all.sort_unstable();
        assert_eq!(all, numbers(&*set));
        assert_eq!(
            [0, 1, 2].map(|class| count(&*splits.test, class)),
            [6, 3, 3]
        );
    }

    #[test]
    fn the_seed_decides_the_split() {
        let set = numbered((0..60).map(|i| i % 3).collect());
        let test = |seed| numbers(&*split(set.clone(), 0.2, seed).unwrap().test);
        assert_eq!(test(1), test(1));
        assert_ne!(test(1), test(2));
    }

    #[test]
    fn the_split_of_the_digits_stays() {
        let splits = crate::digits().unwrap().split(0.2, 0).unwrap();
        let labels: Vec<usize> = (0..12).map(|i| splits.test.label(i)).collect();
        assert_eq!(labels, [5, 4, 5, 6, 4, 5, 0, 6, 3, 7, 6, 1]);
    }

    #[test]
    fn an_empty_part_is_an_error() {
        for fraction in [0.0, 1.0, -1.0, 2.0, f64::NAN] {
            assert!(split(numbered(vec![0, 1, 2]), fraction, 0).is_err());
        }
    }

    #[test]
    fn every_class_gives_the_same_number() {
        let set = numbered((0..40).map(|i| usize::from(i % 4 == 0)).collect());
        let error = per_class(set, 3, 0).err().unwrap().to_string();
        assert_eq!(
            error,
            "class \"c\" has 0 images, fewer than the 3 asked for"
        );
        let set = numbered((0..60).map(|i| i % 3).collect());
        let some = per_class(set.clone(), 3, 0).unwrap();
        assert_eq!([0, 1, 2].map(|class| count(&some, class)), [3, 3, 3]);
        assert!(some.indices().is_sorted());
        assert_ne!(numbers(&some), numbers(&per_class(set, 3, 1).unwrap()));
    }
}
