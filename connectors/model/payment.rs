//! Unified objects of the category `payment`.

use super::kinds::{Date, Num, Text};
use super::unified_object;

unified_object! {
    /// Money that came in.
    PaymentPayment {
        account_id: Text<'a>,
        card_brand: Text<'a>,
        card_last4: Text<'a>,
        contact_id: Text<'a>,
        currency: Text<'a>,
        exchange_rate: Num,
        fee_amount: Num,
        invoice_id: Text<'a>,
        net_amount: Num,
        notes: Text<'a>,
        paid_at: Date,
        payment_method: Text<'a>,
        reference: Text<'a>,
        status: Text<'a>,
        tip_amount: Num,
        total_amount: Num,
        #[serde(rename = "type")]
        kind: Text<'a>,
    }
}

unified_object! {
    /// Money that went back.
    PaymentRefund {
        currency: Text<'a>,
        notes: Text<'a>,
        payment_id: Text<'a>,
        reason: Text<'a>,
        reference: Text<'a>,
        status: Text<'a>,
        total_amount: Num,
    }
}

unified_object! {
    /// Money that went to a bank account.
    PaymentPayout {
        account_id: Text<'a>,
        arrival_at: Date,
        currency: Text<'a>,
        notes: Text<'a>,
        status: Text<'a>,
        total_amount: Num,
    }
}

unified_object! {
    /// Something that is paid for again and again.
    PaymentSubscription {
        canceled_at: Date,
        contact_id: Text<'a>,
        currency: Text<'a>,
        current_period_end_at: Date,
        current_period_start_at: Date,
        description: Text<'a>,
        end_at: Date,
        invoice_id: Text<'a>,
        start_at: Date,
        status: Text<'a>,
        total_amount: Num,
    }
}
