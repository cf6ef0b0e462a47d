//! The program as people run it: what it prints, what it refuses, how it ends.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread;
use std::time::Duration;

/// How long anything here may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
const PAYLOAD: &str = r#"{"data":[{"id":"1","name":"Ann"}],"nonce":"abc123","sig":"fVeTXlT/vVLDTjqUolqHuoobjZY=","sig256":"4XTMTHbYtJyzjTfMqd6CTxNBhC8UVzdBxVHrGw1paEU=","type":"VIRTUAL"}"#;

/// The program without the settings of whoever runs the tests.
fn anyhook(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_anyhook"));
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("ANYHOOK_") {
            command.env_remove(name);
        }
    }
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn run(command: &mut Command) -> Output {
    command.output().unwrap()
}

/// A program that goes on, its lines as they come. Killed when the test ends, however it does.
struct Running {
    child: Child,
    lines: Receiver<String>,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Running {
    fn start(command: &mut Command) -> Self {
        let mut child = command.stderr(Stdio::inherit()).spawn().unwrap();
        let (sender, lines) = sync_channel(1_024);
        let stdout = BufReader::new(child.stdout.take().unwrap());
        thread::spawn(move || stdout.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Running { child, lines }
    }

    /// The lines up to the one that begins so, that one last.
    fn until(&self, start: &str) -> Vec<String> {
        let mut seen = Vec::new();
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => seen.push(line),
                Err(RecvTimeoutError::Timeout) => panic!("no line {start:?} in time, but {seen:#?}"),
                Err(RecvTimeoutError::Disconnected) => panic!("it ended without a line {start:?}, with {seen:#?}"),
            }
            if seen.last().unwrap().starts_with(start) {
                return seen;
            }
        }
    }

    /// Asks it to end, and waits until its output has ended.
    fn terminate(mut self) -> (ExitStatus, Vec<String>) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        let mut rest = Vec::new();
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => rest.push(line),
                Err(RecvTimeoutError::Timeout) => panic!("it did not end in time"),
                Err(RecvTimeoutError::Disconnected) => return (self.child.wait().unwrap(), rest),
            }
        }
    }
}

fn serve(directory: &Path) -> Command {
    let mut command = anyhook(&["serve", "--listen", "127.0.0.1:0", "--log", "warn"]);
    command.arg("--data-dir").arg(directory);
    command
}

/// A GET by hand; the answer with its head.
fn get(address: &str, path: &str, headers: &str) -> String {
    let mut peer = std::net::TcpStream::connect(address).unwrap();
    peer.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(peer, "GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n{headers}\r\n").unwrap();
    let mut answer = String::new();
    peer.read_to_string(&mut answer).unwrap();
    answer
}

fn value_of<'a>(lines: &'a [String], label: &str) -> Option<&'a str> {
    lines.iter().find_map(|line| line.trim().strip_prefix(label)).map(str::trim)
}

#[test]
fn an_unknown_setting_is_refused_by_name_in_one_line() {
    let output = run(anyhook(&["serve"]).env("ANYHOOK_POLL_RUN_MAX", "3"));
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        text(&output.stderr),
        "anyhook: unknown setting ANYHOOK_POLL_RUN_MAX: did you mean ANYHOOK_POLL_RUNS_MAX?\n"
    );
    let output = run(&mut anyhook(&["serve", "--set", "deliver.attempt_deadline_ms=60000"]));
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("store.lease_ttl_ms"), "{output:?}");
}

#[test]
fn a_settings_file_can_be_checked_without_starting() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("anyhook.toml");
    std::fs::write(&file, "[poll]\nruns_max = 8\n").unwrap();
    let check = |file: &Path| run(anyhook(&["serve", "--check", "--config"]).arg(file));
    assert!(check(&file).status.success());
    std::fs::write(&file, "[poll]\nruns_maximum = 8\n").unwrap();
    let refused = check(&file);
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).contains("unknown setting poll.runs_maximum: did you mean poll.runs_max?"));
    let missing = check(&directory.path().join("none.toml"));
    assert!(text(&missing.stderr).contains("none.toml cannot be read"), "{missing:?}");
}

#[test]
fn verify_accepts_a_right_payload_and_rejects_a_changed_one() {
    let directory = tempfile::tempdir().unwrap();
    let verify = |payload: &str| {
        let file = directory.path().join("payload.json");
        std::fs::write(&file, payload).unwrap();
        run(anyhook(&["verify", "--secret", "wsecret"]).arg(&file))
    };
    let good = verify(PAYLOAD);
    assert!(good.status.success(), "{good:?}");
    assert!(text(&good.stdout).starts_with("VIRTUAL, 1 object,"), "{good:?}");
    assert!(text(&good.stdout).ends_with("verified\n"));
    let changed = verify(&PAYLOAD.replace("Ann", "Eve"));
    assert_eq!(changed.status.code(), Some(1));
    assert!(text(&changed.stdout).contains("sig256             DIFFERS"), "{changed:?}");
    let garbage = verify("hello");
    assert_eq!(garbage.status.code(), Some(1));
    assert!(text(&garbage.stderr).starts_with("anyhook: this is no payload of Anyhook's"), "{garbage:?}");
}

#[test]
fn verify_reads_stdin_and_takes_the_secret_from_the_environment() {
    let secret = "whsec_MDEyMzQ1Njc4OWFiY2RlZg==";
    let signature = standardwebhooks::Webhook::new(secret).unwrap().sign("id", 1, PAYLOAD.as_bytes()).unwrap();
    let mut command = anyhook(&["verify", "-", "--header", "webhook-id: id", "--header", "webhook-timestamp: 1"]);
    command.args(["--header", &format!("webhook-signature: {signature}")]).stdin(Stdio::piped());
    let mut child = command.env("ANYHOOK_WORKSPACE_SECRET", secret).spawn().unwrap();
    child.stdin.take().unwrap().write_all(PAYLOAD.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let told = text(&output.stdout);
    assert!(told.contains("webhook-signature  matches"), "{told}");
    assert!(told.contains("sig                DIFFERS") && told.contains("note: sent"), "{told}");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn integrations_are_a_table_and_json() {
    let table = text(&run(&mut anyhook(&["integrations"])).stdout);
    let json: serde_json::Value =
        serde_json::from_slice(&run(&mut anyhook(&["integrations", "--json"])).stdout).unwrap();
    let names: Vec<&str> = json.as_array().unwrap().iter().map(|row| row["type"].as_str().unwrap()).collect();
    assert!(names.contains(&"sandbox"), "{names:?}");
    assert!(names.iter().all(|name| table.contains(name)), "{table}");
    let unknown = run(&mut anyhook(&["integrations", "nothing"]));
    assert_eq!(unknown.status.code(), Some(1));
    assert!(text(&unknown.stderr).contains("there is no integration nothing"));
}

#[test]
fn the_simulator_serves_and_ends_when_asked() {
    let simulator = Running::start(&mut anyhook(&["simulator", "--listen", "127.0.0.1:0", "--records", "3"]));
    let lines = simulator.until("listening on http://");
    let address = value_of(&lines, "listening on http://").unwrap();
    let answer = get(address, "/v1/contacts?limit=1", "authorization: Bearer sandbox\r\n");
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("\"total\":3"), "{answer}");
    assert_eq!(simulator.terminate().0.code(), Some(0));
}

#[test]
fn the_first_start_prints_the_key_once_and_both_drain() {
    let directory = tempfile::tempdir().unwrap();
    let first = Running::start(&mut serve(directory.path()));
    let lines = first.until("listening on http://");
    let (key, secret) = (value_of(&lines, "API key").unwrap(), value_of(&lines, "signing secret").unwrap());
    assert!(key.starts_with("ahk_") && secret.starts_with("whsec_"), "{lines:?}");
    let address = value_of(&lines, "listening on http://").unwrap();
    assert!(get(address, "/health/live", "").starts_with("HTTP/1.1 200"));
    assert!(get(address, "/unified/webhook", "").starts_with("HTTP/1.1 401"));
    assert!(get(address, "/unified/webhook", &format!("authorization: {key}\r\n")).starts_with("HTTP/1.1 200"));
    assert_eq!(first.terminate().0.code(), Some(0));

    let second = Running::start(&mut serve(directory.path()));
    let lines = second.until("listening on http://");
    assert_eq!(lines.len(), 1, "{lines:?}");
    let address = value_of(&lines, "listening on http://").unwrap();
    let authorization = format!("authorization: Bearer {key}\r\n");
    assert!(get(address, "/unified/webhook", &authorization).starts_with("HTTP/1.1 200"), "the key outlives a restart");
    let (status, rest) = second.terminate();
    assert_eq!((status.code(), rest), (Some(0), vec![]));
}

#[test]
fn keys_from_the_environment_replace_what_was_there() {
    let directory = tempfile::tempdir().unwrap();
    let start = |key: &str| {
        let mut command = serve(directory.path());
        command.env("ANYHOOK_API_KEY", key).env("ANYHOOK_WORKSPACE_SECRET", "a secret of mine".replace(' ', "-"));
        let server = Running::start(&mut command);
        let lines = server.until("listening on http://");
        assert_eq!(lines.len(), 1, "nothing is shown that is known already: {lines:?}");
        (value_of(&lines, "listening on http://").unwrap().to_owned(), server)
    };
    let status_with = |address: &str, key: &str| {
        let answer = get(address, "/unified/webhook", &format!("authorization: {key}\r\n"));
        answer.split(' ').nth(1).unwrap().to_owned()
    };
    let (address, server) = start("the-first-key-of-mine");
    assert_eq!(status_with(&address, "the-first-key-of-mine"), "200");
    server.terminate();
    let (address, server) = start("the-second-key-of-mine");
    assert_eq!(status_with(&address, "the-second-key-of-mine"), "200");
    assert_eq!(status_with(&address, "the-first-key-of-mine"), "401");
    server.terminate();
}

#[test]
fn a_taken_address_or_store_ends_in_one_line() {
    let directory = tempfile::tempdir().unwrap();
    let server = Running::start(&mut serve(directory.path()));
    let lines = server.until("listening on http://");
    let address = value_of(&lines, "listening on http://").unwrap();
    let other = tempfile::tempdir().unwrap();
    let taken = run(anyhook(&["serve", "--listen", address, "--data-dir"]).arg(other.path()));
    assert_eq!(taken.status.code(), Some(1));
    assert!(text(&taken.stderr).contains("cannot listen on"), "{taken:?}");
    let locked = run(&mut serve(directory.path()));
    assert_eq!(locked.status.code(), Some(1));
    let told = text(&locked.stderr);
    assert!(told.contains("anyhook: the store") && told.lines().count() == 1, "{told}");
}
