//! Samples: objects with every field filled in with fixed, plausible values, for test payloads and for whatever has to be
//! tried on an object before a vendor has sent one.

use super::{Number, Timestamp};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::value::RawValue;
use std::borrow::Cow;

/// When samples say that they were made: 2026-01-05, 09:00 UTC.
const MADE_AT_S: i64 = 1_767_603_600;

/// Which value is wanted: the object's name and the field's, as they stand in code.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub(crate) object: &'static str,
    pub(crate) field: &'static str,
}

/// What a field may hold: it has a sample of it.
pub(crate) trait Sample {
    fn sample(place: Place) -> Self;
}

impl<T: Sample> Sample for Option<T> {
    fn sample(place: Place) -> Self {
        Some(T::sample(place))
    }
}

impl<T: Sample> Sample for Vec<T> {
    fn sample(place: Place) -> Self {
        vec![T::sample(place)]
    }
}

impl Sample for bool {
    fn sample(place: Place) -> Self {
        !matches!(place.field, "is_all_day" | "is_free" | "is_private")
    }
}

impl Sample for i32 {
    fn sample(_: Place) -> Self {
        1
    }
}

impl Sample for Number {
    fn sample(place: Place) -> Self {
        let hundredths: u32 = match place.field {
            "probability" => 75,
            "exchange_rate" => 110,
            "progress" => 50,
            "employees" => 4_200,
            "count" | "unit_quantity" => 300,
            "interval" => 100,
            "story_points" => 500,
            "time_spent" => 360_000,
            "fee_amount" | "tip_amount" | "discount_amount" | "refund_amount" => 250,
            "tax_amount" => 23_750,
            "balance_amount" => 48_750,
            "paid_amount" => 100_000,
            "sub_total_amount" | "net_amount" => 125_000,
            _ => 148_750,
        };
        Number::new(f64::from(hundredths) / 100.0).unwrap_or(Number::from(hundredths))
    }
}

impl Sample for Timestamp {
    fn sample(place: Place) -> Self {
        let days = match place.field {
            "created_at" => 0,
            "start_at" | "posted_at" | "current_period_start_at" => 1,
            "end_at" | "completed_at" | "closed_at" | "paid_at" | "arrival_at" => 9,
            "due_at" | "closing_at" | "current_period_end_at" => 30,
            _ => 10,
        };
        let made_at = DateTime::<Utc>::from_timestamp(MADE_AT_S, 0).unwrap_or_default();
        Timestamp(made_at + TimeDelta::days(days))
    }
}

impl Sample for Box<RawValue> {
    fn sample(_: Place) -> Self {
        RawValue::from_string(super::SAMPLE_RAW.to_owned()).unwrap_or_default()
    }
}

impl Sample for Cow<'_, str> {
    fn sample(place: Place) -> Self {
        Cow::Borrowed(text(place))
    }
}

impl Sample for &'static str {
    fn sample(place: Place) -> Self {
        text(place)
    }
}

/// Words of a vocabulary first, since who receives them may take no other.
fn text(place: Place) -> &'static str {
    vocabulary(place).or_else(|| by_ending(place.field)).unwrap_or_else(|| words(place))
}

fn vocabulary(Place { object, field }: Place) -> Option<&'static str> {
    let word = match (object, field) {
        ("AccountingInvoice", "status") => "PARTIALLY_PAID",
        ("AccountingInvoice", "kind") => "INVOICE",
        ("AccountingInvoice", "payment_collection_method") => "send_invoice",
        ("CalendarEvent", "status") => "CONFIRMED",
        ("Attendee", "status") => "ACCEPTED",
        ("Recurrence", "frequency") => "WEEKLY",
        ("Recurrence", "on_days" | "week_start") => "MO",
        ("Recurrence", "excluded_dates") => "2026-01-13T09:00:00Z",
        ("Recurrence", "included_dates") => "2026-01-14T09:00:00Z",
        ("Email", "kind") => "WORK",
        ("Telephone", "kind") => "MOBILE",
        ("PaymentPayment" | "PaymentRefund" | "PaymentPayout", "status") => "SUCCEEDED",
        ("PaymentPayment", "kind") => "INVOICE",
        ("PaymentSubscription", "status") => "ACTIVE",
        ("RepoPullrequest", "status") => "APPROVED",
        ("TaskTask", "status") => "IN_PROGRESS",
        ("TicketingTicket", "status") => "ACTIVE",
        ("Metadata", "format") => "TEXT",
        ("CustomEvent", "kind") => "order.created",
        (_, "currency") => "EUR",
        (_, "priority") => "HIGH",
        (_, "kind") => "sample",
        _ => return None,
    };
    Some(word)
}

fn by_ending(field: &str) -> Option<&'static str> {
    let text = match field {
        "id" => "sample-1",
        "url" | "web_url" | "link_urls" | "websites" => "https://example.com/sample",
        "image_url" | "download_url" => "https://example.com/sample.png",
        other if other.ends_with("_ids") || other.ends_with("_id") => "sample-2",
        _ => return None,
    };
    Some(text)
}

fn words(Place { object, field }: Place) -> &'static str {
    match (object, field) {
        ("CrmContact" | "Attendee" | "MessagingMember", "name") => "Ada Sample",
        ("CrmCompany", "name") | (_, "company") => "Sample Ltd",
        ("MessagingChannel", "name") => "general",
        ("RepoRepository", "name") => "sample",
        (_, "name" | "subject") => "A sample",
        (_, "first_name") => "Ada",
        (_, "last_name") => "Sample",
        ("CrmContact", "title") => "Engineer",
        (_, "title") => "A sample",
        (_, "email") => "ada@example.com",
        (_, "telephone") => "+15550100",
        (_, "domains") => "example.com",
        (_, "department") => "Research",
        (_, "industry") => "Software",
        (_, "timezone") => "Europe/Berlin",
        (_, "address1") => "1 Sample Street",
        (_, "address2") => "2nd floor",
        (_, "city") => "Berlin",
        (_, "country") => "Germany",
        (_, "country_code") => "DE",
        (_, "postal_code") => "10115",
        (_, "region") => "Berlin",
        (_, "region_code") => "BE",
        (_, "card_brand") => "visa",
        (_, "card_last4") => "4242",
        (_, "payment_method") => "card",
        (_, "invoice_number") => "INV-0001",
        (_, "reference" | "source_ref") => "REF-0001",
        (_, "source") => "web",
        (_, "location") => "Room 1",
        (_, "owner") => "sample-owner",
        (_, "time_spent_unit") => "SECONDS",
        (_, "filename") => "sample.png",
        (_, "content_type") => "image/png",
        (_, "reaction") => "thumbsup",
        (_, "message_html" | "content") => "<p>A sample.</p>",
        (_, "tags" | "labels" | "slug" | "value" | "namespace") => "sample",
        _ => "This is a sample.",
    }
}

/// Says how a part of an object is sampled: field by field, so that a new one cannot be forgotten.
macro_rules! sampled {
    ($($name:ident { $($field:ident),* $(,)? })*) => {$(
        impl crate::model::sample::Sample for $name<'_> {
            fn sample(_: crate::model::sample::Place) -> Self {
                $name {
                    $($field: crate::model::sample::Sample::sample(crate::model::sample::Place {
                        object: stringify!($name),
                        field: stringify!($field),
                    }),)*
                }
            }
        }
    )*};
}
pub(crate) use sampled;

#[cfg(test)]
mod tests {
    use crate::model::ObjectType;
    use serde_json::Value;

    /// What says nothing: a field is not there to be empty.
    fn hollow(path: &str, value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Null => found.push(path.to_owned()),
            Value::String(text) if text.is_empty() => found.push(path.to_owned()),
            Value::Array(items) if items.is_empty() => found.push(path.to_owned()),
            Value::Array(items) => items.iter().for_each(|item| hollow(path, item, found)),
            Value::Object(map) if map.is_empty() => found.push(path.to_owned()),
            Value::Object(map) => map.iter().for_each(|(name, value)| hollow(&format!("{path}.{name}"), value, found)),
            Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    #[test]
    fn every_field_of_every_object_has_a_value() {
        for object_type in ObjectType::ALL {
            let sample: Value = serde_json::from_str(&object_type.sample().unwrap()).unwrap();
            let map = sample.as_object().unwrap();
            for field in object_type.fields().iter().filter(|field| **field != "raw") {
                assert!(map.contains_key(*field), "{object_type} has no {field}: {sample}");
            }
            assert_eq!(map.len(), object_type.fields().len() - 1, "{object_type}: fields() names them all");
            let mut found = Vec::new();
            hollow(object_type.as_str(), &sample, &mut found);
            assert!(found.is_empty(), "{found:?}");
        }
    }

    #[test]
    fn a_sample_is_always_the_same() {
        let expected = r#"{"id":"sample-1","created_at":"2026-01-05T09:00:00Z","updated_at":"2026-01-15T09:00:00Z","task_id":"sample-2","text":"This is a sample.","user_id":"sample-2"}"#;
        assert_eq!(ObjectType::TaskComment.sample().unwrap(), expected);
        assert!(serde_json::from_str::<Value>(super::super::SAMPLE_RAW).unwrap().is_object());
    }
}
