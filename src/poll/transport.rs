//! One call to a vendor: budget, signing in, sending, retrying, and what the answer means.
//!
//! Whoever calls gets an answer to be read, or a [`PollError`] that says what is to be done.

use super::budget::Caller;
use super::budget::gate::Gates;
use super::error::PollError;
use super::load::Loads;
use super::parents::ParentLists;
use super::refresh::Turns;
use super::{rate_headers, sign_in};
use crate::context::Context;
use crate::credentials::Credentials;
use crate::ids::ConnectionId;
use crate::outbound::{OutboundRequest, OutboundResponse};
use crate::store::{Connection, Duty};
use anyhook_connectors::contract::{ApiRequest, ApiResponse, Connector, Headers, Verdict};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

/// Opened credentials kept in memory.
const OPEN_CREDENTIALS_MAX: usize = 10_000;

/// An answer to be read.
#[derive(Debug, Clone)]
pub struct VendorAnswer {
    /// [`Verdict::Read`], [`Verdict::NotFound`] or [`Verdict::CursorExpired`].
    pub verdict: Verdict,
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: Headers,
    /// The body.
    pub body: Bytes,
    /// The vendor's clock; ours where it tells none.
    pub server_time: DateTime<Utc>,
}

impl VendorAnswer {
    /// As a connector reads it.
    pub fn response(&self) -> ApiResponse<'_> {
        ApiResponse { status: self.status, headers: &self.headers, body: &self.body }
    }

    /// True where the vendor says that nothing changed since the tag that was sent.
    pub fn is_unchanged(&self) -> bool {
        self.status == 304
    }
}

/// What calls have cost.
#[derive(Debug, Clone, Default)]
pub struct CallCost {
    /// Requests sent.
    pub requests: u64,
    /// Bytes of bodies read.
    pub bytes: u64,
    /// Waiting for the vendor, in milliseconds.
    pub duration_ms: u64,
    /// The last status; 0 where there was none.
    pub status: u16,
}

/// Finds an integration by its name.
pub type FindConnector = fn(&str) -> Option<&'static dyn Connector>;

/// The way to vendors.
#[derive(Debug)]
pub struct Vendors {
    pub(super) context: Context,
    find: FindConnector,
    pub(super) gates: Gates,
    pub(super) loads: Loads,
    open: Mutex<HashMap<ConnectionId, (u64, Arc<Credentials>)>>,
    pub(super) refreshing: Turns,
    pub(super) renewals: TaskTracker,
    pub(super) parent_lists: ParentLists,
    /// Feeds that may be swept at the same time.
    pub(super) sweeps: Semaphore,
}

impl Vendors {
    /// Budgets and opened credentials are shared by all calls made through one.
    pub fn new(context: Context) -> Self {
        let sweeps = Semaphore::new(context.limits.poll.sweeps_max);
        Vendors {
            context,
            find: anyhook_connectors::find,
            gates: Gates::default(),
            loads: Loads::default(),
            open: Mutex::default(),
            refreshing: Turns::default(),
            renewals: TaskTracker::new(),
            parent_lists: ParentLists::default(),
            sweeps,
        }
    }

    /// The same, with other integrations than this build's: for tests of vendors that none of these is like.
    #[must_use]
    pub fn with_connectors(self, find: FindConnector) -> Self {
        Vendors { find, ..self }
    }

    /// The connector of a connection's integration.
    pub fn connector(&self, connection: &Connection) -> Result<&'static dyn Connector, PollError> {
        (self.find)(&connection.integration).ok_or_else(|| {
            PollError::permanent("integration", format!("this build has no integration {}", connection.integration))
        })
    }

    /// Asks the vendor once, for parts that make single calls.
    pub async fn call(
        &self,
        caller: Caller,
        connection: &Connection,
        request: &ApiRequest,
    ) -> Result<VendorAnswer, PollError> {
        self.call_costed(caller, connection, request, &mut CallCost::default()).await
    }

    /// Asks the vendor, retrying what may pass, and adds up what it cost. Only while the connection's shard is worked on
    /// here: otherwise [`PollError::Gone`].
    pub async fn call_costed(
        &self,
        caller: Caller,
        connection: &Connection,
        request: &ApiRequest,
        cost: &mut CallCost,
    ) -> Result<VendorAnswer, PollError> {
        let connector = self.connector(connection)?;
        let till = self.till(connection, connector).await?;
        let mut connection = std::borrow::Cow::Borrowed(connection);
        let mut credentials = self.fresh_credentials(&mut connection).await?;
        let mut is_refreshed = false;
        let mut tries = 0;
        loop {
            let permit = self.turn(&till, caller, &connection).await?;
            // Looked at last: to wait for a turn, or to try again, may take longer than a lease lives.
            if self.context.leases.lease(Duty::Poll, connection.shard).is_none() {
                return Err(PollError::Gone);
            }
            tries += 1;
            let sent = self.send(connector, &connection, &credentials, request, cost).await;
            let answer = match sent {
                Ok(answer) => answer,
                Err(PollError::Transient(message)) => {
                    drop(permit);
                    self.wait_or_give_up(tries, None, message).await?;
                    continue;
                }
                Err(error) => return Err(error),
            };
            let wait = self.account(&till, &permit, &connection, connector, &answer).await?;
            drop(permit);
            match answer.verdict {
                Verdict::Read | Verdict::NotFound | Verdict::CursorExpired => return Ok(answer),
                Verdict::RateLimited => {
                    let message = format!("{} answered that there are too many requests", connector.manifest().name);
                    return Err(PollError::Wait { wait: wait.unwrap_or_default(), message });
                }
                Verdict::Credential if !is_refreshed => {
                    is_refreshed = true;
                    match self.refresh_after_refusal(&connection, &credentials).await? {
                        Some(renewed) => (connection, credentials) = (std::borrow::Cow::Owned(renewed.0), renewed.1),
                        None => return Err(refused(connector, answer.status)),
                    }
                }
                Verdict::Credential => return Err(refused(connector, answer.status)),
                Verdict::Transient => {
                    let message = format!("{} answered {}", connector.manifest().name, answer.status);
                    let retry_after = answer
                        .headers
                        .get("retry-after")
                        .and_then(|text| rate_headers::retry_after(text, answer.server_time));
                    self.wait_or_give_up(tries, retry_after, message).await?;
                }
                Verdict::Permanent => return Err(rejected(connector, request, &answer)),
            }
        }
    }

    /// A connection's credentials, opened; kept until they change.
    pub(super) fn credentials(&self, connection: &Connection) -> Result<Arc<Credentials>, PollError> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((revision, credentials)) = open.get(&connection.id)
            && *revision == connection.auth_revision
        {
            return Ok(credentials.clone());
        }
        let credentials = Arc::new(Credentials::open(&self.context.vault, connection)?);
        if open.len() >= OPEN_CREDENTIALS_MAX {
            open.clear();
        }
        open.insert(connection.id, (connection.auth_revision, credentials.clone()));
        Ok(credentials)
    }

    async fn wait_or_give_up(&self, tries: u32, floor: Option<Duration>, message: String) -> Result<(), PollError> {
        let limits = &self.context.limits.poll;
        let longest = Duration::from_millis(limits.retry_wait_max_ms);
        let floor = floor.unwrap_or_default();
        if floor > longest {
            return Err(PollError::Wait { wait: floor, message });
        }
        if tries >= limits.request_tries_max {
            return Err(PollError::Transient(format!("{message} ({tries} tries)")));
        }
        let spread = limits.retry_base_ms.saturating_mul(1 << tries.min(16)).min(limits.retry_wait_max_ms);
        let wait = Duration::from_millis(self.context.random.up_to(spread)).max(floor);
        self.context.clock.sleep(wait).await;
        Ok(())
    }

    async fn send(
        &self,
        connector: &dyn Connector,
        connection: &Connection,
        credentials: &Credentials,
        request: &ApiRequest,
        cost: &mut CallCost,
    ) -> Result<VendorAnswer, PollError> {
        let limits = &self.context.limits.poll;
        let manifest = connector.manifest();
        let base = sign_in::base_url(connection, manifest)?;
        let mut url = sign_in::target_url(&base, &request.target)?;
        let headers = sign_in::headers(request, connection, manifest, credentials, &mut url)?;
        let outbound = OutboundRequest {
            method: sign_in::method(request.method)?,
            url,
            headers,
            body: request.body.clone().map(Bytes::from).into_iter().collect(),
            deadline: Duration::from_millis(limits.request_deadline_ms),
            body_bytes_max: limits.response_bytes_max,
        };
        let sent_at = self.context.clock.now();
        let answered = self.context.vendors.send(outbound).await;
        let took = self.context.clock.now() - sent_at;
        cost.requests += 1;
        cost.duration_ms += u64::try_from(took.num_milliseconds()).unwrap_or(0);
        let answer = answered.map_err(|error| unreachable_vendor(manifest.name, error))?;
        cost.bytes += answer.body.len() as u64;
        cost.status = answer.status;
        self.read(connector, answer)
    }

    fn read(&self, connector: &dyn Connector, answer: OutboundResponse) -> Result<VendorAnswer, PollError> {
        if answer.is_cut {
            return Err(PollError::permanent(
                "answer_too_large",
                format!(
                    "{} answered with more than {} bytes; raise poll.response_bytes_max",
                    connector.manifest().name,
                    self.context.limits.poll.response_bytes_max
                ),
            ));
        }
        let headers = Headers::from_pairs(
            answer
                .headers
                .iter()
                .map(|(name, value)| (name.as_str(), String::from_utf8_lossy(value.as_bytes()).into_owned())),
        );
        let response = ApiResponse { status: answer.status, headers: &headers, body: &answer.body };
        let verdict = if answer.status == 304 { Verdict::Read } else { connector.judge(&response) };
        let server_time = rate_headers::date(&headers).unwrap_or_else(|| self.context.clock.now());
        Ok(VendorAnswer { verdict, status: answer.status, headers, body: answer.body, server_time })
    }
}

fn unreachable_vendor(vendor: &str, error: crate::outbound::OutboundError) -> PollError {
    match error {
        crate::outbound::OutboundError::Forbidden(reason) => PollError::permanent(
            "address_forbidden",
            format!("auth.api_url may not be reached ({reason}); allow it by ANYHOOK_VENDORS_ALLOW if it is yours"),
        ),
        other => PollError::Transient(format!("{vendor}: {other}")),
    }
}

fn refused(connector: &dyn Connector, status: u16) -> PollError {
    PollError::Credential {
        code: status.to_string(),
        message: format!("{} does not accept the credentials (status {status})", connector.manifest().name),
    }
}

fn rejected(connector: &dyn Connector, request: &ApiRequest, answer: &VendorAnswer) -> PollError {
    let path = request.target.split('?').next().unwrap_or_default();
    PollError::permanent(
        "rejected",
        format!(
            "{} rejected {} {path} with status {}; check the connection's permissions and settings",
            connector.manifest().name,
            request.method.as_str(),
            answer.status
        ),
    )
}
