//! `GET /unified/integration` and `GET /unified/integration/workspace/{workspace_id}`

use crate::api::auth::Caller;
use crate::api::error::ApiError;
use crate::api::state::Api;
use crate::api::wire::{Args, Segments};
use crate::api_model::integration::{IntegrationView, categories};
use crate::limits::ApiLimits;
use axum::Json;
use axum::extract::State;
use std::sync::Arc;

/// The integrations that match, by name.
pub(crate) async fn list(
    State(api): State<Arc<Api>>,
    _: Caller,
    args: Args,
) -> Result<Json<Vec<IntegrationView>>, ApiError> {
    matching(&args, &api.context.limits.api).map(Json)
}

/// The same for a page that people see before they have connected anything, so without a key.
pub(crate) async fn list_of_workspace(
    State(api): State<Arc<Api>>,
    Segments(workspace): Segments<String>,
    args: Args,
) -> Result<Json<Vec<IntegrationView>>, ApiError> {
    super::auth::check_workspace(&api, &workspace).await?;
    matching(&args, &api.context.limits.api).map(Json)
}

/// Every integration of this build is active in every workspace and environment, and none has changed since it was
/// built: `active`, `env` and `updated_gte` leave nothing out.
fn matching(args: &Args, limits: &ApiLimits) -> Result<Vec<IntegrationView>, ApiError> {
    let page = args.page(limits)?;
    let (_, _) = (args.flag("active")?, args.date("updated_gte")?);
    let is_summary = args.flag("summary")?.unwrap_or(false);
    let wanted = args.list("categories");
    let name = args.text("type");
    let manifests = anyhook_connectors::all().iter().map(|connector| connector.manifest());
    let matching = manifests
        .filter(|manifest| name.is_none_or(|name| manifest.integration == name))
        .filter(|manifest| wanted.is_empty() || categories(manifest).iter().any(|has| wanted.iter().any(|w| w == has)));
    Ok(matching.skip(page.offset).take(page.limit).map(|manifest| IntegrationView::new(manifest, is_summary)).collect())
}
