//! The service as a command.

#![cfg(unix)]

mod program;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use program::{fails, folder, gsb, misused, random_model, run, succeeds};
use serde_json::Value;

/// A service, killed when it is dropped.
struct Service {
    child: Child,
    address: SocketAddr,
    /// What it printed first.
    line: String,
}

impl Service {
    fn start(folder: &Path, arguments: &[&str]) -> Self {
        let mut command = gsb(folder);
        command.args(["serve", "--port", "0"]).args(arguments);
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("it is piped");
        BufReader::new(stdout).read_line(&mut line).expect("text");
        let after = line.split("http://").nth(1).unwrap_or_default();
        let address = after.split(": ").next().and_then(|text| text.parse().ok());
        let address = address.unwrap_or_else(|| panic!("no address in {line:?}"));
        Self {
            child,
            address,
            line,
        }
    }

    /// Status and body of the answer to a request.
    fn ask(&self, request: &[u8]) -> (u16, Value) {
        let mut stream = TcpStream::connect(self.address).expect("it listens");
        stream
            .set_read_timeout(Some(Duration::from_secs(60)))
            .expect("a socket");
        stream.write_all(request).expect("it reads");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("it answers");
        let answer = String::from_utf8(answer).expect("text");
        let (head, body) = answer.split_once("\r\n\r\n").expect("headers");
        let status = head
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok());
        let body = serde_json::from_str(body).expect("JSON");
        (status.expect("a status"), body)
    }

    fn predict(&self, query: &str, picture: &[u8]) -> (u16, Value) {
        let head = format!(
            "POST /v1/predict{query} HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\nContent-Length: {}\r\n\
             Connection: close\r\n\r\n",
            picture.len()
        );
        self.ask(&[head.as_bytes(), picture].concat())
    }

    /// Ends it by SIGTERM: its exit code, and what it said.
    fn end(mut self) -> (Option<i32>, String) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args(["-s", "TERM", &id]).status();
        assert!(sent.expect("there is kill").success());
        let code = self.child.wait().expect("a child").code();
        let mut said = String::new();
        let mut stderr = self.child.stderr.take().expect("it is piped");
        stderr.read_to_string(&mut said).expect("text");
        (code, said)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn png(folder: &Path, light: u8) -> Vec<u8> {
    let path = folder.join(format!("{light}.png"));
    let gray = image::GrayImage::from_pixel(8, 8, image::Luma([light]));
    gray.save(&path).expect("written");
    std::fs::read(path).expect("a file")
}

/// Class, name, logit and probability of each class, the numbers as single precision reads them: texts may be longer.
fn ranked(classes: &Value) -> Vec<(u64, String, f32, f32)> {
    let single = |value: &Value| value.as_f64().expect("a number") as f32;
    let classes = classes.as_array().expect("a list").iter();
    let ranked = classes.map(|class| {
        (
            class["class"].as_u64().expect("a number"),
            class["name"].as_str().expect("a name").to_string(),
            single(&class["logit"]),
            single(&class["probability"]),
        )
    });
    ranked.collect()
}

/// What the service answers is what `gsb predict` prints, and a signal ends it gently.
#[test]
fn a_service_predicts_until_it_is_told_to_end() {
    let folder = folder();
    random_model(&folder.path().join("m.st"));
    let picture = png(folder.path(), 90);
    let printed = succeeds(gsb(folder.path()).args(["predict", "m.st", "90.png", "--json"]));
    let printed: Value = serde_json::from_str(&printed).expect("JSON");
    let service = Service::start(folder.path(), &["m.st", "again=m.st"]);
    assert!(service.line.contains(": m (packed, "), "{}", service.line);
    assert!(
        service.line.contains(", again (packed, "),
        "{}",
        service.line
    );
    assert!(service.address.ip().is_loopback());
    for query in ["", "?model=again"] {
        let (status, answer) = service.predict(query, &picture);
        assert_eq!(status, 200);
        let found = ranked(&answer["predictions"][0]["classes"]);
        assert_eq!(found.len(), 5);
        assert_eq!(found, ranked(&printed[0]["classes"]));
    }
    let (code, said) = service.end();
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(
        said,
        "answering what was accepted; once more stops at once\n"
    );
}

/// Teacher and students of a run stand beside each other, and the packed student says what the student says.
#[test]
fn checkpoints_are_served_by_burn() {
    let folder = folder();
    let picture = png(folder.path(), 120);
    let path = |name: &str| run().join(name).to_str().expect("UTF-8").to_string();
    let student = format!("student={}", path("stage2.bpk"));
    let service = Service::start(
        folder.path(),
        &[
            &path("stage2.packed.safetensors"),
            &path("teacher.bpk"),
            &student,
        ],
    );
    let ask = |model: &str| {
        let (status, answer) = service.predict(&format!("?model={model}&top_k=10"), &picture);
        assert_eq!((status, &answer["model"]), (200, &model.into()), "{answer}");
        answer["predictions"][0]["classes"]
            .as_array()
            .expect("classes")
            .clone()
    };
    let order = |classes: &[Value]| {
        classes
            .iter()
            .map(|class| class["class"].as_u64())
            .collect::<Vec<_>>()
    };
    let (packed, student) = (ask("stage2"), ask("student"));
    assert_eq!(packed.len(), 10);
    assert_eq!(order(&packed), order(&student));
    let teacher = ask("teacher");
    assert!(
        teacher
            .iter()
            .all(|class| class["name"].as_str() == Some(&class["class"].to_string()))
    );
    assert_ne!(order(&teacher), [None; 10]);
    let (status, refusal) = service.predict("?model=teacher&attention=rollout", &picture);
    assert_eq!(status, 422, "{refusal}");
}

#[test]
fn what_cannot_be_served_is_named() {
    let folder = folder();
    random_model(&folder.path().join("m.st"));
    std::fs::write(folder.path().join("text"), "text").expect("written");
    let serve = |arguments: &[&str]| fails(gsb(folder.path()).arg("serve").args(arguments));
    assert!(serve(&["missing.st"]).contains("missing.st"));
    assert!(serve(&["text"]).contains("text"));
    let text = serve(&["m.st", "m.st", "--port", "0"]);
    assert!(text.contains("two models are called \"m\""), "{text}");
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address");
    let text = serve(&["m.st", "--port", &address.port().to_string()]);
    assert!(
        text.starts_with(&format!("cannot listen on {address}")),
        "{text}"
    );
    for (option, value) in [
        ("--queue", "0"),
        ("--host", "nowhere"),
        ("--timeout", "0"),
        ("--send-timeout", "0"),
        ("--port", "65536"),
    ] {
        let text = misused(gsb(folder.path()).args(["serve", "m.st", option, value]));
        assert!(text.contains(option) && text.contains(value), "{text}");
    }
    assert!(misused(gsb(folder.path()).arg("serve")).contains("MODEL"));
}
