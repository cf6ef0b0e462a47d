//! What handlers share.

use super::limiter::Limiter;
use crate::context::Context;
use crate::deliver::Desk;
use crate::ids::{ConnectionId, WorkspaceId};
use crate::outbound::guard::Guard;
use crate::settings::{OAuthClient, Role, Roles};
use crate::store::StoreError;
use chrono::{DateTime, Utc};
use metrics_exporter_prometheus::PrometheusHandle;
use std::fmt;
use tokio::sync::{OnceCell, Semaphore};

/// Which addresses people may name.
#[derive(Debug, Clone, Default)]
pub struct Guards {
    /// For `hook_url`.
    pub destinations: Guard,
    /// For `auth.api_url` and the other addresses of a vendor in `auth`.
    pub vendors: Guard,
}

/// What the API needs besides the context.
#[derive(Clone, Default)]
pub struct ApiOptions {
    /// Which addresses people may name.
    pub guards: Guards,
    /// What `GET /metrics` answers from; none answers 404 there.
    pub metrics: Option<PrometheusHandle>,
    /// The apps that are registered at vendors.
    pub oauth_clients: Vec<OAuthClient>,
    /// Whether browsers are served the dashboard.
    pub has_dashboard: bool,
    /// What this node does.
    pub roles: Roles,
}

impl fmt::Debug for ApiOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiOptions").field("guards", &self.guards).finish_non_exhaustive()
    }
}

/// What handlers share.
pub(crate) struct Api {
    pub(crate) context: Context,
    pub(crate) guards: Guards,
    pub(crate) metrics: Option<PrometheusHandle>,
    pub(crate) oauth_clients: Vec<OAuthClient>,
    pub(crate) has_dashboard: bool,
    pub(crate) roles: Roles,
    pub(crate) callers: Limiter<WorkspaceId>,
    pub(crate) arrivals: Limiter<ConnectionId>,
    pub(crate) tests: Limiter<WorkspaceId>,
    pub(crate) slots: Semaphore,
    desk: OnceCell<Desk>,
}

impl Api {
    pub(crate) fn new(context: Context, options: ApiOptions) -> Self {
        let limits = &context.limits.api;
        Api {
            callers: Limiter::per_second(limits.requests_per_second_max),
            arrivals: Limiter::per_second(limits.ingress_per_second_max),
            tests: Limiter::per_second(limits.tests_per_second_max),
            slots: Semaphore::new(limits.requests_max.min(Semaphore::MAX_PERMITS)),
            guards: options.guards,
            metrics: options.metrics,
            oauth_clients: options.oauth_clients,
            has_dashboard: options.has_dashboard && options.roles.has(Role::Api),
            roles: options.roles,
            desk: OnceCell::new(),
            context,
        }
    }

    /// Where deliveries are asked about.
    pub(crate) async fn desk(&self) -> Result<&Desk, StoreError> {
        self.desk.get_or_try_init(|| Desk::open(self.context.clone())).await
    }

    /// Now, in whole milliseconds: what is answered reads back as the same time.
    pub(crate) fn now(&self) -> DateTime<Utc> {
        let now = self.context.clock.now();
        DateTime::from_timestamp_millis(now.timestamp_millis()).unwrap_or(now)
    }
}
