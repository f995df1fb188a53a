//! Clients that are slow, or stop in the middle.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use gsb_serve::{Options, Served};

use crate::fixture::*;

const SHORT: Duration = Duration::from_millis(400);

fn impatient() -> (Running, Brightness) {
    let brightness = Brightness::new();
    let options = Options {
        header_timeout: SHORT,
        body_timeout: SHORT,
        write_timeout: SHORT,
        ..Options::default()
    };
    (
        Running::of(
            vec![Served::new("light", brightness.clone()), micro("one", 1)],
            options,
        ),
        brightness,
    )
}

/// Others are served meanwhile.
fn others_are_served(running: &Running) {
    for light in 1..=20 {
        assert_eq!(running.post("", "image/png", &gray(light)).status, 200);
    }
}

#[test]
fn half_bodies_hold_nobody_up() {
    let (running, _) = impatient();
    let file = gray(1);
    let request = request("", "image/png", &file);
    let mut halves: Vec<_> = (0..100)
        .map(|index| {
            let mut stream = running.connect();
            stream
                .write_all(&request[..request.len() - 1 - index % file.len()])
                .unwrap();
            stream
        })
        .collect();
    others_are_served(&running);
    let gone = halves.split_off(50);
    drop(gone);
    for mut half in halves {
        let answer = Response::read(&mut half).unwrap();
        assert_eq!(
            (answer.status, answer.header("connection")),
            (408, Some("close"))
        );
        assert!(answer.message().contains("longer than 0.4 s"));
        assert_eq!(half.read(&mut [0; 1]).unwrap(), 0);
    }
    until("all memory is given back", || {
        counted(&running, "gsb_body_bytes") == 0.0
    });
    until("all connections are closed", || {
        counted(&running, "gsb_connections") == 1.0
    });
}

#[test]
fn a_body_that_trickles_is_cut_off() {
    let (running, _) = impatient();
    let request = request("", "image/png", &[0; 5000]);
    let mut stream = running.connect();
    let start = Instant::now();
    let (head, body) = request.split_at(request.len() - 5000);
    stream.write_all(head).unwrap();
    for byte in body {
        if start.elapsed() > 3 * SHORT || stream.write_all(&[*byte]).is_err() {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(
        Response::read(&mut stream).map(|answer| answer.status),
        Some(408)
    );
    others_are_served(&running);
}

#[test]
fn slow_headers_are_cut_off() {
    let (running, _) = impatient();
    let mut slow: Vec<_> = (0..50)
        .map(|_| {
            let mut stream = running.connect();
            stream
                .write_all(b"POST /v1/predict HTTP/1.1\r\nHost: ")
                .unwrap();
            stream
        })
        .collect();
    let mut silent = running.connect();
    others_are_served(&running);
    for stream in slow.iter_mut().chain([&mut silent]) {
        let start = Instant::now();
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest);
        assert!(start.elapsed() < Duration::from_secs(30));
        assert!(!rest.starts_with(b"HTTP/1.1 200"));
    }
    until("all connections are closed", || {
        counted(&running, "gsb_connections") == 1.0
    });
}

#[test]
fn answers_that_nobody_reads_hold_nobody_up() {
    let (running, _) = impatient();
    is_cut_off_if_deaf(&running);
}

#[test]
fn answers_have_a_time_to_be_read_in() {
    let long = Duration::from_secs(600);
    let options = Options {
        header_timeout: long,
        body_timeout: long,
        answer_timeout: long,
        write_timeout: long,
        send_timeout: SHORT,
        ..Options::default()
    };
    let models = vec![Served::new("light", Brightness::new()), micro("one", 1)];
    is_cut_off_if_deaf(&Running::of(models, options));
}

/// A client that reads none of its answers.
fn is_cut_off_if_deaf(running: &Running) {
    let file = picture(1).1;
    let names: Vec<String> = (0..64).map(|index| index.to_string()).collect();
    let files: Vec<(&str, &[u8])> = names.iter().map(|name| (&name[..], &file[..])).collect();
    let (kind, body) = multipart(&files);
    let request = request("?model=one&attention=heads", &kind, &body);
    let request = String::from_utf8_lossy(&request[..request.len() - body.len()])
        .replace("Connection: close\r\n", "");
    let request = [request.as_bytes(), &body].concat();
    let mut deaf = running.connect();
    deaf.set_write_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    // Until answers fill what lies between, which is megabytes, and the connection is cut.
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(40) && deaf.write_all(&request).is_ok() {}
    others_are_served(running);
    until("it is cut off", || {
        counted(running, "gsb_connections") == 1.0
    });
}
