//! Registering webhook endpoints (docs.stripe.com/api/webhook_endpoints). The secret is told once, in the answer.

use super::names;
use crate::contract::{ApiRequest, ApiResponse, ConnectorError, HookJob, Method, Registration, encode_segment};
use crate::model::ObjectType;
use serde::Deserialize;
use url::form_urlencoded;

/// The events of each type (docs.stripe.com/api/events/types, docs.stripe.com/api/webhook_endpoints/create); an endpoint
/// takes one by one what it is sent, or all. Left out is `invoice.upcoming`, about what is no invoice yet.
fn events(object_type: ObjectType) -> &'static [&'static str] {
    match object_type {
        ObjectType::AccountingInvoice => &[
            "created",
            "deleted",
            "finalization_failed",
            "finalized",
            "marked_uncollectible",
            "overdue",
            "overpaid",
            "paid",
            "payment_action_required",
            "payment_attempt_required",
            "payment_failed",
            "payment_succeeded",
            "sent",
            "updated",
            "voided",
            "will_be_due",
        ],
        ObjectType::PaymentPayment => &["captured", "expired", "failed", "pending", "refunded", "succeeded", "updated"],
        ObjectType::PaymentPayout => &["canceled", "created", "failed", "paid", "reconciliation_completed", "updated"],
        ObjectType::PaymentRefund => &["created", "failed", "updated"],
        ObjectType::PaymentSubscription => &[
            "created",
            "deleted",
            "paused",
            "pending_update_applied",
            "pending_update_expired",
            "resumed",
            "trial_will_end",
            "updated",
        ],
        _ => &[],
    }
}

pub(super) fn register_request(job: &HookJob<'_>) -> Result<ApiRequest, ConnectorError> {
    let (_, _, prefix) = names(job.object_type)?;
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("url", job.ingress_url);
    for verb in events(job.object_type) {
        form.append_pair("enabled_events[]", &format!("{prefix}{verb}"));
    }
    let mut request = ApiRequest::new(Method::Post, "/v1/webhook_endpoints")
        .header("content-type", "application/x-www-form-urlencoded");
    request.body = Some(form.finish());
    Ok(request)
}

pub(super) fn read_registration(response: &ApiResponse<'_>) -> Result<Registration, ConnectorError> {
    #[derive(Deserialize)]
    struct Endpoint {
        id: String,
        secret: String,
    }
    let endpoint: Endpoint = response.json()?;
    Ok(Registration { id: endpoint.id, secret: Some(endpoint.secret) })
}

pub(super) fn remove_request(registration: &Registration) -> ApiRequest {
    ApiRequest::new(Method::Delete, format!("/v1/webhook_endpoints/{}", encode_segment(&registration.id)))
}
