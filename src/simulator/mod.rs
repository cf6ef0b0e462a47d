//! A vendor of our own making, to develop receivers against without an account anywhere, and to test with.
//!
//! The same seed, start time and requests give the same vendor. [`Vendor`] is the vendor itself, without IO or clock;
//! [`Simulator`] is one that a server and its tests share; [`serve`] puts one on a socket.
//!
//! # The API
//! `Authorization: Bearer <token>`; errors are `{"error": {"code", "message"}}`. Objects are `contacts`, `companies`,
//! `deals` and `tickets`.
//!
//! | Request | Answer |
//! |---|---|
//! | `GET /v1/{object}` | `{"data": [...], "has_more", "next_cursor", "total"}` |
//! | `GET /v1/{object}/{id}` | the record, or 404 |
//! | `GET /v1/webhooks` | `{"data": [{"id", "url", "events"}]}` |
//! | `POST /v1/webhooks` `{"url", "events", "secret"}` | 201 with `{"id", "url", "events"}` |
//! | `DELETE /v1/webhooks/{id}` | 204 |
//! | `GET /oauth/authorize` | a redirect with `code`, as if a person had consented |
//! | `POST /oauth/token` | RFC 6749; refresh tokens work once and are answered with the next |
//!
//! A listing takes `updated_gte` (inclusive), `updated_gt` (exclusive) and `updated_lt`, `sort` (`updated_at`, `created_at`, `id`), `order`
//! (`asc`, `desc`), `limit`, and either `offset` or `cursor`. A cursor carries the rest of its query, and keeps its
//! place while records move. Answers carry `Date`, `ETag`, and `X-RateLimit-Limit`, `-Remaining` and `-Reset` (epoch
//! seconds, when the budget will be whole again); over the limit it is 429 with `Retry-After`.
//!
//! Webhooks are pushed as `{"event": "contact.updated", "id", "at", "data": {"record"}}`, with `x-sandbox-delivery`
//! (the same in every attempt) and `x-sandbox-signature: t=<epoch seconds>,v1=<hex HMAC-SHA256 of "<t>.<body>">`.
//! `events` may name `contact.*` or `*`.
//!
//! # The control API
//! | Request | Effect |
//! |---|---|
//! | `POST /_control/{object}` `{fields}` | creates a record; what is not given is made up |
//! | `POST /_control/{object}/bulk` `{"count"}` | creates many |
//! | `PATCH /_control/{object}/{id}` `{fields}` | changes one |
//! | `DELETE /_control/{object}/{id}` | deletes one |
//! | `GET /_control/state/{object}?after=&limit=` | every record as it is now, by id |
//! | `GET /_control/history?after=&limit=` | every change there was, by `seq` |
//! | `GET`, `DELETE /_control/stats` | counts; back to zero |
//! | `GET`, `POST`, `DELETE /_control/faults` | what goes wrong: a list of [`FaultRule`] |
//! | `POST /_control/settings` `{"changes_per_second"}` | changes it makes by itself |
//! | `POST /_control/oauth/revoke` | ends all access tokens |
//!
//! A fault is, say, `[{"fault": {"kind": "status", "status": 503}, "path": "/v1/contacts", "next": 3}]`.

mod answer;
mod api;
mod control;
mod faults;
mod history;
mod hooks;
mod http;
mod index;
mod limits;
mod listing;
mod oauth;
mod object;
mod plan;
mod push;
mod query;
mod raw;
mod records;
mod settings;
mod socket;
mod stats;
mod table;
mod vendor;
mod wear;

#[cfg(test)]
mod tests;

pub use answer::{Answer, Request, Transport};
pub use faults::{Fault, FaultRule};
pub use history::{History, HistoryEntry};
pub use hooks::Push;
pub use object::Object;
pub use records::Refusal;
pub use settings::{Deletions, Granularity, SimulatorSettings};
pub use stats::Stats;
pub use vendor::Vendor;

use crate::clock::Clock;
use axum::Router;
use chrono::{DateTime, Utc};
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::Notify;

/// How often the vendor changes things by itself while nobody asks for anything.
const TICK: Duration = Duration::from_millis(50);
/// How long requests under way may take once the simulator is told to stop.
const DRAIN_MAX: Duration = Duration::from_secs(1);

/// A vendor that a server and whoever drives it share. Clones are the same vendor.
#[derive(Clone)]
pub struct Simulator(Arc<Shared>);

struct Shared {
    vendor: Mutex<Vendor>,
    clock: Clock,
    pushes: Notify,
    gzip: bool,
}

impl Simulator {
    /// A vendor with its first records.
    pub fn new(settings: SimulatorSettings, clock: Clock) -> Self {
        let gzip = settings.gzip;
        let vendor = Mutex::new(Vendor::new(settings, clock.now()));
        Simulator(Arc::new(Shared { vendor, clock, pushes: Notify::new(), gzip }))
    }

    /// Does something with the vendor, at the clock's time. No request is answered meanwhile.
    pub fn with<T>(&self, act: impl FnOnce(&mut Vendor, DateTime<Utc>) -> T) -> T {
        let mut vendor = self.0.vendor.lock().unwrap_or_else(PoisonError::into_inner);
        let result = act(&mut vendor, self.0.clock.now());
        if vendor.has_pushes() {
            self.0.pushes.notify_one();
        }
        result
    }

    /// Serves it until `shutdown` ends.
    ///
    /// # Errors
    /// Where the listener fails for good.
    pub async fn serve(
        &self,
        listener: TcpListener,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> std::io::Result<()> {
        let router = Router::new().fallback(http::handle).with_state(self.clone());
        let service = router.into_make_service_with_connect_info::<socket::ResetSwitch>();
        let (stopping, stopped) = tokio::sync::oneshot::channel::<()>();
        let server = axum::serve(socket::SimulatorListener(listener), service).with_graceful_shutdown(async move {
            shutdown.await;
            drop(stopping);
        });
        // Requests that hang on purpose must not hold up the end.
        let drained = async {
            let _ = stopped.await;
            self.0.clock.sleep(DRAIN_MAX).await;
        };
        tokio::select! {
            result = async { server.await } => result,
            () = drained => Ok(()),
            () = self.live() => Ok(()),
            () = push::push_all(self.clone()) => Ok(()),
        }
    }

    /// Lets time pass for the vendor.
    async fn live(&self) {
        loop {
            self.0.clock.sleep(TICK).await;
            self.with(Vendor::tick);
        }
    }

    fn answer(&self, request: &Request<'_>) -> Answer {
        self.with(|vendor, now| vendor.answer(request, now))
    }

    fn clock(&self) -> &Clock {
        &self.0.clock
    }

    fn compresses(&self) -> bool {
        self.0.gzip
    }

    /// Waits for the next push to be made.
    async fn next_push(&self) -> Push {
        loop {
            if let Some(push) = self.with(|vendor, _| vendor.take_push()) {
                return push;
            }
            self.0.pushes.notified().await;
        }
    }
}

/// Serves a new vendor on `listener` until `shutdown` ends. It has no protection but its tokens, and the control API not
/// even these: listen on loopback.
///
/// # Errors
/// Where the listener fails for good.
pub async fn serve(
    listener: TcpListener,
    settings: SimulatorSettings,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    Simulator::new(settings, Clock::system()).serve(listener, shutdown).await
}
