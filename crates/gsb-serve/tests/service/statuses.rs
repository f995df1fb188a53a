//! What each request gets.

use gsb_explain::AttentionMaps;
use gsb_image::Image;
use gsb_serve::{Error, Options, Server};
use serde_json::json;

use crate::fixture::*;

#[test]
fn a_picture_gets_what_the_model_says() {
    let running = Running::of(vec![micro("one", 1), micro("two", 2)], Options::default());
    let (pixels, file) = picture(5);
    for (query, seed) in [("?top_k=3", 1), ("?model=two&top_k=3", 2)] {
        let response = running.post(query, "image/png", &file);
        assert_eq!(response.status, 200);
        let json = response.json();
        assert_eq!(json["model"], ["one", "two"][seed as usize - 1]);
        let expected = packed(seed).predict(&pixels).unwrap().top(3);
        let classes = json["predictions"][0]["classes"].as_array().unwrap();
        assert_eq!(classes.len(), 3);
        for (class, expected) in classes.iter().zip(expected) {
            assert_eq!(class["class"], expected.class);
            assert_eq!(class["name"], expected.class.to_string());
            let numbers = json!([class["logit"], class["probability"]]);
            assert_eq!(floats(&numbers), [expected.logit, expected.probability]);
        }
    }
    running.end().unwrap();
}

#[test]
fn several_pictures_are_answered_in_their_order() {
    let running = Running::of(vec![micro("one", 1)], Options::default());
    let pictures: Vec<_> = (0..9).map(picture).collect();
    let names: Vec<String> = (0..9).map(|index| format!("{index}.png")).collect();
    let files: Vec<(&str, &[u8])> = names
        .iter()
        .map(|name| &name[..])
        .zip(pictures.iter().map(|picture| &picture.1[..]))
        .collect();
    let (kind, body) = multipart(&files);
    let response = running.post("?top_k=99", &kind, &body);
    assert_eq!(response.status, 200);
    let json = response.json();
    let model = packed(1);
    for (index, (pixels, _)) in pictures.iter().enumerate() {
        let predicted = &json["predictions"][index];
        assert_eq!(predicted["image"], names[index]);
        assert_eq!(predicted["classes"].as_array().unwrap().len(), 10);
        assert_eq!(
            predicted["classes"][0]["class"],
            model.predict(pixels).unwrap().class()
        );
    }
}

#[test]
fn attention_comes_if_asked_for() {
    let running = Running::of(vec![micro("one", 1)], Options::default());
    let (pixels, file) = picture(5);
    let maps = AttentionMaps::of(&packed(1), &Image::new(8, 8, 1, pixels).unwrap()).unwrap();
    let attention = |what: &str| {
        let response = running.post(&format!("?attention={what}"), "image/png", &file);
        response.json()["predictions"][0]["attention"].clone()
    };
    assert!(attention("none").is_null());
    let rollout = attention("rollout");
    assert_eq!(rollout["grid"], 4);
    assert_eq!(floats(&rollout["rollout"]), maps.rollout());
    let heads = attention("heads");
    assert_eq!(floats(&heads["heads"][3][2]), maps.head(3, 2).unwrap());
    assert_eq!(heads["heads"].as_array().unwrap().len(), 4);
}

#[test]
fn what_is_wrong_gets_its_status_and_its_reason() {
    let brightness = Brightness::new();
    let models = vec![micro("one", 1), gsb_serve::Served::new("light", brightness)];
    let options = Options {
        max_body: 3000,
        max_pictures: 2,
        max_pixels: 100,
        ..Options::default()
    };
    let running = Running::of(models, options);
    let (_, file) = picture(1);
    let (several, three) = multipart(&[("a", &file), ("b", &file), ("c", &file)]);
    let (_, broken) = multipart(&[("a.png", &file), ("b.png", b"no picture")]);
    let (_, none) = multipart(&[]);
    let large = gsb_explain::png(&Image::filled(11, 10, &[1]));
    let option = b"--xyz\r\nContent-Disposition: form-data; name=\"top_k\"\r\n\r\n3\r\n--xyz--\r\n";
    let text = b"--xyz\r\nContent-Disposition: form-data; name=\"a\"; filename=\"a.txt\"\r\nContent-Type: text/plain\r\n\r\n3\r\n--xyz--\r\n";
    let png = "image/png";
    for (query, kind, body, status, reason) in [
        ("?top_k=0", png, &file[..], 400, "top_k is 0"),
        ("?top_k=-3", png, &file, 400, "top_k"),
        (
            "?top=3",
            png,
            &file,
            400,
            "unknown field `top`, expected one of",
        ),
        (
            "?attention=all",
            png,
            &file,
            400,
            "`none`, `rollout`, `heads`",
        ),
        (
            "?orientation=left",
            png,
            &file,
            400,
            "`upright` or `stored`",
        ),
        ("", png, b"", 400, "the body is empty"),
        ("", &several, b"nothing", 400, "multipart/form-data"),
        ("", &several, &none, 400, "no picture"),
        (
            "",
            &several,
            option,
            400,
            "\"top_k\" is no file: options stand in the query",
        ),
        ("", "multipart/form-data", &three, 400, "boundary"),
        (
            "?model=three",
            png,
            &file,
            404,
            "no model \"three\", there is: one, light",
        ),
        ("", png, &[0; 3001], 413, "more than 3000 bytes"),
        ("", &several, &three, 413, "more than 2 pictures"),
        (
            "",
            "application/x-www-form-urlencoded",
            &file,
            415,
            "Content-Type: application/x-www-form-urlencoded: expected a picture",
        ),
        ("", &several, text, 415, "a.txt: Content-Type: text/plain"),
        (
            "",
            png,
            b"no picture",
            422,
            "picture: not a readable picture",
        ),
        (
            "",
            png,
            &file[..file.len() / 2],
            422,
            "picture: not a readable picture",
        ),
        ("", &several, &broken, 422, "b.png: not a readable picture"),
        ("", png, &large, 422, "picture: 11 x 10 pixels, at most 100"),
        (
            "?model=light&attention=rollout",
            png,
            &file,
            422,
            "\"light\", of the kind brightness, shows none",
        ),
        ("?model=light", png, &gray(FAILS), 500, "cannot see"),
        (
            "?model=light",
            png,
            &gray(PANICS),
            500,
            "the prediction failed: too bright",
        ),
    ] {
        let response = running.post(query, kind, body);
        assert_eq!(
            response.status,
            status,
            "{query} {kind}: {}",
            response.message()
        );
        let message = response.message();
        assert!(message.contains(reason), "{query} {kind}: {message}");
    }
    let compressed = b"POST /v1/predict HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\nContent-Type: image/png\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(running.raw(compressed).status, 415);
    let untyped = b"POST /v1/predict HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n";
    assert!(running.raw(untyped).message().contains("no Content-Type"));
    let method = running.get("/v1/predict");
    assert_eq!((method.status, method.header("allow")), (405, Some("POST")));
    assert!(method.message().contains("GET /v1/predict"));
    let method = running.raw(b"DELETE / HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(
        (method.status, method.header("allow")),
        (405, Some("GET, HEAD"))
    );
    let nothing = running.get("/v2/predict");
    assert_eq!(
        (nothing.status, nothing.message().contains("/openapi.json")),
        (404, true)
    );
    // The connection goes on after a refusal whose body was read.
    let mut stream = running.connect();
    let request = String::from_utf8_lossy(&request("", "text/plain", b"text"))
        .replace("Connection: close\r\n", "");
    for _ in 0..2 {
        std::io::Write::write_all(&mut stream, request.as_bytes()).unwrap();
        assert_eq!(Response::read(&mut stream).unwrap().status, 415);
    }
    running.end().unwrap();
}

#[test]
fn the_page_is_the_one_that_was_given() {
    let running = Running::of(vec![micro("one", 1)], Options::default());
    let page = running.get("/");
    assert_eq!(
        (page.status, page.header("content-type")),
        (200, Some("text/html; charset=utf-8"))
    );
    let built_in = match cfg!(feature = "page") {
        true => "<h1>See the bits</h1>",
        false => "/v1/predict",
    };
    assert!(String::from_utf8(page.body).unwrap().contains(built_in));
    let server = Server::new(vec![micro("one", 1)], Options::default()).unwrap();
    let running = Running::new(server.with_page(&[
        ("/index.html", "text/html", b"<p>"),
        ("app/a.js", "text/javascript", b"1"),
    ]));
    for (path, body) in [
        ("/", &b"<p>"[..]),
        ("/index.html", b"<p>"),
        ("/app/a.js", b"1"),
        ("/app/a.js?v=1", b"1"),
    ] {
        let file = running.get(path);
        assert_eq!((file.status, &file.body[..]), (200, body), "{path}");
    }
    assert_eq!(
        running.get("/app/a.js").header("content-type"),
        Some("text/javascript")
    );
    assert_eq!(running.get("/app/").status, 404);
    assert_eq!(running.get("/healthz").json(), json!({"status": "ok"}));
}

/// Every file, none else, as it was made.
#[cfg(feature = "page")]
#[test]
fn the_page_of_the_repository_is_built_in() {
    let running = Running::of(vec![micro("one", 1)], Options::default());
    let made = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../web/dist");
    let mut count = 0;
    for file in std::fs::read_dir(made).unwrap() {
        let file = file.unwrap();
        let name = file.file_name().into_string().unwrap();
        let found = running.get(&format!("/{name}"));
        let kind = match name.ends_with(".html") {
            true => "text/html; charset=utf-8",
            false => "text/javascript; charset=utf-8",
        };
        assert_eq!(
            (found.status, found.header("content-type")),
            (200, Some(kind)),
            "{name}"
        );
        assert!(found.body == std::fs::read(file.path()).unwrap(), "{name}");
        count += 1;
    }
    // The program does not compile without a file that it serves.
    assert!(count > 0);
}

#[test]
fn what_cannot_be_served_is_said() {
    let options = Options::default;
    assert!(matches!(
        Server::new(vec![], options()),
        Err(Error::NoModel)
    ));
    let same = Server::new(vec![micro("a", 1), micro("a", 2)], options());
    assert!(matches!(same, Err(Error::SameName { name }) if name == "a"));
    let running = Running::of(vec![micro("a", 1)], options());
    let taken = Server::new(vec![micro("a", 1)], options())
        .unwrap()
        .bind(running.address);
    let message = taken.err().unwrap().to_string();
    assert!(
        message.starts_with(&format!("cannot listen on {}", running.address)),
        "{message}"
    );
}
