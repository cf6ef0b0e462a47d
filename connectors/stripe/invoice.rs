//! Invoices (docs.stripe.com/api/invoices/object), by what all versions of the API have.

use super::parts::{Ref, amount, currency, date, id, text};
use crate::contract::RecordError;
use crate::json::{Mapped, Text};
use crate::model::{AccountingInvoice, Lineitem, Number};
use chrono::DateTime;
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
pub(super) struct Invoice<'a> {
    id: Text<'a>,
    created: Option<i64>,
    /// What `created` was called before; some send both.
    date: Option<i64>,
    amount_due: Option<i64>,
    amount_paid: Option<i64>,
    amount_remaining: Option<i64>,
    collection_method: Option<Text<'a>>,
    /// What `collection_method` was called before; some send both.
    billing: Option<Text<'a>>,
    currency: Option<Text<'a>>,
    customer: Option<Ref<'a>>,
    description: Option<Text<'a>>,
    due_date: Option<i64>,
    hosted_invoice_url: Option<Text<'a>>,
    lines: Option<Lines<'a>>,
    number: Option<Text<'a>>,
    status: Option<Text<'a>>,
    status_transitions: Option<Transitions>,
    subtotal: Option<i64>,
    total: Option<i64>,
}

#[derive(Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
struct Lines<'a> {
    data: Vec<Line<'a>>,
}

#[derive(Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
struct Line<'a> {
    id: Option<Text<'a>>,
    amount: Option<i64>,
    description: Option<Text<'a>>,
    quantity: Option<u32>,
}

#[derive(Deserialize, Default)]
struct Transitions {
    finalized_at: Option<i64>,
    paid_at: Option<i64>,
    voided_at: Option<i64>,
}

/// What is uncollectible is still owed (docs.stripe.com/invoicing/overview, "Invoice statuses").
fn status(status: &str, paid: Option<i64>) -> Option<&'static str> {
    match status {
        "draft" => Some("DRAFT"),
        "open" | "uncollectible" if paid.is_some_and(|paid| paid > 0) => Some("PARTIALLY_PAID"),
        "open" | "uncollectible" => Some("AUTHORIZED"),
        "paid" => Some("PAID"),
        "void" => Some("VOIDED"),
        _ => None,
    }
}

fn method(text: &str) -> Option<&'static str> {
    ["charge_automatically", "send_invoice"].into_iter().find(|known| *known == text)
}

pub(super) fn invoice(raw: Invoice<'_>) -> Result<Mapped<'_, AccountingInvoice<'_>>, RecordError> {
    let code = raw.currency.as_ref();
    let created = raw.created.or(raw.date).ok_or_else(|| RecordError("created is missing".to_owned()))?;
    let at = raw.status_transitions.unwrap_or_default();
    let line = |line| {
        let Line { id, amount: total, description, quantity } = line;
        Lineitem {
            id: text(id),
            item_description: text(description),
            unit_quantity: quantity.map(Number::from),
            total_amount: amount(total, code),
        }
    };
    let lineitems = raw.lines.map(|lines| lines.data.into_iter().map(line).collect()).unwrap_or_default();
    let balance = raw.amount_remaining.or_else(|| Some(raw.amount_due? - raw.amount_paid?));
    let object = AccountingInvoice {
        id: raw.id.0.clone(),
        created_at: date(Some(created)),
        balance_amount: amount(balance, code),
        cancelled_at: date(at.voided_at),
        contact_id: id(raw.customer),
        currency: currency(code),
        due_at: date(raw.due_date),
        invoice_number: text(raw.number),
        lineitems,
        notes: text(raw.description),
        paid_amount: amount(raw.amount_paid, code),
        paid_at: date(at.paid_at),
        payment_collection_method: raw
            .collection_method
            .or(raw.billing)
            .and_then(|text| method(&text.0))
            .map(Into::into),
        posted_at: date(at.finalized_at),
        status: raw.status.and_then(|text| status(&text.0, raw.amount_paid)).map(Into::into),
        sub_total_amount: amount(raw.subtotal, code),
        total_amount: amount(raw.total, code),
        kind: Some("INVOICE".into()),
        url: text(raw.hosted_invoice_url),
        ..AccountingInvoice::default()
    };
    Ok(Mapped {
        id: raw.id.0,
        updated_at: None,
        created_at: DateTime::from_timestamp(created, 0),
        deleted: false,
        revision: None,
        object,
    })
}
