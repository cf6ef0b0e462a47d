//! `/dashboard`: the files of the pages for browsers, and the switch.

use crate::http_support::Server;
use anyhook::api::{ApiOptions, router};
use axum::body::Body;
use http::{Request, StatusCode};
use tower::ServiceExt;

const BROWSER: (&str, &str) = ("accept", "text/html,application/xhtml+xml,*/*;q=0.8");
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
    img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// What a page names behind this, up to the quotation mark, as paths.
fn named<'a>(text: &'a str, before: &'a str, folder: &'a str) -> impl Iterator<Item = String> + 'a {
    let names = text.split(before).skip(1).filter_map(|rest| rest.split('"').next());
    names.filter(|name| !name.starts_with("data:")).map(move |name| format!("{folder}/{name}"))
}

#[tokio::test]
async fn the_page_and_all_that_it_needs_are_served_with_types_and_a_strict_policy() {
    let server = Server::start().await;
    let page = server.send("GET", "/dashboard", &[], b"").await;
    let mut wanted: Vec<_> = named(&page.text, "href=\"", "").chain(named(&page.text, "src=\"", "")).collect();
    assert_eq!(wanted, ["/dashboard/dashboard.css", "/dashboard/main.js"]);
    wanted.insert(0, "/dashboard".to_owned());
    let mut seen = 0;
    while let Some(path) = wanted.get(seen).cloned() {
        let file = server.send("GET", &path, &[], b"").await;
        assert_eq!(file.status, 200, "{path}");
        let content_type = match path.rsplit_once('.') {
            Some((_, "css")) => "text/css; charset=utf-8",
            Some((_, "js")) => "text/javascript; charset=utf-8",
            _ => "text/html; charset=utf-8",
        };
        assert_eq!(file.header("content-type"), content_type, "{path}");
        assert_eq!(file.header("content-security-policy"), POLICY, "{path}");
        assert_eq!(file.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(file.header("referrer-policy"), "no-referrer", "{path}");
        assert_eq!(file.header("cache-control"), "no-cache", "{path}");
        for module in named(&file.text, "from \"./", "/dashboard") {
            if !wanted.contains(&module) {
                wanted.push(module);
            }
        }
        seen += 1;
    }
    assert!(seen > 10, "few modules were found: {wanted:?}");
}

#[tokio::test]
async fn a_file_that_a_browser_has_is_not_sent_again() {
    let server = Server::start().await;
    let first = server.send("GET", "/dashboard/main.js", &[], b"").await;
    let etag = first.header("etag");
    assert!(etag.len() > 4 && etag.starts_with('"') && etag.ends_with('"'), "{etag}");
    assert_ne!(server.send("GET", "/dashboard", &[], b"").await.header("etag"), etag);
    for known in [etag.to_owned(), format!("W/{etag}"), format!("\"x\", {etag}"), "*".to_owned()] {
        let again = server.send("GET", "/dashboard/main.js", &[("if-none-match", &known)], b"").await;
        assert_eq!((again.status, again.text.as_str()), (304, ""), "{known}");
        assert_eq!((again.header("etag"), again.header("content-security-policy")), (etag, POLICY));
    }
    for other in ["\"x\"", "", etag.trim_matches('"')] {
        let again = server.send("GET", "/dashboard/main.js", &[("if-none-match", other)], b"").await;
        assert_eq!((again.status, &again.text), (200, &first.text), "{other}");
    }
    let head = server.send("HEAD", "/dashboard/main.js", &[], b"").await;
    assert_eq!((head.status, head.text.as_str(), head.header("etag")), (200, "", etag));
}

#[tokio::test]
async fn what_is_no_file_and_no_reading_is_refused_as_everywhere() {
    let server = Server::start().await;
    for path in ["/dashboard/none.js", "/dashboard/index.html", "/dashboard/../Cargo.toml", "/dashboard/%2e%2e/x"] {
        server.send("GET", path, &[], b"").await.refused(404, "there is nothing at");
    }
    server.send("POST", "/dashboard", &[], b"").await.refused(405, "POST");
    let slash = server.send("GET", "/dashboard/", &[], b"").await;
    assert_eq!((slash.status, slash.header("location")), (308, "../dashboard"));
}

#[tokio::test]
async fn the_root_leads_browsers_to_the_dashboard_and_greets_all_others() {
    let server = Server::start().await;
    let led = server.send("GET", "/", &[BROWSER], b"").await;
    assert_eq!((led.status, led.header("location"), led.header("vary")), (303, "dashboard", "accept"));
    for headers in [vec![], vec![("accept", "*/*")]] {
        let greeted = server.send("GET", "/", &headers, b"").await;
        assert_eq!((greeted.status, greeted.header("content-type")), (200, "text/plain; charset=utf-8"));
        assert!(greeted.text.starts_with("Anyhook: webhooks from any API."), "{}", greeted.text);
    }
}

#[tokio::test]
async fn switched_off_there_is_no_page_and_the_root_greets_browsers_too() {
    let server = Server::start().await;
    let router = router(server.context.clone(), ApiOptions { has_dashboard: false, ..ApiOptions::default() });
    for (path, status) in [
        ("/dashboard", StatusCode::NOT_FOUND),
        ("/dashboard/", StatusCode::NOT_FOUND),
        ("/dashboard/main.js", StatusCode::NOT_FOUND),
        ("/", StatusCode::OK),
    ] {
        let request = Request::get(path).header(BROWSER.0, BROWSER.1).body(Body::empty()).unwrap();
        assert_eq!(router.clone().oneshot(request).await.unwrap().status(), status, "{path}");
    }
}
