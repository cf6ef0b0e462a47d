//! What the row of an attempt keeps besides the figures: where its batch stands, and what was answered.
//!
//! There is a row for every delivery, so names are short and what is empty is left out.

use super::{Position, Stream};
use crate::ids::JobId;
use serde::{Deserialize, Serialize};

/// Where a batch begins and where the next one does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "(u64, u32, u64, u32)", into = "(u64, u32, u64, u32)")]
pub struct Span {
    /// Its own place.
    pub from: Position,
    /// The place behind it.
    pub to: Position,
}

impl From<(u64, u32, u64, u32)> for Span {
    fn from((sequence, offset, next, next_offset): (u64, u32, u64, u32)) -> Self {
        let to = Position { sequence: next, offset: next_offset };
        Span { from: Position { sequence, offset }, to }
    }
}

impl From<Span> for (u64, u32, u64, u32) {
    fn from(Span { from, to }: Span) -> Self {
        (from.sequence, from.offset, to.sequence, to.offset)
    }
}

/// What an attempt was of, and what was answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// Where in its stream the batch stands.
    #[serde(rename = "p")]
    pub span: Span,
    /// The listing job whose stream that is; none for the feed's log.
    #[serde(rename = "j", default, skip_serializing_if = "Option::is_none")]
    pub job: Option<JobId>,
    /// The replay that asked for it; none for the delivery itself.
    #[serde(rename = "r", default, skip_serializing_if = "Option::is_none")]
    pub replay: Option<JobId>,
    /// True where nothing was sent: a person has passed the batch over.
    #[serde(rename = "s", default, skip_serializing_if = "std::ops::Not::not")]
    pub is_skip: bool,
    /// Headers of the answer: few, cut, and none that may hold a secret.
    #[serde(rename = "h", default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<(String, String)>,
    /// The answer's body; none where it was empty.
    #[serde(rename = "b", default, skip_serializing_if = "Option::is_none")]
    pub body: Option<AnswerBody>,
    /// From when its page was logged to the end of the attempt, in milliseconds; none for what was listed or replayed.
    #[serde(rename = "l", default, skip_serializing_if = "Option::is_none")]
    pub lag_ms: Option<u64>,
}

/// What is kept of an answer's body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnswerBody {
    /// Its beginning; empty where it is no text.
    #[serde(rename = "t", default, skip_serializing_if = "String::is_empty")]
    pub text: String,
    /// True if it is no text.
    #[serde(rename = "x", default, skip_serializing_if = "std::ops::Not::not")]
    pub is_binary: bool,
    /// True if there was more.
    #[serde(rename = "c", default, skip_serializing_if = "std::ops::Not::not")]
    pub is_cut: bool,
}

impl Attempt {
    /// An attempt of a batch that nothing was answered to.
    pub fn of(stream: Stream, span: Span) -> Self {
        let job = match stream {
            Stream::Live => None,
            Stream::Listing(job) => Some(job),
        };
        Attempt { span, job, replay: None, is_skip: false, headers: Vec::new(), body: None, lag_ms: None }
    }

    /// The stream that its batch belongs to.
    pub fn stream(&self) -> Stream {
        self.job.map_or(Stream::Live, Stream::Listing)
    }
}
