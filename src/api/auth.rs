//! Who calls: the API key in the header `authorization`, as it is or behind `Bearer`.

use super::error::ApiError;
use super::state::Api;
use crate::ids::WorkspaceId;
use axum::extract::FromRequestParts;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use http::request::Parts;
use sha2::{Digest, Sha256};
use std::sync::Arc;
use subtle::ConstantTimeEq;

/// The workspace whose key came with the request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Caller {
    pub(crate) workspace: WorkspaceId,
}

impl FromRequestParts<Arc<Api>> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, ApiError> {
        let key = key_of(&parts.headers)?;
        let hash: [u8; 32] = Sha256::digest(key.as_bytes()).into();
        let found = api.context.store.workspace_by_key(&hash).await?;
        let workspace = found.filter(|workspace| bool::from(workspace.key_hash.ct_eq(&hash)));
        let workspace =
            workspace.ok_or_else(|| ApiError::unauthorized("the API key in `authorization` is not known"))?;
        api.callers.check(&workspace.id).map_err(ApiError::too_many)?;
        Ok(Caller { workspace: workspace.id })
    }
}

fn key_of(headers: &HeaderMap) -> Result<&str, ApiError> {
    let missing = || ApiError::unauthorized("send the workspace's API key in the header `authorization`");
    let text = headers.get(AUTHORIZATION).ok_or_else(missing)?.to_str().map_err(|_| missing())?.trim();
    let key = match text.split_once(' ') {
        Some((scheme, key)) if scheme.eq_ignore_ascii_case("bearer") => key.trim(),
        _ => text,
    };
    if key.is_empty() || key.eq_ignore_ascii_case("bearer") { Err(missing()) } else { Ok(key) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn the_key_is_read_with_and_without_a_scheme() {
        for (text, expected) in [
            ("k1", Some("k1")),
            ("Bearer k1", Some("k1")),
            ("bEARER  k1", Some("k1")),
            ("", None),
            ("Bearer", None),
            ("Bearer ", None),
        ] {
            let headers = HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_static(text))]);
            assert_eq!(key_of(&headers).ok(), expected, "{text:?}");
        }
        assert!(key_of(&HeaderMap::new()).is_err());
    }
}
