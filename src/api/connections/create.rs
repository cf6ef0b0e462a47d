//! `POST /unified/connection`

use super::auth::Auth;
use super::{bucket, settings};
use crate::api::auth::Caller;
use crate::api::error::ApiError;
use crate::api::state::Api;
use crate::api::wire::{Fields, JsonBody, shorten};
use crate::api_model::connection::ConnectionView;
use crate::ids::ConnectionId;
use crate::secrets::Sealed;
use crate::store::{Connection, ShardId};
use anyhook_connectors::contract::Manifest;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use std::sync::Arc;

/// Imports an authorised account. Its credentials are sealed and not tried: the first poll tells.
pub(crate) async fn create(State(api): State<Arc<Api>>, caller: Caller, body: JsonBody) -> Result<Response, ApiError> {
    let fields = body.fields(&api.context.limits.api);
    let connection = import(&api, caller, &fields).await?;
    Ok(Json(ConnectionView::new(&connection)).into_response())
}

/// Makes a connection of these fields and keeps it.
pub(crate) async fn import(api: &Api, caller: Caller, fields: &Fields<'_>) -> Result<Connection, ApiError> {
    let connection = read(api, caller, fields).await?;
    check_count(api, caller).await?;
    api.context.store.insert_connection(connection.clone()).await?;
    Ok(connection)
}

async fn read(api: &Api, caller: Caller, fields: &Fields<'_>) -> Result<Connection, ApiError> {
    let manifest = manifest(fields)?;
    let now = api.now();
    let mut auth = Auth::default();
    if let Some(given) = fields.object("auth", "auth.")? {
        auth.merge(&given, &api.guards.vendors, now)?;
    }
    let method = auth.method(manifest)?;
    let id = ConnectionId::new(&api.context.clock, &api.context.random)?;
    let bucket = bucket::bucket(&store_key(api).await?, manifest, method, &auth, id);
    let mut connection = Connection {
        id,
        workspace_id: caller.workspace,
        integration: manifest.integration.to_owned(),
        categories: settings::categories(fields)?.unwrap_or_else(|| settings::all_categories(manifest)),
        permissions: settings::permissions(fields)?.unwrap_or_else(|| settings::all_permissions(manifest)),
        environment: fields.text("environment")?.filter(|name| !name.is_empty()).unwrap_or("Production").to_owned(),
        external_xref: fields.text("external_xref")?.filter(|text| !text.is_empty()).map(str::to_owned),
        is_paused: fields.flag("is_paused")?.unwrap_or(false),
        created_at: now,
        updated_at: now,
        last_healthy_at: None,
        last_unhealthy_at: None,
        last_unhealthy_code: None,
        shard: ShardId::of_bucket(&bucket),
        bucket,
        auth: Sealed::default(),
        profile: auth.profile,
        revision: 0,
        auth_revision: 0,
        refreshing_until: None,
        auth_given_at: None,
    };
    connection.auth = auth.credentials.seal(&api.context.vault, &connection)?;
    Ok(connection)
}

fn manifest(fields: &Fields<'_>) -> Result<&'static Manifest, ApiError> {
    let name = fields.required("integration_type")?;
    let found = anyhook_connectors::find(name).map(|connector| connector.manifest());
    found.ok_or_else(|| {
        let known: Vec<_> = anyhook_connectors::all().iter().map(|known| known.manifest().integration).collect();
        let expected = format!("`{}` is not known; use one of {}", shorten(name), known.join(", "));
        fields.error("integration_type", expected)
    })
}

async fn store_key(api: &Api) -> Result<[u8; 32], ApiError> {
    let mut fresh = [0; 32];
    api.context.random.fill(&mut fresh)?;
    Ok(api.context.store.store_key(fresh).await?)
}

/// A bound on a workspace's connections.
async fn check_count(api: &Api, caller: Caller) -> Result<(), ApiError> {
    let max = api.context.limits.api.connections_max;
    if api.context.store.count_connections(caller.workspace).await? < max as u64 {
        return Ok(());
    }
    Err(ApiError::unprocessable(format!(
        "the workspace has {max} connections already; delete some, or raise the limit"
    )))
}
