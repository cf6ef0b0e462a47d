//! Slack, by its Web API and Events API (docs.slack.dev): channels, and the messages in them.
//!
//! `conversations.history` lists messages by when they were posted, never by when they were edited: edits and deletions
//! come by events alone, and a back-fill shows messages as they are now. A message's version is when it was last edited,
//! so an event and the list tell the same one. Replies in threads are not in that list
//! (docs.slack.dev/reference/methods/conversations.replies): only events tell of them.

mod channel;
mod event;
mod message;
mod parts;

use crate::contract::{
    ApiRequest, ApiResponse, Arrival, AuthField, AuthMethod, AuthScheme, Change, Conditional, Connector,
    ConnectorError, CreatedAt, CursorKind, DateLimits, Deletions, Digest, Encoding, FilterBound, Found, GetJob,
    Handshake, Hmac, KeyForm, KnownBy, Listing, Manifest, NativeEvent, NativeSpec, Next, ObjectSpec, Order, Page,
    PageJob, Paging, Parent, RateLimit, Registers, SignatureForm, Template, TimestampSource, TokenField, ValueAt,
    Verdict, Verification,
};
use crate::json::{read_record, read_records};
use crate::model::ObjectType;
use std::collections::BTreeMap;

/// The filter that names a channel by its id.
pub(crate) const CHANNEL_FILTER: &str = "channel_id";

static MANIFEST: Manifest = Manifest {
    integration: "slack",
    name: "Slack",
    web_url: "https://slack.com",
    api_docs_url: "https://docs.slack.dev/apis/web-api",
    base_url: Some("https://slack.com/api"),
    auth: &[AuthMethod {
        scheme: AuthScheme::Bearer(AuthField::Token),
        fields: &[TokenField {
            field: AuthField::Token,
            name: "Bot token",
            instruction: "Your app, OAuth & Permissions, Bot User OAuth Token, with the scopes channels:read and \
                          channels:history, and groups:read and groups:history for private channels. The signing \
                          secret, for native webhooks, is under Basic Information.",
        }],
    }],
    headers: &[],
    objects: &[CHANNELS, MESSAGES],
    // docs.slack.dev/apis/web-api/rate-limits, by method, workspace and app: tier 2 is 20 a minute and tier 3, with
    // `conversations.history`, 50; for apps sold outside the Marketplace that is 1 a minute with 15 messages
    // (docs.slack.dev/reference/methods/conversations.history). `Retry-After` says how long to wait.
    rate_limit: RateLimit {
        requests: 20,
        per_ms: 60_000,
        description: "by method: 20 a minute for listing channels, 50 a minute for listing messages, and 1 a minute \
                      for messages to apps that are distributed outside the Slack Marketplace",
        silent_pause_ms: 60_000,
        ..RateLimit::PLAIN
    },
    // docs.slack.dev/authentication/verifying-requests-from-slack and docs.slack.dev/reference/events/url_verification.
    native: Some(NativeSpec {
        verification: Verification::Hmac(Hmac {
            header: "x-slack-signature",
            form: SignatureForm::Prefixed("v0="),
            digest: Digest::Sha256,
            encoding: Encoding::Hex,
            key: KeyForm::Raw,
            content: Template("v0:{timestamp}:{body}"),
            timestamp: Some(DateLimits {
                source: TimestampSource::Header("x-slack-request-timestamp"),
                milliseconds: false,
                tolerance_s: 300,
            }),
        }),
        delivery_id: Some(ValueAt::Body("event_id")),
        registers: Registers::No,
        comparable: true,
        handshake: Some(Handshake::BodyEcho {
            known_by: KnownBy { path: "type", value: Some("url_verification") },
            field: "challenge",
            is_signed: true,
        }),
    }),
};

const CHANNELS: ObjectSpec = ObjectSpec {
    object_type: ObjectType::MessagingChannel,
    raw_object: "conversation",
    live: ALL,
    history: ALL,
    // docs.slack.dev/reference/methods/conversations.list: no more than 200 are recommended.
    page_size: 200,
    result_window: None,
    late_visibility_ms: 60_000,
    granularity_ms: 1,
    deletions: Deletions::FlagOrSilent,
    created_at: CreatedAt::True,
    parent: None,
    filters: &[],
    // The number of members and where someone has read to are no changes of the channel.
    volatile: &["num_members", "last_read", "latest", "unread_count", "unread_count_display", "is_member"],
    native: &[],
    conditional: Conditional::Never,
};

const ALL: Listing = Listing { cursor: CursorKind::Nothing, order: Order::Unordered, paging: Paging::Token };

const MESSAGES: ObjectSpec = ObjectSpec {
    object_type: ObjectType::MessagingMessage,
    raw_object: "message",
    live: BY_TIME,
    history: BY_TIME,
    page_size: 200,
    result_window: None,
    late_visibility_ms: 60_000,
    granularity_ms: 1,
    deletions: Deletions::Silent,
    created_at: CreatedAt::True,
    parent: Some(ObjectType::MessagingChannel),
    filters: &[CHANNEL_FILTER],
    volatile: &[],
    native: &[Change::Created, Change::Updated, Change::Deleted],
    conditional: Conditional::Never,
};

/// docs.slack.dev/reference/methods/conversations.history: pages by a cursor, after `oldest`. Their order with `oldest`
/// alone is documented nowhere and not relied on.
const BY_TIME: Listing =
    Listing { cursor: CursorKind::Updated(FilterBound::Exclusive), order: Order::Stable, paging: Paging::Token };

/// The connector.
pub struct Slack;

impl Connector for Slack {
    fn manifest(&self) -> &'static Manifest {
        &MANIFEST
    }

    fn page_request(&self, job: &PageJob<'_>) -> Result<ApiRequest, ConnectorError> {
        match job.spec.object_type {
            ObjectType::MessagingChannel => Ok(channel::page_request(job)),
            ObjectType::MessagingMessage => Ok(message::page_request(job)),
            other => Err(ConnectorError::unsupported(format!("listing {other}"))),
        }
    }

    fn read_page<'a>(&self, job: &PageJob<'_>, response: &ApiResponse<'a>) -> Result<Page<'a>, ConnectorError> {
        let answer = parts::read(response)?;
        let (records, bad) = match job.spec.object_type {
            ObjectType::MessagingChannel => read_records(&answer.channels, channel::channel),
            ObjectType::MessagingMessage => {
                read_records(&answer.messages, |raw| message::message(raw, job.parent_id()))
            }
            other => return Err(ConnectorError::unsupported(format!("listing {other}"))),
        };
        let next = answer.next.map_or(Next::End, Next::Token);
        Ok(Page { records, bad, next, cursor: None, total: None })
    }

    /// A message is asked for as a thread, where alone replies are told.
    fn get_request(&self, job: &GetJob<'_>) -> Result<ApiRequest, ConnectorError> {
        match job.spec.object_type {
            ObjectType::MessagingChannel => Ok(ApiRequest::get("/conversations.info").query("channel", job.id)),
            ObjectType::MessagingMessage => message::get_request(job.id),
            other => Err(ConnectorError::unsupported(format!("getting {other}"))),
        }
    }

    fn read_record<'a>(&self, job: &GetJob<'_>, response: &ApiResponse<'a>) -> Result<Found<'a>, ConnectorError> {
        let answer = parts::read(response)?;
        let record = match job.spec.object_type {
            ObjectType::MessagingChannel => answer.channel.map(|raw| read_record(raw, channel::channel)),
            _ => {
                let (channel, ts) = message::split(job.id)?;
                let found = answer.messages.iter().find(|raw| message::has_ts(raw, ts));
                found.map(|raw| read_record(raw, |raw| message::message(raw, channel)))
            }
        };
        match record {
            None => Ok(Found::Gone),
            Some(Ok(record)) => Ok(Found::Record(Box::new(record))),
            Some(Err(error)) => Err(ConnectorError::malformed(error.0)),
        }
    }

    fn judge(&self, response: &ApiResponse<'_>) -> Verdict {
        parts::judge(response)
    }

    fn named_parents(&self, filters: &BTreeMap<String, String>) -> Option<Vec<Parent>> {
        filters.get(CHANNEL_FILTER).map(|id| vec![Parent { id: id.clone() }])
    }

    fn read_event<'a>(&self, event: &NativeEvent<'a>) -> Result<Vec<Arrival<'a>>, ConnectorError> {
        event::read_event(event)
    }
}
