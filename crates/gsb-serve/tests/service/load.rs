//! How much the service does, and what that takes.

use std::collections::BTreeMap;
use std::io::Write;
use std::thread;
use std::time::{Duration, Instant};

use gsb_packed::{PackedConfig, PackedFile, PackedModel, PackedNetwork};
use gsb_serve::{Options, PackedPredictor, Served};

use crate::fixture::*;

/// More clients than may wait: everybody is served or told to come again, and memory is the same at the end.
#[test]
fn beyond_the_limit_there_is_no_error_but_503() {
    let options = Options {
        queue: 4,
        max_pictures: 4,
        ..Options::default()
    };
    let brightness = Brightness::new();
    let running = Running::of(vec![Served::new("light", brightness.clone())], options);
    brightness.hold(true);
    let statuses = thread::scope(|scope| {
        let post = || running.post("", "image/png", &gray(5)).status;
        // The queue stays full only once what takes pictures from it is held up.
        let mut clients = vec![scope.spawn(post)];
        until("one is at work", || brightness.batches().len() == 1);
        clients.extend((0..31).map(|_| scope.spawn(post)));
        until("the queue is full", || {
            counted(&running, "gsb_queued_pictures") == 4.0
        });
        until("others are refused", || {
            counted(
                &running,
                "gsb_requests_total{route=\"/v1/predict\",status=\"503\"}",
            ) > 0.0
        });
        brightness.hold(false);
        clients
            .into_iter()
            .map(|client| client.join().unwrap())
            .collect::<Vec<_>>()
    });
    assert!(
        statuses.iter().all(|status| [200, 503].contains(status)),
        "{statuses:?}"
    );
    // As many as wait are never refused, whether some of them are at work already or not.
    let served = statuses.iter().filter(|&&status| status == 200).count();
    assert!(served >= 4, "{statuses:?}");
}

/// `GSB_LOAD_ADDRESS` of a service, `GSB_LOAD_PICTURE`, `GSB_LOAD_CLIENTS` and `GSB_LOAD_SECONDS`: requests a
/// second, their times, and the memory of the service in the course of it. Without an address a service of a
/// network of random weights (`GSB_LOAD_MODEL=deit-small`, else a tiny one) is started, which shares the processor and the memory with the clients.
#[test]
#[ignore = "a measurement"]
fn load() {
    let said = |name: &str| std::env::var(format!("GSB_LOAD_{name}")).ok();
    let number =
        |name: &str, usual: usize| said(name).map_or(usual, |text| text.parse().expect("a number"));
    let (clients, seconds) = (number("CLIENTS", 16), number("SECONDS", 10));
    let file = said("PICTURE").map_or_else(
        || picture(1).1,
        |path| std::fs::read(path).expect("a picture"),
    );
    let config = match said("MODEL").as_deref() {
        Some("deit-small") => PackedConfig::deit_small(1000),
        None => PackedConfig::micro(),
        Some(other) => panic!("GSB_LOAD_MODEL is {other:?}, expected deit-small"),
    };
    let own = said("ADDRESS").is_none().then(|| {
        let network = PackedNetwork::random(&config, 1).unwrap();
        let model = PackedModel::new(PackedFile::unnamed(network)).unwrap();
        let served = Served::new("random", PackedPredictor::new(model, 0).unwrap());
        Running::of(vec![served], Options::default())
    });
    let address = match &own {
        Some(running) => running.address,
        None => said("ADDRESS").unwrap().parse().expect("an address"),
    };
    let connect = || std::net::TcpStream::connect(address).expect("the service listens");
    let resident = || {
        let mut stream = connect();
        stream
            .write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
            .unwrap();
        let text = String::from_utf8(Response::read(&mut stream).unwrap().body).unwrap();
        let line = text
            .lines()
            .find(|line| line.starts_with("gsb_resident_memory_bytes"))
            .unwrap();
        line.rsplit(' ').next().unwrap().parse::<f64>().unwrap() / 1e6
    };
    let query = said("QUERY").unwrap_or_default();
    let request = request(&query, "image/jpeg", &file);
    let end = request
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .unwrap()
        + 4;
    let head = String::from_utf8_lossy(&request[..end]).replace("Connection: close\r\n", "");
    let request = [head.as_bytes(), &file].concat();
    let start = Instant::now();
    let time = Duration::from_secs(seconds as u64);
    let (mut times, mut statuses, memory) = thread::scope(|scope| {
        let client = || {
            let (mut times, mut statuses) = (Vec::new(), BTreeMap::new());
            let mut stream = connect();
            stream.set_nodelay(true).unwrap();
            while start.elapsed() < time {
                let sent = Instant::now();
                stream.write_all(&request).unwrap();
                let status = Response::read(&mut stream).expect("an answer").status;
                *statuses.entry(status).or_insert(0) += 1;
                if status == 200 {
                    times.push(sent.elapsed());
                } else {
                    thread::sleep(Duration::from_millis(100));
                }
            }
            (times, statuses)
        };
        let clients: Vec<_> = (0..clients).map(|_| scope.spawn(client)).collect();
        let mut memory = Vec::new();
        while start.elapsed() < time {
            memory.push(resident());
            thread::sleep((time / 10).min(time.saturating_sub(start.elapsed())));
        }
        memory.push(resident());
        let (mut times, mut statuses) = (Vec::new(), BTreeMap::<u16, usize>::new());
        for client in clients {
            let (of_client, found) = client.join().unwrap();
            times.extend(of_client);
            for (status, count) in found {
                *statuses.entry(status).or_default() += count;
            }
        }
        (times, statuses, memory)
    });
    times.sort();
    let quantile =
        |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
    println!(
        "{clients} clients, {seconds} s: {:.0} requests/s, p50 {:.1} ms, p99 {:.1} ms, most {:.1} ms",
        times.len() as f64 / start.elapsed().as_secs_f64(),
        quantile(0.5),
        quantile(0.99),
        quantile(1.0)
    );
    println!("statuses {statuses:?}, memory in MB {memory:.1?}");
    statuses.retain(|status, _| ![200, 503].contains(status));
    assert!(statuses.is_empty(), "{statuses:?}");
}
