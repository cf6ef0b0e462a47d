//! `/unified/workspace`: the caller's own workspace, found by the API key.

mod get;
mod secret;
mod update;

pub(crate) use get::get;
pub(crate) use secret::{end as end_secret, rotate as rotate_secret};
pub(crate) use update::update;

use super::auth::Caller;
use super::error::ApiError;
use super::state::Api;
use crate::store::{StoreError, Workspace};

/// The caller's workspace.
async fn own(api: &Api, caller: Caller) -> Result<Workspace, ApiError> {
    let found = api.context.store.workspace(caller.workspace).await?;
    found.ok_or_else(|| StoreError::Missing("workspace").into())
}
