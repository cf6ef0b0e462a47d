//! The dashboard: pages for browsers, built into the binary. They hold no data of their own; all that they show comes
//! from the API with the key of whoever looks.

mod files;

use axum::Router;
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use files::{FILES, File};
use xxhash_rust::xxh3::xxh3_64;

/// Where the dashboard is, as seen from the root. Relative, so that a proxy may put all of it under a path.
const PLACE: &str = "dashboard";

/// Nothing but these files and the API of the same server; no page may frame them, and no form leaves them.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
    img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// What goes with each file. A browser asks anew each time, and is told by the ETag that it has the file.
const HEADERS: [(HeaderName, &str); 4] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CACHE_CONTROL, "no-cache"),
];

/// `/dashboard` and what it needs.
pub(crate) fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    let routes = FILES.iter().fold(Router::new(), |routes, file| {
        let etag = format!("\"{:016x}\"", xxh3_64(file.text.as_bytes()));
        routes.route(file.path, get(move |headers: HeaderMap| async move { answer(file, &etag, &headers) }))
    });
    routes.route("/dashboard/", get(|| async { Redirect::permanent("../dashboard") }))
}

/// Leads a browser from the root to the dashboard; none where something else than a browser asks.
pub(crate) fn lead(headers: &HeaderMap) -> Option<Response> {
    let wants_a_page = |value: &str| value.to_ascii_lowercase().contains("text/html");
    let is_browser = values(headers, &header::ACCEPT).any(wants_a_page);
    is_browser.then(|| ([(header::VARY, "accept")], Redirect::to(PLACE)).into_response())
}

fn answer(file: &'static File, etag: &str, headers: &HeaderMap) -> Response {
    let etag_header = [(header::ETAG, etag.to_owned())];
    if is_known(etag, headers) {
        return (StatusCode::NOT_MODIFIED, HEADERS, etag_header).into_response();
    }
    (HEADERS, etag_header, [(header::CONTENT_TYPE, file.content_type)], file.text).into_response()
}

/// Whether `If-None-Match` names this tag, weakly compared, as RFC 9110 (section 13.1.2) has it.
fn is_known(etag: &str, headers: &HeaderMap) -> bool {
    let tags = values(headers, &header::IF_NONE_MATCH).flat_map(|value| value.split(',')).map(str::trim);
    tags.into_iter().any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag)
}

fn values<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok())
}
