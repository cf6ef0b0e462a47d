//! Rows by the ids that clients give. Another workspace's row is as good as none.

use super::auth::Caller;
use super::error::ApiError;
use super::state::Api;
use crate::store::{Connection, Destination, Webhook};
use anyhook_connectors::contract::Connector;

/// The caller's webhook of this id.
pub(crate) async fn webhook(api: &Api, caller: Caller, id: &str) -> Result<Webhook, ApiError> {
    let missing = || ApiError::not_found("webhook", super::wire::shorten(id));
    let found = api.context.store.webhook(id.parse().map_err(|_| missing())?).await?;
    found.filter(|webhook| webhook.workspace_id == caller.workspace).ok_or_else(missing)
}

/// The caller's connection of this id.
pub(crate) async fn connection(api: &Api, caller: Caller, id: &str) -> Result<Connection, ApiError> {
    let missing = || ApiError::not_found("connection", super::wire::shorten(id));
    let found = api.context.store.connection(id.parse().map_err(|_| missing())?).await?;
    found.filter(|connection| connection.workspace_id == caller.workspace).ok_or_else(missing)
}

/// The caller's destination of this id.
pub(crate) async fn destination(api: &Api, caller: Caller, id: &str) -> Result<Destination, ApiError> {
    let missing = || ApiError::not_found("destination", super::wire::shorten(id));
    let found = api.context.store.destination(id.parse().map_err(|_| missing())?).await?;
    found.filter(|destination| destination.workspace_id == caller.workspace).ok_or_else(missing)
}

/// The connector of a row's integration.
pub(crate) fn connector(integration: &str) -> Result<&'static dyn Connector, ApiError> {
    anyhook_connectors::find(integration)
        .ok_or_else(|| ApiError::unsupported(format!("this build of Anyhook has no integration `{integration}`")))
}
