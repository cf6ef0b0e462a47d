//! `GET /unified/insight`

use crate::api::auth::Caller;
use crate::api::error::ApiError;
use crate::api::find;
use crate::api::state::Api;
use crate::api::wire::{Args, choice};
use crate::api_model::insight::InsightView;
use crate::store::{InsightQuery, ListOrder, Resolution};
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use std::sync::Arc;

/// A connection's insights, newest first unless `order` says otherwise; by the hour unless `resolution` says `day`. The
/// span that is under way is among them, as far as it is.
pub(crate) async fn list(State(api): State<Arc<Api>>, caller: Caller, args: Args) -> Result<Response, ApiError> {
    let page = args.page(&api.context.limits.api)?;
    let id = args.text("connection_id").filter(|id| !id.is_empty());
    let id = id.ok_or_else(|| ApiError::field("connection_id", "is missing; insights are by connection"))?;
    let connection = find::connection(&api, caller, id).await?;
    let lengths = [("hour", Resolution::Hour), ("day", Resolution::Day)];
    let resolution = args.text("resolution").filter(|text| !text.is_empty());
    let resolution = resolution.map_or(Ok(Resolution::Hour), |text| choice("resolution", text, &lengths))?;
    let object_type = args.text("object_type").filter(|text| !text.is_empty());
    let unknown = |_| ApiError::field("object_type", "is not known; expected one as in crm_contact");
    let query = InsightQuery {
        connection_id: connection.id,
        resolution,
        object_type: object_type.map(|text| text.parse().map_err(unknown)).transpose()?,
        since: args.date("updated_gte")?,
        is_ascending: args.order()? == Some(ListOrder::Ascending),
        offset: page.offset,
        limit: page.limit,
    };
    let insights = api.context.store.insights(&query).await?;
    let views: Vec<_> = insights.iter().map(InsightView::new).collect();
    Ok(Json(views).into_response())
}
