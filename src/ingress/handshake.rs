//! Handshakes: requests by which a vendor makes sure of an address, answered as the manifest declares.

use super::take::connection;
use crate::api::error::ApiError;
use crate::api::find;
use crate::api::state::Api;
use crate::api::wire::Segments;
use crate::credentials::Credentials;
use crate::store::Connection;
use anyhook_connectors::contract::{Account, Handshake, NativeSpec};
use anyhook_connectors::json::text_at;
use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, Method, StatusCode, Uri, header};
use std::collections::BTreeMap;
use std::sync::Arc;
use subtle::{Choice, ConstantTimeEq};
use url::form_urlencoded;

/// Bytes of a value that is echoed.
const ECHO_BYTES_MAX: usize = 4_096;

/// `GET` and `HEAD /ingress/{connection_id}`: the vendor's handshake where it has one of that kind, 405 else.
pub(crate) async fn greet(
    State(api): State<Arc<Api>>,
    Segments(id): Segments<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let connection = connection(&api, &id).await?;
    api.arrivals.check(&connection.id).map_err(ApiError::too_many)?;
    let account = Account { meta: &connection.profile.meta };
    let native = find::connector(&connection.integration)?.native(account).ok().flatten();
    let handshake = native.and_then(|native| native.handshake);
    match (handshake, request.method()) {
        (Some(Handshake::Head), &Method::HEAD) => Ok(StatusCode::OK.into_response()),
        (Some(Handshake::QueryEcho { parameter, secret_parameter }), &Method::GET) => {
            let query = query(request.uri());
            if let Some(name) = secret_parameter {
                check_secret(&api, &connection, name, query.get(name))?;
            }
            let value = query.get(parameter).filter(|value| (1..=ECHO_BYTES_MAX).contains(&value.len()));
            value
                .map(|value| text(value))
                .ok_or_else(|| ApiError::field(parameter, "is missing in the query, or longer than 4096 bytes"))
        }
        (_, method) => Ok(refused(method)),
    }
}

/// The answer to a verified delivery that is a handshake.
pub(super) fn answer(native: &NativeSpec<'_>, body: &[u8]) -> Option<Response> {
    let Some(Handshake::BodyEcho { known_by: (path, wanted), field }) = native.handshake else { return None };
    let body = std::str::from_utf8(body).ok()?;
    if text_at(body, path)? != wanted {
        return None;
    }
    let value = text_at(body, field).filter(|value| value.len() <= ECHO_BYTES_MAX)?;
    Some(Json(BTreeMap::from([(field, value)])).into_response())
}

fn query(uri: &Uri) -> BTreeMap<String, String> {
    form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).into_owned().collect()
}

fn check_secret(api: &Api, connection: &Connection, name: &str, given: Option<&String>) -> Result<(), ApiError> {
    let given = given.ok_or_else(|| ApiError::field(name, "is missing in the query"))?.as_bytes();
    let credentials = Credentials::open(&api.context.vault, connection)?;
    let secrets = credentials.webhook_secrets();
    let is_right = secrets.iter().map(|secret| given.ct_eq(secret.as_bytes()));
    if bool::from(is_right.fold(Choice::from(0), |found, is_right| found | is_right)) {
        return Ok(());
    }
    Err(ApiError::unauthorized(format!("{name} is not the connection's auth.meta.webhook_secret")))
}

/// The value as plain text that no browser takes for anything else.
fn text(value: &str) -> Response {
    let headers = [(header::CONTENT_TYPE, "text/plain; charset=utf-8"), (header::X_CONTENT_TYPE_OPTIONS, "nosniff")];
    (headers, value.to_owned()).into_response()
}

fn refused(method: &Method) -> Response {
    let message = format!("this ingress does not take {method}; the vendor's webhooks are POST");
    let mut response = ApiError::new(StatusCode::METHOD_NOT_ALLOWED, message).into_response();
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST"));
    response
}
