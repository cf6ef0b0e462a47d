//! Requests to a vendor and its answers, as plain data.

use url::form_urlencoded;

/// The method of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// GET
    Get,
    /// POST
    Post,
    /// PUT
    Put,
    /// PATCH
    Patch,
    /// DELETE
    Delete,
    /// REPORT (RFC 3253), as CalDAV uses it
    Report,
    /// PROPFIND (RFC 4918)
    Propfind,
}

impl Method {
    /// The method as it stands in the request line.
    pub fn as_str(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Post => "POST",
            Method::Put => "PUT",
            Method::Patch => "PATCH",
            Method::Delete => "DELETE",
            Method::Report => "REPORT",
            Method::Propfind => "PROPFIND",
        }
    }
}

/// A request without credentials: the engine signs in and joins `target` to the connection's base URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiRequest {
    /// The method.
    pub method: Method,
    /// Path and query below the base URL, such as `/issues.json?limit=100`; or an absolute URL of the same origin,
    /// as vendors give it in a link to the next page. Any other origin is refused by the engine.
    pub target: String,
    /// Headers besides those of the manifest.
    pub headers: Vec<(&'static str, String)>,
    /// The body, if any.
    pub body: Option<String>,
}

impl ApiRequest {
    /// A request with this method and path.
    pub fn new(method: Method, path: impl Into<String>) -> Self {
        ApiRequest { method, target: path.into(), headers: Vec::new(), body: None }
    }

    /// A GET of this path or same-origin URL.
    pub fn get(path: impl Into<String>) -> Self {
        Self::new(Method::Get, path)
    }

    /// Adds a query parameter, percent-encoded.
    #[must_use]
    pub fn query(mut self, name: &str, value: impl AsRef<str>) -> Self {
        self.target.push(if self.target.contains('?') { '&' } else { '?' });
        self.target.extend(form_urlencoded::byte_serialize(name.as_bytes()));
        self.target.push('=');
        self.target.extend(form_urlencoded::byte_serialize(value.as_ref().as_bytes()));
        self
    }

    /// Adds a query parameter if there is a value.
    #[must_use]
    pub fn query_opt(self, name: &str, value: Option<impl AsRef<str>>) -> Self {
        match value {
            Some(value) => self.query(name, value),
            None => self,
        }
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Sets a JSON body and its content type.
    #[must_use]
    pub fn json(mut self, body: &serde_json::Value) -> Self {
        self.headers.push(("content-type", "application/json".to_owned()));
        self.body = Some(body.to_string());
        self
    }
}

/// Percent-encodes one segment of a path.
pub(crate) fn encode_segment(segment: &str) -> String {
    form_urlencoded::byte_serialize(segment.as_bytes()).collect::<String>().replace('+', "%20")
}

/// Headers with lower-case names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headers(Vec<(String, String)>);

impl Headers {
    /// Takes names in any case.
    pub fn from_pairs<N: Into<String>, V: Into<String>>(pairs: impl IntoIterator<Item = (N, V)>) -> Self {
        Headers(pairs.into_iter().map(|(name, value)| (name.into().to_ascii_lowercase(), value.into())).collect())
    }

    /// The first value of `name`, which is given in lower case.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// All values of `name`, which is given in lower case.
    pub fn get_all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// The URL that the `Link` header (RFC 8288) gives for a relation such as `next`.
    pub fn link(&self, relation: &str) -> Option<&str> {
        self.get_all("link").flat_map(|line| line.split(',')).find_map(|link| {
            let (url, params) = link.trim().strip_prefix('<')?.split_once('>')?;
            let wanted = params.split(';').any(|param| {
                param
                    .trim()
                    .strip_prefix("rel=")
                    .is_some_and(|rel| rel.trim_matches('"').split(' ').any(|name| name == relation))
            });
            wanted.then_some(url)
        })
    }
}

/// An answer, its body read whole (within the engine's cap) and decompressed.
#[derive(Debug, Clone, Copy)]
pub struct ApiResponse<'a> {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: &'a Headers,
    /// The body.
    pub body: &'a [u8],
}

impl<'a> ApiResponse<'a> {
    /// Reads the body as JSON, borrowing from it.
    pub fn json<T: serde::Deserialize<'a>>(&self) -> Result<T, super::ConnectorError> {
        Ok(serde_json::from_slice(self.body)?)
    }
}
