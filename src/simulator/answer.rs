//! A request to the vendor and its answer, without IO.

use bytes::Bytes;
use serde::Serialize;

/// A request.
#[derive(Debug, Clone, Copy, Default)]
pub struct Request<'a> {
    /// Its method in capitals.
    pub method: &'a str,
    /// Its path.
    pub path: &'a str,
    /// Its query, encoded.
    pub query: &'a str,
    /// Its `Authorization`.
    pub authorization: Option<&'a str>,
    /// Its `If-None-Match`.
    pub if_none_match: Option<&'a str>,
    /// Its `If-Modified-Since`.
    pub if_modified_since: Option<&'a str>,
    /// Its body.
    pub body: &'a [u8],
}

/// How an answer is to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Transport {
    /// As it is.
    #[default]
    Whole,
    /// Not at all: the connection stays open.
    Hang,
    /// Not at all: the connection is reset.
    Reset,
    /// With a `Content-Length` that is off by this many bytes.
    LengthOff(i64),
}

/// An answer.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers, names in lower case.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Bytes,
    /// How long it is held back, in milliseconds.
    pub delay_ms: u64,
    /// How it is sent.
    pub transport: Transport,
    /// Records in it.
    pub records: usize,
}

impl Answer {
    /// JSON that is written already.
    pub(super) fn json(status: u16, body: impl Into<Bytes>) -> Self {
        let headers = vec![("content-type", "application/json".to_owned())];
        Answer { status, headers, body: body.into(), ..Answer::default() }
    }

    /// Something as JSON.
    pub(super) fn of(status: u16, body: &impl Serialize) -> Self {
        match serde_json::to_vec(body) {
            Ok(body) => Answer::json(status, body),
            Err(error) => Answer::error(500, "internal", &error.to_string()),
        }
    }

    /// Nothing.
    pub(super) fn empty(status: u16) -> Self {
        Answer { status, ..Answer::default() }
    }

    /// An error, in the one form that all of the vendor's errors have.
    pub(super) fn error(status: u16, code: &str, message: &str) -> Self {
        let body = serde_json::json!({"error": {"code": code, "message": message}});
        Answer::json(status, body.to_string())
    }

    pub(super) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The first value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
    }
}
