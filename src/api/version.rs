//! The version that every answer names.

use crate::store::PayloadVersion;
use axum::response::Response;
use http::{HeaderName, HeaderValue};

const VERSION: HeaderName = HeaderName::from_static(PayloadVersion::HEADER);

/// The answer, with the version of the shapes in it: the newest, whatever versions webhooks keep.
pub(crate) async fn named(mut response: Response) -> Response {
    response.headers_mut().insert(VERSION, HeaderValue::from_static(PayloadVersion::NEWEST.as_str()));
    response
}
