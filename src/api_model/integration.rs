//! An integration as the API answers it, drawn from its manifest.

use crate::store::WebhookKind;
use anyhook_connectors::contract::{Change, CursorKind, FilterBound, Manifest, ObjectSpec};
use serde::Serialize;
use std::collections::BTreeMap;

const CHANGES: [Change; 3] = [Change::Created, Change::Updated, Change::Deleted];

/// How an event of this object type can be had, the best way first.
///
/// Polling tells all of them where there is a listing; deletions that a vendor's listing does not tell are found by sweeps. The
/// vendor's own webhooks tell what they tell; `updated` also stands for created.
pub fn kinds(manifest: &Manifest, spec: &ObjectSpec, event: Change) -> Vec<WebhookKind> {
    let is_native = manifest.native.is_some() && spec.native.contains(&event);
    let native = is_native.then_some(WebhookKind::Native);
    native.into_iter().chain((!spec.is_only_pushed()).then_some(WebhookKind::Virtual)).collect()
}

/// The categories of an integration's object types, sorted.
pub fn categories(manifest: &Manifest) -> Vec<&'static str> {
    let mut categories: Vec<_> = manifest.objects.iter().map(|spec| spec.object_type.category()).collect();
    categories.sort_unstable();
    categories.dedup();
    categories
}

/// An integration in the API's words.
#[derive(Debug, Clone, Serialize)]
pub struct IntegrationView {
    #[serde(rename = "type")]
    integration: &'static str,
    name: &'static str,
    categories: Vec<&'static str>,
    is_active: bool,
    web_url: &'static str,
    api_docs_url: &'static str,
    rate_limit_description: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    token_names: Option<Vec<&'static str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token_instructions: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    support: Option<BTreeMap<&'static str, Support>>,
}

#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Level {
    Supported,
    NotSupported,
}

/// What can be had of one object type.
#[derive(Debug, Clone, Serialize)]
struct Support {
    raw_objects: [&'static str; 1],
    webhook_events: BTreeMap<&'static str, Vec<WebhookKind>>,
    list_updated_gte: Level,
    list_sort_by_updated_at: Level,
    /// `virtual_webhook_<filter>` and `native_webhook_<filter>`.
    #[serde(flatten)]
    filters: BTreeMap<String, Level>,
}

impl IntegrationView {
    /// What a manifest says; a summary leaves out what is long.
    pub fn new(manifest: &Manifest, is_summary: bool) -> Self {
        let fields = || manifest.auth.iter().flat_map(|method| method.fields);
        IntegrationView {
            integration: manifest.integration,
            name: manifest.name,
            categories: categories(manifest),
            is_active: true,
            web_url: manifest.web_url,
            api_docs_url: manifest.api_docs_url,
            rate_limit_description: manifest.rate_limit.description,
            token_names: (!is_summary).then(|| fields().map(|field| field.name).collect()),
            token_instructions: (!is_summary)
                .then(|| fields().map(|field| format!("{}: {}", field.field.path(), field.instruction)).collect()),
            support: (!is_summary).then(|| {
                manifest.objects.iter().map(|spec| (spec.object_type.as_str(), Support::new(manifest, spec))).collect()
            }),
        }
    }
}

impl Support {
    fn new(manifest: &Manifest, spec: &ObjectSpec) -> Self {
        let level = |is_supported| if is_supported { Level::Supported } else { Level::NotSupported };
        let events = CHANGES.map(|event| (event.as_str(), kinds(manifest, spec, event)));
        let native = manifest.native.is_some() && !spec.native.is_empty();
        let filters = spec.filters.iter().flat_map(|filter| {
            [(format!("virtual_webhook_{filter}"), level(true)), (format!("native_webhook_{filter}"), level(native))]
        });
        let bound = match spec.live.cursor {
            CursorKind::Updated(bound) => Some(bound),
            CursorKind::Token | CursorKind::Nothing | CursorKind::Pushed => None,
        };
        Support {
            raw_objects: [spec.raw_object],
            webhook_events: events.into_iter().filter(|(_, kinds)| !kinds.is_empty()).collect(),
            list_updated_gte: level(bound.is_some_and(|bound| bound != FilterBound::ReadUntil)),
            list_sort_by_updated_at: level(bound.is_some()),
            filters: filters.collect(),
        }
    }
}
