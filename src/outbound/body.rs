//! A request's body in parts: sent one after the other, never copied together unless they are small.

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Up to this many bytes the parts are copied into one: cheaper than a write each.
const ONE_BUFFER_BYTES_MAX: usize = 8 << 10;

/// Makes a body of parts. Its length is exact, so it is not sent in chunks.
pub(super) fn body(parts: Vec<Bytes>) -> reqwest::Body {
    let length: usize = parts.iter().map(Bytes::len).sum();
    if parts.len() > 1 && length > ONE_BUFFER_BYTES_MAX {
        return reqwest::Body::wrap(Parts { left: length as u64, parts: parts.into_iter() });
    }
    let mut parts = parts;
    match (parts.pop(), parts.is_empty()) {
        (None, _) => reqwest::Body::default(),
        (Some(only), true) => reqwest::Body::from(only),
        (Some(last), false) => {
            let mut whole = BytesMut::with_capacity(length);
            parts.iter().chain([&last]).for_each(|part| whole.extend_from_slice(part));
            reqwest::Body::from(whole.freeze())
        }
    }
}

struct Parts {
    left: u64,
    parts: std::vec::IntoIter<Bytes>,
}

impl Body for Parts {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let next = self.parts.find(|part| !part.is_empty());
        if let Some(part) = &next {
            self.left -= part.len() as u64;
        }
        Poll::Ready(next.map(|part| Ok(Frame::data(part))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
