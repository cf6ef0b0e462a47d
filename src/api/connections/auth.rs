//! `auth` of a connection: what of it is sealed, what is shown, and whether it is enough to sign in.

use crate::api::error::ApiError;
use crate::api::wire::Fields;
use crate::credentials::Credentials;
use crate::outbound::guard::{Guard, Refused};
use crate::store::ConnectionProfile;
use anyhook_connectors::contract::{Account, AuthMethod, ConnectorError, Manifest};
use chrono::{DateTime, TimeDelta, Utc};
use url::Url;

/// Fields that are sealed and that no part of the engine reads by name yet.
const OTHER_FIELDS: [&str; 9] = [
    "app_id",
    "audience",
    "authorize_url",
    "consumer_key",
    "consumer_secret",
    "dev_api_key",
    "pem",
    "refresh_url",
    "state",
];
/// Fields that hold an address which is called with a secret.
const URL_FIELDS: [&str; 4] = ["api_url", "token_url", "authorize_url", "refresh_url"];
/// A setting of `auth.meta` whose name has one of these in it is a secret.
const SECRET_WORDS: [&str; 4] = ["secret", "token", "password", "key"];
/// The longest life of a token that is believed, in seconds: ten years.
const EXPIRES_IN_MAX: u32 = 315_360_000;

/// `auth`, opened.
#[derive(Clone, PartialEq, Default)]
pub(super) struct Auth {
    pub(super) profile: ConnectionProfile,
    pub(super) credentials: Credentials,
}

impl Auth {
    /// Merges what is given; an empty text removes what is there. True where a secret was among it.
    pub(super) fn merge(&mut self, auth: &Fields<'_>, guard: &Guard, now: DateTime<Utc>) -> Result<bool, ApiError> {
        self.check_urls(auth, guard)?;
        let profile = &mut self.profile;
        set(&mut profile.name, auth.text("name")?);
        set(&mut profile.user_id, auth.text("user_id")?);
        set(&mut profile.api_url, auth.text("api_url")?);
        if let Some(emails) = auth.few_texts("emails")? {
            profile.emails = emails;
        }
        let credentials = &mut self.credentials;
        let mut has_secret = set(&mut credentials.token, auth.text("token")?);
        has_secret |= set(&mut credentials.key, auth.text("key")?);
        has_secret |= set(&mut credentials.client_id, auth.text("client_id")?);
        has_secret |= set(&mut credentials.client_secret, auth.text("client_secret")?);
        has_secret |= set(&mut credentials.token_url, auth.text("token_url")?);
        has_secret |= set(&mut credentials.refresh_token, auth.text("refresh_token")?);
        has_secret |= self.merge_access_token(auth, now)?;
        has_secret |= self.merge_others(auth)?;
        has_secret |= self.merge_meta(auth)?;
        Ok(has_secret)
    }

    fn merge_access_token(&mut self, auth: &Fields<'_>, now: DateTime<Utc>) -> Result<bool, ApiError> {
        let credentials = &mut self.credentials;
        let is_given = set(&mut credentials.access_token, auth.text("access_token")?);
        let expires_in = auth.count("expires_in", 0, EXPIRES_IN_MAX)?;
        let until = auth.date("expiry_date")?.or(expires_in.map(|seconds| now + TimeDelta::seconds(seconds.into())));
        if is_given {
            // The end of the token before says nothing about this one.
            (credentials.issued_at, credentials.expires_at) = (Some(now), until);
        } else if until.is_some() {
            credentials.expires_at = until;
        }
        Ok(is_given)
    }

    fn merge_others(&mut self, auth: &Fields<'_>) -> Result<bool, ApiError> {
        let other = &mut self.credentials.other;
        let mut has_secret = false;
        for name in OTHER_FIELDS {
            has_secret |= set_entry(other, name, auth.text(name)?);
        }
        if let Some(list) = auth.few_texts("other_auth_info")? {
            other.retain(|name, _| !name.starts_with("other_auth_info."));
            has_secret |= !list.is_empty();
            other.extend(list.into_iter().enumerate().map(|(at, text)| (format!("other_auth_info.{at:02}"), text)));
        }
        Ok(has_secret)
    }

    fn merge_meta(&mut self, auth: &Fields<'_>) -> Result<bool, ApiError> {
        let mut has_secret = false;
        for (name, value) in auth.text_map("meta")?.unwrap_or_default() {
            let value = Some(value.as_str());
            if name == "webhook_secret" {
                has_secret |= set(&mut self.credentials.webhook_secret, value);
            } else if is_secret(&name) {
                has_secret |= set_entry(&mut self.credentials.other, &format!("meta.{name}"), value);
            } else {
                set_entry(&mut self.profile.meta, &name, value);
            }
        }
        Ok(has_secret)
    }

    /// Addresses that are new have to be reachable by the guard.
    fn check_urls(&self, auth: &Fields<'_>, guard: &Guard) -> Result<(), ApiError> {
        for name in URL_FIELDS {
            let Some(text) = auth.text(name)?.filter(|text| !text.is_empty()) else { continue };
            if name == "api_url" && self.profile.api_url.as_deref() == Some(text) {
                continue;
            }
            let url =
                Url::parse(text).map_err(|_| auth.error(name, "expected a whole URL as in https://example.com"))?;
            check_url(&url, guard).map_err(|refused| auth.error(name, refused))?;
        }
        Ok(())
    }

    /// What the connection declares of its webhooks has to make sense.
    fn check_native(&self, manifest: &'static Manifest) -> Result<(), ApiError> {
        let Some(connector) = anyhook_connectors::find(manifest.integration) else { return Ok(()) };
        match connector.native(Account { meta: &self.profile.meta }) {
            Err(ConnectorError::Setting { field, message }) => Err(ApiError::field(field, message)),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// The way to sign in that these allow, or 400 with the field that the nearest way lacks.
    pub(super) fn method(&self, manifest: &'static Manifest) -> Result<Option<&'static AuthMethod>, ApiError> {
        if manifest.asks() && manifest.base_url.is_none() && self.profile.api_url.is_none() {
            return Err(ApiError::field(
                "auth.api_url",
                format!("is missing; give the address of your {}", manifest.name),
            ));
        }
        self.check_native(manifest)?;
        if let Some(method) = self.credentials.method(manifest, &self.profile) {
            return Ok(Some(method));
        }
        let missing = |method: &'static AuthMethod| {
            let is_missing = |field| self.credentials.field(&self.profile, field).is_none_or(str::is_empty);
            method.fields.iter().filter(move |field| is_missing(field.field))
        };
        let nearest = manifest.auth.iter().min_by_key(|method| missing(method).count());
        match nearest.and_then(|method| missing(method).next()) {
            Some(field) => {
                let expected = format!("is missing; {} ({})", field.instruction, field.name);
                Err(ApiError::field(field.field.path(), expected))
            }
            // Nothing a person could fill in is missing, so that only consent is: an access token.
            None if !manifest.auth.is_empty() => Err(ApiError::field("auth.access_token", "is missing")),
            None => Ok(None),
        }
    }
}

/// Whether a vendor may be reached there; if not, why.
pub(crate) fn check_url(url: &Url, guard: &Guard) -> Result<(), String> {
    guard.check_url(url).map_err(|refused| match refused {
        Refused::Address(_) => format!("{refused} (ANYHOOK_VENDORS_ALLOW)"),
        _ => refused.to_string(),
    })
}

/// Whether a setting of `auth.meta` is a secret, by its name.
fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SECRET_WORDS.iter().any(|word| name.contains(word))
}

/// Sets, or removes where the text is empty. True where something was set.
fn set(slot: &mut Option<String>, given: Option<&str>) -> bool {
    if let Some(text) = given {
        *slot = Some(text.to_owned()).filter(|text| !text.is_empty());
    }
    given.is_some_and(|text| !text.is_empty())
}

fn set_entry(map: &mut std::collections::BTreeMap<String, String>, name: &str, given: Option<&str>) -> bool {
    let mut slot = map.remove(name);
    let is_set = set(&mut slot, given);
    map.extend(slot.map(|text| (name.to_owned(), text)));
    is_set
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::ApiLimits;
    use serde_json::{Map, Value, json};

    fn merge(auth: &mut Auth, given: Value) -> Result<bool, ApiError> {
        let map: Map<String, Value> = serde_json::from_value(given).unwrap();
        let limits = ApiLimits::default();
        auth.merge(&Fields::new("auth.", &map, &limits), &Guard::default(), DateTime::UNIX_EPOCH)
    }

    #[test]
    fn secrets_are_told_from_what_is_shown() {
        let mut auth = Auth::default();
        let meta = json!({"webhook_secret": "w", "tenant": 7, "Api-Key": "k"});
        let given = json!({"token": "t", "user_id": "u", "api_url": "https://a.example", "meta": meta, "pem": "p"});
        assert!(merge(&mut auth, given).unwrap());
        assert_eq!(auth.profile.meta, [("tenant".to_owned(), "7".to_owned())].into());
        assert_eq!(auth.credentials.webhook_secret.as_deref(), Some("w"));
        let other: Vec<_> = auth.credentials.other.keys().map(String::as_str).collect();
        assert_eq!(other, ["meta.Api-Key", "pem"]);
        let shown = serde_json::to_string(&auth.profile).unwrap();
        assert!(!shown.contains('k') || !shown.contains("\"k\""), "{shown}");
    }

    #[test]
    fn what_is_not_given_stays_and_an_empty_text_removes() {
        let mut auth = Auth::default();
        merge(&mut auth, json!({"token": "t", "name": "n", "meta": {"a": "1", "b": "2"}})).unwrap();
        assert!(!merge(&mut auth, json!({"name": "m", "meta": {"a": ""}, "token": null})).unwrap());
        assert_eq!((auth.profile.name.as_deref(), auth.credentials.token.as_deref()), (Some("m"), Some("t")));
        assert_eq!(auth.profile.meta, [("b".to_owned(), "2".to_owned())].into());
        merge(&mut auth, json!({"token": ""})).unwrap();
        assert_eq!(auth.credentials.token, None);
    }

    #[test]
    fn a_new_access_token_has_an_end_of_its_own() {
        let mut auth = Auth::default();
        merge(&mut auth, json!({"access_token": "a", "expires_in": 60.0})).unwrap();
        assert_eq!(auth.credentials.expires_at, DateTime::from_timestamp(60, 0));
        merge(&mut auth, json!({"access_token": "b"})).unwrap();
        assert_eq!(auth.credentials.expires_at, None);
    }

    #[test]
    fn addresses_are_guarded() {
        for field in URL_FIELDS {
            let error = merge(&mut Auth::default(), json!({field: "http://169.254.169.254/"})).unwrap_err();
            assert!(error.message().starts_with(&format!("auth.{field}:")), "{}", error.message());
        }
        assert!(merge(&mut Auth::default(), json!({"api_url": "nonsense"})).is_err());
    }
}
