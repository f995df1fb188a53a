//! Folders as people have them: other names and layouts, what systems leave in them, broken pictures.

mod support;

use std::fs;
use std::path::Path;

use gsb_data::{
    Broken, Category, DataSet, DataSetName, DataSplits, Error, OpenOptions, Orientation, chaoyang,
    image_folder, inaturalist, mnist, open,
};
use support::{gzip, idx, png, write};
use tempfile::{TempDir, tempdir};

fn labels(set: &dyn DataSet) -> Vec<usize> {
    (0..set.len()).map(|index| set.label(index)).collect()
}

/// The first red of all pictures.
fn reds(set: &dyn DataSet) -> Vec<u8> {
    let red = |index| set.image(index).unwrap().pixel(0, 0)[0];
    (0..set.len()).map(red).collect()
}

/// A folder of one-pixel pictures, which are told apart by their red.
fn pictures(files: &[(&str, u8)]) -> TempDir {
    let folder = tempdir().unwrap();
    for (name, red) in files {
        write(folder.path(), name, png(1, 1, [*red, 0, 0]));
    }
    folder
}

fn problem(result: Result<DataSplits, Error>) -> String {
    result.unwrap_err().to_string()
}

#[test]
fn service_files_are_no_pictures_and_other_files_are_counted() {
    let folder = pictures(&[
        ("train/a/1.png", 1),
        ("train/b/1.webp", 2),
        ("train/b/deep/2.jfif", 3),
        ("train/b/deep/3.tif", 4),
        ("val/a/1.bmp", 5),
        ("val/b/1.png", 6),
        ("train/a/._1.png", 9),
        ("train/a/.ipynb_checkpoints/1-checkpoint.png", 9),
        ("train/@eaDir/x.png", 9),
        ("train/b/__MACOSX/1.png", 9),
        ("val/.thumbnails/1.png", 9),
        ("val/$RECYCLE.BIN/1.png", 9),
        ("val/a/1.avif", 9),
        ("train/a/notes.txt", 9),
        ("train/a/Thumbs.db", 9),
    ]);
    let splits = image_folder(folder.path()).unwrap();
    assert_eq!(splits.classes(), ["a", "b"]);
    assert_eq!(reds(&*splits.train), [1, 2, 3, 4]);
    assert_eq!(reds(&*splits.test), [5, 6]);
    let remark = "left out 2 files that are not pictures of a known format: 1 .avif, 1 .txt";
    assert_eq!(splits.remarks, [remark]);
}

#[test]
fn parts_have_many_names_and_may_lie_in_a_folder_of_their_own() {
    for (train, test) in [
        ("Train", "Test"),
        ("TRAIN", "VAL"),
        ("training", "validation"),
        ("train", "Valid"),
        ("Training", "testing"),
        ("archive/train", "archive/val"),
        ("archive/pets/train", "archive/pets/test"),
    ] {
        let folder = pictures(&[
            (&format!("{train}/a/1.png"), 1),
            (&format!("{test}/a/1.png"), 2),
            (".cache/x.png", 3),
        ]);
        let splits = image_folder(folder.path()).unwrap();
        assert_eq!(
            (reds(&*splits.train), reds(&*splits.test)),
            (vec![1], vec![2])
        );
    }
}

#[test]
fn a_part_that_is_there_twice_is_refused() {
    for (first, second) in [("Train", "training"), ("val", "validation")] {
        let folder = pictures(&[
            ("train/a/1.png", 1),
            (&format!("{first}/a/1.png"), 1),
            (&format!("{second}/a/1.png"), 1),
        ]);
        let text = problem(image_folder(folder.path()));
        assert!(
            text.contains("are the same part: keep one of them"),
            "{text}"
        );
    }
}

#[test]
fn a_folder_without_parts_says_what_it_holds() {
    let folder = pictures(&[("cat/1.png", 1), ("dog/1.png", 2)]);
    let text = problem(image_folder(folder.path()));
    assert!(
        text.contains("train is not there: expected a folder for each class"),
        "{text}"
    );
    assert!(text.ends_with("holds cat, dog"), "{text}");
    let folder = pictures(&[("train/1.png", 1), ("train/2.png", 1), ("val/a/1.png", 2)]);
    let text = problem(image_folder(folder.path()));
    assert!(
        text.ends_with("expected a folder for each class, got 2 pictures and no folder"),
        "{text}"
    );
    let folder = pictures(&[("train/a/1.png", 1), ("val/1.png", 2)]);
    let text = problem(image_folder(folder.path()));
    assert!(text.contains("val: 1 picture in no class"), "{text}");
}

#[test]
fn classes_must_have_training_pictures() {
    let folder = pictures(&[
        ("train/a/1.png", 1),
        ("train/b/1.txt", 1),
        ("val/a/1.png", 2),
    ]);
    fs::create_dir(folder.path().join("train/c")).unwrap();
    let text = problem(image_folder(folder.path()));
    assert!(
        text.contains("expected pictures of every class, got none of b, c:"),
        "{text}"
    );
}

#[test]
fn classes_that_train_does_not_have_are_all_named() {
    let folder = pictures(&[
        ("train/Cat/1.png", 1),
        ("val/Cat/1.png", 1),
        ("val/cat/1.png", 2),
        ("val/dog/1.png", 3),
    ]);
    fs::create_dir(folder.path().join("val/empty")).unwrap();
    let text = problem(image_folder(folder.path()));
    let expected = "train has no class of this name: \"cat\" (but \"Cat\"), \"dog\"";
    assert!(text.ends_with(expected), "{text}");
}

#[test]
fn a_test_part_that_lacks_a_class_is_remarked() {
    let folder = pictures(&[
        ("train/a/1.png", 1),
        ("train/b/1.png", 2),
        ("train/c/1.png", 3),
        ("val/a/1.png", 4),
    ]);
    let splits = image_folder(folder.path()).unwrap();
    let splits = splits.check(Broken::Refused).unwrap();
    assert_eq!(splits.remarks, ["no test pictures of b, c"]);
}

/// Tiny-ImageNet with the pictures of `val` where they are told to be.
fn tiny_imagenet(val: &[(&str, u8)]) -> TempDir {
    let mut files = vec![
        ("train/n01/images/n01_0.JPEG", 1),
        ("train/n02/images/n02_0.JPEG", 2),
        ("test/images/test_0.JPEG", 9),
    ];
    files.extend(val);
    let folder = pictures(&files);
    let table = "v0.JPEG\tn02\t0\t0\t1\t1\r\nv1.JPEG\tn01\t0\t0\t1\t1\r\n\r\n";
    let table = [b"\xEF\xBB\xBF", table.as_bytes()].concat();
    write(folder.path(), "val/val_annotations.txt", table);
    folder
}

#[test]
fn tiny_imagenet_is_read_wherever_its_validation_pictures_are() {
    let read = |val: &[(&str, u8)]| {
        let folder = tiny_imagenet(val);
        fs::create_dir_all(folder.path().join("val/images")).unwrap();
        let splits = image_folder(folder.path()).unwrap();
        let splits = splits.check(Broken::Refused).unwrap();
        (labels(&*splits.test), reds(&*splits.test), splits.remarks)
    };
    let (labels, reds, remarks) = read(&[("val/images/v0.JPEG", 3), ("val/images/v1.JPEG", 4)]);
    assert_eq!((labels, reds), (vec![1, 0], vec![3, 4]));
    assert_eq!(remarks.len(), 1);
    assert!(
        remarks[0].contains("test has no pictures in folders of classes"),
        "{remarks:?}"
    );
    // Sorted, as most do it.
    for inner in ["", "images/"] {
        let first = format!("val/n02/{inner}v0.JPEG");
        let second = format!("val/n01/{inner}v1.JPEG");
        let (labels, reds, _) = read(&[(&first, 3), (&second, 4)]);
        assert_eq!((labels, reds), (vec![0, 1], vec![4, 3]));
    }
    // Sorted copies.
    let (labels, _, remarks) = read(&[
        ("val/n02/v0.JPEG", 3),
        ("val/n01/v1.JPEG", 4),
        ("val/images/v0.JPEG", 3),
        ("val/images/v1.JPEG", 4),
    ]);
    assert_eq!(labels, [0, 1]);
    assert!(remarks[0].contains("images is left aside"), "{remarks:?}");
}

#[test]
fn tiny_imagenet_names_pictures_that_its_table_alone_knows() {
    let folder = tiny_imagenet(&[("val/images/v0.JPEG", 3)]);
    let splits = image_folder(folder.path()).unwrap();
    let text = problem(splits.check(Broken::Refused));
    assert!(text.starts_with("1 of 4 pictures cannot be read"), "{text}");
    assert!(text.contains("v1.JPEG"), "{text}");
}

/// Two pictures for training and one for testing, in two classes, and broken ones.
fn broken_pictures() -> TempDir {
    let folder = pictures(&[
        ("train/a/1.png", 1),
        ("train/b/1.png", 2),
        ("val/a/1.png", 3),
    ]);
    let root = folder.path();
    write(root, "train/a/empty.png", "");
    write(root, "train/b/text.jpg", "this is no picture");
    // Its header is whole: what is lacking shows at its end, or in decoding.
    let whole = png(40, 40, [1, 2, 3]);
    write(root, "val/b/cut.png", &whole[..whole.len() - 20]);
    folder
}

#[test]
fn all_broken_pictures_are_named_at_once() {
    let folder = broken_pictures();
    let open = || image_folder(folder.path()).unwrap();
    let text = problem(open().check(Broken::Refused));
    assert!(
        text.starts_with("3 of 6 pictures cannot be read\n"),
        "{text}"
    );
    for name in ["empty.png", "text.jpg", "cut.png"] {
        assert!(text.contains(name), "{text}");
    }
    // Those of the test part alone.
    let text = problem(open().check_test(Broken::Refused));
    assert!(
        text.starts_with("1 of 2 pictures cannot be read\n"),
        "{text}"
    );
    for number in 10..30 {
        write(folder.path(), &format!("train/a/{number}.png"), "");
    }
    let text = problem(open().check(Broken::Refused));
    assert_eq!(text.lines().count(), 12, "{text}");
    assert!(text.ends_with("and 13 more that are broken"), "{text}");
}

#[test]
fn broken_pictures_are_left_out_and_counted() {
    let folder = broken_pictures();
    let splits = image_folder(folder.path()).unwrap();
    let splits = splits.check(Broken::LeftOut).unwrap();
    assert_eq!(
        (reds(&*splits.train), reds(&*splits.test)),
        (vec![1, 2], vec![3])
    );
    assert_eq!(labels(&*splits.train), [0, 1]);
    assert_eq!(splits.remarks.len(), 2);
    let left_out = &splits.remarks[0];
    assert!(
        left_out.starts_with("left out 3 broken pictures: "),
        "{left_out}"
    );
    assert!(left_out.contains("empty.png"), "{left_out}");
    assert_eq!(splits.remarks[1], "no test pictures of b");
}

#[test]
fn damage_inside_a_picture_is_found_where_broken_ones_are_left_out() {
    let folder = pictures(&[("train/a/1.png", 1), ("val/a/1.png", 3)]);
    let mut bytes = png(40, 40, [1, 2, 3]);
    // In the compressed pixels.
    let place = bytes.len() / 2;
    bytes[place] ^= 0xFF;
    write(folder.path(), "train/a/2.png", bytes);
    let splits = image_folder(folder.path()).unwrap();
    let splits = splits.check(Broken::LeftOut).unwrap();
    assert_eq!(reds(&*splits.train), [1]);
}

#[test]
fn a_class_or_a_part_that_loses_all_its_pictures_is_an_error() {
    let folder = broken_pictures();
    fs::remove_file(folder.path().join("train/b/1.png")).unwrap();
    let splits = image_folder(folder.path()).unwrap();
    assert_eq!(
        problem(splits.check(Broken::LeftOut)),
        "without the broken pictures there are no training pictures of b"
    );
    let folder = broken_pictures();
    write(folder.path(), "val/a/1.png", "");
    let splits = image_folder(folder.path()).unwrap();
    assert_eq!(
        problem(splits.check_test(Broken::LeftOut)),
        "without the broken pictures there are no pictures to test on"
    );
}

fn chaoyang_files(train: &[u8], test: &[u8]) -> TempDir {
    let folder = pictures(&[("train/1.JPG", 1), ("train/2.jpg", 2), ("test/1.JPG", 3)]);
    write(folder.path(), "train.json", train);
    write(folder.path(), "test.json", test);
    folder
}

#[test]
fn lists_of_windows_programs_are_read() {
    let train = br#"[{"name": "train\\1.JPG", "label": 3}, {"name": "train\\2.JPG", "label": 0}]"#;
    let train = [b"\xEF\xBB\xBF", &train[..]].concat();
    let test = br#"[{"name": ".\\train\\..\\test\\1.jpg", "label": 1}]"#;
    let folder = chaoyang_files(&train, test);
    let splits = chaoyang(folder.path()).unwrap();
    let splits = splits.check(Broken::Refused).unwrap();
    assert_eq!(
        (reds(&*splits.train), reds(&*splits.test)),
        (vec![1, 2], vec![3])
    );
    let utf16: Vec<u8> = "\u{FEFF}[]"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    let folder = chaoyang_files(&train, &utf16);
    let text = problem(chaoyang(folder.path()));
    assert!(
        text.ends_with("test.json: it is UTF-16 text: save it as UTF-8"),
        "{text}"
    );
}

#[test]
fn files_that_a_list_alone_knows_are_all_named() {
    let train = br#"[{"name": "train/1.JPG", "label": 3}, {"name": "train/7.JPG", "label": 0}]"#;
    let test = br#"[{"name": "test/1.JPG", "label": 1}, {"name": "test/8.JPG", "label": 0}]"#;
    let folder = chaoyang_files(train, test);
    let open = || chaoyang(folder.path()).unwrap();
    let text = problem(open().check(Broken::Refused));
    assert!(
        text.starts_with("2 of 4 pictures cannot be read\n"),
        "{text}"
    );
    assert!(text.contains("7.JPG") && text.contains("8.JPG"), "{text}");
    let splits = open().check(Broken::LeftOut);
    assert_eq!(
        problem(splits),
        "without the broken pictures there are no training pictures of normal"
    );
}

#[test]
fn inaturalist_lists_may_have_marks_and_backslashes() {
    let folder = pictures(&[("train_val2018/A/1.jpg", 1), ("train_val2018/A/2.jpg", 2)]);
    let list = |id: u8| {
        let text = format!(
            r#"{{"images": [{{"id": {id}, "file_name": "train_val2018\\A\\{id}.JPG"}}],
            "annotations": [{{"image_id": {id}, "category_id": 0}}]}}"#
        );
        [b"\xEF\xBB\xBF", text.as_bytes()].concat()
    };
    let categories = b"\xEF\xBB\xBF[{\"id\": 0, \"name\": \"Parus major\"}]";
    write(folder.path(), "categories.json", categories);
    write(folder.path(), "train2018.json", list(1));
    write(folder.path(), "val2018.json", list(2));
    let splits = inaturalist(folder.path(), 2018, Category::Name).unwrap();
    assert_eq!(
        (reds(&*splits.train), reds(&*splits.test)),
        (vec![1], vec![2])
    );
}

#[test]
fn mnist_is_found_under_its_other_names() {
    let images = |value: u8| idx(0x803, &[1, 1, 1], &[value]);
    let label = |value: u8| idx(0x801, &[1], &[value]);
    for [train, train_labels, test, test_labels] in [
        // torchvision
        [
            "MNIST/raw/train-images-idx3-ubyte",
            "MNIST/raw/train-labels-idx1-ubyte",
            "MNIST/raw/t10k-images-idx3-ubyte",
            "MNIST/raw/t10k-labels-idx1-ubyte",
        ],
        // What unpackers make of the names
        [
            "train-images.idx3-ubyte",
            "train-labels.idx1-ubyte",
            "t10k-images.idx3-ubyte.GZ",
            "t10k-labels.idx1-ubyte",
        ],
        // Kaggle
        [
            "train-images-idx3-ubyte/train-images-idx3-ubyte",
            "train-labels-idx1-ubyte/train-labels-idx1-ubyte",
            "t10k-images-idx3-ubyte/t10k-images-idx3-ubyte",
            "t10k-labels-idx1-ubyte/t10k-labels-idx1-ubyte",
        ],
        [
            "raw/emnist-digits-train-images-idx3-ubyte",
            "raw/emnist-digits-train-labels-idx1-ubyte",
            "raw/emnist-digits-test-images-idx3-ubyte",
            "raw/emnist-digits-test-labels-idx1-ubyte",
        ],
    ] {
        let folder = tempdir().unwrap();
        let root = folder.path();
        write(root, train, gzip(&images(7)));
        write(root, train_labels, label(1));
        write(root, &format!("{train_labels}.gz"), gzip(&label(1)));
        let dashed = train_labels.replace(".idx1", "-idx1");
        write(root, &format!("{dashed}.gz"), gzip(&label(1)));
        write(root, test, images(8));
        write(
            root,
            test_labels,
            [gzip(&label(2)[..9]), gzip(&label(2)[9..])].concat(),
        );
        let splits = mnist(root).unwrap();
        assert_eq!(
            (reds(&*splits.train), labels(&*splits.train)),
            (vec![7], vec![1])
        );
        assert_eq!(
            (reds(&*splits.test), labels(&*splits.test)),
            (vec![8], vec![2])
        );
    }
    let folder = tempdir().unwrap();
    for set in ["MNIST", "FashionMNIST"] {
        write(
            folder.path(),
            &format!("{set}/raw/train-images-idx3-ubyte"),
            images(7),
        );
    }
    let text = problem(mnist(folder.path()));
    assert!(
        text.ends_with("is there as well: give the folder of one of them"),
        "{text}"
    );
}

#[test]
fn the_orientation_is_that_of_the_options() {
    let folder = tempdir().unwrap();
    for part in ["train", "val"] {
        write(folder.path(), &format!("{part}/a/1.jpg"), TURNED_JPEG);
    }
    let size = |options: &OpenOptions| {
        let splits = open(DataSetName::ImageFolder, Some(folder.path()), options).unwrap();
        let image = splits.train.image(0).unwrap();
        (image.width, image.height)
    };
    let stored = OpenOptions::default();
    let upright = OpenOptions {
        orientation: Orientation::Upright,
        ..stored
    };
    assert_eq!((size(&stored), size(&upright)), ((4, 2), (2, 4)));
}

/// A gray JPEG file of 4x2 pixels, whose camera was turned by a quarter (orientation 6).
const TURNED_JPEG: &[u8] = b"\xFF\xD8\xFF\xE0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00\xFF\xE1\x00\x22Exif\x00\x00MM\
    \x00\x2A\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01\x00\x06\x00\x00\x00\x00\x00\x00\xFF\
    \xDB\x00C\x00\x28\x1C\x1E\x23\x1E\x19\x28\x23\x21\x23\x2D\x2B\x280\x3CdA\x3C77\x3C\x7BX\x5DId\x91\
    \x80\x99\x96\x8F\x80\x8C\x8A\xA0\xB4\xE6\xC3\xA0\xAA\xDA\xAD\x8A\x8C\xC8\xFF\xCB\xDA\xEE\xF5\xFF\xFF\
    \xFF\x9B\xC1\xFF\xFF\xFF\xFA\xFF\xE6\xFD\xFF\xF8\xFF\xC0\x00\x0B\x08\x00\x02\x00\x04\x01\x01\x11\x00\
    \xFF\xC4\x00\x14\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x04\xFF\xC4\x00\
    \x14\x10\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xFF\xDA\x00\x08\x01\x01\
    \x00\x00\x3F\x00\x3B\xFF\xD9";

#[test]
fn a_fingerprint_follows_the_data_and_not_their_place() {
    let files = [
        ("train/a/1.png", 1),
        ("train/b/1.png", 2),
        ("val/a/1.png", 3),
    ];
    let of = |root: &Path| image_folder(root).unwrap().fingerprint().unwrap();
    let [first, second] = [pictures(&files), pictures(&files)];
    let whole = of(first.path());
    assert_eq!((whole.train, whole.test), (2, 1));
    assert_eq!(of(second.path()), whole);
    write(second.path(), "val/a/1.png", png(1, 1, [4, 0, 0]));
    assert_ne!(of(second.path()).hash, whole.hash);
}
