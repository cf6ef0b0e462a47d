//! What the demo runs on: a vendor, a receiver and a server, each on a free port of this machine, and a store in a
//! temporary directory.

use super::api::{Api, loopback};
use super::receiver::Receiver;
use super::tally::Hook;
use super::{DemoError, Options};
use crate::clock::Clock;
use crate::random::Random;
use crate::server::Server;
use crate::settings::{Secret, Settings};
use crate::simulator::{Object, Simulator, SimulatorSettings};
use anyhook_connectors::contract::Change;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::{env, fs, io};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// What the vendor lets in.
pub(super) const VENDOR_TOKEN: &str = "sandbox";
/// Between two polls: 300 ms.
pub(super) const INTERVAL_MINUTES: f64 = 0.005;
/// The same in milliseconds, for people.
pub(super) const INTERVAL_MS: u64 = 300;
/// The vendor spreads its changes over four kinds of records, and the demo looks at one.
const KINDS: f64 = 4.0;

/// Everything that runs.
pub(super) struct Stage {
    pub(super) api: Api,
    pub(super) receiver: Receiver,
    pub(super) vendor_url: String,
    pub(super) receiver_url: String,
    pub(super) secret: String,
    simulator: Simulator,
    /// The last change of the vendor's that made its first records.
    seeded_seq: u64,
    server: Server,
    stop: CancellationToken,
    directory: TemporaryDirectory,
}

/// What the vendor did to its contacts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Changes {
    pub(super) created: usize,
    pub(super) updated: usize,
    pub(super) deleted: usize,
}

/// Removed when it is dropped, whatever ends the demo.
struct TemporaryDirectory(PathBuf);

impl Drop for TemporaryDirectory {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            tracing::warn!(directory = %self.0.display(), %error, "the demo's store could not be removed");
        }
    }
}

impl TemporaryDirectory {
    fn new() -> io::Result<Self> {
        let name = format!("anyhook-demo-{}-{:08x}", std::process::id(), Random::system().up_to(u64::from(u32::MAX)));
        let path = env::temp_dir().join(name);
        fs::create_dir(&path)?;
        Ok(TemporaryDirectory(path))
    }
}

async fn listen() -> io::Result<(TcpListener, String)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let url = format!("http://{}", listener.local_addr()?);
    Ok((listener, url))
}

impl Stage {
    /// Starts everything.
    pub(super) async fn build(options: Options, clock: Clock) -> Result<Self, DemoError> {
        let directory = TemporaryDirectory::new()?;
        let stop = CancellationToken::new();
        let (vendor_listener, vendor_url) = listen().await?;
        let simulator = Simulator::new(vendor(options), clock.clone());
        let seeded_seq = simulator.with(|vendor, _| vendor.history().after(0).last().map_or(0, |entry| entry.seq));
        let (serving, stopped) = (simulator.clone(), stop.clone());
        tokio::spawn(async move { serving.serve(vendor_listener, stopped.cancelled_owned()).await });
        let (receiver_listener, receiver_url) = listen().await?;
        let receiver = Receiver::start(receiver_listener, clock, stop.clone());
        let settings = server(&directory.0);
        let (server, made) = Server::start(&settings, None).await?;
        let reveal = |secret: Option<Secret>| secret.map(|secret| secret.reveal().to_owned()).unwrap_or_default();
        let (key, secret) = (reveal(made.api_key), reveal(made.secret));
        receiver.set_secret(&secret);
        let api = Api::new(server.url(), &key)?;
        Ok(Stage { api, receiver, vendor_url, receiver_url, secret, simulator, seeded_seq, server, stop, directory })
    }

    /// Where a webhook of the demo's delivers to.
    pub(super) fn hook_url(&self, hook: Hook) -> String {
        match hook {
            Hook::Updated => format!("{}/updated", self.receiver_url),
            Hook::Deleted => format!("{}/deleted", self.receiver_url),
        }
    }

    /// How many contacts the vendor has.
    pub(super) fn contacts(&self) -> usize {
        self.simulator.with(|vendor, _| vendor.len(Object::Contacts))
    }

    /// How often the vendor changes a contact from now on.
    pub(super) fn set_changes_per_second(&self, rate: f64) {
        self.simulator.with(|vendor, now| vendor.set_changes_per_second(rate * KINDS, now));
    }

    /// What the vendor has done to its contacts since its first records were made.
    pub(super) fn changes(&self) -> Changes {
        self.simulator.with(|vendor, _| {
            let contacts = vendor.history().after(self.seeded_seq).filter(|entry| entry.object == Object::Contacts);
            contacts.fold(Changes::default(), |mut changes, entry| {
                match entry.change {
                    Change::Created => changes.created += 1,
                    Change::Updated => changes.updated += 1,
                    Change::Deleted => changes.deleted += 1,
                }
                changes
            })
        })
    }

    /// Requests that the vendor has answered.
    pub(super) fn vendor_calls(&self) -> u64 {
        self.simulator.with(|vendor, _| vendor.stats().requests)
    }

    /// Ends everything, the server first, and removes the store.
    pub(super) async fn clear(self) -> Result<(), DemoError> {
        let ended = self.server.stop().await;
        self.stop.cancel();
        drop(self.directory);
        Ok(ended?)
    }
}

/// The vendor: quiet until the history has arrived, and without a limit, so that the demo shows Anyhook's speed.
fn vendor(options: Options) -> SimulatorSettings {
    SimulatorSettings {
        records: options.records,
        changes_per_second: 0.0,
        tokens: vec![VENDOR_TOKEN.to_owned()],
        rate_limit: 0,
        ..SimulatorSettings::default()
    }
}

/// The server: as by default, but on a free port, in a temporary directory, and let to reach this machine.
fn server(directory: &std::path::Path) -> Settings {
    let mut settings = Settings {
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        data_dir: directory.to_owned(),
        destinations_allow: vec![loopback()],
        vendors_allow: vec![loopback()],
        ..Settings::default()
    };
    settings.limits.api.interval_floor_ms = INTERVAL_MS;
    settings
}
