//! Any sender that is not in the catalogue: whatever it pushes is told as it came, one `custom_event` a delivery.
//!
//! A connection declares in `auth.meta` how a delivery proves itself and where its id, type and time stand. There is
//! nothing to ask such a sender for, so that nothing is polled and there is no history. The words of the declaration are
//! those of [`NativeSpec`]; `standard-webhooks` stands for all of what
//! github.com/standard-webhooks/standard-webhooks, "Webhook scheme", says.

mod declaration;

use crate::contract::{
    Account, ApiRequest, ApiResponse, Arrival, AuthField, AuthMethod, AuthScheme, Change, Conditional, Connector,
    ConnectorError, CreatedAt, CursorKind, Deletions, Found, GetJob, Listing, Manifest, NativeEvent, NativeSpec,
    ObjectSpec, Order, Page, PageJob, Paging, RateLimit, Record, Registers, TokenField, ValueAt, Verification,
};
use crate::json::{canonical, text_at};
use crate::model::{CustomEvent, ObjectType, Timestamp, parse_time_utc};
use chrono::{DateTime, Utc};
use serde_json::value::RawValue;
use std::borrow::Cow;

static MANIFEST: Manifest = Manifest {
    integration: "custom",
    name: "Any sender of webhooks",
    web_url: "https://www.standardwebhooks.com",
    api_docs_url: "https://github.com/standard-webhooks/standard-webhooks",
    base_url: None,
    auth: &[
        AuthMethod {
            scheme: AuthScheme::None,
            fields: &[TokenField {
                field: AuthField::Meta("webhook_secret"),
                name: "Secret",
                instruction: "The secret that the sender signs with, or puts into a header.",
            }],
        },
        AuthMethod {
            scheme: AuthScheme::None,
            fields: &[TokenField {
                field: AuthField::Meta("handshake_header"),
                name: "Header of the secret",
                instruction: "For a sender that tells its secret by itself, once, in a header: the header's name, with \
                              handshake set to secret.",
            }],
        },
    ],
    headers: &[],
    objects: &[SPEC],
    rate_limit: RateLimit { description: "Nothing is asked for.", ..RateLimit::PLAIN },
    native: Some(NativeSpec {
        verification: Verification::Declared,
        delivery_id: None,
        registers: Registers::No,
        comparable: false,
        handshake: None,
    }),
};

const NOTHING: Listing = Listing { cursor: CursorKind::Pushed, order: Order::Unordered, paging: Paging::Token };

const SPEC: ObjectSpec = ObjectSpec {
    object_type: ObjectType::CustomEvent,
    raw_object: "event",
    live: NOTHING,
    history: NOTHING,
    page_size: 1,
    result_window: None,
    late_visibility_ms: 0,
    granularity_ms: 1,
    deletions: Deletions::Feed,
    created_at: CreatedAt::True,
    parent: None,
    filters: &[TYPE_FILTER],
    volatile: &[],
    native: &[Change::Created, Change::Updated],
    conditional: Conditional::Never,
};

/// The filter that names a type of event.
const TYPE_FILTER: &str = "type";

/// Bytes of an id.
const ID_BYTES_MAX: usize = 512;
/// From here on a number is a time in milliseconds; as seconds it would be the year 5138.
const MILLISECONDS_FROM: i64 = 100_000_000_000;

/// The connector.
pub struct Custom;

fn nothing_to_ask<T>() -> Result<T, ConnectorError> {
    Err(ConnectorError::unsupported("asking for anything: it only takes what is pushed"))
}

impl Connector for Custom {
    fn manifest(&self) -> &'static Manifest {
        &MANIFEST
    }

    fn page_request(&self, _: &PageJob<'_>) -> Result<ApiRequest, ConnectorError> {
        nothing_to_ask()
    }

    fn read_page<'a>(&self, _: &PageJob<'_>, _: &ApiResponse<'a>) -> Result<Page<'a>, ConnectorError> {
        nothing_to_ask()
    }

    fn get_request(&self, _: &GetJob<'_>) -> Result<ApiRequest, ConnectorError> {
        nothing_to_ask()
    }

    fn read_record<'a>(&self, _: &GetJob<'_>, _: &ApiResponse<'a>) -> Result<Found<'a>, ConnectorError> {
        nothing_to_ask()
    }

    fn native<'a>(&self, account: Account<'a>) -> Result<Option<NativeSpec<'a>>, ConnectorError> {
        declaration::read(account.meta).map(Some)
    }

    fn read_event<'a>(&self, event: &NativeEvent<'a>) -> Result<Vec<Arrival<'a>>, ConnectorError> {
        let body = std::str::from_utf8(event.body).map_err(|_| ConnectorError::malformed("the body is no UTF-8"))?;
        let payload = RawValue::from_string(canonical(body)?)?;
        let (id, kind) = (declaration::id(event.account.meta)?, declaration::kind(event.account.meta));
        let id = value(event, body, id)
            .filter(|id| (1..=ID_BYTES_MAX).contains(&id.len()))
            .ok_or_else(|| ConnectorError::malformed("there is no id where event_id_path or event_id_header says"))?;
        let kind = kind.and_then(|at| value(event, body, at));
        let at = declaration::time_path(event.account.meta).and_then(|path| time(&text_at(body, path)?));
        let object = CustomEvent {
            id: id.clone(),
            created_at: at.map(Timestamp),
            updated_at: at.map(Timestamp),
            payload: Some(payload),
            kind: kind.clone(),
        };
        let record = Record {
            id: id.clone(),
            updated_at: at,
            created_at: at,
            deleted: false,
            revision: None,
            object: serde_json::to_vec(&object)?,
            raw: Cow::Borrowed(body),
        };
        Ok(vec![Arrival::Record {
            object_type: ObjectType::CustomEvent,
            change: Change::Created,
            record: Box::new(record),
            matches: kind.map(|kind| vec![(TYPE_FILTER, kind.into_owned())]).unwrap_or_default(),
            parent: None,
        }])
    }
}

fn value<'a>(event: &NativeEvent<'a>, body: &'a str, at: ValueAt<'_>) -> Option<Cow<'a, str>> {
    match at {
        ValueAt::Header(name) => event.headers.get(name).map(Cow::Borrowed),
        ValueAt::Body(path) => text_at(body, path),
    }
}

/// A time as text, or as seconds or milliseconds since the epoch.
fn time(text: &str) -> Option<DateTime<Utc>> {
    match text.parse::<i64>() {
        Ok(number) if number >= MILLISECONDS_FROM => DateTime::from_timestamp_millis(number),
        Ok(number) => DateTime::from_timestamp(number, 0),
        Err(_) => parse_time_utc(text),
    }
}
