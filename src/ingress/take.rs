//! `POST /ingress/{connection_id}`

use super::arrival::Ledgers;
use super::handshake;
use super::verify::{Delivery, NotVerified, verify};
use crate::api::error::ApiError;
use crate::api::find;
use crate::api::state::Api;
use crate::api::wire::{Segments, read_capped, shorten};
use crate::credentials::Credentials;
use crate::store::{ArrivalCommit, Arrived, Connection, DeliveryKey, StoreError};
use anyhook_connectors::contract::{Account, Arrival, Connector, Headers, NativeEvent, NativeSpec, ValueAt};
use anyhook_connectors::json::text_at;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::StatusCode;
use http::request::Parts;
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use url::form_urlencoded;

/// How often a delivery is held against the ledger anew because another part wrote first.
const TRIES_MAX: u32 = 16;

/// Takes a delivery in: verified before it is parsed, durable before it is acknowledged.
///
/// A paused connection answers 403, so that the vendor tries again later or a person sees it there; what is missed
/// meanwhile is polled once the pause ends.
pub(crate) async fn take(
    State(api): State<Arc<Api>>,
    Segments(id): Segments<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let (parts, body) = request.into_parts();
    let connection = connection(&api, &id).await?;
    api.arrivals.check(&connection.id).map_err(ApiError::too_many)?;
    let connector = find::connector(&connection.integration)?;
    let body = read_capped(&parts.headers, body, api.context.limits.api.ingress_body_bytes_max).await?;
    let headers = Headers::from_pairs(
        parts
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), String::from_utf8_lossy(value.as_bytes()).into_owned())),
    );
    let account = Account { meta: &connection.profile.meta };
    let native = native(connector, account)?;
    if let Some(answer) = handshake::answer_unsigned(&api, &connection, &native, &parts.uri, &headers, &body).await? {
        return Ok(answer);
    }
    if let Some(answer) = check(&api, &connection, &native, &parts, &headers, &body)? {
        return Ok(answer);
    }
    if connection.is_paused {
        return Err(ApiError::forbidden(
            "the connection is paused; set its is_paused to false, or stop these webhooks",
        ));
    }
    let query: BTreeMap<String, String> =
        form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes()).into_owned().collect();
    let arrivals = connector
        .read_event(&NativeEvent { account, headers: &headers, query: &query, body: &body })
        .map_err(|error| ApiError::bad_request(format!("the webhook cannot be read: {error}")))?;
    let delivery = delivery_key(&native, &headers, &body);
    keep(&api, &connection, connector, &arrivals, delivery).await?;
    Ok(StatusCode::OK.into_response())
}

pub(super) async fn connection(api: &Api, id: &str) -> Result<Connection, ApiError> {
    let missing = || {
        let message = format!("there is no connection `{}`; remove this webhook at the vendor", shorten(id));
        ApiError::new(StatusCode::NOT_FOUND, message)
    };
    let id = id.parse().map_err(|_| missing())?;
    api.context.store.connection(id).await?.ok_or_else(missing)
}

/// How the vendor's webhooks come to this connection.
fn native<'a>(connector: &dyn Connector, account: Account<'a>) -> Result<NativeSpec<'a>, ApiError> {
    let native = connector.native(account).map_err(|error| ApiError::bad_request(error.to_string()))?;
    let name = connector.manifest().name;
    native.ok_or_else(|| ApiError::unsupported(format!("{name} has no webhooks that Anyhook knows")))
}

/// The vendor's id of a delivery, hashed; none where it has none.
fn delivery_key(native: &NativeSpec<'_>, headers: &Headers, body: &[u8]) -> Option<DeliveryKey> {
    let id = match native.delivery_id? {
        ValueAt::Header(name) => Cow::Borrowed(headers.get(name)?),
        ValueAt::Body(path) => text_at(std::str::from_utf8(body).ok()?, path)?,
    };
    Sha256::digest(id.as_bytes()).first_chunk().copied()
}

/// Refuses what is not the vendor's. What is a handshake gets its answer.
fn check(
    api: &Api,
    connection: &Connection,
    native: &NativeSpec<'_>,
    parts: &Parts,
    headers: &Headers,
    body: &Bytes,
) -> Result<Option<Response>, ApiError> {
    let credentials = Credentials::open(&api.context.vault, connection)?;
    let secrets = credentials.webhook_secrets();
    if secrets.is_empty() {
        return Err(ApiError::field(
            "auth.meta.webhook_secret",
            "is not set at this connection; without it nothing can be verified",
        ));
    }
    let target = parts.uri.path_and_query().map_or("", |target| target.as_str());
    let url = format!("{}{target}", api.context.public_url);
    let delivery = Delivery { method: parts.method.as_str(), url: &url, headers, body };
    let now = api.context.clock.now();
    verify(&native.verification, &secrets, &delivery, now).map_err(|error| {
        tracing::warn!(connection = %connection.id, %error, "a pushed webhook was refused");
        metrics::counter!("anyhook_ingress_refused_total", "integration" => connection.integration.clone())
            .increment(1);
        match error {
            NotVerified::Missing(_) | NotVerified::NoTime(_) | NotVerified::BadSecret | NotVerified::Undeclared => {
                ApiError::bad_request(error.to_string())
            }
            NotVerified::Wrong | NotVerified::Stale(_) => ApiError::unauthorized(error.to_string()),
        }
    })?;
    if native.handshake.is_none() {
        return Ok(None);
    }
    let signs = |secret: &&&str| verify(&native.verification, &[secret], &delivery, now).is_ok();
    Ok(secrets.iter().find(signs).and_then(|secret| handshake::answer_signed(native, secret, body)))
}

/// Keeps what a delivery comes to, for all feeds it touches at once.
async fn keep(
    api: &Api,
    connection: &Connection,
    connector: &dyn Connector,
    arrivals: &[Arrival<'_>],
    delivery: Option<DeliveryKey>,
) -> Result<(), ApiError> {
    let (store, limits) = (&api.context.store, &api.context.limits);
    if arrivals.iter().all(|arrival| matches!(arrival, Arrival::Ignore)) {
        return Ok(());
    }
    let mut tries = 0;
    loop {
        let now = api.context.clock.now();
        let ledgers = Ledgers {
            store: store.as_ref(),
            manifest: connector.manifest(),
            log_bytes_max: limits.poll.log_bytes_max,
            page_bytes_max: limits.poll.log_page_bytes_max,
            now,
        };
        let mut commit =
            ArrivalCommit { connection: connection.id, appends: Vec::new(), pings: Vec::new(), delivery, now };
        for feed in store.feeds_of_connection(connection.id, limits.api.webhooks_per_connection_max).await? {
            let share = ledgers.share(&feed, arrivals).await?;
            if share.is_refused {
                return Err(ApiError::unavailable("the feed's log is full: its webhooks are not being delivered"));
            }
            commit.appends.extend(share.append);
            commit.pings.extend(share.ping.then_some(feed.id));
        }
        if commit.appends.is_empty() && commit.pings.is_empty() {
            return Ok(());
        }
        let (appends, pings) = (commit.appends.len(), commit.pings.len());
        match store.commit_arrival(commit).await {
            Ok(Arrived::Repeated) => {
                tracing::debug!(connection = %connection.id, "a pushed webhook came before and was dropped");
                metrics::counter!("anyhook_ingress_repeated_total", "integration" => connection.integration.clone())
                    .increment(1);
                return Ok(());
            }
            Ok(Arrived::Kept) => {
                tracing::debug!(connection = %connection.id, appends, pings, "a pushed webhook was taken in");
                return Ok(());
            }
            Err(StoreError::Conflict(_)) if tries < TRIES_MAX => tries += 1,
            Err(error) => return Err(error.into()),
        }
    }
}
