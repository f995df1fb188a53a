//! Pictures that wait are classified together, and what fails fails alone.

use std::thread;

use gsb_serve::{Options, Served};

use crate::fixture::*;

/// Sends pictures of these brightnesses, one a request, while the first is held up; what each gets.
fn while_held(running: &Running, brightness: &Brightness, lights: &[u8]) -> Vec<Response> {
    brightness.hold(true);
    let before = brightness.batches().len();
    thread::scope(|scope| {
        let post = |light: u8| running.post("", "image/png", &gray(light));
        let first = scope.spawn(move || post(0));
        until("the first is at work", || {
            brightness.batches().len() > before
        });
        let others: Vec<_> = lights
            .iter()
            .map(|&light| scope.spawn(move || post(light)))
            .collect();
        until("the others wait", || {
            counted(running, "gsb_queued_pictures") == lights.len() as f64
        });
        brightness.hold(false);
        assert_eq!(first.join().unwrap().status, 200);
        others
            .into_iter()
            .map(|other| other.join().unwrap())
            .collect()
    })
}

fn class(response: &Response) -> u64 {
    response.json()["predictions"][0]["classes"][0]["class"]
        .as_u64()
        .unwrap()
}

#[test]
fn those_who_wait_are_a_batch() {
    let brightness = Brightness::new();
    let options = Options {
        max_batch: 6,
        ..Options::default()
    };
    let running = Running::of(vec![Served::new("light", brightness.clone())], options);
    let lights: Vec<u8> = (1..=10).collect();
    let answers = while_held(&running, &brightness, &lights);
    // Everybody gets the answer to their own picture.
    assert_eq!(
        answers.iter().map(class).collect::<Vec<_>>(),
        (1..=10).collect::<Vec<_>>()
    );
    assert_eq!(brightness.batches(), [1, 6, 4]);
    assert_eq!(counted(&running, "gsb_batch_pictures_count"), 3.0);
    assert_eq!(counted(&running, "gsb_batch_pictures_sum"), 11.0);
    assert_eq!(
        counted(
            &running,
            "gsb_requests_total{route=\"/v1/predict\",status=\"200\"}"
        ),
        11.0
    );
}

#[test]
fn a_panic_takes_nobody_with_it() {
    let brightness = Brightness::new();
    let running = Running::of(
        vec![Served::new("light", brightness.clone())],
        Options::default(),
    );
    for round in 1..=3 {
        let answers = while_held(&running, &brightness, &[1, PANICS, 3, 4]);
        let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
        assert_eq!(statuses, [200, 500, 200, 200]);
        assert_eq!(class(&answers[3]), 4);
        assert!(answers[1].message().contains("too bright"));
        // The batch, and the picture alone.
        assert_eq!(
            counted(&running, "gsb_panics_total"),
            2.0 * f64::from(round)
        );
    }
    running.end().unwrap();
}

#[test]
fn a_broken_picture_spoils_no_other() {
    let brightness = Brightness::new();
    let running = Running::of(
        vec![Served::new("light", brightness.clone())],
        Options::default(),
    );
    brightness.hold(true);
    thread::scope(|scope| {
        let first = scope.spawn(|| running.post("", "image/png", &gray(0)));
        until("the first is at work", || brightness.batches().len() == 1);
        let broken = scope.spawn(|| running.post("", "image/png", b"no picture"));
        let sound = scope.spawn(|| running.post("", "image/png", &gray(7)));
        until("both wait", || {
            counted(&running, "gsb_queued_pictures") == 2.0
        });
        brightness.hold(false);
        assert_eq!(first.join().unwrap().status, 200);
        assert_eq!(broken.join().unwrap().status, 422);
        assert_eq!(class(&sound.join().unwrap()), 7);
    });
    assert_eq!(brightness.batches(), [1, 1]);
}
