//! Requests that nobody means.

use std::io::Write;
use std::thread;
use std::time::Duration;

use gsb_packed::Random;
use gsb_serve::Options;

use crate::fixture::*;

/// Mutated requests; `GSB_MUTATIONS` says how many, and 100,000 are those of a release.
fn mutations() -> usize {
    let count = std::env::var("GSB_MUTATIONS").ok();
    count.map_or(1500, |count| count.parse().expect("a number of requests"))
}

/// What ends or begins a part of a request.
const SEPARATORS: &[u8] = b"\r\n:;=\0\"-%&? 09";

/// A sound request, changed in a few places, cut off or put together with another.
fn mutated(seeds: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut request = seeds[random.below(seeds.len())].clone();
    for _ in 0..=random.below(4) {
        let at = random.below(request.len());
        match random.below(7) {
            0 => request[at] = random.bits() as u8,
            1 => request[at] ^= 1 << random.below(8),
            2 => drop(request.remove(at)),
            3 => request.insert(at, SEPARATORS[random.below(SEPARATORS.len())]),
            4 => {
                let end = (at + random.below(64)).min(request.len());
                let part = request[at..end].to_vec();
                let to = random.below(request.len());
                request.splice(to..to, part);
            }
            5 => {
                let other = &seeds[random.below(seeds.len())];
                request.truncate(at);
                request.extend_from_slice(&other[at.min(other.len())..]);
            }
            _ => request.truncate(at.max(1)),
        }
        if request.is_empty() {
            request.push(b'G');
        }
    }
    request
}

/// Nothing that a client sends makes the service panic, and all of them are answered or cut off in time.
#[test]
fn no_request_harms_the_service() {
    let options = Options {
        header_timeout: Duration::from_millis(100),
        body_timeout: Duration::from_millis(100),
        max_pixels: 1 << 16,
        ..Options::default()
    };
    let running = Running::of(vec![micro("one", 1)], options);
    let file = picture(1).1;
    let (kind, several) = multipart(&[("a.png", &file), ("b.png", &gray(3))]);
    let chunked = [
        &b"POST /v1/predict HTTP/1.1\r\nHost: x\r\nContent-Type: image/x-portable-graymap\r\nTransfer-Encoding: chunked\r\n\r\nb\r\nP5 2 2 255 \r\n"[..],
        b"4\r\nabcd\r\n0\r\n\r\n",
    ]
    .concat();
    let seeds = [
        request("?top_k=3&attention=rollout", "image/png", &file),
        request("?model=one&orientation=stored", &kind, &several),
        request("?attention=heads", "image/png", &gray(9)),
        chunked,
        b"GET /v1/models HTTP/1.1\r\nHost: x\r\nAccept: */*\r\n\r\n".to_vec(),
        b"HEAD /metrics HTTP/1.0\r\n\r\n".to_vec(),
    ];
    const CLIENTS: usize = 64;
    let count = mutations();
    let answered: usize = thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| {
                let (running, seeds) = (&running, &seeds);
                scope.spawn(move || {
                    let mut random = Random::new(client as u64);
                    let mut answered = 0;
                    for _ in 0..count.div_ceil(CLIENTS) {
                        let request = mutated(seeds, &mut random);
                        let mut stream = running.connect();
                        // It may be closed in the middle.
                        let _ = stream.write_all(&request);
                        if random.below(2) == 0 {
                            let _ = stream.shutdown(std::net::Shutdown::Write);
                        }
                        answered += usize::from(Response::read(&mut stream).is_some());
                    }
                    answered
                })
            })
            .collect();
        clients
            .into_iter()
            .map(|client| client.join().unwrap())
            .sum()
    });
    // Most are understood, or understood to be malformed; the others were cut short by their clients.
    assert!(answered * 4 > count, "{answered} of {count} were answered");
    assert_eq!(counted(&running, "gsb_panics_total"), 0.0);
    assert_eq!(
        counted(
            &running,
            "gsb_requests_total{route=\"/v1/predict\",status=\"500\"}"
        ),
        0.0
    );
    until("all connections are closed", || {
        counted(&running, "gsb_connections") == 1.0
    });
    until("all memory is given back", || {
        counted(&running, "gsb_body_bytes") == 0.0
    });
    assert_eq!(running.post("", "image/png", &file).status, 200);
    running.end().unwrap();
}
