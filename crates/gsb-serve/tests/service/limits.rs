//! Room, memory and time, and the end.

use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use gsb_explain::AttentionMaps;
use gsb_image::Image;
use gsb_serve::{AttentionShape, Card, Error, Options, Predictor, Served};

use crate::fixture::*;

fn held(options: Options) -> (Running, Brightness) {
    let brightness = Brightness::new();
    let running = Running::of(vec![Served::new("light", brightness.clone())], options);
    brightness.hold(true);
    (running, brightness)
}

#[test]
fn a_full_queue_is_said_at_once() {
    let options = Options {
        queue: 2,
        max_pictures: 2,
        max_batch: 1,
        ..Options::default()
    };
    let (running, brightness) = held(options);
    thread::scope(|scope| {
        let post = |light| {
            scope.spawn({
                let running = &running;
                move || running.post("", "image/png", &gray(light))
            })
        };
        let mut waiting = vec![post(1)];
        until("one is at work", || brightness.batches().len() == 1);
        waiting.extend([post(2), post(3)]);
        until("two wait", || {
            counted(&running, "gsb_queued_pictures") == 2.0
        });
        let refused = running.post("", "image/png", &gray(4));
        assert_eq!(
            (refused.status, refused.header("retry-after")),
            (503, Some("1"))
        );
        assert!(refused.message().contains("wait for model \"light\""));
        brightness.hold(false);
        for answer in waiting {
            assert_eq!(answer.join().unwrap().status, 200);
        }
    });
    assert_eq!(running.post("", "image/png", &gray(4)).status, 200);
}

#[test]
fn a_request_of_more_pictures_than_there_is_room_for_is_refused_whole() {
    let options = Options {
        queue: 3,
        max_pictures: 3,
        max_batch: 1,
        ..Options::default()
    };
    let (running, brightness) = held(options);
    let file = gray(1);
    let (kind, two) = multipart(&[("a", &file), ("b", &file)]);
    thread::scope(|scope| {
        let first = scope.spawn(|| running.post("", "image/png", &file));
        until("the first is at work", || brightness.batches().len() == 1);
        let second = scope.spawn(|| running.post("", &kind, &two));
        until("two wait", || {
            counted(&running, "gsb_queued_pictures") == 2.0
        });
        // One of them would find room.
        let refused = running.post("", &kind, &two);
        assert_eq!(refused.status, 503);
        assert!(refused.message().contains("2 pictures wait already, 3 may"));
        assert_eq!(counted(&running, "gsb_queued_pictures"), 2.0);
        let third = scope.spawn(|| running.post("", "image/png", &file));
        until("three wait", || {
            counted(&running, "gsb_queued_pictures") == 3.0
        });
        brightness.hold(false);
        for (answer, pictures) in [(first, 1), (second, 2), (third, 1)] {
            let answer = answer.join().unwrap().json();
            assert_eq!(answer["predictions"].as_array().unwrap().len(), pictures);
        }
    });
}

#[test]
fn an_answer_that_takes_too_long_is_given_up() {
    let options = Options {
        answer_timeout: Duration::from_millis(300),
        max_batch: 1,
        ..Options::default()
    };
    let (running, brightness) = held(options);
    thread::scope(|scope| {
        let first = scope.spawn(|| running.post("", "image/png", &gray(1)));
        until("the first is at work", || brightness.batches().len() == 1);
        let second = scope.spawn(|| running.post("", "image/png", &gray(2)));
        for late in [first, second] {
            let late = late.join().unwrap();
            assert_eq!(late.status, 504);
            assert!(late.message().contains("within 0.3 s"));
        }
    });
    brightness.hold(false);
    assert_eq!(running.post("", "image/png", &gray(3)).status, 200);
    // Nobody classified the picture whose request was given up while it waited.
    assert_eq!(brightness.batches(), [1, 1]);
}

#[test]
fn a_client_that_has_left_is_not_worked_for() {
    let (running, brightness) = held(Options {
        max_batch: 1,
        ..Options::default()
    });
    thread::scope(|scope| {
        let first = scope.spawn(|| running.post("", "image/png", &gray(1)));
        until("the first is at work", || brightness.batches().len() == 1);
        let mut left = running.connect();
        left.write_all(&request("", "image/png", &gray(2))).unwrap();
        until("the second waits", || {
            counted(&running, "gsb_queued_pictures") == 1.0
        });
        drop(left);
        until("its connection is closed", || {
            counted(&running, "gsb_connections") == 2.0
        });
        brightness.hold(false);
        first.join().unwrap();
    });
    assert_eq!(running.post("", "image/png", &gray(3)).status, 200);
    assert_eq!(brightness.batches(), [1, 1]);
}

#[test]
fn bodies_take_no_more_memory_than_there_is() {
    let options = Options {
        memory: 4000,
        max_body: 3000,
        ..Options::default()
    };
    let (running, _) = held(options);
    let mut half = running.connect();
    let request = request("", "image/png", &[0; 3000]);
    half.write_all(&request[..request.len() - 100]).unwrap();
    until("it is held", || {
        counted(&running, "gsb_body_bytes") == 2900.0
    });
    let refused = running.post("", "image/png", &[0; 2000]);
    assert_eq!(
        (refused.status, refused.header("retry-after")),
        (503, Some("1"))
    );
    assert!(
        refused.message().contains("memory"),
        "{}",
        refused.message()
    );
    // Smaller ones are served, though they cannot be decoded.
    drop(half);
    until("it is given back", || {
        counted(&running, "gsb_body_bytes") == 0.0
    });
    assert_eq!(running.post("", "image/png", &[0; 2000]).status, 422);
}

/// What waits for nobody gives its memory to those who come.
#[test]
fn bodies_of_those_who_left_take_no_memory() {
    let options = Options {
        memory: 4000,
        max_body: 3000,
        max_batch: 1,
        answer_timeout: Duration::from_millis(500),
        ..Options::default()
    };
    let (running, brightness) = held(options);
    let small = gray(1);
    assert!(small.len() < 500);
    thread::scope(|scope| {
        let first = scope.spawn(|| running.post("", "image/png", &small));
        until("the first is at work", || brightness.batches().len() == 1);
        // Each takes most of the memory, and none is decoded.
        for _ in 0..3 {
            assert_eq!(running.post("", "image/png", &[0; 2900]).status, 504);
            assert_eq!(counted(&running, "gsb_queued_pictures"), 1.0);
            assert!(counted(&running, "gsb_body_bytes") >= 2900.0);
        }
        assert_eq!(first.join().unwrap().status, 504);
    });
    brightness.hold(false);
    until("all memory is given back", || {
        counted(&running, "gsb_body_bytes") == 0.0
    });
}

/// A model that counts how often it is asked for attention, of which it has none to show.
struct Asked {
    brightness: Brightness,
    card: Card,
    times: Arc<AtomicUsize>,
}

impl Predictor for Asked {
    fn card(&self) -> &Card {
        &self.card
    }

    fn logits(&self, images: &[Image]) -> Result<Vec<Vec<f32>>, String> {
        self.brightness.logits(images)
    }

    fn attention(&self, _: &Image) -> Result<AttentionMaps, String> {
        self.times.fetch_add(1, Ordering::Relaxed);
        Err("none to show".into())
    }
}

#[test]
fn those_who_left_in_the_middle_of_a_batch_are_not_worked_for() {
    let (brightness, times) = (Brightness::new(), Arc::new(AtomicUsize::new(0)));
    let attention = AttentionShape {
        layers: 1,
        heads: 1,
        grid: 1,
    };
    let asked = Asked {
        brightness: brightness.clone(),
        card: Card {
            attention: Some(attention),
            ..brightness.card().clone()
        },
        times: times.clone(),
    };
    let options = Options {
        answer_timeout: Duration::from_millis(500),
        ..Options::default()
    };
    let running = Running::of(vec![Served::new("asked", asked)], options);
    brightness.hold(true);
    let query = "?attention=rollout";
    assert_eq!(running.post(query, "image/png", &gray(1)).status, 504);
    assert_eq!(brightness.batches(), [1]);
    brightness.hold(false);
    // The next comes after all of the first.
    until("others are served", || {
        running.post("", "image/png", &gray(2)).status == 200
    });
    assert_eq!(times.load(Ordering::Relaxed), 0);
}

#[test]
fn bodies_without_a_length_have_the_same_limit() {
    let (running, brightness) = held(Options {
        max_body: 3000,
        ..Options::default()
    });
    brightness.hold(false);
    let chunked = |body: &[u8]| {
        let head = b"POST /v1/predict HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n";
        let mut request = head.to_vec();
        for chunk in body.chunks(50) {
            request.extend(format!("{:x}\r\n", chunk.len()).bytes());
            request.extend(chunk);
            request.extend(b"\r\n");
        }
        request.extend(b"0\r\n\r\n");
        running.raw(&request)
    };
    assert_eq!(chunked(&gray(8)).status, 200);
    assert_eq!(chunked(&[0; 3001]).status, 413);
}

/// It was asked for the body, and is sending it when it is refused.
#[test]
fn a_client_that_waited_to_be_asked_sees_a_refusal_while_it_sends() {
    let (running, brightness) = held(Options {
        max_body: 3000,
        ..Options::default()
    });
    brightness.hold(false);
    let mut stream = running.connect();
    let head = b"POST /v1/predict HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n";
    stream.write_all(head).unwrap();
    let mut asked = [0; 25];
    stream.read_exact(&mut asked).unwrap();
    assert_eq!(&asked, b"HTTP/1.1 100 Continue\r\n\r\n");
    let chunk = |len: usize| [format!("{len:x}\r\n").as_bytes(), &vec![0; len], b"\r\n"].concat();
    stream.write_all(&chunk(3001)).unwrap();
    // By then it is refused; a connection that was closed says so at the second of these.
    for _ in 0..3 {
        thread::sleep(Duration::from_millis(100));
        stream.write_all(&chunk(100)).unwrap();
    }
    stream.write_all(b"0\r\n\r\n").unwrap();
    assert_eq!(Response::read(&mut stream).unwrap().status, 413);
}

#[test]
fn more_connections_than_are_taken_are_told() {
    let (running, brightness) = held(Options {
        connections: 2,
        ..Options::default()
    });
    brightness.hold(false);
    let taken = [running.connect(), running.connect()];
    // Those two have been taken when they are answered.
    for mut stream in &taken {
        stream
            .write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            .unwrap();
        assert_eq!(Response::read(&mut stream).unwrap().status, 200);
    }
    let refused = running.get("/healthz");
    assert_eq!(
        (refused.status, refused.header("retry-after")),
        (503, Some("1"))
    );
    assert!(refused.message().contains("connections"));
    drop(taken);
    until("there is room again", || {
        running.get("/healthz").status == 200
    });
    assert!(counted(&running, "gsb_refused_connections_total") >= 1.0);
}

#[test]
fn the_end_finishes_what_was_accepted() {
    let (running, brightness) = held(Options {
        max_batch: 1,
        ..Options::default()
    });
    let address = running.address;
    thread::scope(|scope| {
        let post = |light| {
            scope.spawn({
                let running = &running;
                move || running.post("", "image/png", &gray(light))
            })
        };
        let answers: Vec<_> = (1..=4).map(post).collect();
        until("one is at work, three wait", || {
            counted(&running, "gsb_queued_pictures") == 3.0
        });
        // A body of which half is there, and a connection that says nothing any more.
        let request = request("", "image/png", &gray(5));
        let (start, rest) = request.split_at(request.len() - 20);
        let mut half = running.connect();
        half.write_all(start).unwrap();
        until("half a body is there", || {
            counted(&running, "gsb_body_bytes") > 4.0 * gray(1).len() as f64
        });
        let mut silent = running.connect();
        silent
            .write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            .unwrap();
        assert_eq!(Response::read(&mut silent).unwrap().status, 200);

        running.stopper.stop();
        // The silent one is closed, and no other is taken.
        assert_eq!(silent.read(&mut [0; 1]).unwrap(), 0);
        until("nobody listens", || {
            std::net::TcpStream::connect(address).is_err()
        });
        half.write_all(rest).unwrap();
        brightness.hold(false);
        for answer in answers {
            assert_eq!(answer.join().unwrap().status, 200);
        }
        let answer = Response::read(&mut half).unwrap();
        assert_eq!(
            (answer.status, answer.header("connection")),
            (200, Some("close"))
        );
    });
    running.end().unwrap();
}

#[test]
fn the_end_waits_no_longer_than_it_may() {
    let options = Options {
        drain_timeout: Duration::from_millis(200),
        ..Options::default()
    };
    let (running, brightness) = held(options);
    let mut stream = running.connect();
    stream
        .write_all(&request("", "image/png", &gray(1)))
        .unwrap();
    until("it is at work", || brightness.batches().len() == 1);
    let start = Instant::now();
    let end = running.end();
    assert!(matches!(end, Err(Error::Cut { connections: 1 })), "{end:?}");
    assert!(start.elapsed() < Duration::from_secs(20));
    brightness.hold(false);
}
