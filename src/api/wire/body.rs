//! The body of a request: JSON, capped.

use super::Fields;
use crate::api::error::ApiError;
use crate::api::state::Api;
use crate::limits::ApiLimits;
use axum::body::Body;
use axum::extract::{FromRequest, Request};
use bytes::{Bytes, BytesMut};
use futures_util::TryStreamExt;
use http::{HeaderMap, StatusCode, header};
use serde_json::{Map, Value};
use std::sync::Arc;

/// How many times the cap is read and thrown away, so that a client that sends somewhat too much still gets to read
/// the answer.
const DISCARDED_CAPS: usize = 4;

/// A JSON object.
#[derive(Debug)]
pub(crate) struct JsonBody(Map<String, Value>);

impl JsonBody {
    /// Its fields.
    pub(crate) fn fields<'a>(&'a self, limits: &'a ApiLimits) -> Fields<'a> {
        Fields::new("", &self.0, limits)
    }
}

impl FromRequest<Arc<Api>> for JsonBody {
    type Rejection = ApiError;

    async fn from_request(request: Request, api: &Arc<Api>) -> Result<Self, ApiError> {
        let map = read_object(request, api).await?;
        map.map(JsonBody).ok_or_else(|| ApiError::bad_request("the body is empty; send a JSON object"))
    }
}

/// A JSON object, or nothing: then it has no fields.
#[derive(Debug)]
pub(crate) struct OptionalBody(Map<String, Value>);

impl OptionalBody {
    /// Its fields.
    pub(crate) fn fields<'a>(&'a self, limits: &'a ApiLimits) -> Fields<'a> {
        Fields::new("", &self.0, limits)
    }
}

impl FromRequest<Arc<Api>> for OptionalBody {
    type Rejection = ApiError;

    async fn from_request(request: Request, api: &Arc<Api>) -> Result<Self, ApiError> {
        Ok(OptionalBody(read_object(request, api).await?.unwrap_or_default()))
    }
}

/// None for an empty body.
async fn read_object(request: Request, api: &Api) -> Result<Option<Map<String, Value>>, ApiError> {
    let (parts, body) = request.into_parts();
    let bytes = read_capped(&parts.headers, body, api.context.limits.api.body_bytes_max).await?;
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Ok(None);
    }
    check_content_type(&parts.headers)?;
    let value = serde_json::from_slice(&bytes)
        .map_err(|error| ApiError::bad_request(format!("the body is not valid JSON: {error}")))?;
    match value {
        Value::Object(map) => Ok(Some(map)),
        _ => Err(ApiError::bad_request("the body is JSON but no object; send {…}")),
    }
}

/// Reads a body, at most this many bytes.
pub(crate) async fn read_capped(headers: &HeaderMap, body: Body, bytes_max: usize) -> Result<Bytes, ApiError> {
    let declared = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    let given_up_at = bytes_max.saturating_mul(DISCARDED_CAPS);
    if declared.is_some_and(|length| length > given_up_at) {
        return Err(ApiError::too_large(bytes_max));
    }
    let mut kept = BytesMut::with_capacity(declared.unwrap_or_default().min(bytes_max));
    let mut seen: usize = 0;
    let mut chunks = body.into_data_stream();
    while let Some(chunk) = chunks.try_next().await.map_err(broken)? {
        seen = seen.saturating_add(chunk.len());
        if seen <= bytes_max {
            kept.extend_from_slice(&chunk);
        } else if seen > given_up_at {
            break;
        }
    }
    if seen > bytes_max { Err(ApiError::too_large(bytes_max)) } else { Ok(kept.freeze()) }
}

fn broken(error: axum::Error) -> ApiError {
    ApiError::bad_request(format!("the body could not be read to its end: {error}"))
}

/// JSON, or nothing said.
fn check_content_type(headers: &HeaderMap) -> Result<(), ApiError> {
    let Some(value) = headers.get(header::CONTENT_TYPE) else { return Ok(()) };
    let text = value.to_str().unwrap_or_default().to_ascii_lowercase();
    let kind = text.split(';').next().unwrap_or_default().trim();
    let is_json =
        kind.is_empty() || kind == "application/json" || (kind.starts_with("application/") && kind.ends_with("+json"));
    if is_json {
        return Ok(());
    }
    let message = "send the body as JSON with the header `content-type: application/json`";
    Err(ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, message))
}
