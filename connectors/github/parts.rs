//! Parts that several of GitHub's objects have.

use crate::contract::{ApiResponse, Next, PageJob};
use crate::json::Text;
use chrono::{DateTime, SecondsFormat, Utc};
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use std::borrow::Cow;
use std::fmt;

/// A person, by the name they sign in with. Commits of people without an account have an empty object here.
#[derive(Deserialize)]
pub(super) struct User<'a> {
    #[serde(borrow, default)]
    pub(super) login: Option<Text<'a>>,
}

/// The sign-in names of some people, each once.
pub(super) fn logins<'a>(people: impl IntoIterator<Item = User<'a>>) -> Vec<Cow<'a, str>> {
    let mut names: Vec<Cow<'a, str>> = Vec::new();
    for name in people.into_iter().filter_map(|person| person.login) {
        if !names.contains(&name.0) {
            names.push(name.0);
        }
    }
    names
}

/// A label's name: the schema allows a label to be text or an object.
pub(super) struct Label<'a>(pub(super) Option<Cow<'a, str>>);

impl<'de: 'a, 'a> Deserialize<'de> for Label<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(LabelVisitor).map(Label)
    }
}

struct LabelVisitor;

impl<'de> Visitor<'de> for LabelVisitor {
    type Value = Option<Cow<'de, str>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a label: its name, or an object with one")
    }

    fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Self::Value, E> {
        Ok(Some(Cow::Borrowed(name)))
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(Some(Cow::Owned(name.to_owned())))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut name = None;
        while let Some(key) = map.next_key::<Text<'de>>()? {
            if key.0 == "name" {
                name = map.next_value::<Option<Text<'de>>>()?.map(|text| text.0);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(name)
    }
}

/// The names of some labels.
pub(super) fn label_names(labels: Vec<Label<'_>>) -> Vec<Cow<'_, str>> {
    labels.into_iter().filter_map(|label| label.0).collect()
}

/// A time as GitHub takes it: `YYYY-MM-DDTHH:MM:SSZ`.
pub(super) fn timestamp(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// Reads a time.
pub(super) fn time(text: Option<&Text<'_>>) -> Option<DateTime<Utc>> {
    text.and_then(|text| crate::model::parse_time(&text.0))
}

/// The number of the page to ask for; none for the first.
pub(super) fn page_parameter(job: &PageJob<'_>) -> Option<String> {
    Some(job.page_number()).filter(|&number| number > 1).map(|number| number.to_string())
}

/// Where the vendor links to: there is no link on the last page (docs.github.com, "Using pagination in the REST API").
pub(super) fn linked(response: &ApiResponse<'_>) -> Next {
    response.headers.link("next").map_or(Next::End, |url| Next::Token(url.to_owned()))
}

/// The same for listings whose next page the engine works out.
pub(super) fn counted(response: &ApiResponse<'_>) -> Next {
    response.headers.link("next").map_or(Next::End, |_| Next::More)
}
