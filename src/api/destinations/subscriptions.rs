//! `subscriptions`: what a destination listens to. A scope that no event fits is a mistake, and told.

use crate::api::auth::Caller;
use crate::api::error::ApiError;
use crate::api::find;
use crate::api::state::Api;
use crate::api::wire::{Fields, event, shorten};
use crate::limits::ApiLimits;
use crate::store::{EventPattern, NotificationEvent, Subscription};
use std::str::FromStr;

const NAME: &str = "subscriptions";

/// Reads them; ids are yet to be looked up.
pub(super) fn read(fields: &Fields<'_>, limits: &ApiLimits) -> Result<Option<Vec<Subscription>>, ApiError> {
    let Some(items) = fields.objects(NAME)? else { return Ok(None) };
    let max = limits.subscriptions_max;
    if items.len() > max {
        return Err(fields.error(NAME, format_args!("more than the {max} subscriptions that are taken")));
    }
    let mut read = Vec::with_capacity(items.len());
    for (number, item) in items.into_iter().enumerate() {
        let prefix = prefix(number);
        let subscription = one(&Fields::new(&prefix, item, limits))?;
        if !read.contains(&subscription) {
            read.push(subscription);
        }
    }
    Ok(Some(read))
}

fn prefix(number: usize) -> String {
    format!("{NAME}[{number}].")
}

fn one(fields: &Fields<'_>) -> Result<Subscription, ApiError> {
    let subscription = Subscription {
        events: events(fields)?,
        connection_id: parsed(fields, "connection_id", "an id is 24 lower-case hex characters")?,
        object_type: parsed(fields, "object_type", "is not known; see GET /unified/integration")?,
        webhook_id: parsed(fields, "webhook_id", "an id is 24 lower-case hex characters")?,
    };
    for pattern in subscription.events.iter().filter(|pattern| **pattern != EventPattern::All) {
        if let Some((name, what)) = misfit(&subscription, *pattern) {
            return Err(fields.error(name, format_args!("{pattern} is about no {what}; leave it out")));
        }
    }
    Ok(subscription)
}

/// `event` and `events`, together.
fn events(fields: &Fields<'_>) -> Result<Vec<EventPattern>, ApiError> {
    let mut patterns = Vec::new();
    for name in ["event", "events"] {
        for text in fields.few_texts(name)?.unwrap_or_default() {
            let pattern = event(format_args!("{}{name}", fields.prefix()), &text)?;
            if !patterns.contains(&pattern) {
                patterns.push(pattern);
            }
        }
    }
    if patterns.is_empty() { Err(fields.error("events", "is missing")) } else { Ok(patterns) }
}

fn parsed<T: FromStr>(fields: &Fields<'_>, name: &str, expected: &str) -> Result<Option<T>, ApiError> {
    let text = fields.text(name)?.filter(|text| !text.is_empty());
    text.map(|text| text.parse().map_err(|_| fields.error(name, format_args!("`{}`: {expected}", shorten(text)))))
        .transpose()
}

/// The part of the scope that nothing of a pattern fits, and what that is a part of.
fn misfit(subscription: &Subscription, pattern: EventPattern) -> Option<(&'static str, &'static str)> {
    let fits = |is_about: fn(NotificationEvent) -> bool| {
        NotificationEvent::ALL.iter().any(|event| pattern.matches(*event) && is_about(*event))
    };
    if subscription.connection_id.is_some() && !fits(NotificationEvent::is_of_connection) {
        return Some(("connection_id", "connection"));
    }
    if subscription.object_type.is_some() && !fits(NotificationEvent::is_of_object_type) {
        return Some(("object_type", "object type"));
    }
    if subscription.webhook_id.is_some() && !fits(NotificationEvent::is_of_webhook) {
        return Some(("webhook_id", "webhook"));
    }
    None
}

/// Refuses ids that the caller does not have, and webhooks that are another connection's or of another object type. What
/// is sent back as it is stored passes, also where what it names is gone since.
pub(super) async fn check(
    api: &Api,
    caller: Caller,
    given: &[Subscription],
    stored: &[Subscription],
) -> Result<(), ApiError> {
    for (number, subscription) in given.iter().enumerate().filter(|(_, one)| !stored.contains(one)) {
        let at = prefix(number);
        if let Some(id) = subscription.connection_id {
            let found = find::connection(api, caller, &id.to_string()).await;
            found.map_err(|error| error.of_field(format_args!("{at}connection_id")))?;
        }
        let Some(id) = subscription.webhook_id else { continue };
        let webhook = find::webhook(api, caller, &id.to_string()).await;
        let webhook = webhook.map_err(|error| error.of_field(format_args!("{at}webhook_id")))?;
        let is_of_it = subscription.connection_id.is_none_or(|id| id == webhook.connection_id)
            && subscription.object_type.is_none_or(|object_type| object_type == webhook.object_type);
        if !is_of_it {
            let expected = "the webhook is of another connection or object type; leave these out";
            return Err(ApiError::field(format_args!("{at}webhook_id"), expected));
        }
    }
    Ok(())
}
