//! Health that changes, and who is told of it: written in the unit that changes it, so that each change is told once.

use super::engine::Read;
use super::notifications;
use super::txn::Txn;
use super::webhooks::all_of_feed;
use super::{connections, delivery_row, feeds};
use crate::ids::FeedId;
use crate::store::{
    Connection, Contact, Feed, FeedHealth, FeedState, Notification, NotificationEvent, StoreError, SweepHealth,
    Webhook, WebhookHealth,
};
use anyhook_connectors::contract::Change;
use chrono::{DateTime, Utc};

/// What became of a feed, or of its sweeps.
enum Turn {
    Bad { at: DateTime<Utc>, code: String, message: String },
    Good { at: DateTime<Utc> },
}

/// Tells the webhooks of a feed whose polls, or sweeps, work no more or work again.
pub(super) fn tell_feed(txn: &mut Txn<'_>, id: FeedId, old: &FeedState, new: &FeedState) -> Result<(), StoreError> {
    if let Some(turn) = feed_turn(old, new) {
        tell_webhooks(txn, id, &turn, |_| true)?;
    }
    match sweep_turn(old, new) {
        // Whoever wants no deletions misses nothing.
        Some(turn) => tell_webhooks(txn, id, &turn, |webhook| webhook.event == Change::Deleted),
        None => Ok(()),
    }
}

/// Refused credentials are the connection's matter, and told once for all its feeds.
fn feed_turn(old: &FeedState, new: &FeedState) -> Option<Turn> {
    let was_bad = matches!(old.health, FeedHealth::Unhealthy { is_credential: false, .. });
    match (&old.health, &new.health) {
        (_, FeedHealth::Unhealthy { code, message, is_credential: false, since }) if !was_bad => {
            Some(Turn::Bad { at: *since, code: code.clone(), message: message.clone() })
        }
        (
            FeedHealth::Unhealthy { is_credential: false, since, .. }
            | FeedHealth::Retrying { is_credential: false, since, .. },
            FeedHealth::Healthy,
        ) => Some(Turn::Good { at: new.checked_at.unwrap_or(*since) }),
        _ => None,
    }
}

fn sweep_turn(old: &FeedState, new: &FeedState) -> Option<Turn> {
    match (&old.sweep, &new.sweep) {
        (SweepHealth::Healthy, SweepHealth::Failed { since, code, message }) => {
            Some(Turn::Bad { at: *since, code: code.clone(), message: message.clone() })
        }
        (SweepHealth::Failed { since, .. }, SweepHealth::Healthy) => {
            Some(Turn::Good { at: new.checked_at.unwrap_or(*since) })
        }
        _ => None,
    }
}

fn tell_webhooks(
    txn: &mut Txn<'_>,
    feed: FeedId,
    turn: &Turn,
    concerns: impl Fn(&Webhook) -> bool,
) -> Result<(), StoreError> {
    for webhook in all_of_feed(txn, feed)?.iter().filter(|webhook| !webhook.is_paused && concerns(webhook)) {
        // One that is not delivered to was told of already, and is no better for its feed.
        let delivery = delivery_row::delivery(txn, webhook.id)?;
        if delivery.is_some_and(|delivery| delivery.state.health != WebhookHealth::Healthy) {
            continue;
        }
        let new = match turn {
            Turn::Bad { at, code, message } => Notification {
                code: Some(code.clone()),
                ..notifications::of_webhook(webhook, NotificationEvent::WebhookUnhealthy, *at, message.as_str())
            },
            Turn::Good { at } => {
                notifications::of_webhook(webhook, NotificationEvent::WebhookHealthy, *at, "its polls work again")
            }
        };
        notifications::write(txn, new)?;
    }
    Ok(())
}

/// Notes on a connection what the vendor made of its credentials, as a feed's run found it at `at`.
pub(super) fn note_contact(
    txn: &mut Txn<'_>,
    feed: FeedId,
    contact: Contact,
    at: DateTime<Utc>,
) -> Result<(), StoreError> {
    let Some(Feed { connection_id, .. }) = feeds::feed(txn, feed)? else { return Ok(()) };
    let Some(mut row) = connections::connection(txn, connection_id)? else { return Ok(()) };
    let was_refused = row.last_unhealthy_code.is_some();
    let told = match contact {
        Contact::Refused { code, message } => {
            // After new credentials a refusal is a change of its own.
            let is_change = !was_refused || row.is_retried();
            row.last_unhealthy_at = Some(at);
            row.last_unhealthy_code = Some(code.clone());
            is_change.then_some((NotificationEvent::ConnectionUnhealthy, Some(code), message))
        }
        Contact::Accepted if was_refused && is_refused_elsewhere(txn, feed, &row)? => return Ok(()),
        Contact::Accepted => {
            row.last_healthy_at = Some(at);
            row.last_unhealthy_at = None;
            row.last_unhealthy_code = None;
            let message = "the vendor accepts the credentials again".to_owned();
            was_refused.then_some((NotificationEvent::ConnectionHealthy, None, message))
        }
    };
    row.revision += 1;
    if !was_refused && row.last_unhealthy_at.is_none() {
        // That it works as it did is noted every hour: each webhook of all connections would be looked at for that.
        return connections::keep_quietly(txn, &row);
    }
    connections::keep(txn, &row)?;
    let Some((event, code, message)) = told else { return Ok(()) };
    notifications::write(txn, Notification { code, ..notifications::of_connection(&row, event, at, message) })
}

/// True while another feed of the connection is refused: a vendor may accept a credential for one thing alone.
fn is_refused_elsewhere(read: &dyn Read, feed: FeedId, row: &Connection) -> Result<bool, StoreError> {
    for other in feeds::of_connection(read, row.id, usize::MAX)? {
        let state = if other == feed { None } else { feeds::state(read, other)? };
        if state.is_some_and(|state| matches!(state.health, FeedHealth::Unhealthy { is_credential: true, .. })) {
            return Ok(true);
        }
    }
    Ok(false)
}
