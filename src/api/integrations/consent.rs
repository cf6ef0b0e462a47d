//! What is remembered while a person consents at the vendor: sealed into the `state` that the vendor hands back, so that
//! nothing is kept here and nobody else can make one.

use crate::api::error::ApiError;
use crate::api::state::Api;
use crate::ids::WorkspaceId;
use crate::secrets::Sealed;
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

/// Whose secret it is, for the vault.
const OWNER: &str = "oauth/state";
/// How long a person may take.
const LIFE: TimeDelta = TimeDelta::minutes(30);

/// A consent under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Consent {
    pub(super) workspace: WorkspaceId,
    pub(super) integration: String,
    pub(super) environment: Option<String>,
    pub(super) external_xref: Option<String>,
    pub(super) success_redirect: Option<String>,
    pub(super) failure_redirect: Option<String>,
    /// The caller's own state, handed back to it.
    pub(super) state: Option<String>,
    /// The vendor's address, where the integration has none of its own.
    pub(super) api_url: Option<String>,
    pub(super) until: DateTime<Utc>,
}

impl Consent {
    /// Until when one that begins now can be taken up.
    pub(super) fn until(api: &Api) -> DateTime<Utc> {
        api.now() + LIFE
    }

    /// As the `state` parameter.
    pub(super) fn seal(&self, api: &Api) -> Result<String, ApiError> {
        let plain = serde_json::to_vec(self).map_err(|_| unusable())?;
        let sealed = api.context.vault.seal(OWNER, &plain)?;
        let text = serde_json::to_value(&sealed).ok().and_then(|value| value.as_str().map(str::to_owned));
        text.ok_or_else(unusable)
    }

    /// From the `state` parameter, where it is ours and not too old.
    pub(super) fn open(api: &Api, state: &str) -> Result<Self, ApiError> {
        let sealed: Sealed = serde_json::from_value(serde_json::Value::from(state)).map_err(|_| unusable())?;
        let plain = api.context.vault.open(OWNER, &sealed).map_err(|_| unusable())?;
        let consent: Consent = serde_json::from_slice(&plain).map_err(|_| unusable())?;
        if consent.until < api.now() { Err(unusable()) } else { Ok(consent) }
    }
}

fn unusable() -> ApiError {
    ApiError::field("state", "is not one of ours or older than half an hour; begin the authorisation again")
}
