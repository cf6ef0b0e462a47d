//! The token endpoint of OAuth 2 (RFC 6749, section 3.2): codes and refresh tokens in, tokens out.

use super::error::PollError;
use crate::context::Context;
use crate::outbound::{OutboundError, OutboundRequest};
use bytes::Bytes;
use chrono::TimeDelta;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, Method};
use serde::Deserialize;
use std::time::Duration;
use url::{Url, form_urlencoded};

/// Bytes of a token endpoint's answer that are read.
const ANSWER_BYTES_MAX: usize = 64 << 10;
/// The longest life of a token that is believed, in seconds: ten years.
const LIFE_S_MAX: f64 = 315_360_000.0;

/// What the endpoint gave (RFC 6749, section 5.1).
#[derive(Deserialize)]
pub struct Tokens {
    /// The access token.
    pub access_token: String,
    /// The refresh token, where one was given.
    pub refresh_token: Option<String>,
    expires_in: Option<f64>,
}

impl Tokens {
    /// How long the access token lives, where the endpoint says so.
    pub fn life(&self) -> Option<TimeDelta> {
        let seconds = self.expires_in.filter(|seconds| seconds.is_finite())?;
        #[allow(clippy::cast_possible_truncation)] // clamped
        Some(TimeDelta::seconds(seconds.clamp(0.0, LIFE_S_MAX) as i64))
    }
}

/// Asks `vendor`'s token endpoint with these fields.
///
/// - [`PollError::Credential`] where it refuses, [`PollError::Transient`] where it may work later.
/// - The fields are secrets: they are neither logged nor part of an error.
pub async fn ask(context: &Context, vendor: &str, url: &str, fields: &[(&str, &str)]) -> Result<Tokens, PollError> {
    let url = Url::parse(url).map_err(|_| PollError::permanent("setting", "auth.token_url is not a URL"))?;
    let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    let request = OutboundRequest {
        method: Method::POST,
        url,
        headers,
        body: vec![Bytes::from(form)],
        deadline: Duration::from_millis(context.limits.poll.request_deadline_ms),
        body_bytes_max: ANSWER_BYTES_MAX,
    };
    let answer = context.vendors.send(request).await;
    let answer = answer.map_err(|error| match error {
        OutboundError::Forbidden(reason) => PollError::permanent(
            "address_forbidden",
            format!("auth.token_url may not be reached ({reason}); allow it by ANYHOOK_VENDORS_ALLOW if it is yours"),
        ),
        other => PollError::Transient(format!("{vendor}: {other}")),
    })?;
    match answer.status {
        200..=299 => serde_json::from_slice(&answer.body).map_err(|_| {
            PollError::Transient(format!("{vendor}'s token endpoint gave no token as RFC 6749 describes it"))
        }),
        400 | 401 | 403 => Err(PollError::Credential {
            code: "refresh".to_owned(),
            message: format!("{vendor}'s token endpoint gave no token (status {})", answer.status),
        }),
        status => Err(PollError::Transient(format!("{vendor}'s token endpoint answered {status}"))),
    }
}
