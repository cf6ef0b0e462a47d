//! Destinations: where notifications go, and which of them.

use super::{
    DeliverySettings, ListPage, Notification, NotificationEvent, ShardId, SigningSecrets, StoreError, Webhook,
    WebhookKind,
};
use crate::ids::{ConnectionId, DestinationId, FeedId, WebhookId, WorkspaceId};
use anyhook_connectors::contract::Change;
use anyhook_connectors::model::ObjectType;
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// Which events are meant: one, a family of them, or all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum EventPattern {
    /// `*`
    All,
    /// Those whose names begin so, with the underscore: `CONNECTION_*`.
    Family(&'static str),
    /// This one.
    One(NotificationEvent),
}

/// The text names no event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no such event")]
pub struct NotAnEvent;

impl EventPattern {
    /// True if this event is meant.
    pub fn matches(self, event: NotificationEvent) -> bool {
        match self {
            EventPattern::All => true,
            EventPattern::Family(prefix) => event.as_str().starts_with(prefix),
            EventPattern::One(one) => one == event,
        }
    }
}

impl FromStr for EventPattern {
    type Err = NotAnEvent;

    fn from_str(text: &str) -> Result<Self, NotAnEvent> {
        let mut names = NotificationEvent::ALL.iter().map(|event| event.as_str());
        match text.strip_suffix('*') {
            Some("") => Ok(EventPattern::All),
            Some(prefix) if prefix.ends_with('_') => {
                let name = names.find(|name| name.starts_with(prefix));
                name.and_then(|name| name.get(..prefix.len())).map(EventPattern::Family).ok_or(NotAnEvent)
            }
            Some(_) => Err(NotAnEvent),
            None => {
                let event = NotificationEvent::ALL.iter().find(|event| event.as_str() == text);
                event.map(|event| EventPattern::One(*event)).ok_or(NotAnEvent)
            }
        }
    }
}

impl fmt::Display for EventPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EventPattern::All => f.write_str("*"),
            EventPattern::Family(prefix) => write!(f, "{prefix}*"),
            EventPattern::One(event) => f.write_str(event.as_str()),
        }
    }
}

impl Serialize for EventPattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for EventPattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// What a destination listens to: these events, of everything in its workspace or of what is named.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscription {
    /// Which events.
    pub events: Vec<EventPattern>,
    /// Those of this connection alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection_id: Option<ConnectionId>,
    /// Those of this object type alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object_type: Option<ObjectType>,
    /// Those of this webhook alone, and the polls of its feed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook_id: Option<WebhookId>,
}

impl Subscription {
    /// True if this event is among those meant, whatever it is about.
    pub fn has(&self, event: NotificationEvent) -> bool {
        self.events.iter().any(|pattern| pattern.matches(event))
    }

    /// True if this notification is meant.
    pub fn wants(&self, told: &Notification) -> bool {
        self.has(told.event)
            && self.connection_id.is_none_or(|wanted| told.connection_id == Some(wanted))
            && self.object_type.is_none_or(|wanted| told.object_type == Some(wanted))
            && self.webhook_id.is_none_or(|wanted| told.concerns(wanted))
    }
}

/// Where notifications go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Destination {
    /// Its id.
    pub id: DestinationId,
    /// Whose it is.
    pub workspace_id: WorkspaceId,
    /// Its shard: that of its id ([`Destination::shard_of`]).
    pub shard: ShardId,
    /// Its name.
    pub name: String,
    /// Where they go.
    pub hook_url: String,
    /// What signs them, sealed for [`Destination::seal`].
    pub signing: SigningSecrets,
    /// Which of them: those that any of these wants.
    pub subscriptions: Vec<Subscription>,
    /// A paused destination is not delivered to, and keeps its position.
    pub is_paused: bool,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
    /// Grows by one with every change of this row.
    pub revision: u64,
    /// How it is delivered to.
    #[serde(default, skip_serializing_if = "DeliverySettings::is_default")]
    pub delivery: DeliverySettings,
}

impl Destination {
    /// The shard of a destination: it belongs to no budget.
    pub fn shard_of(id: DestinationId) -> ShardId {
        ShardId::of_bucket(&format!("destination/{id}"))
    }

    /// The owner that its secret is sealed for: what it is served as, as a webhook's own secrets are.
    pub fn seal(id: DestinationId) -> String {
        format!("webhook/{id}")
    }

    /// What a destination is called where webhooks are delivered to: its delivery state, its retries and its audit rows
    /// are those of a webhook of this id.
    pub fn served_as(id: DestinationId) -> WebhookId {
        WebhookId::from_bytes(*id.as_bytes())
    }

    /// The webhook that is delivered to in its place. It reads notifications in place of a log: connection, feed, object
    /// type and what is polled mean nothing there.
    pub fn as_webhook(&self) -> Webhook {
        Webhook {
            id: Destination::served_as(self.id),
            workspace_id: self.workspace_id,
            connection_id: ConnectionId::from_bytes([0; 12]),
            feed_id: FeedId::from_bytes([0; 12]),
            shard: self.shard,
            integration: String::new(),
            environment: String::new(),
            event: Change::Updated,
            object_type: ObjectType::ALL[0],
            hook_url: self.hook_url.clone(),
            interval_ms: 0,
            kind: WebhookKind::Virtual,
            filters: BTreeMap::new(),
            fields: Vec::new(),
            page_max_limit: None,
            is_paused: self.is_paused,
            external_xref: None,
            created_at: self.created_at,
            updated_at: self.updated_at,
            registered: None,
            revision: self.revision,
            interval_max_ms: None,
            delivery: DeliverySettings { signing: Some(self.signing.clone()), ..self.delivery.clone() },
        }
    }

    /// True if it is to be told of this. Never of itself: what it is told may be that nothing reaches it.
    pub fn wants(&self, told: &Notification) -> bool {
        is_wanted(self.id, &self.subscriptions, told)
    }
}

/// Whether a destination with these subscriptions is to be told of this.
pub(super) fn is_wanted(id: DestinationId, subscriptions: &[Subscription], told: &Notification) -> bool {
    told.destination_id != Some(id) && subscriptions.iter().any(|subscription| subscription.wants(told))
}

/// Destinations. A destination is delivered to as a webhook is: [`super::Deliveries`], [`super::Replays`] and
/// [`super::Audit`] know it by [`Destination::served_as`].
#[async_trait]
pub trait Destinations {
    /// Adds a destination with its delivery state.
    ///
    /// - Its position is the end of the workspace's notifications: those written later are its own, earlier ones are not.
    /// - [`StoreError::Exists`] where its id is taken.
    async fn insert_destination(&self, destination: Destination) -> Result<Destination, StoreError>;

    /// The destination of this id, whosever it is.
    async fn destination(&self, id: DestinationId) -> Result<Option<Destination>, StoreError>;

    /// A workspace's destinations. Its name is what a destination is sorted by.
    async fn destinations(&self, workspace: WorkspaceId, page: &ListPage) -> Result<Vec<Destination>, StoreError>;

    /// A shard's destinations in the order of their ids, after `after`.
    async fn destinations_of_shard(
        &self,
        shard: ShardId,
        after: Option<DestinationId>,
        limit: usize,
    ) -> Result<Vec<Destination>, StoreError>;

    /// Replaces a destination if its revision is still the one that was read; the new row's revision is one more.
    ///
    /// - [`StoreError::Conflict`] where another change came first.
    /// - Its workspace and shard are not changed by this.
    /// - Other subscriptions count from its position on: what waits and is not wanted any more is not delivered.
    async fn replace_destination(&self, destination: Destination) -> Result<Destination, StoreError>;

    /// Deletes a destination with its delivery state, replay and audit.
    ///
    /// - No attempt's outcome is taken for it afterwards.
    async fn delete_destination(&self, id: DestinationId) -> Result<(), StoreError>;
}
