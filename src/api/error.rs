//! What a client is told when something is wrong: what happened and what to do, never the cause of an inner failure.

use crate::deliver::DeskError;
use crate::random::NoEntropy;
use crate::secrets::VaultError;
use crate::store::StoreError;
use axum::Json;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use std::fmt;
use std::time::Duration;

/// An answer that is no success.
#[derive(Debug)]
pub(crate) struct ApiError {
    status: StatusCode,
    message: String,
    cause: Option<String>,
    retry_after_s: Option<u64>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    status_code: u16,
    error: &'a str,
    message: &'a str,
}

impl ApiError {
    /// An answer with this status and text.
    pub(crate) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        ApiError { status, message: message.into(), cause: None, retry_after_s: None }
    }

    /// 400: a field or parameter is missing or wrong. The text says what is expected.
    pub(crate) fn field(name: impl fmt::Display, expected: impl fmt::Display) -> Self {
        Self::new(StatusCode::BAD_REQUEST, format!("{name}: {expected}"))
    }

    /// 400: the request as a whole cannot be read.
    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// 401: no key, or a wrong one.
    pub(crate) fn unauthorized(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, message)
    }

    /// 403: a permission is missing, or something is paused.
    pub(crate) fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, message)
    }

    /// 404: there is no such thing in this workspace.
    pub(crate) fn not_found(noun: &str, id: impl fmt::Display) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            format!("there is no {noun} `{id}` in this workspace; list them to see their ids"),
        )
    }

    /// 409: another change came first, or it is there already.
    pub(crate) fn conflict(message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, message)
    }

    /// 413: more bytes than are taken.
    pub(crate) fn too_large(bytes_max: usize) -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("the body is larger than the {bytes_max} bytes that are taken"),
        )
    }

    /// 422: well formed, but not to be done.
    pub(crate) fn unprocessable(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, message)
    }

    /// 429: come back later.
    pub(crate) fn too_many(wait: Duration) -> Self {
        let seconds = wait.as_millis().div_ceil(1_000).max(1);
        let seconds = u64::try_from(seconds).unwrap_or(u64::MAX);
        let message = format!("too many requests; try again in {seconds} s, as Retry-After says");
        ApiError { retry_after_s: Some(seconds), ..Self::new(StatusCode::TOO_MANY_REQUESTS, message) }
    }

    /// 501: the integration cannot do it.
    pub(crate) fn unsupported(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_IMPLEMENTED, message)
    }

    /// 503: not now.
    pub(crate) fn unavailable(message: impl Into<String>) -> Self {
        ApiError { retry_after_s: Some(1), ..Self::new(StatusCode::SERVICE_UNAVAILABLE, message) }
    }

    /// 500: our fault. The cause is logged, not answered.
    pub(crate) fn internal(cause: impl fmt::Display) -> Self {
        let message = "something went wrong inside Anyhook; its log says what".to_owned();
        ApiError { cause: Some(cause.to_string()), ..Self::new(StatusCode::INTERNAL_SERVER_ERROR, message) }
    }

    /// The same as a mistake in a field, where it says that there is no such thing.
    pub(crate) fn of_field(self, name: impl fmt::Display) -> Self {
        if self.status == StatusCode::NOT_FOUND { Self::field(name, self.message) } else { self }
    }

    /// What the client is told.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Missing(noun) => {
                ApiError::new(StatusCode::NOT_FOUND, format!("the {noun} is gone; it was deleted meanwhile"))
            }
            StoreError::Conflict(noun) => {
                ApiError::conflict(format!("the {noun} was changed by someone else meanwhile; read it and try again"))
            }
            StoreError::Exists(noun) => ApiError::conflict(format!("there already is such a {noun}")),
            StoreError::Unavailable(_) => ApiError {
                cause: Some(error.to_string()),
                ..ApiError::unavailable("the store does not answer at the moment; try again")
            },
            StoreError::Fenced(_) | StoreError::Unreadable(_) => ApiError::internal(error),
        }
    }
}

impl From<DeskError> for ApiError {
    fn from(error: DeskError) -> Self {
        match error {
            DeskError::Store(error) => error.into(),
            DeskError::Unfit(message) => ApiError::unprocessable(message),
        }
    }
}

impl From<VaultError> for ApiError {
    fn from(error: VaultError) -> Self {
        ApiError::internal(error)
    }
}

impl From<NoEntropy> for ApiError {
    fn from(error: NoEntropy) -> Self {
        ApiError::internal(error)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        if let Some(cause) = &self.cause {
            tracing::error!(status = self.status.as_u16(), %cause, "a request failed");
        }
        let error = self.status.canonical_reason().unwrap_or("Error");
        let body = Body { status_code: self.status.as_u16(), error, message: &self.message };
        let mut response = (self.status, Json(body)).into_response();
        if let Some(seconds) = self.retry_after_s {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
