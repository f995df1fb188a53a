//! Where the pictures of CIFAR are, in each of its versions.

/// Rows and columns of a picture.
pub(super) const SIDE: usize = 32;
/// Pixels of a picture.
pub(super) const AREA: usize = SIDE * SIDE;

/// What tells the two sets apart.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Layout {
    pub binary: Version,
    /// What torchvision reads.
    pub python: Version,
    /// Label bytes of a binary record; the last one counts.
    pub label_bytes: usize,
    /// What Python's version calls labels and their names.
    pub keys: [&'static str; 2],
    pub classes: usize,
}

/// One of the versions that a set is published in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Version {
    /// File name of the official archive.
    pub archive: &'static str,
    /// Its official checksum.
    pub md5: &'static str,
    /// The folder in the archive.
    pub folder: &'static str,
    pub train: &'static [&'static str],
    pub test: &'static str,
    /// File of the class names.
    pub names: &'static str,
}

pub(crate) const CIFAR10: Layout = Layout {
    binary: Version {
        archive: "cifar-10-binary.tar.gz",
        md5: "c32a1d4ab5d03f1284b67883e8d87530",
        folder: "cifar-10-batches-bin",
        train: &[
            "data_batch_1.bin",
            "data_batch_2.bin",
            "data_batch_3.bin",
            "data_batch_4.bin",
            "data_batch_5.bin",
        ],
        test: "test_batch.bin",
        names: "batches.meta.txt",
    },
    python: Version {
        archive: "cifar-10-python.tar.gz",
        md5: "c58f30108f718f92721af3b95e74349a",
        folder: "cifar-10-batches-py",
        train: &[
            "data_batch_1",
            "data_batch_2",
            "data_batch_3",
            "data_batch_4",
            "data_batch_5",
        ],
        test: "test_batch",
        names: "batches.meta",
    },
    label_bytes: 1,
    keys: ["labels", "label_names"],
    classes: 10,
};

pub(crate) const CIFAR100: Layout = Layout {
    binary: Version {
        archive: "cifar-100-binary.tar.gz",
        md5: "03b5dce01913d631647c71ecec9e9cb8",
        folder: "cifar-100-binary",
        train: &["train.bin"],
        test: "test.bin",
        names: "fine_label_names.txt",
    },
    python: Version {
        archive: "cifar-100-python.tar.gz",
        md5: "eb9058c3a382ffc7106e4002c42a8d85",
        folder: "cifar-100-python",
        train: &["train"],
        test: "test",
        names: "meta",
    },
    label_bytes: 2,
    keys: ["fine_labels", "fine_label_names"],
    classes: 100,
};
