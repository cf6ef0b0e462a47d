//! What went wrong, in the words of [`OutboundError`].

use super::OutboundError;
use super::guard::Refused;
use std::error::Error;
use std::io;
use std::time::Duration;

/// How far a request had come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// The head of the answer was waited for.
    Head,
    /// The body was read.
    Body,
}

/// What `error` is. No text of it holds the URL.
pub(super) fn translate(error: reqwest::Error, phase: Phase, connect_timeout: Duration) -> OutboundError {
    let error = error.without_url(); // its query may hold a secret
    if let Some(refused) = cause::<Refused>(&error) {
        return OutboundError::Forbidden(refused.to_string());
    }
    let reason = reason(&error);
    if error.is_connect() {
        let is_late = error.is_timeout();
        return if is_late { OutboundError::ConnectTimeout(connect_timeout) } else { OutboundError::Connect(reason) };
    }
    if phase == Phase::Body {
        return OutboundError::Broken(reason);
    }
    match cause::<hyper::Error>(&error) {
        Some(http) if http.is_parse() => OutboundError::NotHttp(reason),
        Some(http) if http.is_incomplete_message() || http.is_canceled() || http.is_closed() => {
            OutboundError::Closed(reason)
        }
        _ if cause::<io::Error>(&error).is_some_and(is_closed) => OutboundError::Closed(reason),
        _ => OutboundError::Broken(reason),
    }
}

fn is_closed(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | NotConnected | UnexpectedEof)
}

fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error: &&'a (dyn Error + 'static)| (*error).source())
}

fn cause<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    causes(error).find_map(|cause| cause.downcast_ref())
}

/// The innermost cause, which says most.
pub(super) fn reason(error: &(dyn Error + 'static)) -> String {
    causes(error).last().map(ToString::to_string).unwrap_or_default()
}
