//! Data sets in their official formats, whole and broken.

mod support;

use std::fs;
use std::path::Path;

use gsb_data::{
    Category, DataSet, DataSplits, chaoyang, flowers102, image_folder, inaturalist, mnist,
};
use proptest::prelude::*;
use support::{Kind, gzip, idx, mat, png, write};
use tempfile::{TempDir, tempdir};

fn labels(set: &dyn DataSet) -> Vec<usize> {
    (0..set.len()).map(|index| set.label(index)).collect()
}

/// The first pixels of all pictures.
fn colors(set: &dyn DataSet) -> Vec<Vec<u8>> {
    (0..set.len())
        .map(|index| set.image(index).unwrap().pixel(0, 0).to_vec())
        .collect()
}

/// What is said about a broken set; it must name the file.
fn problem(result: Result<DataSplits, gsb_data::Error>, file: &str) -> String {
    let text = result.unwrap_err().to_string();
    assert!(text.contains(file), "{text}");
    text
}

fn mnist_files() -> TempDir {
    let folder = tempdir().unwrap();
    let root = folder.path();
    write(
        root,
        "train-images-idx3-ubyte",
        idx(0x803, &[2, 1, 2], &[1, 2, 3, 4]),
    );
    write(
        root,
        "train-labels-idx1-ubyte.gz",
        gzip(&idx(0x801, &[2], &[7, 9])),
    );
    write(
        root,
        "t10k-images-idx3-ubyte.gz",
        gzip(&idx(0x803, &[1, 1, 2], &[5, 6])),
    );
    write(root, "t10k-labels-idx1-ubyte", idx(0x801, &[1], &[0]));
    folder
}

#[test]
fn mnist_is_read() {
    let folder = mnist_files();
    let splits = mnist(folder.path()).unwrap();
    assert_eq!(labels(&*splits.train), [7, 9]);
    assert_eq!(splits.train.image(1).unwrap().pixels, [3, 4]);
    assert_eq!((splits.test.len(), splits.channels()), (1, 1));
    assert_eq!(splits.classes()[7], "7");
}

#[test]
fn broken_mnist_is_named() {
    let broken = |name: &str, bytes: Vec<u8>| {
        let folder = mnist_files();
        write(folder.path(), name, bytes);
        problem(mnist(folder.path()), name)
    };
    let name = "train-labels-idx1-ubyte.gz";
    assert!(broken(name, gzip(&idx(0x801, &[1], &[7]))).contains("1 labels, but"));
    let text = broken(name, gzip(&idx(0x801, &[2], &[7, 10])));
    assert!(
        text.contains("label 10 of picture 1: expected 0 to 9"),
        "{text}"
    );
    assert!(broken(name, gzip(&idx(0x803, &[2], &[7, 9]))).contains("magic number"));
    let folder = mnist_files();
    fs::remove_file(folder.path().join("t10k-labels-idx1-ubyte")).unwrap();
    assert!(problem(mnist(folder.path()), "t10k-labels-idx1-ubyte").contains("is not there"));
    let folder = mnist_files();
    write(
        folder.path(),
        "t10k-images-idx3-ubyte.gz",
        gzip(&idx(0x803, &[1, 2, 1], &[5, 6])),
    );
    assert!(mnist(folder.path()).is_err());
}

/// Six pictures of flowers: two for each part.
fn flower_files() -> TempDir {
    let folder = tempdir().unwrap();
    let root = folder.path();
    for id in 1..=6 {
        // The decoder looks at the contents, not at the name.
        write(
            root,
            &format!("jpg/image_0000{id}.jpg"),
            png(2, 2, [id, 0, 0]),
        );
    }
    let labels: &[u16] = &[102, 1, 2, 3, 4, 5];
    write(
        root,
        "imagelabels.mat",
        mat(&[("labels", labels, Kind::UInt8)]),
    );
    write(root, "setid.mat", set_ids(&[1, 2], &[3, 4], &[6, 5]));
    folder
}

fn set_ids(train: &[u16], validation: &[u16], test: &[u16]) -> Vec<u8> {
    mat(&[
        ("trnid", train, Kind::UInt16),
        ("valid", validation, Kind::Double),
        ("tstid", test, Kind::UInt16),
    ])
}

#[test]
fn flowers_are_read() {
    let folder = flower_files();
    let splits = flowers102(folder.path()).unwrap();
    assert_eq!(labels(&*splits.train), [101, 0]);
    assert_eq!(labels(&*splits.validation.clone().unwrap()), [1, 2]);
    assert_eq!(labels(&*splits.test), [4, 3]);
    assert_eq!(colors(&*splits.test), [[6, 0, 0], [5, 0, 0]]);
    assert_eq!(
        (splits.classes().len(), splits.classes()[101].as_str()),
        (102, "102")
    );
}

#[test]
fn flowers_in_folders_are_read() {
    let folder = tempdir().unwrap();
    write(folder.path(), "train/1/a.png", png(1, 1, [1, 2, 3]));
    write(folder.path(), "val/1/b.png", png(1, 1, [4, 5, 6]));
    let splits = flowers102(folder.path()).unwrap();
    assert_eq!(colors(&*splits.test), [[4, 5, 6]]);
}

#[test]
fn broken_flowers_are_named() {
    let broken = |name: &str, bytes: &[u8]| {
        let folder = flower_files();
        write(folder.path(), name, bytes);
        problem(flowers102(folder.path()), name)
    };
    let labels = |values: &[u16]| mat(&[("labels", values, Kind::UInt8)]);
    let text = broken("imagelabels.mat", &labels(&[1, 103]));
    assert!(
        text.contains("picture 2 has the label 103: expected 1 to 102"),
        "{text}"
    );
    let text = broken("imagelabels.mat", &mat(&[("label", &[1], Kind::UInt8)]));
    assert!(text.contains("no array of numbers \"labels\""), "{text}");
    assert!(broken("setid.mat", &set_ids(&[1], &[2], &[7])).contains("there is no picture 7"));
    assert!(broken("setid.mat", &set_ids(&[1], &[2], &[0])).contains("no positive integers"));
    assert!(broken("setid.mat", &set_ids(&[1], &[2], &[2])).contains("more than once"));
    assert!(broken("setid.mat", &set_ids(&[1], &[2], &[])).contains("\"tstid\" is empty"));
    let whole = labels(&[1; 6]);
    for end in [0, 60, 128, 140, whole.len() - 8] {
        broken("imagelabels.mat", &whole[..end]);
    }
    let folder = flower_files();
    fs::remove_dir_all(folder.path().join("jpg")).unwrap();
    assert!(problem(flowers102(folder.path()), "jpg").contains("is not there"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn no_damage_to_a_mat_file_is_a_panic(place in 0usize..400, value in any::<u8>()) {
        let folder = flower_files();
        let path = folder.path().join("setid.mat");
        let mut bytes = fs::read(&path).unwrap();
        let place = place % bytes.len();
        bytes[place] = value;
        fs::write(&path, bytes).unwrap();
        let _ = flowers102(folder.path());
    }
}

fn chaoyang_files(train: &str) -> TempDir {
    let folder = tempdir().unwrap();
    let root = folder.path();
    write(root, "train.json", train);
    write(root, "test.json", r#"[{"name": "test/1.JPG", "label": 0}]"#);
    write(root, "train/1.JPG", png(1, 1, [1, 2, 3]));
    write(root, "test/1.JPG", png(1, 1, [4, 5, 6]));
    folder
}

#[test]
fn chaoyang_is_read() {
    let folder = chaoyang_files(
        r#"[{"name": "train/1.JPG", "label": 3, "label_A": 3}, {"name": "train/2.JPG", "label": 1}]"#,
    );
    let splits = chaoyang(folder.path()).unwrap();
    assert_eq!(labels(&*splits.train), [3, 1]);
    assert_eq!(colors(&*splits.test), [[4, 5, 6]]);
    assert_eq!(splits.classes()[3], "adenoma");
    let error = splits.train.image(1).unwrap_err().to_string();
    assert!(error.contains("2.JPG"), "{error}");
}

#[test]
fn broken_chaoyang_is_named() {
    for (list, expected) in [
        (
            r#"[{"name": "train/1.JPG", "label": 4}]"#,
            "label 4: expected 0 to 3",
        ),
        (
            r#"[{"name": "../1.JPG", "label": 1}]"#,
            "does not name a file",
        ),
        (r#"[{"name": "train/1.JPG"}]"#, "missing field `label`"),
        (r#"[{"name": "train/1.JPG", "label": -1}]"#, "invalid value"),
        ("[", "EOF"),
        ("[]", "the list is empty"),
    ] {
        let folder = chaoyang_files(list);
        let text = problem(chaoyang(folder.path()), "train.json");
        assert!(text.contains(expected), "{text}");
    }
}

#[test]
fn image_folders_are_read() {
    let folder = tempdir().unwrap();
    let root = folder.path();
    write(root, "train/dog/1.png", png(1, 1, [1, 0, 0]));
    write(root, "train/cat/deep/er/1.PNG", png(1, 1, [2, 0, 0]));
    write(root, "train/cat/notes.txt", "no picture");
    write(root, "train/.hidden/1.png", "no class");
    write(root, "val/dog/1.png", png(1, 1, [3, 0, 0]));
    let splits = image_folder(root).unwrap();
    assert_eq!(splits.classes(), ["cat", "dog"]);
    assert_eq!(labels(&*splits.train), [0, 1]);
    assert_eq!(colors(&*splits.train), [[2, 0, 0], [1, 0, 0]]);
    assert_eq!(labels(&*splits.test), [1]);
    assert!(splits.validation.is_none());
    // With a labelled test part, val is for choosing.
    write(root, "test/cat/1.png", png(1, 1, [4, 0, 0]));
    let splits = image_folder(root).unwrap();
    assert_eq!(colors(&*splits.test), [[4, 0, 0]]);
    assert_eq!(splits.validation.unwrap().len(), 1);
}

fn tiny_imagenet(table: &str) -> TempDir {
    let folder = tempdir().unwrap();
    let root = folder.path();
    write(root, "train/n01/images/n01_0.JPEG", png(1, 1, [1, 0, 0]));
    write(root, "train/n02/images/n02_0.JPEG", png(1, 1, [2, 0, 0]));
    write(root, "val/images/val_0.JPEG", png(1, 1, [3, 0, 0]));
    write(root, "val/val_annotations.txt", table);
    write(root, "test/images/test_0.JPEG", png(1, 1, [4, 0, 0]));
    folder
}

#[test]
fn tiny_imagenet_is_read() {
    let folder = tiny_imagenet("val_0.JPEG\tn02\t0\t32\t44\t62\n");
    let splits = image_folder(folder.path()).unwrap();
    assert_eq!(labels(&*splits.test), [1]);
    assert_eq!(colors(&*splits.test), [[3, 0, 0]]);
    for (table, expected) in [
        ("val_0.JPEG\tn03\n", "row 1: train has no class \"n03\""),
        (
            "val_0.JPEG n02\n",
            "row 1: expected a file name and a class",
        ),
        ("/etc/x\tn01\n", "does not name a file"),
        ("", "got none"),
    ] {
        let folder = tiny_imagenet(table);
        let text = problem(image_folder(folder.path()), "val_annotations.txt");
        assert!(text.contains(expected), "{text}");
    }
}

#[test]
fn broken_image_folders_are_named() {
    let folder = tempdir().unwrap();
    let root = folder.path();
    assert!(problem(image_folder(root), "train").contains("is not there"));
    fs::create_dir(root.join("train")).unwrap();
    assert!(problem(image_folder(root), "train").contains("got none"));
    fs::create_dir(root.join("train/a")).unwrap();
    assert!(problem(image_folder(root), "a").contains("expected pictures"));
    write(root, "train/a/1.png", png(1, 1, [0; 3]));
    assert!(problem(image_folder(root), "val").contains("is not there"));
    fs::create_dir(root.join("val")).unwrap();
    assert!(problem(image_folder(root), "val").contains("expected pictures"));
    write(root, "val/b/1.png", png(1, 1, [0; 3]));
    assert!(problem(image_folder(root), "b").contains("no class of this name"));
    write(root, "file", "text");
    assert!(problem(image_folder(&root.join("file")), "file").contains("not a folder"));
}

const CATEGORIES: &str = r#"[
    {"id": 0, "name": "Parus major", "supercategory": "Birds", "kingdom": "Animalia"},
    {"id": 1, "name": "Bellis perennis", "supercategory": "Plants", "kingdom": "Plantae"},
    {"id": 2, "name": "Pica pica", "supercategory": "Birds", "kingdom": "Animalia"}]"#;

fn listing(part: &str, pictures: &[(usize, usize)]) -> String {
    let images = pictures.iter().map(|(id, species)| {
        format!(
            r#"{{"id": {id}, "file_name": "train_val2018/{species}/{part}{id}.png", "width": 1}}"#
        )
    });
    let annotations = pictures
        .iter()
        .map(|(id, species)| format!(r#"{{"id": 9, "image_id": {id}, "category_id": {species}}}"#));
    let [images, annotations] = [images.collect::<Vec<_>>(), annotations.collect()];
    format!(
        r#"{{"info": {{}}, "images": [{}], "annotations": [{}]}}"#,
        images.join(","),
        annotations.join(",")
    )
}

fn inaturalist_files() -> TempDir {
    let folder = tempdir().unwrap();
    let root = folder.path();
    write(root, "categories.json", CATEGORIES);
    write(
        root,
        "train2018.json",
        listing("t", &[(10, 2), (11, 1), (12, 0)]),
    );
    write(root, "val2018.json", listing("v", &[(20, 1)]));
    write(root, "train_val2018/1/v20.png", png(1, 1, [7, 8, 9]));
    folder
}

#[test]
fn inaturalist_is_read_by_category() {
    let folder = inaturalist_files();
    let read = |category| inaturalist(folder.path(), 2018, category).unwrap();
    let species = read(Category::Name);
    assert_eq!(
        species.classes(),
        ["Pica pica", "Bellis perennis", "Parus major"]
    );
    assert_eq!(labels(&*species.train), [0, 1, 2]);
    assert_eq!(colors(&*species.test), [[7, 8, 9]]);
    for category in [Category::Supercategory, Category::Kingdom] {
        let groups = read(category);
        assert_eq!(labels(&*groups.train), [0, 1, 0]);
        assert_eq!(
            (groups.classes().len(), labels(&*groups.test)),
            (2, vec![1])
        );
    }
}

#[test]
fn broken_inaturalist_is_named() {
    let broken = |name: &str, text: &str| {
        let folder = inaturalist_files();
        write(folder.path(), name, text);
        problem(inaturalist(folder.path(), 2018, Category::Kingdom), name)
    };
    let text = broken("categories.json", r#"[{"id": 0, "name": "x"}]"#);
    assert!(text.contains("category 0 has no \"kingdom\""), "{text}");
    assert!(broken("categories.json", "{}").contains("expected a list of categories"));
    assert!(broken("train2018.json", &listing("t", &[(1, 5)])).contains("no category 5"));
    assert!(broken("train2018.json", &listing("t", &[])).contains("empty"));
    let text = broken(
        "val2018.json",
        r#"{"images": [{"id": 1, "file_name": "a"}], "annotations": []}"#,
    );
    assert!(text.contains("\"a\" has no annotation"), "{text}");
    let text = broken("val2018.json", &listing("../../../", &[(1, 1)]));
    assert!(text.contains("does not name a file"), "{text}");
    let folder = inaturalist_files();
    write(folder.path(), "train2018.json", listing("t", &[(1, 0)]));
    let error = inaturalist(folder.path(), 2018, Category::Name);
    assert!(problem(error, "val2018.json").contains("is no class of"));
    assert!(inaturalist(Path::new("/nowhere"), 2019, Category::Name).is_err());
}
