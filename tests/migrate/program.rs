//! The program as people run it, and the stores that it is run on.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;
use std::time::Duration;

/// How long anything here may take on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
pub(crate) const KEY: &str = "a-key-of-these-tests";

/// A store of a test's own.
pub(crate) struct Place {
    /// As `--from` and `--to` take it.
    pub(crate) name: String,
    /// The schema, where it is in a database.
    pub(crate) schema: Option<Schema>,
    pub(crate) directory: tempfile::TempDir,
}

/// A schema that is dropped with its place.
pub(crate) struct Schema(pub(crate) String);

impl Place {
    /// A data directory.
    pub(crate) fn sled() -> Self {
        let directory = tempfile::tempdir().unwrap();
        Place { name: format!("sled:{}", directory.path().display()), schema: None, directory }
    }

    /// A schema of the database that tests share; its data directory stays empty.
    pub(crate) fn postgres() -> Self {
        let name = std::env::var("DATABASE_URL").expect("DATABASE_URL names a database for tests");
        let schema = format!("migrate_{:016x}", fastrand::u64(..));
        Place { name, schema: Some(Schema(schema)), directory: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn data(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn sled_path(&self) -> PathBuf {
        self.data().join("store")
    }

    /// The master key that its first start made.
    pub(crate) fn master_key(&self) -> String {
        std::fs::read_to_string(self.data().join("master.key")).unwrap()
    }

    /// A server on it.
    pub(crate) fn serve(&self, master_key: Option<&str>) -> Command {
        let mut command = anyhook(&["serve", "--listen", "127.0.0.1:0", "--log", "error", "--data-dir"]);
        command.arg(self.data());
        for setting in ["destinations_allow=127.0.0.0/8", "vendors_allow=127.0.0.0/8"] {
            command.args(["--set", setting]);
        }
        command.env("ANYHOOK_API_KEY", KEY).env("ANYHOOK_WORKSPACE_SECRET", "a-secret-of-these-tests");
        if let Some(Schema(schema)) = &self.schema {
            command.env("ANYHOOK_STORE", &self.name).env("ANYHOOK_STORE_SCHEMA", schema);
        }
        if let Some(key) = master_key {
            command.env("ANYHOOK_MASTER_KEY", key.trim());
        }
        command
    }

    /// Starts a server on it once, so that it is a store.
    pub(crate) fn start_once(&self) {
        Running::start(&mut self.serve(None)).terminate();
    }
}

impl Drop for Schema {
    fn drop(&mut self) {
        let statement = format!("DROP SCHEMA IF EXISTS {} CASCADE", self.0);
        super::rows::in_database(|client: tokio_postgres::Client| async move {
            client.batch_execute(&statement).await.unwrap()
        });
    }
}

/// The program without the settings of whoever runs the tests.
pub(crate) fn anyhook(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_anyhook"));
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("ANYHOOK_") {
            command.env_remove(name);
        }
    }
    command
}

/// A move from one to another. The master key is where the source has it, or in the environment.
pub(crate) fn migrate(from: &Place, to: &Place, arguments: &[&str], master_key: Option<&str>) -> Command {
    let mut command = anyhook(&["migrate", "--from", &from.name, "--to", &to.name]);
    command.args(arguments);
    if let Some(Schema(schema)) = from.schema.as_ref().or(to.schema.as_ref()) {
        command.env("ANYHOOK_STORE_SCHEMA", schema);
    }
    if let Some(key) = master_key {
        command.env("ANYHOOK_MASTER_KEY", key.trim());
    }
    command
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Runs it to its end, which has to be a success; what it said.
pub(crate) fn done(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    text(&output.stdout)
}

/// Runs it to its end, which has to be a failure; what it complained of.
pub(crate) fn refused(command: &mut Command) -> String {
    let output: Output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let told = text(&output.stderr);
    assert!(told.lines().count() <= 1, "{told}");
    told + &text(&output.stdout)
}

/// A server or simulator, killed with -9 when dropped.
pub(crate) struct Running {
    child: Child,
    pub(crate) address: String,
    _lines: Receiver<()>,
}

impl Running {
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command.stderr(Stdio::inherit()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let address = lines.find_map(|line| line.strip_prefix("listening on http://").map(str::to_owned));
        let (sender, ended) = sync_channel(1);
        thread::spawn(move || {
            lines.for_each(drop);
            drop(sender);
        });
        Running { child, address: address.expect("it says where it listens"), _lines: ended }
    }

    /// Asks it to end, and waits until it has.
    pub(crate) fn terminate(mut self) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        assert!(self.child.wait().unwrap().success());
    }

    /// A request by hand; the answer's body.
    pub(crate) fn call(&self, method: &str, path: &str, body: &serde_json::Value) -> serde_json::Value {
        let mut peer = TcpStream::connect(&self.address).unwrap();
        peer.set_read_timeout(Some(PATIENCE)).unwrap();
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let head = format!("{method} {path} HTTP/1.1\r\nhost: x\r\nauthorization: {KEY}\r\nconnection: close");
        write!(peer, "{head}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len())
            .unwrap();
        let mut answer = String::new();
        peer.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 20"), "{answer}");
        serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
