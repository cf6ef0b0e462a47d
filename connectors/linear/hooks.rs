//! Registering webhooks by the API (linear.app/developers/webhooks, "Creating webhooks by API"): for all public teams.

use super::events::NAMES;
use super::query::{self, Answer};
use crate::contract::{ApiRequest, ApiResponse, ConnectorError, HookJob, Registration};
use serde::{Deserialize, Serialize};

const CREATE: &str = "mutation($input:WebhookCreateInput!){webhookCreate(input:$input){success webhook{id}}}";
const DELETE: &str = "mutation($id:String!){webhookDelete(id:$id){success}}";

#[derive(Serialize)]
struct Create<'a> {
    input: Input<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Input<'a> {
    url: &'a str,
    secret: &'a str,
    resource_types: [&'static str; 1],
    all_public_teams: bool,
}

#[derive(Serialize)]
struct Delete<'a> {
    id: &'a str,
}

pub(super) fn register_request(job: &HookJob<'_>) -> Result<ApiRequest, ConnectorError> {
    let (_, name) = NAMES
        .into_iter()
        .find(|(known, _)| *known == job.object_type)
        .ok_or_else(|| ConnectorError::unsupported(format!("native webhooks for {}", job.object_type)))?;
    let input = Input { url: job.ingress_url, secret: job.secret, resource_types: [name], all_public_teams: true };
    query::request(CREATE, &Create { input })
}

pub(super) fn read_registration(response: &ApiResponse<'_>) -> Result<Registration, ConnectorError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Data {
        webhook_create: Created,
    }
    #[derive(Deserialize)]
    struct Created {
        webhook: Webhook,
    }
    #[derive(Deserialize)]
    struct Webhook {
        id: String,
    }
    let answer: Answer<Data> = response.json()?;
    Ok(Registration { id: answer.data.webhook_create.webhook.id, secret: None })
}

pub(super) fn remove_request(registration: &Registration) -> Result<ApiRequest, ConnectorError> {
    query::request(DELETE, &Delete { id: &registration.id })
}
