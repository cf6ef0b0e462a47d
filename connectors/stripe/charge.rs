//! Charges and refunds (docs.stripe.com/api/charges/object, docs.stripe.com/api/refunds/object).

use super::parts::{Ref, amount, currency, date, id, text};
use crate::contract::RecordError;
use crate::json::{Mapped, Text};
use crate::model::{PaymentPayment, PaymentRefund};
use chrono::DateTime;
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
pub(super) struct Charge<'a> {
    id: Text<'a>,
    created: i64,
    amount: Option<i64>,
    currency: Option<Text<'a>>,
    customer: Option<Ref<'a>>,
    description: Option<Text<'a>>,
    invoice: Option<Ref<'a>>,
    payment_intent: Option<Ref<'a>>,
    status: Option<Text<'a>>,
    captured: Option<bool>,
    refunded: Option<bool>,
    payment_method_details: Option<Method<'a>>,
}

#[derive(Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
struct Method<'a> {
    #[serde(rename = "type")]
    kind: Option<Text<'a>>,
    card: Option<Card<'a>>,
}

#[derive(Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
struct Card<'a> {
    brand: Option<Text<'a>>,
    last4: Option<Text<'a>>,
}

/// A payment that was authorised and not yet captured is refunded whole where it is let go (docs.stripe.com, "Place a hold
/// on a payment method").
fn status(status: &str, captured: Option<bool>, refunded: Option<bool>) -> Option<&'static str> {
    match (status, captured, refunded) {
        ("succeeded", Some(false), Some(true)) => Some("CANCELED"),
        ("succeeded", Some(false), _) => Some("AUTHORIZED"),
        ("succeeded", ..) => Some("SUCCEEDED"),
        ("pending", ..) => Some("PENDING"),
        ("failed", ..) => Some("FAILED"),
        _ => None,
    }
}

pub(super) fn charge(raw: Charge<'_>) -> Result<Mapped<'_, PaymentPayment<'_>>, RecordError> {
    let (kind, card) = raw.payment_method_details.map_or((None, None), |method| (method.kind, method.card));
    let (brand, last4) = card.map_or((None, None), |card| (card.brand, card.last4));
    let status = raw.status.and_then(|text| status(&text.0, raw.captured, raw.refunded));
    let object = PaymentPayment {
        id: raw.id.0.clone(),
        created_at: date(Some(raw.created)),
        card_brand: text(brand),
        card_last4: text(last4),
        contact_id: id(raw.customer),
        currency: currency(raw.currency.as_ref()),
        invoice_id: id(raw.invoice),
        notes: text(raw.description),
        paid_at: date(Some(raw.created)).filter(|_| status == Some("SUCCEEDED")),
        payment_method: text(kind),
        reference: id(raw.payment_intent),
        status: status.map(Into::into),
        total_amount: amount(raw.amount, raw.currency.as_ref()),
        ..PaymentPayment::default()
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
pub(super) struct Refund<'a> {
    id: Text<'a>,
    created: i64,
    amount: Option<i64>,
    charge: Option<Ref<'a>>,
    currency: Option<Text<'a>>,
    description: Option<Text<'a>>,
    payment_intent: Option<Ref<'a>>,
    reason: Option<Text<'a>>,
    status: Option<Text<'a>>,
}

pub(super) fn refund(raw: Refund<'_>) -> Result<Mapped<'_, PaymentRefund<'_>>, RecordError> {
    let status = match raw.status.as_ref().map(|text| text.0.as_ref()) {
        Some("succeeded") => Some("SUCCEEDED"),
        Some("pending" | "requires_action") => Some("PENDING"),
        Some("failed") => Some("FAILED"),
        Some("canceled") => Some("CANCELED"),
        _ => None,
    };
    let reason = match raw.reason.as_ref().map(|text| text.0.as_ref()) {
        Some("duplicate") => Some("DUPLICATE"),
        Some("fraudulent") => Some("FRAUDULENT"),
        Some("requested_by_customer") => Some("REQUESTED_BY_CUSTOMER"),
        Some(_) => Some("OTHER"),
        None => None,
    };
    let object = PaymentRefund {
        id: raw.id.0.clone(),
        created_at: date(Some(raw.created)),
        currency: currency(raw.currency.as_ref()),
        notes: text(raw.description),
        payment_id: id(raw.charge),
        reason: reason.map(Into::into),
        reference: id(raw.payment_intent),
        status: status.map(Into::into),
        total_amount: amount(raw.amount, raw.currency.as_ref()),
        ..PaymentRefund::default()
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
