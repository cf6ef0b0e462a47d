//! `PUT` and `PATCH /unified/connection/{id}`

use super::auth::Auth;
use super::settings;
use crate::api::auth::Caller;
use crate::api::error::ApiError;
use crate::api::find;
use crate::api::state::Api;
use crate::api::wire::{Fields, JsonBody, Segments};
use crate::api_model::connection::ConnectionView;
use crate::credentials::Credentials;
use crate::store::{Connection, ListPage, StoreError, Webhook, WebhookQuery};
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt, TryStreamExt};
use std::sync::Arc;

/// How often a change is tried again because another came first.
const TRIES_MAX: u32 = 5;
/// Webhooks renamed at the same time, so that their commits are grouped.
const RENAMED_AT_ONCE: usize = 32;

/// Merges what is given into the connection, `auth` too; both verbs do.
///
/// Its integration, environment and whatever is read-only are ignored, because clients send back whole objects. New
/// credentials win over a token that is being refreshed, and what was unhealthy for the old ones is tried again.
pub(crate) async fn update(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Segments(id): Segments<String>,
    body: JsonBody,
) -> Result<Response, ApiError> {
    let fields = body.fields(&api.context.limits.api);
    let mut tries = 0;
    loop {
        let stored = find::connection(&api, caller, &id).await?;
        let changed = merged(&api, &stored, &fields)?;
        if changed == stored {
            return Ok(Json(ConnectionView::new(&stored)).into_response());
        }
        let changed = Connection { updated_at: api.now(), ..changed };
        match api.context.store.replace_connection(changed).await {
            Ok(connection) => {
                if connection.external_xref != stored.external_xref {
                    rename_webhooks(&api, &connection).await?;
                }
                return Ok(Json(ConnectionView::new(&connection)).into_response());
            }
            Err(StoreError::Conflict(_)) if tries < TRIES_MAX => tries += 1,
            Err(error) => return Err(error.into()),
        }
    }
}

/// Payloads carry the customer's own name of the connection from the webhook's row.
async fn rename_webhooks(api: &Api, connection: &Connection) -> Result<(), ApiError> {
    let limit = api.context.limits.api.webhooks_per_connection_max;
    let page = ListPage { limit, ..ListPage::default() };
    let query = WebhookQuery { connection_id: Some(connection.id), page, ..WebhookQuery::default() };
    let webhooks = api.context.store.webhooks(connection.workspace_id, &query).await?;
    let renamed = webhooks.into_iter().map(|webhook| rename(api, connection, webhook));
    futures_util::stream::iter(renamed).buffer_unordered(RENAMED_AT_ONCE).try_collect::<()>().await
}

async fn rename(api: &Api, connection: &Connection, webhook: Webhook) -> Result<(), ApiError> {
    let store = &api.context.store;
    let id = webhook.id;
    let mut current = Some(webhook);
    for _ in 0..=TRIES_MAX {
        let Some(row) = current.filter(|row| row.external_xref != connection.external_xref) else { return Ok(()) };
        let row = Webhook { external_xref: connection.external_xref.clone(), ..row };
        match store.replace_webhook(row).await {
            Ok(_) | Err(StoreError::Missing(_)) => return Ok(()),
            Err(StoreError::Conflict(_)) => current = store.webhook(id).await?,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn merged(api: &Api, stored: &Connection, fields: &Fields<'_>) -> Result<Connection, ApiError> {
    let mut connection = stored.clone();
    if let Some(categories) = settings::categories(fields)? {
        connection.categories = categories;
    }
    if let Some(permissions) = settings::permissions(fields)? {
        connection.permissions = permissions;
    }
    if let Some(external_xref) = fields.text("external_xref")? {
        connection.external_xref = Some(external_xref.to_owned()).filter(|text| !text.is_empty());
    }
    if let Some(is_paused) = fields.flag("is_paused")? {
        connection.is_paused = is_paused;
    }
    if let Some(given) = fields.object("auth", "auth.")? {
        merge_auth(api, &mut connection, &given)?;
    }
    Ok(connection)
}

fn merge_auth(api: &Api, connection: &mut Connection, given: &Fields<'_>) -> Result<(), ApiError> {
    let manifest = find::connector(&connection.integration)?.manifest();
    let credentials = Credentials::open(&api.context.vault, connection)?;
    let before = Auth { profile: connection.profile.clone(), credentials };
    let mut auth = before.clone();
    let has_secret = auth.merge(given, &api.guards.vendors, api.now())?;
    if !has_secret && auth == before {
        return Ok(());
    }
    auth.method(manifest)?;
    connection.auth = auth.credentials.seal(&api.context.vault, connection)?;
    connection.profile = auth.profile;
    connection.auth_revision += 1;
    Ok(())
}
