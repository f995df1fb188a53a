//! Serves predictions over HTTP with a packed model and nothing else: `serve FILE [ADDRESS]`. A request's
//! body is height times width times channels bytes, the answer the likeliest class.

use gsb_packed::PackedModel;
use std::io::{BufRead, BufReader, Read, Write};
use std::{error::Error, net::TcpListener, net::TcpStream, thread, time::Duration};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let model = PackedModel::open(arguments.next().ok_or("usage: serve FILE [ADDRESS]")?)?;
    let model: &PackedModel = Box::leak(Box::new(model)); // As long as the program.
    let listener = TcpListener::bind(arguments.next().as_deref().unwrap_or("127.0.0.1:8080"))?;
    println!("listening on {}", listener.local_addr()?);
    for stream in listener.incoming().flatten() {
        thread::spawn(move || match classify(model, &stream) {
            Ok(text) => write!(&stream, "HTTP/1.0 200 OK\r\n\r\n{text}\n"),
            Err(error) => write!(&stream, "HTTP/1.0 400 Bad Request\r\n\r\n{error}\n"),
        });
    }
    Ok(())
}

fn classify(model: &PackedModel, stream: &TcpStream) -> Result<String, Box<dyn Error>> {
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let most = model.config().pixels() as u64 + 65536; // More than an image is not kept.
    let mut request = BufReader::new(stream.take(most));
    let (mut length, mut pixels) = (0, Vec::new());
    for line in request.by_ref().lines().skip(1) {
        match line?.to_lowercase().split_once(':') {
            Some(("content-length", value)) => length = value.trim().parse()?,
            Some(_) => {}
            None => break,
        }
    }
    request.take(length).read_to_end(&mut pixels)?;
    let best = model.predict(&pixels)?.top(1)[0];
    let name = &model.class_names()[best.class];
    Ok(format!("{name} ({:.1} %)", 100.0 * best.probability))
}
