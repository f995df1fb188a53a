//! A running service and who speaks with it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use gsb_explain::png;
use gsb_image::{EvalTransform, Image, Normalization};
use gsb_packed::{PackedConfig, PackedFile, PackedModel, PackedNetwork, Random};
use gsb_serve::{Card, Error, Options, PackedPredictor, Predictor, Served, Server, Stopper};
use serde_json::Value;

/// A service on a thread of its own, ended when it is dropped.
pub struct Running {
    pub address: SocketAddr,
    pub stopper: Stopper,
    thread: Option<JoinHandle<Result<(), Error>>>,
}

impl Running {
    pub fn new(server: Server) -> Self {
        let bound = server.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let (address, stopper) = (bound.address(), bound.stopper());
        let thread = std::thread::spawn(move || bound.run());
        Self {
            address,
            stopper,
            thread: Some(thread),
        }
    }

    pub fn of(models: Vec<Served>, options: Options) -> Self {
        Self::new(Server::new(models, options).unwrap())
    }

    /// How it ends.
    pub fn end(mut self) -> Result<(), Error> {
        self.stopper.stop();
        self.thread.take().unwrap().join().unwrap()
    }

    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(60)))
            .unwrap();
        stream
    }

    /// The answer to a request in words.
    pub fn raw(&self, request: &[u8]) -> Response {
        let mut stream = self.connect();
        stream.write_all(request).unwrap();
        Response::read(&mut stream).unwrap()
    }

    pub fn get(&self, path: &str) -> Response {
        self.raw(format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").as_bytes())
    }

    /// The answer to a body of a type.
    pub fn post(&self, query: &str, kind: &str, body: &[u8]) -> Response {
        self.raw(&request(query, kind, body))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stopper.stop();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

pub fn request(query: &str, kind: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!(
        "POST /v1/predict{query} HTTP/1.1\r\nHost: x\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    [head.as_bytes(), body].concat()
}

/// Several files as a browser sends them: the type and the body.
pub fn multipart(files: &[(&str, &[u8])]) -> (String, Vec<u8>) {
    let mut body = Vec::new();
    for (name, bytes) in files {
        let head = format!(
            "--xyz\r\nContent-Disposition: form-data; name=\"image\"; filename=\"{name}\"\r\n\r\n"
        );
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(bytes);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"--xyz--\r\n");
    ("multipart/form-data; boundary=xyz".into(), body)
}

#[derive(Debug)]
pub struct Response {
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Response {
    /// Reads an answer; none if the connection is closed before one.
    pub fn read(stream: &mut impl Read) -> Option<Self> {
        let mut bytes = Vec::new();
        let mut byte = [0];
        while !bytes.ends_with(b"\r\n\r\n") {
            if stream.read(&mut byte).ok()? == 0 {
                return None;
            }
            bytes.push(byte[0]);
        }
        let head = String::from_utf8(bytes).unwrap();
        let mut lines = head.lines();
        let status = lines.next()?.split(' ').nth(1)?.parse().unwrap();
        if status == 100 {
            return Self::read(stream);
        }
        let headers: Vec<(String, String)> = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_lowercase(), value.to_string()))
            .collect();
        let mut response = Self {
            status,
            headers,
            body: Vec::new(),
        };
        let length = response
            .header("content-length")
            .map_or(0, |length| length.parse().unwrap());
        response.body = vec![0; length];
        stream.read_exact(&mut response.body).ok()?;
        Some(response)
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let header = self.headers.iter().find(|header| header.0 == name);
        header.map(|header| &header.1[..])
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// What an error says.
    pub fn message(&self) -> String {
        let json = self.json();
        assert_eq!(json["error"]["status"], self.status, "{json}");
        json["error"]["message"].as_str().unwrap().into()
    }
}

/// Counts of `/metrics` whose lines begin so, added up.
pub fn counted(running: &Running, start: &str) -> f64 {
    let text = String::from_utf8(running.get("/metrics").body).unwrap();
    let lines = text.lines().filter(|line| line.starts_with(start));
    lines
        .map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap())
        .sum()
}

/// Waits until something is so.
pub fn until(what: &str, mut so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !so() {
        assert!(start.elapsed() < Duration::from_secs(60), "never: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

pub fn packed(seed: u64) -> PackedModel {
    let network = PackedNetwork::random(&PackedConfig::micro(), seed).unwrap();
    PackedModel::new(PackedFile::unnamed(network)).unwrap()
}

pub fn micro(name: &str, seed: u64) -> Served {
    Served::new(name, PackedPredictor::new(packed(seed), 1000).unwrap())
}

/// The pixels of a random picture, and its file.
pub fn picture(seed: u64) -> (Vec<u8>, Vec<u8>) {
    let pixels = Random::new(seed).image(&PackedConfig::micro());
    let image = Image::new(8, 8, 1, pixels.clone()).unwrap();
    (pixels, png(&image))
}

/// A gray picture: what [`Brightness`] takes for a class.
pub fn gray(light: u8) -> Vec<u8> {
    png(&Image::filled(8, 8, &[light]))
}

/// Brightness from which [`Brightness`] panics.
pub const PANICS: u8 = 250;

/// Brightness for which [`Brightness`] says what is wrong.
pub const FAILS: u8 = 240;

/// Says how bright pictures are, in batches that can be held up.
#[derive(Clone)]
pub struct Brightness {
    card: Card,
    state: Arc<(Mutex<State>, Condvar)>,
}

#[derive(Default)]
struct State {
    held: bool,
    batches: Vec<usize>,
}

impl Brightness {
    pub fn new() -> Self {
        let card = Card {
            kind: "brightness".into(),
            classes: (0..256).map(|light| format!("light {light}")).collect(),
            preprocessing: EvalTransform::new(8, Normalization::half(1)),
            bytes: 0,
            attention: None,
        };
        Self {
            card,
            state: Arc::default(),
        }
    }

    /// From now on batches wait, or do not any more.
    pub fn hold(&self, held: bool) {
        self.state.0.lock().unwrap().held = held;
        self.state.1.notify_all();
    }

    /// Sizes of the batches that have come.
    pub fn batches(&self) -> Vec<usize> {
        self.state.0.lock().unwrap().batches.clone()
    }
}

impl Predictor for Brightness {
    fn card(&self) -> &Card {
        &self.card
    }

    fn logits(&self, images: &[Image]) -> Result<Vec<Vec<f32>>, String> {
        let mut state = self.state.0.lock().unwrap();
        state.batches.push(images.len());
        drop(self.state.1.wait_while(state, |state| state.held).unwrap());
        let light = |image: &Image| image.pixels[0];
        assert!(
            images.iter().all(|image| light(image) < PANICS),
            "too bright"
        );
        if images.iter().any(|image| light(image) == FAILS) {
            return Err("cannot see".into());
        }
        let logits = |image| {
            let mut logits = vec![0.0; 256];
            logits[usize::from(light(image))] = 9.0;
            logits
        };
        Ok(images.iter().map(logits).collect())
    }
}

/// The numbers of an answer as single precision reads them: to the last bit, as JSON has the shortest text of
/// each.
pub fn floats(value: &Value) -> Vec<f32> {
    serde_json::from_value(value.clone()).unwrap()
}
