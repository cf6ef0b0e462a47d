//! Histories: Stripe's list of each type, newest first by creation (docs.stripe.com/api/pagination).

use super::parts::List;
use super::{charge, invoice, money, names};
use crate::contract::{ApiRequest, ApiResponse, ConnectorError, Next, Page, PageJob, Record, RecordError};
use crate::json::{read_record, read_records};
use crate::model::ObjectType;
use serde_json::value::RawValue;

/// Canceled subscriptions are listed only where all are asked for (docs.stripe.com/api/subscriptions/list).
pub(super) fn page_request(job: &PageJob<'_>) -> Result<ApiRequest, ConnectorError> {
    let (_, path, _) = names(job.spec.object_type)?;
    let all = (job.spec.object_type == ObjectType::PaymentSubscription).then_some("all");
    Ok(ApiRequest::get(path)
        .query("limit", job.limit.to_string())
        .query_opt("status", all)
        .query_opt("starting_after", job.token()))
}

pub(super) fn read_page<'a>(job: &PageJob<'_>, response: &ApiResponse<'a>) -> Result<Page<'a>, ConnectorError> {
    let list: List<'a> = response.json()?;
    let next = list.next_token()?.map_or(Next::End, Next::Token);
    let (records, bad) = match job.spec.object_type {
        ObjectType::AccountingInvoice => read_records(&list.data, invoice::invoice),
        ObjectType::PaymentPayment => read_records(&list.data, charge::charge),
        ObjectType::PaymentPayout => read_records(&list.data, money::payout),
        ObjectType::PaymentRefund => read_records(&list.data, charge::refund),
        ObjectType::PaymentSubscription => read_records(&list.data, money::subscription),
        other => return Err(ConnectorError::unsupported(format!("listing {other}"))),
    };
    Ok(Page { records, bad, next, cursor: None, total: None })
}

/// One object as it stands alone. It has no time of change: that is the events'.
pub(super) fn read(object_type: ObjectType, raw: &RawValue) -> Result<Record<'_>, RecordError> {
    match object_type {
        ObjectType::AccountingInvoice => read_record(raw, invoice::invoice),
        ObjectType::PaymentPayment => read_record(raw, charge::charge),
        ObjectType::PaymentPayout => read_record(raw, money::payout),
        ObjectType::PaymentRefund => read_record(raw, charge::refund),
        ObjectType::PaymentSubscription => read_record(raw, money::subscription),
        other => Err(RecordError(format!("{other} is none of Stripe's"))),
    }
}
