//! Unified objects of the category `accounting`.

use super::kinds::{Date, Num, Text};
use super::sample::sampled;
use super::unified_object;
use serde::Serialize;

unified_object! {
    /// A bill to a customer.
    AccountingInvoice {
        balance_amount: Num,
        cancelled_at: Date,
        contact_id: Text<'a>,
        currency: Text<'a>,
        discount_amount: Num,
        due_at: Date,
        exchange_rate: Num,
        invoice_number: Text<'a>,
        lineitems: Vec<Lineitem<'a>>,
        notes: Text<'a>,
        paid_amount: Num,
        paid_at: Date,
        payment_collection_method: Text<'a>,
        posted_at: Date,
        reference: Text<'a>,
        refund_amount: Num,
        refunded_at: Date,
        status: Text<'a>,
        sub_total_amount: Num,
        tax_amount: Num,
        total_amount: Num,
        #[serde(rename = "type")]
        kind: Text<'a>,
        url: Text<'a>,
    }
}

/// A line of an invoice.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Lineitem<'a> {
    /// The line's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Text<'a>,
    /// What was sold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub item_description: Text<'a>,
    /// How many of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit_quantity: Num,
    /// What the line comes to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_amount: Num,
}

sampled! {
    Lineitem { id, item_description, unit_quantity, total_amount }
}
