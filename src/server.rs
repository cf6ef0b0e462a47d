//! A whole server in this process: store, engine and API, started in order and stopped in the reverse one.

use crate::api::{self, ApiOptions, Guards};
use crate::bootstrap::{self, BootstrapError, Made};
use crate::clock::Clock;
use crate::context::Context;
use crate::engine::Engine;
use crate::ids::NodeId;
use crate::leases::LeaseKeeper;
use crate::outbound::guard::Guard;
use crate::outbound::{ClientOptions, HttpClient, OutboundError};
use crate::random::{NoEntropy, Random};
use crate::secrets::Vault;
use crate::settings::{Settings, StoreKind};
use crate::store::{MemoryStore, PostgresStore, SledStore, Store, StoreError, WrongUrl};
use metrics_exporter_prometheus::PrometheusHandle;
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::task::{JoinError, JoinHandle};
use tokio_util::sync::CancellationToken;

/// The embedded store's place in the data directory.
const STORE_DIRECTORY: &str = "store";

/// Why a server could not be started, or ended.
#[derive(Debug, Error)]
pub enum ServerError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {error}; set ANYHOOK_LISTEN to another address, port 0 for a free one")]
    Listen {
        /// As the settings give it.
        address: SocketAddr,
        /// Why.
        error: io::Error,
    },
    /// What is made at first start could not be made or read.
    #[error(transparent)]
    Bootstrap(#[from] BootstrapError),
    /// The store cannot be opened, or has failed.
    #[error("the store has failed: {0}")]
    Store(#[from] StoreError),
    /// The database's URL is none.
    #[error("ANYHOOK_STORE must be {0}")]
    Database(#[from] WrongUrl),
    /// A client for requests cannot be made.
    #[error("requests cannot be sent: {0}")]
    Outbound(#[from] OutboundError),
    /// No random bytes.
    #[error(transparent)]
    NoEntropy(#[from] NoEntropy),
    /// The API ended by itself.
    #[error("the listener has failed: {0}")]
    Api(io::Error),
    /// A part of the server panicked.
    #[error("a part of the server has failed: {0}")]
    Panicked(#[from] JoinError),
}

/// A running server.
pub struct Server {
    url: String,
    address: SocketAddr,
    engine: Engine,
    api: JoinHandle<io::Result<()>>,
    stop_api: CancellationToken,
    drain_deadline: Duration,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("url", &self.url).finish_non_exhaustive()
    }
}

impl Server {
    /// Starts a server: when this returns, it takes requests. What it made for its first start comes beside it.
    /// `metrics` is what `GET /metrics` answers from.
    pub async fn start(settings: &Settings, metrics: Option<PrometheusHandle>) -> Result<(Self, Made), ServerError> {
        let (clock, random) = (Clock::system(), Random::system());
        let listener = bind(settings.listen).await?;
        let address = listener.local_addr().map_err(ServerError::Api)?;
        if settings.store == StoreKind::Sled {
            bootstrap::make_data_dir(&settings.data_dir)?;
        }
        let vault = Vault::new(&*bootstrap::master_key(settings, &random)?, random.clone());
        let store = open(settings).await?;
        let (_, made) = bootstrap::workspace(&*store, &vault, &clock, &random, settings).await?;
        let guards = Guards {
            destinations: Guard::new(settings.destinations_allow.clone())
                .with_ports(settings.destinations_ports.clone())
                .with_https_only(settings.destinations_https_only),
            vendors: Guard::new(settings.vendors_allow.clone()),
        };
        let url = format!("http://{}", reachable(address));
        let node = NodeId::new(&clock, &random)?;
        let (limits, proxy) = (&settings.limits, &settings.egress_proxy);
        let context = Context {
            leases: Arc::new(LeaseKeeper::new(node, &settings.roles.duties(), limits, &clock)),
            store,
            clock,
            random,
            vault: Arc::new(vault),
            vendors: Arc::new(HttpClient::new(
                guards.vendors.clone(),
                ClientOptions::for_vendors(&limits.poll).through(proxy.clone()),
            )?),
            destinations: Arc::new(HttpClient::new(
                guards.destinations.clone(),
                ClientOptions::for_destinations(&limits.deliver).through(proxy.clone()),
            )?),
            limits: Arc::new(limits.clone()),
            public_url: settings.public_url.clone().unwrap_or_else(|| url.clone()).into(),
        };
        let engine = Engine::start(context.clone()).await?;
        let stop_api = CancellationToken::new();
        let options = ApiOptions {
            guards,
            metrics,
            oauth_clients: settings.oauth_clients.clone(),
            has_dashboard: settings.dashboard,
            roles: settings.roles.clone(),
        };
        let router = api::router(context, options);
        let api = tokio::spawn(api::serve(listener, router, stop_api.clone()));
        let drain_deadline = Duration::from_millis(settings.drain_deadline_ms);
        Ok((Server { url, address, engine, api, stop_api, drain_deadline }, made))
    }

    /// The address that is listened on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where this machine reaches it, without a slash at the end.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Ends when the server cannot go on, with the reason.
    pub async fn failed(&mut self) -> ServerError {
        tokio::select! {
            ended = &mut self.api => match ended {
                Ok(Ok(())) => ServerError::Api(io::Error::other("it ended without being told to")),
                Ok(Err(error)) => ServerError::Api(error),
                Err(error) => ServerError::Panicked(error),
            },
            error = self.engine.failed() => error.into(),
        }
    }

    /// Stops: takes no more requests and no more work, and lets what is under way end. What has not ended by the drain's
    /// deadline is dropped; nothing of it counts as done, so it goes on after the next start.
    pub async fn stop(self) -> Result<(), ServerError> {
        let Server { engine, api, stop_api, drain_deadline, .. } = self;
        stop_api.cancel();
        let drained = async {
            engine.stop().await;
            api.await
        };
        match tokio::time::timeout(drain_deadline, drained).await {
            Ok(ended) => ended?.map_err(ServerError::Api),
            Err(_) => {
                let drain_deadline_ms = drain_deadline.as_millis();
                tracing::warn!(%drain_deadline_ms, "the drain did not end in time; what was left goes on after the next start");
                Ok(())
            }
        }
    }
}

async fn bind(address: SocketAddr) -> Result<TcpListener, ServerError> {
    TcpListener::bind(address).await.map_err(|error| ServerError::Listen { address, error })
}

async fn open(settings: &Settings) -> Result<Arc<dyn Store>, ServerError> {
    let limits = settings.limits.store.clone();
    if let Some(options) = settings.postgres() {
        return Ok(Arc::new(PostgresStore::open(&options?, &limits).await?));
    }
    if settings.store == StoreKind::Memory {
        return Ok(Arc::new(MemoryStore::new(&limits)));
    }
    let directory = settings.data_dir.join(STORE_DIRECTORY);
    // Opening reads the whole file, which takes a while where much is kept.
    let opened = tokio::task::spawn_blocking(move || SledStore::open(&directory, &limits));
    Ok(Arc::new(opened.await??))
}

/// An address that can be connected to: one that stands for all of the machine's is reached by loopback.
fn reachable(address: SocketAddr) -> SocketAddr {
    match address.ip() {
        ip if !ip.is_unspecified() => address,
        IpAddr::V4(_) => SocketAddr::from((Ipv4Addr::LOCALHOST, address.port())),
        IpAddr::V6(_) => SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, address.port())),
    }
}
