//! Putting a credential into a request, and the request's URL together. Pure.

use super::error::PollError;
use crate::credentials::Credentials;
use crate::store::Connection;
use anyhook_connectors::contract::{ApiRequest, AuthField, AuthScheme, Manifest, Method};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::header::{AUTHORIZATION, HeaderName, HeaderValue};
use http::{HeaderMap, Method as HttpMethod};
use url::Url;

/// Who we say we are.
const USER_AGENT: &str = concat!("anyhook/", env!("CARGO_PKG_VERSION"));

/// The base URL of a connection: its own, else the integration's.
pub fn base_url(connection: &Connection, manifest: &Manifest) -> Result<Url, PollError> {
    let text = connection.profile.api_url.as_deref().or(manifest.base_url).ok_or_else(|| {
        PollError::permanent("setting", "auth.api_url is missing: give the address of the vendor's API")
    })?;
    Url::parse(text).map_err(|_| PollError::permanent("setting", "auth.api_url is not a URL"))
}

/// The request's URL: its target below the base. An absolute target must have the base's origin, else the credential
/// would go elsewhere.
pub fn target_url(base: &Url, target: &str) -> Result<Url, PollError> {
    let malformed = || PollError::Transient("the vendor named a next page that is not a URL".to_owned());
    if target.starts_with("http://") || target.starts_with("https://") {
        let url = Url::parse(target).map_err(|_| malformed())?;
        if url.origin() != base.origin() {
            return Err(PollError::permanent(
                "foreign_link",
                format!(
                    "the vendor named a next page at another host ({}), which is not followed",
                    url.host_str().unwrap_or("?")
                ),
            ));
        }
        return Ok(url);
    }
    let joined =
        format!("{}{}{}", base.as_str().trim_end_matches('/'), if target.starts_with('/') { "" } else { "/" }, target);
    Url::parse(&joined).map_err(|_| malformed())
}

/// The method as the HTTP library has it.
pub fn method(method: Method) -> Result<HttpMethod, PollError> {
    HttpMethod::from_bytes(method.as_str().as_bytes()).map_err(|_| PollError::permanent("method", "not an HTTP method"))
}

/// The headers of a request: ours, the manifest's, its own, and the credential's.
pub fn headers(
    request: &ApiRequest,
    connection: &Connection,
    manifest: &Manifest,
    credentials: &Credentials,
    url: &mut Url,
) -> Result<HeaderMap, PollError> {
    let mut headers = HeaderMap::new();
    put(&mut headers, "user-agent", USER_AGENT)?;
    put(&mut headers, "accept", "application/json")?;
    for (name, value) in manifest.headers {
        put(&mut headers, name, value)?;
    }
    for (name, value) in &request.headers {
        put(&mut headers, name, value)?;
    }
    sign_in(&mut headers, url, connection, manifest, credentials)?;
    Ok(headers)
}

fn sign_in(
    headers: &mut HeaderMap,
    url: &mut Url,
    connection: &Connection,
    manifest: &Manifest,
    credentials: &Credentials,
) -> Result<(), PollError> {
    let profile = &connection.profile;
    let Some(method) = credentials.method(manifest, profile) else {
        return Err(PollError::Credential {
            code: "missing".to_owned(),
            message: format!("the connection has no complete set of credentials for {}", manifest.name),
        });
    };
    let value = |field| credentials.field(profile, field).unwrap_or_default();
    match method.scheme {
        AuthScheme::None => Ok(()),
        AuthScheme::Bearer(field) => put_secret(headers, AUTHORIZATION, &format!("Bearer {}", value(field))),
        AuthScheme::OAuth2 { .. } => {
            put_secret(headers, AUTHORIZATION, &format!("Bearer {}", value(AuthField::AccessToken)))
        }
        AuthScheme::Basic { user, password } => {
            let pair = BASE64.encode(format!("{}:{}", value(user), value(password)));
            put_secret(headers, AUTHORIZATION, &format!("Basic {pair}"))
        }
        AuthScheme::Header { name, prefix, field } => {
            put_secret(headers, HeaderName::from_static(name), &format!("{prefix}{}", value(field)))
        }
        AuthScheme::Query { name, field } => {
            url.query_pairs_mut().append_pair(name, value(field));
            Ok(())
        }
    }
}

fn put(headers: &mut HeaderMap, name: &str, value: &str) -> Result<(), PollError> {
    let wrong = || PollError::permanent("header", format!("the value of the header {name} cannot be sent"));
    let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| wrong())?;
    headers.insert(name.clone(), HeaderValue::from_str(value).map_err(|_| wrong())?);
    Ok(())
}

fn put_secret(headers: &mut HeaderMap, name: HeaderName, value: &str) -> Result<(), PollError> {
    let mut value = HeaderValue::from_str(value).map_err(|_| PollError::Credential {
        code: "unsendable".to_owned(),
        message: "the credential holds characters that cannot be sent in a header".to_owned(),
    })?;
    value.set_sensitive(true);
    headers.insert(name, value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_join_below_the_base_and_never_leave_its_origin() {
        let base = Url::parse("https://api.example.com/v1/").unwrap();
        assert_eq!(target_url(&base, "/items?a=1").unwrap().as_str(), "https://api.example.com/v1/items?a=1");
        let next = "https://api.example.com/v1/items?page=2";
        assert_eq!(target_url(&base, next).unwrap().as_str(), next);
        for foreign in
            ["https://evil.example.net/items", "http://api.example.com/v1/items", "https://api.example.com:444/"]
        {
            assert!(
                matches!(target_url(&base, foreign), Err(PollError::Permanent { code: "foreign_link", .. })),
                "{foreign}"
            );
        }
    }
}
