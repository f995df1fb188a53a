//! The description says what the service does.

use boon::{Compiler, Schemas};
use gsb_serve::{OPENAPI, Options, Served};
use serde_json::{Value, json};

use crate::fixture::*;

/// Where the description would be, for what refers to parts of it.
const LOCATION: &str = "http://localhost/openapi.json";

fn description() -> Value {
    serde_json::from_str(OPENAPI).unwrap()
}

/// Checks an answer against what the description says of its path, method and status.
fn check(description: &Value, path: &str, method: &str, response: &Response) {
    let status = response.status.to_string();
    let described = &description["paths"][path][method]["responses"][&status];
    assert!(
        described.is_object(),
        "{method} {path} is not described to answer {status}"
    );
    for header in described["headers"].as_object().into_iter().flatten() {
        assert!(
            response.header(&header.0.to_lowercase()).is_some(),
            "{status} lacks {}",
            header.0
        );
    }
    let kind = response
        .header("content-type")
        .unwrap()
        .split(';')
        .next()
        .unwrap();
    let schema = &described["content"][kind]["schema"];
    assert!(
        schema.is_object(),
        "{method} {path} {status} is not described to be {kind}"
    );
    if kind == "application/json" {
        let schema = format!(
            "{LOCATION}#/paths/{}/{method}/responses/{status}/content/application~1json/schema",
            path.replace('/', "~1")
        );
        let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
        compiler
            .add_resource(LOCATION, description.clone())
            .unwrap();
        let index = compiler.compile(&schema, &mut schemas).unwrap();
        let answer = response.json();
        if let Err(error) = schemas.validate(&answer, index) {
            panic!("{method} {path} {status}: {error}\n{answer}");
        }
    }
}

/// Every status that the description names, and every shape of an answer, comes and is as described.
#[test]
fn every_answer_is_as_described() {
    let description = description();
    let brightness = Brightness::new();
    let options = Options {
        max_body: 3000,
        body_timeout: std::time::Duration::from_millis(300),
        answer_timeout: std::time::Duration::from_secs(2),
        queue: 1,
        max_pictures: 1,
        ..Options::default()
    };
    let running = Running::of(
        vec![micro("one", 1), Served::new("light", brightness.clone())],
        options,
    );
    let mut seen: Vec<(String, String, u16)> = Vec::new();
    let mut check = |path: &str, method: &str, response: Response| {
        check(&description, path, method, &response);
        seen.push((path.into(), method.into(), response.status));
    };
    for path in ["/v1/models", "/healthz", "/metrics", "/openapi.json"] {
        check(path, "get", running.get(path));
    }
    let file = gray(1);
    for query in [
        "",
        "?attention=rollout",
        "?attention=heads&orientation=stored",
        "?model=light",
    ] {
        let response = running.post(query, "image/png", &file);
        assert_eq!(response.status, 200);
        check("/v1/predict", "post", response);
    }
    for (query, kind, body) in [
        ("?top_k=x", "image/png", &file[..]),
        ("?model=x", "image/png", &file),
        ("", "image/png", &[0; 3001]),
        ("", "text/plain", &file),
        ("", "image/png", b"text"),
        ("?model=light", "image/png", &gray(FAILS)),
    ] {
        check("/v1/predict", "post", running.post(query, kind, body));
    }
    let mut half = running.connect();
    let whole = request("", "image/png", &file);
    std::io::Write::write_all(&mut half, &whole[..whole.len() - 1]).unwrap();
    check("/v1/predict", "post", Response::read(&mut half).unwrap());
    brightness.hold(true);
    std::thread::scope(|scope| {
        let post = || running.post("?model=light", "image/png", &gray(1));
        let before = brightness.batches().len();
        let first = scope.spawn(post);
        until("one is at work", || brightness.batches().len() > before);
        let second = scope.spawn(post);
        until("one waits", || {
            counted(&running, "gsb_queued_pictures{model=\"light\"}") == 1.0
        });
        check("/v1/predict", "post", post());
        check("/v1/predict", "post", first.join().unwrap());
        second.join().unwrap();
    });
    brightness.hold(false);
    for (path, methods) in description["paths"].as_object().unwrap() {
        for (method, described) in methods.as_object().unwrap() {
            for status in described["responses"].as_object().unwrap().keys() {
                // A service that ends takes no connection to say so; one that is open is asked below.
                let seen = seen.contains(&(path.clone(), method.clone(), status.parse().unwrap()));
                assert!(
                    seen || (path == "/healthz" && status == "503"),
                    "{method} {path} never answered {status}"
                );
            }
        }
    }
}

/// While it ends, what is still connected is told so.
#[test]
fn an_end_is_told_by_its_health() {
    let brightness = Brightness::new();
    let running = Running::of(
        vec![Served::new("light", brightness.clone())],
        Options::default(),
    );
    let mut stream = running.connect();
    let head = b"GET /healthz HTTP/1.1\r\nHost: x\r\n";
    std::io::Write::write_all(&mut stream, head).unwrap();
    // It has been taken when one after it is answered.
    until("both are taken", || {
        counted(&running, "gsb_connections") == 2.0
    });
    running.stopper.stop();
    until("nobody listens", || {
        std::net::TcpStream::connect(running.address).is_err()
    });
    std::io::Write::write_all(&mut stream, b"\r\n").unwrap();
    let response = Response::read(&mut stream).unwrap();
    assert_eq!(response.status, 503);
    check(&description(), "/healthz", "get", &response);
}

/// Parameters and their values are those that are taken.
#[test]
fn parameters_are_as_described() {
    let description = description();
    let running = Running::of(vec![micro("one", 1)], Options::default());
    let post = &description["paths"]["/v1/predict"]["post"];
    let mut names = Vec::new();
    for parameter in post["parameters"].as_array().unwrap() {
        let name = parameter["name"].as_str().unwrap();
        names.push(name);
        let schema = &parameter["schema"];
        let one = [json!(if name == "model" {
            "one".into()
        } else {
            schema["minimum"].clone()
        })];
        let values = schema["enum"]
            .as_array()
            .map_or(&one[..], |values| &values[..]);
        for value in values {
            let value = value.as_str().map_or_else(|| value.to_string(), Into::into);
            let response = running.post(&format!("?{name}={value}"), "image/png", &gray(1));
            assert_eq!(response.status, 200, "{name}={value}");
        }
    }
    let refused = running.post("?unknown=1", "image/png", &gray(1)).message();
    for name in &names {
        assert!(refused.contains(&format!("`{name}`")), "{refused}");
    }
    assert_eq!(
        refused.matches('`').count(),
        2 * (names.len() + 1),
        "{refused}"
    );
    for kind in post["requestBody"]["content"].as_object().unwrap().keys() {
        let status = running.post("", kind, &gray(1)).status;
        assert_eq!(
            status,
            if kind == "multipart/form-data" {
                400
            } else {
                200
            },
            "{kind}"
        );
    }
}
