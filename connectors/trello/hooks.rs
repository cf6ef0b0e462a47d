//! Registering webhooks (developer.atlassian.com/cloud/trello/guides/rest-api/webhooks, "Creating a Webhook"): each
//! watches one board. Trello signs with the app's secret, so that none is sent.

use super::BOARD_FILTER;
use crate::contract::{ApiRequest, ApiResponse, ConnectorError, HookJob, Method, Registration, encode_segment};
use serde::Deserialize;

pub(super) fn register_request(job: &HookJob<'_>) -> Result<ApiRequest, ConnectorError> {
    let field = format!("filters.{BOARD_FILTER}");
    let board = job.filters.get(BOARD_FILTER).ok_or_else(|| {
        ConnectorError::setting(field, "is needed for native webhooks: Trello's watch one board each")
    })?;
    Ok(ApiRequest::new(Method::Post, "/1/webhooks")
        .query_opt("key", job.account.setting("app_id"))
        .query("callbackURL", job.ingress_url)
        .query("idModel", board))
}

pub(super) fn read_registration(response: &ApiResponse<'_>) -> Result<Registration, ConnectorError> {
    #[derive(Deserialize)]
    struct Webhook {
        id: String,
    }
    let webhook: Webhook = response.json()?;
    Ok(Registration { id: webhook.id, secret: None })
}

pub(super) fn remove_request(job: &HookJob<'_>, registration: &Registration) -> ApiRequest {
    ApiRequest::new(Method::Delete, format!("/1/webhooks/{}", encode_segment(&registration.id)))
        .query_opt("key", job.account.setting("app_id"))
}
