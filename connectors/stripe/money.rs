//! Payouts and subscriptions (docs.stripe.com/api/payouts/object, docs.stripe.com/api/subscriptions/object).

use super::parts::{Ref, amount, currency, date, id, text};
use crate::contract::RecordError;
use crate::json::{Mapped, Text};
use crate::model::{PaymentPayout, PaymentSubscription};
use chrono::DateTime;
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
pub(super) struct Payout<'a> {
    id: Text<'a>,
    created: i64,
    amount: Option<i64>,
    arrival_date: Option<i64>,
    currency: Option<Text<'a>>,
    description: Option<Text<'a>>,
    destination: Option<Ref<'a>>,
    status: Option<Text<'a>>,
}

pub(super) fn payout(raw: Payout<'_>) -> Result<Mapped<'_, PaymentPayout<'_>>, RecordError> {
    let status = match raw.status.as_ref().map(|text| text.0.as_ref()) {
        Some("paid") => Some("SUCCEEDED"),
        Some("pending" | "in_transit") => Some("PENDING"),
        Some("failed") => Some("FAILED"),
        Some("canceled") => Some("CANCELED"),
        _ => None,
    };
    let object = PaymentPayout {
        id: raw.id.0.clone(),
        created_at: date(Some(raw.created)),
        account_id: id(raw.destination),
        arrival_at: date(raw.arrival_date),
        currency: currency(raw.currency.as_ref()),
        notes: text(raw.description),
        status: status.map(Into::into),
        total_amount: amount(raw.amount, raw.currency.as_ref()),
        ..PaymentPayout::default()
    };
    Ok(Mapped {
        id: raw.id.0,
        updated_at: None,
        created_at: DateTime::from_timestamp(raw.created, 0),
        deleted: false,
        revision: None,
        object,
    })
}

#[derive(Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
pub(super) struct Subscription<'a> {
    id: Text<'a>,
    created: i64,
    canceled_at: Option<i64>,
    currency: Option<Text<'a>>,
    /// In newer versions of the API the period is the items'.
    current_period_end: Option<i64>,
    current_period_start: Option<i64>,
    customer: Option<Ref<'a>>,
    description: Option<Text<'a>>,
    ended_at: Option<i64>,
    latest_invoice: Option<Ref<'a>>,
    start_date: Option<i64>,
    status: Option<Text<'a>>,
    items: Option<Items>,
}

#[derive(Deserialize)]
struct Items {
    data: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    current_period_end: Option<i64>,
    current_period_start: Option<i64>,
    price: Option<Price>,
    quantity: Option<i64>,
}

#[derive(Deserialize)]
struct Price {
    unit_amount: Option<i64>,
}

/// docs.stripe.com/api/subscriptions/object, "status".
fn status(status: &str) -> Option<&'static str> {
    match status {
        "active" | "trialing" | "past_due" => Some("ACTIVE"),
        "incomplete" | "unpaid" => Some("INACTIVE"),
        "canceled" | "incomplete_expired" => Some("CANCELED"),
        "paused" => Some("PAUSED"),
        _ => None,
    }
}

pub(super) fn subscription(raw: Subscription<'_>) -> Result<Mapped<'_, PaymentSubscription<'_>>, RecordError> {
    let items = raw.items.map(|items| items.data).unwrap_or_default();
    let total = |item: &Item| {
        let price = item.price.as_ref().and_then(|price| price.unit_amount)?;
        price.checked_mul(item.quantity.unwrap_or(1))
    };
    // Without a price of its own, as with usage, an item has no total before it is billed.
    let totals: Option<Vec<i64>> = items.iter().map(total).collect();
    let total =
        totals.filter(|totals| !totals.is_empty()).map(|totals| totals.into_iter().fold(0, i64::saturating_add));
    let end = raw.current_period_end.or(items.iter().filter_map(|item| item.current_period_end).max());
    let start = raw.current_period_start.or(items.iter().filter_map(|item| item.current_period_start).min());
    let object = PaymentSubscription {
        id: raw.id.0.clone(),
        created_at: date(Some(raw.created)),
        canceled_at: date(raw.canceled_at),
        contact_id: id(raw.customer),
        currency: currency(raw.currency.as_ref()),
        current_period_end_at: date(end),
        current_period_start_at: date(start),
        description: text(raw.description),
        end_at: date(raw.ended_at),
        invoice_id: id(raw.latest_invoice),
        start_at: date(raw.start_date),
        status: raw.status.and_then(|text| status(&text.0)).map(Into::into),
        total_amount: amount(total, raw.currency.as_ref()),
        ..PaymentSubscription::default()
    };
    Ok(Mapped {
        id: raw.id.0,
        updated_at: None,
        created_at: DateTime::from_timestamp(raw.created, 0),
        deleted: false,
        revision: None,
        object,
    })
}
