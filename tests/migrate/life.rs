//! Webhooks go on where they were, from one store to the other and back: nothing comes twice, and nothing is lost.

use crate::program::{PATIENCE, Place, Running, anyhook, done, migrate};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

const RECORDS: usize = 30;

/// An endpoint that takes everything; the bodies come out of the channel.
fn endpoint() -> (String, Receiver<Value>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let (sender, arrived) = sync_channel(1_024);
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let sender = sender.clone();
            thread::spawn(move || take(stream, &sender));
        }
    });
    (url, arrived)
}

fn take(stream: TcpStream, sender: &SyncSender<Value>) -> Option<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
            if line.trim().is_empty() {
                break;
            }
            if let Some(text) = line.to_ascii_lowercase().strip_prefix("content-length: ") {
                length = text.trim().parse().unwrap();
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        sender.send(serde_json::from_slice(&body).unwrap()).ok()?;
        reader.get_mut().write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").ok()?;
    }
}

struct Life {
    vendor: Running,
    arrived: Receiver<Value>,
    /// Versions of records that came.
    seen: BTreeSet<(String, String)>,
}

impl Life {
    /// Takes one payload: no version of a record may come twice.
    fn take(&mut self, body: &Value) {
        for object in body["data"].as_array().unwrap() {
            let version =
                (object["id"].as_str().unwrap().to_owned(), object["updated_at"].as_str().unwrap().to_owned());
            assert!(self.seen.insert(version.clone()), "{version:?} came again");
        }
    }

    /// Waits until so many versions have come.
    fn until(&mut self, count: usize) {
        let end = Instant::now() + PATIENCE;
        while self.seen.len() < count {
            let left = end.saturating_duration_since(Instant::now());
            let body =
                self.arrived.recv_timeout(left).unwrap_or_else(|_| panic!("{} of {count} came", self.seen.len()));
            self.take(&body);
        }
    }

    /// Nothing else comes.
    fn nothing_more(&mut self) {
        let more = self.arrived.recv_timeout(Duration::from_millis(1_500));
        assert!(more.is_err(), "nothing has changed, but {more:?} came");
    }

    fn new_contacts(&self, count: usize) {
        for number in 0..count {
            self.vendor.call("POST", "/_control/contacts", &json!({ "first_name": format!("New {number}") }));
        }
    }

    /// Changes while a server runs come, and each once.
    fn lives(&mut self, server: &Running) {
        let before = self.seen.len();
        self.new_contacts(3);
        self.until(before + 3);
        self.nothing_more();
        let webhooks = server.call("GET", "/unified/webhook", &Value::Null);
        assert_eq!(webhooks.as_array().unwrap().len(), 1);
        assert_eq!(webhooks[0]["is_healthy"], true);
    }
}

fn goes_on(places: &[&Place]) {
    let (url, arrived) = endpoint();
    let records = RECORDS.to_string();
    let simulator = ["simulator", "--listen", "127.0.0.1:0", "--records", &records, "--rate-limit", "0"];
    let vendor = Running::start(&mut anyhook(&simulator));
    let mut life = Life { vendor, arrived, seen: BTreeSet::new() };

    let server = Running::start(&mut places[0].serve(None));
    let key = places[0].master_key();
    let auth = json!({"token": "sandbox", "api_url": format!("http://{}", life.vendor.address)});
    let body = json!({"integration_type": "sandbox", "categories": ["crm"], "permissions": [], "auth": auth});
    let connection = server.call("POST", "/unified/connection", &body);
    let body = json!({"connection_id": connection["id"], "event": "updated", "object_type": "crm_contact",
        "hook_url": url, "webhook_type": "virtual", "interval": 0.02});
    server.call("POST", "/unified/webhook?include_all=true", &body);
    life.until(RECORDS);
    life.lives(&server);
    server.terminate();

    for pair in places.windows(2) {
        // What changes meanwhile waits at the vendor.
        let before = life.seen.len();
        life.new_contacts(2);
        done(&mut migrate(pair[0], pair[1], &[], Some(&key)));
        let server = Running::start(&mut pair[1].serve(Some(&key)));
        life.until(before + 2);
        life.nothing_more();
        life.lives(&server);
        server.terminate();
    }
}

#[test]
fn from_directory_to_directory() {
    goes_on(&[&Place::sled(), &Place::sled()]);
}

#[test]
#[ignore = "needs DATABASE_URL: tests/with_postgres.sh sets it"]
fn to_postgres_and_back() {
    goes_on(&[&Place::sled(), &Place::postgres(), &Place::sled()]);
}
