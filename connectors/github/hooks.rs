//! Registering webhooks on a repository (docs.github.com, "REST API endpoints for repository webhooks").

use super::reference::{REPO_FILTER, checked};
use crate::contract::{ApiRequest, ApiResponse, ConnectorError, HookJob, Method, Registration};
use crate::json::Id;
use crate::model::ObjectType;
use serde::Deserialize;
use serde_json::json;

/// The event that tells of an object type. Each type has its own, because GitHub refuses a second webhook with the
/// same URL and an event in common.
fn event_of(object_type: ObjectType) -> Result<&'static str, ConnectorError> {
    match object_type {
        ObjectType::RepoRepository => Ok("repository"),
        ObjectType::RepoPullrequest => Ok("pull_request"),
        ObjectType::RepoCommit => Ok("push"),
        ObjectType::TaskTask => Ok("issues"),
        other => Err(ConnectorError::unsupported(format!("native webhooks of {other}"))),
    }
}

fn repo_of<'a>(job: &HookJob<'a>) -> Result<&'a str, ConnectorError> {
    match job.filters.get(REPO_FILTER) {
        Some(full_name) => checked(full_name),
        None => Err(ConnectorError::setting(
            "filters.repo_id",
            "GitHub takes webhooks on one repository: name it as owner/name, or use a virtual webhook for all of them",
        )),
    }
}

pub(super) fn register_request(job: &HookJob<'_>) -> Result<ApiRequest, ConnectorError> {
    let event = event_of(job.object_type)?;
    Ok(ApiRequest::new(Method::Post, format!("/repos/{}/hooks", repo_of(job)?)).json(&json!({
        "name": "web",
        "active": true,
        "events": [event],
        "config": { "url": job.ingress_url, "content_type": "json", "secret": job.secret, "insecure_ssl": "0" },
    })))
}

pub(super) fn read_registration(response: &ApiResponse<'_>) -> Result<Registration, ConnectorError> {
    #[derive(Deserialize)]
    struct Hook<'a> {
        #[serde(borrow)]
        id: Id<'a>,
    }
    let hook: Hook<'_> = response.json()?;
    Ok(Registration { id: hook.id.0.into_owned(), secret: None })
}

pub(super) fn remove_request(job: &HookJob<'_>, registration: &Registration) -> Result<ApiRequest, ConnectorError> {
    if registration.id.is_empty() || !registration.id.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(ConnectorError::setting("registration.id", "it is no id of a GitHub webhook, which is a number"));
    }
    Ok(ApiRequest::new(Method::Delete, format!("/repos/{}/hooks/{}", repo_of(job)?, registration.id)))
}
