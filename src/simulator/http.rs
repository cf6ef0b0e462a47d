//! The vendor over HTTP: requests in, answers out, with whatever goes wrong on the way.

use super::Simulator;
use super::answer::{Answer, Request, Transport};
use super::socket::ResetSwitch;
use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, Request as HttpRequest, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::{Stream, StreamExt, stream};
use std::convert::Infallible;
use std::io::Write;
use std::time::Duration;

/// Bytes of a request's body at most.
const BODY_BYTES_MAX: usize = 1024 * 1024;
/// Bodies shorter than this are not compressed.
const GZIP_BYTES_MIN: usize = 1_024;
/// How long a hanging request is held at most; clients give up long before.
const HANG_MAX: Duration = Duration::from_secs(600);

/// Answers one request.
pub(super) async fn handle(
    State(simulator): State<Simulator>,
    ConnectInfo(connection): ConnectInfo<ResetSwitch>,
    request: HttpRequest,
) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, BODY_BYTES_MAX).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let answer = simulator.answer(&Request {
        method: parts.method.as_str(),
        path: parts.uri.path(),
        query: parts.uri.query().unwrap_or_default(),
        authorization: text(&parts.headers, header::AUTHORIZATION),
        if_none_match: text(&parts.headers, header::IF_NONE_MATCH),
        if_modified_since: text(&parts.headers, header::IF_MODIFIED_SINCE),
        body: &body,
    });
    if answer.delay_ms > 0 {
        simulator.clock().sleep(Duration::from_millis(answer.delay_ms)).await;
    }
    match answer.transport {
        Transport::Hang => simulator.clock().sleep(HANG_MAX).await,
        Transport::Reset => connection.reset(),
        Transport::Whole | Transport::LengthOff(_) => {}
    }
    let gzip = simulator.compresses() && accepts_gzip(&parts.headers);
    into_response(answer, gzip)
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

fn accepts_gzip(headers: &HeaderMap) -> bool {
    text(headers, header::ACCEPT_ENCODING)
        .is_some_and(|value| value.split(',').any(|coding| coding.split(';').next().map(str::trim) == Some("gzip")))
}

fn into_response(answer: Answer, gzip: bool) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in answer.headers {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().append(name, value);
        }
    }
    *response.body_mut() = match answer.transport {
        Transport::LengthOff(by) => {
            let claimed = i64::try_from(answer.body.len()).unwrap_or(i64::MAX).saturating_add(by).max(0);
            response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(claimed));
            Body::from_stream(then_silence(answer.body))
        }
        _ => match compressed(&answer.body, gzip) {
            Some(body) => {
                response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
                response.headers_mut().insert(header::VARY, HeaderValue::from_static("accept-encoding"));
                Body::from(body)
            }
            None => Body::from(answer.body),
        },
    };
    response
}

/// A body that ends a step after its last byte. As a stream it has no length of its own that the server would put in
/// place of the claimed one; and the server only sends what it has of a body once it has to wait for the rest.
fn then_silence(body: Bytes) -> impl Stream<Item = Result<Bytes, Infallible>> {
    stream::iter([Ok(body)]).chain(stream::once(tokio::task::yield_now()).map(|()| Ok(Bytes::new())))
}

fn compressed(body: &Bytes, gzip: bool) -> Option<Vec<u8>> {
    if !gzip || body.len() < GZIP_BYTES_MIN {
        return None;
    }
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::fast());
    encoder.write_all(body).ok()?;
    encoder.finish().ok()
}
