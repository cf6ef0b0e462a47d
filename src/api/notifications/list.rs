//! `GET /unified/notification`

use crate::api::auth::Caller;
use crate::api::error::ApiError;
use crate::api::state::Api;
use crate::api::wire::{Args, event};
use crate::api_model::notification::NotificationView;
use crate::store::{EventPattern, ListOrder, NotificationQuery};
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use chrono::TimeDelta;
use std::sync::Arc;

/// The workspace's notifications, newest first unless `order` says otherwise. Whatever `sort` says, they come in the
/// order in which they happened: one never changes.
pub(crate) async fn list(State(api): State<Arc<Api>>, caller: Caller, args: Args) -> Result<Response, ApiError> {
    let page = args.page(&api.context.limits.api)?;
    // What is too old is forgotten when the next one is written; until then it is not shown.
    let kept = i64::try_from(api.context.limits.store.notifications_kept_ms).ok().and_then(TimeDelta::try_milliseconds);
    let kept_since = kept.and_then(|kept| api.now().checked_sub_signed(kept));
    let query = NotificationQuery {
        since: args.date("updated_gte")?.max(kept_since),
        events: events(&args)?,
        connection_id: args.id("connection_id")?,
        webhook_id: args.id("webhook_id")?,
        is_ascending: args.order()? == Some(ListOrder::Ascending),
        offset: page.offset,
        limit: page.limit,
    };
    let store = &api.context.store;
    let notifications = store.notifications(caller.workspace, &query).await?;
    let workspace = store.workspace(caller.workspace).await?;
    let name = workspace.as_ref().map(|workspace| workspace.name.as_str());
    let views: Vec<_> = notifications.iter().map(|row| NotificationView::new(row, name)).collect();
    Ok(Json(views).into_response())
}

/// `event`: names, or the beginnings of names with a star, repeated or divided by commas.
fn events(args: &Args) -> Result<Vec<EventPattern>, ApiError> {
    args.list("event").iter().map(|text| event("event", text)).collect()
}
