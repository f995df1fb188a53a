//! Small checkpoints as PyTorch and safetensors write them.

#![allow(dead_code)] // Not every test that includes this file writes every kind.

/// What is pickled.
#[derive(Debug, Clone)]
pub enum Tree {
    /// Shape and elements.
    Tensor(Vec<usize>, Vec<f32>),
    Dict(Vec<(String, Tree)>),
    OrderedDict(Vec<(String, Tree)>),
    List(Vec<Tree>),
    Tuple(Vec<Tree>),
    Text(String),
    Int(u32),
    /// An instance of a class of a module, with attributes.
    Object(&'static str, &'static str, Vec<(String, Tree)>),
}

/// A dictionary.
pub fn dict<const N: usize>(entries: [(&str, Tree); N]) -> Tree {
    Tree::Dict(entries.map(|(key, value)| (key.into(), value)).into())
}

/// A tensor without dimensions.
pub fn scalar(value: f32) -> Tree {
    Tree::Tensor(Vec::new(), vec![value])
}

/// The pickle of a tree, and the elements of its tensors in order.
struct Pickler {
    pickle: Vec<u8>,
    storages: Vec<Vec<f32>>,
    /// What follows the number of elements in a reference to a storage.
    view: &'static [u8],
}

impl Pickler {
    fn run(tree: &Tree, view: &'static [u8]) -> Self {
        let mut pickler = Self {
            pickle: b"\x80\x02".to_vec(),
            storages: Vec::new(),
            view,
        };
        pickler.value(tree);
        pickler.pickle.push(b'.');
        pickler
    }

    fn put(&mut self, bytes: &[u8]) {
        self.pickle.extend_from_slice(bytes);
    }

    fn text(&mut self, text: &str) {
        self.put(b"X");
        self.put(&(text.len() as u32).to_le_bytes());
        self.put(text.as_bytes());
    }

    fn int(&mut self, value: usize) {
        self.put(b"J");
        self.put(&(value as u32).to_le_bytes());
    }

    fn sizes(&mut self, sizes: &[usize]) {
        self.put(b"(");
        for &size in sizes {
            self.int(size);
        }
        self.put(b"t");
    }

    fn entries(&mut self, entries: &[(String, Tree)]) {
        self.put(b"(");
        for (key, value) in entries {
            self.text(key);
            self.value(value);
        }
        self.put(b"u");
    }

    fn value(&mut self, tree: &Tree) {
        match tree {
            Tree::Tensor(shape, values) => self.tensor(shape, values),
            Tree::Dict(entries) => {
                self.put(b"}");
                self.entries(entries);
            }
            Tree::OrderedDict(entries) => {
                self.put(b"ccollections\nOrderedDict\n)R");
                self.entries(entries);
            }
            Tree::List(items) => {
                self.put(b"](");
                items.iter().for_each(|item| self.value(item));
                self.put(b"e");
            }
            Tree::Tuple(items) => {
                self.put(b"(");
                items.iter().for_each(|item| self.value(item));
                self.put(b"t");
            }
            Tree::Text(text) => self.text(text),
            Tree::Int(value) => self.int(*value as usize),
            Tree::Object(module, class, attributes) => {
                self.put(format!("c{module}\n{class}\n)\u{1}").as_bytes());
                *self.pickle.last_mut().expect("a byte") = 0x81;
                self.put(b"}");
                self.entries(attributes);
                self.put(b"b");
            }
        }
    }

    fn tensor(&mut self, shape: &[usize], values: &[f32]) {
        self.put(b"ctorch._utils\n_rebuild_tensor_v2\n((");
        self.text("storage");
        self.put(b"ctorch\nFloatStorage\n");
        self.text(&self.storages.len().to_string());
        self.text("cpu");
        self.int(values.len());
        self.put(self.view);
        self.put(b"tQ");
        self.int(0);
        self.sizes(shape);
        let mut strides = vec![1; shape.len()];
        for at in (1..shape.len()).rev() {
            strides[at - 1] = strides[at] * shape[at];
        }
        self.sizes(&strides);
        self.put(b"\x89ccollections\nOrderedDict\n)RtR");
        self.storages.push(values.to_vec());
    }
}

fn bytes(values: &[f32]) -> Vec<u8> {
    values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect()
}

/// A file of `torch.save`.
pub fn pth(tree: &Tree) -> Vec<u8> {
    let Pickler {
        pickle, storages, ..
    } = Pickler::run(tree, b"");
    let mut entries = vec![("archive/data.pkl".to_string(), pickle)];
    for (key, values) in storages.iter().enumerate() {
        entries.push((format!("archive/data/{key}"), bytes(values)));
    }
    zip(&entries)
}

/// A zip archive of stored entries, without checksums.
pub fn zip(entries: &[(String, Vec<u8>)]) -> Vec<u8> {
    let (mut archive, mut directory) = (Vec::new(), Vec::new());
    for (name, data) in entries {
        let at = archive.len() as u32;
        let size = (data.len() as u32).to_le_bytes();
        let mut common = vec![0; 14];
        common.extend([size, size].concat());
        common.extend((name.len() as u16).to_le_bytes());
        common.extend([0, 0]);
        archive.extend([b"PK\x03\x04", &common[..], name.as_bytes(), data].concat());
        directory.extend(b"PK\x01\x02\0\0");
        directory.extend(common);
        directory.extend([0; 10]);
        directory.extend(at.to_le_bytes());
        directory.extend(name.as_bytes());
    }
    let (start, len) = (archive.len() as u32, directory.len() as u32);
    let count = (entries.len() as u16).to_le_bytes();
    archive.extend(directory);
    archive.extend([b"PK\x05\x06\0\0\0\0", &count[..], &count].concat());
    archive.extend([len.to_le_bytes(), start.to_le_bytes()].concat());
    archive.extend([0, 0]);
    archive
}

/// A file of `torch.save` before PyTorch 1.6.
pub fn legacy(tree: &Tree) -> Vec<u8> {
    let Pickler {
        pickle, storages, ..
    } = Pickler::run(tree, b"N");
    let mut file = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.".to_vec();
    file.extend(b"\x80\x02M\xe9\x03.");
    file.extend(b"\x80\x02}X\x0d\0\0\0little_endian\x88s.");
    file.extend(pickle);
    let keys = (0..storages.len()).map(|key| Tree::Text(key.to_string()));
    file.extend(Pickler::run(&Tree::List(keys.collect()), b"").pickle);
    for values in &storages {
        file.extend((values.len() as u64).to_le_bytes());
        file.extend(bytes(values));
    }
    file
}

/// A safetensors file without metadata, as Python's `save_file` writes.
pub fn safetensors(tensors: &[(String, Tree)]) -> Vec<u8> {
    let (mut header, mut data) = (String::from("{"), Vec::new());
    for (index, (name, tensor)) in tensors.iter().enumerate() {
        let Tree::Tensor(shape, values) = tensor else {
            panic!("{name} is no tensor");
        };
        let start = data.len();
        data.extend(bytes(values));
        let comma = if index == 0 { "" } else { "," };
        header += &format!(
            r#"{comma}"{name}":{{"dtype":"F32","shape":{shape:?},"data_offsets":[{start},{}]}}"#,
            data.len()
        );
    }
    header.push('}');
    let len = (header.len() as u64).to_le_bytes();
    [&len, header.as_bytes(), &data].concat()
}
