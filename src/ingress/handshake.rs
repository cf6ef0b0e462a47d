//! Handshakes: requests by which a vendor makes sure of an address, answered as the manifest declares.

use super::change::change_credentials;
use super::take::connection;
use super::verify::sign;
use crate::api::error::ApiError;
use crate::api::find;
use crate::api::state::Api;
use crate::api::wire::Segments;
use crate::credentials::Credentials;
use crate::store::Connection;
use anyhook_connectors::contract::{Account, Digest, EchoVerb, Handshake, Headers, KnownBy, NativeSpec};
use anyhook_connectors::json::text_at;
use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use std::collections::BTreeMap;
use std::sync::Arc;
use subtle::{Choice, ConstantTimeEq};
use url::form_urlencoded;

/// Bytes of a value that is echoed.
const ECHO_BYTES_MAX: usize = 4_096;

/// Bytes of the shortest secret that a sender may bring.
const SECRET_BYTES_MIN: usize = 16;

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
        (Some(Handshake::QueryEcho { verb: EchoVerb::Get, parameter, secret_parameter }), &Method::GET) => {
            let query = query(request.uri());
            echo(&api, &connection, &query, (parameter, secret_parameter))?
                .ok_or_else(|| ApiError::field(parameter, "is missing in the query, or longer than 4096 bytes"))
        }
        (_, method) => Ok(refused(method)),
    }
}

/// The answer to a POST that is a handshake which its vendor does not sign.
pub(super) async fn answer_unsigned(
    api: &Api,
    connection: &Connection,
    native: &NativeSpec<'_>,
    uri: &Uri,
    headers: &Headers,
    body: &[u8],
) -> Result<Option<Response>, ApiError> {
    match native.handshake {
        Some(Handshake::QueryEcho { verb: EchoVerb::Post, parameter, secret_parameter }) => {
            echo(api, connection, &query(uri), (parameter, secret_parameter))
        }
        Some(Handshake::BodyEcho { known_by, field, is_signed: false }) => Ok(echo_body(known_by, field, body)),
        Some(Handshake::SecretHeader { header }) => match headers.get(header) {
            Some(secret) => take_secret(api, connection, header, secret).await.map(Some),
            None => Ok(None),
        },
        _ => Ok(None),
    }
}

/// The answer to a delivery that is a handshake, verified by this secret.
pub(super) fn answer_signed(native: &NativeSpec<'_>, secret: &str, body: &[u8]) -> Option<Response> {
    match native.handshake? {
        Handshake::BodyEcho { known_by, field, is_signed: true } => echo_body(known_by, field, body),
        Handshake::TokenDigest { known_by, token, digest } => {
            let body = known(known_by, body)?;
            let value = text_at(body, token).filter(|value| value.len() <= ECHO_BYTES_MAX)?;
            let answered = sign(Digest::Sha256, secret.as_bytes(), &[value.as_bytes()])?;
            let name = token.rsplit('.').next().unwrap_or(token);
            Some(Json(BTreeMap::from([(name, value), (digest, hex::encode(answered).into())])).into_response())
        }
        _ => None,
    }
}

/// The value of a parameter as text; none where it is not there.
fn echo(
    api: &Api,
    connection: &Connection,
    query: &BTreeMap<String, String>,
    (parameter, secret_parameter): (&str, Option<&str>),
) -> Result<Option<Response>, ApiError> {
    let value = query.get(parameter).filter(|value| (1..=ECHO_BYTES_MAX).contains(&value.len()));
    if let Some(name) = secret_parameter.filter(|_| query.contains_key(parameter)) {
        check_secret(api, connection, name, query.get(name))?;
    }
    Ok(value.map(|value| text(value)))
}

/// The value of a field in JSON under the same name; none where the body is no such handshake.
fn echo_body(known_by: KnownBy<'_>, field: &str, body: &[u8]) -> Option<Response> {
    let value = text_at(known(known_by, body)?, field).filter(|value| value.len() <= ECHO_BYTES_MAX)?;
    Some(Json(BTreeMap::from([(field, value)])).into_response())
}

/// The body as text, where it is known for a handshake.
fn known<'b>(by: KnownBy<'_>, body: &'b [u8]) -> Option<&'b str> {
    let body = std::str::from_utf8(body).ok()?;
    let found = text_at(body, by.path)?;
    by.value.is_none_or(|wanted| found == wanted).then_some(body)
}

/// Keeps the secret that a sender tells, if the connection has none yet, and answers it once it is durable. Whoever knew
/// the address could come first, so that a secret is never replaced in this way.
async fn take_secret(api: &Api, connection: &Connection, header: &str, secret: &str) -> Result<Response, ApiError> {
    if !(SECRET_BYTES_MIN..=ECHO_BYTES_MAX).contains(&secret.len()) {
        return Err(ApiError::bad_request(format!("the header `{header}` holds no secret of 16 to 4096 bytes")));
    }
    let keep = |credentials: &mut Credentials| {
        if credentials.webhook_secrets().is_empty() {
            credentials.webhook_secret = Some(secret.to_owned());
        }
    };
    let (_, credentials) = change_credentials::<ApiError>(&api.context, connection.id, keep).await?;
    if !is_one_of(secret, &credentials.webhook_secrets()) {
        let message = "the connection has another secret already; clear its auth.meta.webhook_secret to take a new one";
        return Err(ApiError::unauthorized(message));
    }
    let name = HeaderName::try_from(header).map_err(|error| ApiError::internal(error.to_string()))?;
    let value = HeaderValue::try_from(secret).map_err(|error| ApiError::bad_request(error.to_string()))?;
    Ok((StatusCode::OK, [(name, value)]).into_response())
}

/// In a time that does not tell where it differs.
fn is_one_of(given: &str, secrets: &[&str]) -> bool {
    let is_right = secrets.iter().map(|secret| given.as_bytes().ct_eq(secret.as_bytes()));
    bool::from(is_right.fold(Choice::from(0), |found, is_right| found | is_right))
}

fn query(uri: &Uri) -> BTreeMap<String, String> {
    form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).into_owned().collect()
}

fn check_secret(api: &Api, connection: &Connection, name: &str, given: Option<&String>) -> Result<(), ApiError> {
    let given = given.ok_or_else(|| ApiError::field(name, "is missing in the query"))?;
    if is_one_of(given, &Credentials::open(&api.context.vault, connection)?.webhook_secrets()) {
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
