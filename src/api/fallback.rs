//! Answers where no handler answers, in the shape of every other error.

use super::error::ApiError;
use super::state::Api;
use crate::settings::Role;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{Method, StatusCode, Uri};
use std::any::Any;
use std::sync::Arc;

/// 404: no such path.
pub(crate) async fn not_found(uri: Uri) -> ApiError {
    let message = format!("there is nothing at {}; the API lives under /unified", super::wire::shorten(uri.path()));
    ApiError::new(StatusCode::NOT_FOUND, message)
}

/// 404: the API is served by other nodes.
pub(crate) async fn no_api(State(api): State<Arc<Api>>) -> ApiError {
    elsewhere(&api, "the API", Role::Api)
}

/// 404: what vendors push is taken by other nodes.
pub(crate) async fn no_ingress(State(api): State<Arc<Api>>) -> ApiError {
    elsewhere(&api, "what vendors push", Role::Ingress)
}

fn elsewhere(api: &Api, what: &str, role: Role) -> ApiError {
    let (roles, role) = (&api.roles, role.as_str());
    let message = format!("this node does not serve {what}: its roles are {roles}; ask one that has the role {role}");
    ApiError::new(StatusCode::NOT_FOUND, message)
}

/// 405: the path is known, the method is not; the header `allow` has those that are.
pub(crate) async fn method_not_allowed(method: Method, uri: Uri) -> ApiError {
    let message = format!("{} does not take {method}; the header `allow` says what it takes", uri.path());
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, message)
}

/// 500: a handler panicked.
pub(crate) fn panicked(panic: Box<dyn Any + Send>) -> Response {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic without a text");
    ApiError::internal(format_args!("a handler panicked: {text}")).into_response()
}
