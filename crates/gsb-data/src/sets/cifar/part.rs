//! The pictures of a part of CIFAR, as its versions store them.

use super::layout::{AREA, Layout};
use crate::sets::pickle::Pickle;

/// The pictures of a part.
#[derive(Default)]
pub(super) struct Part {
    pub pixels: Vec<u8>,
    pub labels: Vec<usize>,
}

impl Part {
    /// Adds the records of a binary file: label bytes, then the red, green and blue values.
    pub fn add_records(&mut self, bytes: &[u8], layout: &Layout) -> Result<(), String> {
        let size = layout.label_bytes + 3 * AREA;
        if bytes.is_empty() || !bytes.len().is_multiple_of(size) {
            let got = bytes.len();
            return Err(format!(
                "{got} bytes are no whole number of records of {size} bytes"
            ));
        }
        self.pixels.reserve_exact(bytes.len() / size * 3 * AREA);
        for (index, record) in bytes.chunks_exact(size).enumerate() {
            let (label, planes) = record.split_at(layout.label_bytes);
            self.add(index, label[layout.label_bytes - 1].into(), planes, layout)?;
        }
        Ok(())
    }

    /// Adds the pictures of a pickle: a list of labels, and an array with the values of a picture in a row.
    pub fn add_pickle(&mut self, bytes: &[u8], layout: &Layout) -> Result<(), String> {
        let pickle = Pickle::parse(bytes)?;
        let labels = pickle.integers(layout.keys[0])?;
        if labels.is_empty() {
            return Err("it has no pictures".into());
        }
        let planes = pickle.array("data", labels.len() * 3 * AREA)?;
        self.pixels.reserve_exact(planes.len());
        for (index, planes) in planes.chunks_exact(3 * AREA).enumerate() {
            self.add(index, labels[index], planes, layout)?;
        }
        Ok(())
    }

    fn add(
        &mut self,
        index: usize,
        label: i64,
        planes: &[u8],
        layout: &Layout,
    ) -> Result<(), String> {
        let class = usize::try_from(label)
            .ok()
            .filter(|&class| class < layout.classes);
        self.labels.push(class.ok_or_else(|| {
            let last = layout.classes - 1;
            format!("record {index} has the label {label}: expected 0 to {last}")
        })?);
        for place in 0..AREA {
            let colors = [0, AREA, 2 * AREA].map(|plane| planes[plane + place]);
            self.pixels.extend(colors);
        }
        Ok(())
    }
}
