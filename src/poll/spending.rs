//! What a call spends: its turn at the vendor's host before it is sent, and what the answer says of the quotas after.

use super::budget::gate::{Gate, NotNow, Patience, Permit, Scope};
use super::budget::host::Rules;
use super::budget::pace::Slice;
use super::budget::quota::Pauses;
use super::budget::{Caller, Plan};
use super::error::PollError;
use super::load::Wish;
use super::transport::{VendorAnswer, Vendors};
use super::{rate_headers, sign_in};
use crate::ids::FeedId;
use crate::store::{Connection, Duty, Pause};
use anyhook_connectors::contract::{Connector, Verdict};
use std::sync::Arc;
use std::time::Duration;

/// How old what is known of pauses may be where other nodes may be told of one.
const PAUSE_AGE: Duration = Duration::from_secs(1);

/// Where a call waits for its turn, and the names of the quotas that it counts against.
pub(super) struct Till {
    gate: Arc<Gate>,
    /// The app's quota at this host, as pauses are kept: one text, as a credential's is.
    app: String,
}

impl Vendors {
    /// The way to a connection's host. Pauses that were kept from before a restart hold.
    pub(super) async fn till(&self, connection: &Connection, connector: &dyn Connector) -> Result<Till, PollError> {
        let (limits, manifest) = (&self.context.limits.poll, connector.manifest());
        let base = sign_in::base_url(connection, manifest)?;
        let host = base.host_str().unwrap_or_default();
        let port = base.port().map(|port| format!(":{port}")).unwrap_or_default();
        let plan = Plan::of(manifest, limits);
        let (parts, all) = self.context.leases.share(Duty::Poll);
        let slice = Slice { parts, all };
        let rules = Rules {
            host_requests_max: limits.host_requests_max,
            bucket_requests_max: limits.bucket_requests_max,
            floor_percent: limits.backfill_floor_percent,
            app: plan.app,
            slice,
        };
        let app = format!("{}:app:{host}{port}", manifest.integration);
        let gate = self.gates.get(&app, rules, &self.context.clock);
        if plan.app.is_some() {
            gate.set_slice(slice);
        }
        if !gate.knows(&connection.bucket) {
            // Read before the bucket is made: no call goes past a pause that is not known yet.
            let pause_of_app = if plan.app.is_some() { self.pause_left(&app).await? } else { None };
            let pause = self.pause_left(&connection.bucket).await?;
            gate.make(&connection.bucket, plan.bucket, pause, pause_of_app);
        } else if slice.is_shared() {
            for (scope, quota) in [(Scope::App, &app), (Scope::Bucket, &connection.bucket)] {
                if gate.is_pause_stale(&connection.bucket, scope, PAUSE_AGE)
                    && let Some(left) = self.pause_left(quota).await?
                {
                    gate.close(&connection.bucket, scope, left);
                }
            }
        }
        Ok(Till { gate, app })
    }

    async fn pause_left(&self, quota: &str) -> Result<Option<Duration>, PollError> {
        let longest = Duration::from_millis(self.context.limits.poll.pause_max_ms);
        let pause = self.context.store.pause(quota).await?;
        Ok(pause.map(|pause| pause.left(self.context.clock.now()).min(longest)).filter(|left| !left.is_zero()))
    }

    /// Notes what a feed wants, and answers how many times the room that the quotas have for feeds with a range they want
    /// together. Where the quotas cannot be asked, there is room.
    pub(super) async fn demand(&self, connection: &Connection, feed: FeedId, wish: Wish) -> f64 {
        let Ok(connector) = self.connector(connection) else { return 0.0 };
        let Ok(till) = self.till(connection, connector).await else { return 0.0 };
        let share = f64::from(self.context.limits.poll.pace_budget_percent) / 100.0;
        let of = |scope, name: &str| {
            let room = till.gate.per_second(&connection.bucket, scope);
            room.map_or(0.0, |room| self.loads.demand(name, feed, wish, room * share))
        };
        of(Scope::Bucket, &connection.bucket).max(of(Scope::App, &till.app))
    }

    /// Waits for a turn to ask.
    pub(super) async fn turn(&self, till: &Till, caller: Caller, connection: &Connection) -> Result<Permit, PollError> {
        let limits = &self.context.limits.poll;
        let patience = Patience {
            wait_max: Duration::from_millis(limits.budget_wait_max_ms),
            waiting_max: limits.host_waiting_max,
        };
        let entered = till.gate.enter(&connection.bucket, caller, patience).await;
        entered.map_err(|NotNow(wait)| {
            let message = "this vendor is asked as much as it allows, or as poll.host_requests_max and \
                           poll.bucket_requests_max do";
            PollError::Wait { wait, message: message.to_owned() }
        })
    }

    /// Corrects the quotas by what the answer says, and keeps a pause before anything else happens. Answers how long to
    /// wait where the vendor asks for that.
    pub(super) async fn account(
        &self,
        till: &Till,
        permit: &Permit,
        connection: &Connection,
        connector: &dyn Connector,
        answer: &VendorAnswer,
    ) -> Result<Option<Duration>, PollError> {
        let (limits, limit) = (&self.context.limits.poll, &connector.manifest().rate_limit);
        let bounds = Pauses {
            floor: Duration::from_millis(limits.pause_floor_ms),
            silent: Duration::from_millis(limit.silent_pause_ms),
            max: Duration::from_millis(limits.pause_max_ms),
        };
        let hint = rate_headers::hint(&answer.headers, limit, answer.server_time);
        let of_app = limit.app.map(|app| rate_headers::of_app(&answer.headers, &app, answer.server_time));
        let (bucket, app) = match answer.verdict {
            Verdict::RateLimited => match of_app.filter(|of_app| of_app.is_refusal) {
                Some(of_app) => (None, Some(permit.refuse(Scope::App, of_app.hint, bounds))),
                None => (Some(permit.refuse(Scope::Bucket, hint, bounds)), None),
            },
            Verdict::Transient => (None, None),
            _ => {
                if answer.is_unchanged() && limit.unchanged_is_free {
                    permit.give_back();
                }
                let app = of_app.and_then(|of_app| permit.observe(Scope::App, of_app.hint, bounds));
                (permit.observe(Scope::Bucket, hint, bounds), app)
            }
        };
        for (quota, wait) in [(&connection.bucket, bucket), (&till.app, app)] {
            if let Some(wait) = wait {
                let pause = Pause::starting(self.context.clock.now(), wait);
                self.context.store.extend_pause(quota, pause).await?;
                let wait_ms = wait.as_millis();
                tracing::info!(connection = %connection.id, quota, wait_ms, "the vendor asks for a pause");
            }
        }
        Ok(bucket.max(app))
    }
}
