//! The program killed between an attempt and its outcome: nothing is lost, and what comes again says so by its id.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(60);
const KEY: &str = "a-key-of-these-tests";

/// A running program, killed with -9 when dropped.
struct Running {
    child: Child,
    address: String,
}

impl Running {
    fn start(arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_anyhook"));
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped());
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("ANYHOOK_") {
                command.env_remove(name);
            }
        }
        command.env("ANYHOOK_API_KEY", KEY).env("ANYHOOK_WORKSPACE_SECRET", "a-secret-of-these-tests");
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let address = lines.find_map(|line| line.strip_prefix("listening on http://").map(str::to_owned));
        thread::spawn(move || lines.for_each(drop));
        Running { child, address: address.expect("it says where it listens") }
    }

    fn serve(directory: &Path) -> Self {
        let directory = directory.to_str().unwrap();
        let settings = ["destinations_allow=127.0.0.0/8", "vendors_allow=127.0.0.0/8"];
        let mut arguments = vec!["serve", "--listen", "127.0.0.1:0", "--log", "error", "--data-dir", directory];
        arguments.extend(settings.iter().flat_map(|setting| ["--set", setting]));
        Self::start(&arguments)
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    fn call(&self, method: &str, path: &str, body: &Value) -> Value {
        let mut peer = TcpStream::connect(&self.address).unwrap();
        peer.set_read_timeout(Some(PATIENCE)).unwrap();
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let head = format!("{method} {path} HTTP/1.1\r\nhost: x\r\nauthorization: {KEY}\r\nconnection: close");
        write!(peer, "{head}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len())
            .unwrap();
        let mut answer = String::new();
        peer.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
    }

    /// Subscribes to the simulator's contacts, history included; the webhook's path.
    fn subscribe(&self, vendor: &Running, hook_url: &str, changes: &Value) -> String {
        let auth = json!({"token": "sandbox", "api_url": format!("http://{}", vendor.address)});
        let body = json!({"integration_type": "sandbox", "categories": ["crm"], "permissions": [], "auth": auth});
        let connection = self.call("POST", "/unified/connection", &body);
        let mut body = json!({"connection_id": connection["id"], "event": "updated", "object_type": "crm_contact",
            "hook_url": hook_url, "webhook_type": "virtual", "interval": 60});
        body.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        let made = self.call("POST", "/unified/webhook?include_all=true", &body);
        format!("/unified/webhook/{}", made["id"].as_str().unwrap())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A POST that has arrived, and waits for its answer.
struct Arrived {
    stream: TcpStream,
    id: String,
    body: Value,
}

impl Arrived {
    fn ids(&self) -> Vec<String> {
        let ids = self.body["data"].as_array().unwrap().iter().map(|object| object["id"].as_str().unwrap().to_owned());
        ids.collect()
    }

    fn answer(&mut self, status: u16) {
        let answer = format!("HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
        // Whoever asked may have been killed meanwhile.
        let _ = self.stream.write_all(answer.as_bytes());
    }
}

/// An endpoint whose POSTs come out of the channel.
fn endpoint() -> (String, Receiver<Arrived>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let (sender, arrived) = sync_channel(64);
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let sender = sender.clone();
            thread::spawn(move || read(stream, &sender));
        }
    });
    (url, arrived)
}

fn read(stream: TcpStream, sender: &SyncSender<Arrived>) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let (mut id, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
        let Some((name, value)) = line.trim().split_once(": ") else {
            if line.trim().is_empty() { break } else { continue }
        };
        match name.to_ascii_lowercase().as_str() {
            "webhook-id" => id = value.to_owned(),
            "content-length" => length = value.parse().unwrap(),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    sender.send(Arrived { stream: reader.into_inner(), id, body: serde_json::from_slice(&body).unwrap() }).ok()
}

fn next(arrived: &Receiver<Arrived>) -> Arrived {
    arrived.recv_timeout(PATIENCE).expect("an attempt comes")
}

/// The vendor's records, each of which has to arrive.
const RECORDS: usize = 7;

fn simulator() -> Running {
    let records = RECORDS.to_string();
    Running::start(&["simulator", "--listen", "127.0.0.1:0", "--records", &records, "--rate-limit", "0"])
}

/// Answers everything, until the history is complete; the ids of all records that came.
fn until_complete(arrived: &Receiver<Arrived>, first: Arrived) -> Vec<String> {
    let (mut ids, mut attempt) = (Vec::new(), first);
    loop {
        attempt.answer(200);
        ids.extend(attempt.ids());
        if attempt.body["type"] == "INITIAL-COMPLETE" {
            ids.sort();
            ids.dedup();
            return ids;
        }
        attempt = next(arrived);
    }
}

#[test]
fn killed_before_the_answer_the_same_batch_comes_again() {
    let (directory, vendor, (url, arrived)) = (tempfile::tempdir().unwrap(), simulator(), endpoint());
    let server = Running::serve(directory.path());
    server.subscribe(&vendor, &url, &json!({"page_max_limit": 2}));
    let held = next(&arrived);
    server.kill();
    let server = Running::serve(directory.path());
    let again = next(&arrived);
    assert_eq!((&again.id, again.body["data"].to_string()), (&held.id, held.body["data"].to_string()));
    assert_eq!((&again.body["nonce"], &again.body["sig256"]), (&held.body["nonce"], &held.body["sig256"]));
    assert_eq!(until_complete(&arrived, again).len(), RECORDS, "nothing is lost");
    server.kill();
}

#[test]
fn killed_after_the_answer_and_before_it_is_kept_the_same_batch_comes_again() {
    let (directory, vendor, (url, arrived)) = (tempfile::tempdir().unwrap(), simulator(), endpoint());
    let server = Running::serve(directory.path());
    server.subscribe(&vendor, &url, &json!({"page_max_limit": 2}));
    let mut taken = next(&arrived);
    taken.answer(200);
    // The next batch is on its way while what came of this one is not yet kept.
    let second = next(&arrived);
    server.kill();
    assert_ne!(second.id, taken.id);
    let server = Running::serve(directory.path());
    let again = next(&arrived);
    let known = [(&taken.id, taken.body["data"].to_string()), (&second.id, second.body["data"].to_string())];
    assert!(known.contains(&(&again.id, again.body["data"].to_string())), "one of them comes again, as it was");
    let mut ids = until_complete(&arrived, again);
    ids.extend(taken.ids());
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), RECORDS, "nothing is lost");
    server.kill();
}

#[test]
fn attempts_are_counted_on_after_a_kill() {
    let (directory, vendor, (url, arrived)) = (tempfile::tempdir().unwrap(), simulator(), endpoint());
    let server = Running::serve(directory.path());
    // An endpoint that is overloaded is given at least these waits.
    let path = server.subscribe(&vendor, &url, &json!({"retry_schedule": [0.1, 2, 0.1]}));
    let first = next(&arrived);
    let id = first.id.clone();
    let refuse = |mut attempt: Arrived| {
        attempt.answer(503);
        assert_eq!(attempt.id, id);
    };
    refuse(first);
    refuse(next(&arrived));
    let failed = |server: &Running| {
        let path = format!("/unified/apicall?type=webhook&webhook_id={}", path.rsplit('/').next().unwrap());
        server.call("GET", &path, &Value::Null).as_array().unwrap().len()
    };
    let until = |what: &str, is_so: &dyn Fn() -> bool| {
        let began = Instant::now();
        while !is_so() {
            assert!(began.elapsed() < PATIENCE, "{what}");
            thread::park_timeout(Duration::from_millis(5));
        }
    };
    until("both are kept", &|| failed(&server) == 2);
    let kept_at = Instant::now();
    server.kill();

    let server = Running::serve(directory.path());
    refuse(next(&arrived));
    assert!(kept_at.elapsed() > Duration::from_millis(1_500), "the wait is kept: {:?}", kept_at.elapsed());
    refuse(next(&arrived));
    until("the schedule ends", &|| server.call("GET", &path, &Value::Null)["is_healthy"] == false);
    assert!(arrived.recv_timeout(Duration::from_millis(500)).is_err(), "four attempts, and no more");
    assert_eq!(failed(&server), 4);
    server.kill();
}
