//! What bounds every request: how many at the same time, and how long each may take.

use super::error::ApiError;
use super::state::Api;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::Method;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// Answers within the deadline, and at once where too much is under way.
pub(crate) async fn bounded(State(api): State<Arc<Api>>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let response = match api.slots.try_acquire() {
        Ok(_slot) => {
            let deadline_ms = api.context.limits.api.request_deadline_ms;
            match timeout(Duration::from_millis(deadline_ms), next.run(request)).await {
                Ok(response) => response,
                Err(_) => {
                    ApiError::unavailable(format!("no answer within {deadline_ms} ms; try again")).into_response()
                }
            }
        }
        Err(_) => ApiError::unavailable("too many requests are under way; try again").into_response(),
    };
    observe(&method, route.as_deref().unwrap_or("none"), response.status().as_u16(), started.elapsed());
    response
}

/// One metric and one line at debug level a request; never a query, which may hold what is nobody's business.
fn observe(method: &Method, route: &str, status: u16, took: Duration) {
    let labels = [("method", method.to_string()), ("route", route.to_owned()), ("status", status.to_string())];
    metrics::counter!("anyhook_http_requests_total", &labels).increment(1);
    metrics::histogram!("anyhook_http_request_duration_seconds", &labels[..2]).record(took.as_secs_f64());
    tracing::debug!(%method, route, status, duration_ms = took.as_millis(), "request");
}
