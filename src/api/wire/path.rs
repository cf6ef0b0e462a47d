//! What stands in a route's place for a name.

use crate::api::error::ApiError;
use crate::api::state::Api;
use axum::extract::{FromRequestParts, Path};
use http::request::Parts;
use std::sync::Arc;

/// The texts of a route's places, decoded.
#[derive(Debug)]
pub(crate) struct Segments<T>(pub(crate) T);

impl<T: serde::de::DeserializeOwned + Send> FromRequestParts<Arc<Api>> for Segments<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, ApiError> {
        let path = Path::<T>::from_request_parts(parts, api).await;
        path.map(|Path(texts)| Segments(texts)).map_err(|_| ApiError::bad_request("the path is not valid UTF-8"))
    }
}
