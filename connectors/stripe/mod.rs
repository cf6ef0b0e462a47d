//! Stripe, by its API version 1 (docs.stripe.com/api): charges as payments, refunds, payouts, subscriptions and invoices.
//!
//! Stripe's lists filter by creation alone, so that changes are told by its events: what it pushes, and `GET /v1/events`,
//! which lists the same for 30 days (docs.stripe.com/api/events, "Events"). Each event carries the object as it then
//! was, so both give the same record under the same revision, the event's id. A feed that rests longer than 30 days has
//! gaps; a back-fill closes them.
//!
//! Events come in no certain order (docs.stripe.com/webhooks, "Event ordering") and have whole seconds. Where two of one
//! object share a second, the list's order decides: newest first (docs.stripe.com/api/pagination).

mod charge;
mod event;
mod hooks;
mod invoice;
mod list;
mod money;
mod parts;

use crate::contract::{
    ApiRequest, ApiResponse, Arrival, AuthField, AuthMethod, AuthScheme, Change, Conditional, Connector,
    ConnectorError, CreatedAt, CursorKind, DateLimits, Deletions, Digest, Encoding, FilterBound, Found, GetJob, Hmac,
    HookJob, KeyForm, Listing, ListingKind, Manifest, NativeEvent, NativeSpec, ObjectSpec, Order, Page, PageJob,
    Paging, RateLimit, Registers, Registration, SignatureForm, Template, TimestampSource, TokenField, ValueAt, Verdict,
    Verification, encode_segment,
};
use crate::model::ObjectType;
use serde_json::value::RawValue;

static MANIFEST: Manifest = Manifest {
    integration: "stripe",
    name: "Stripe",
    web_url: "https://stripe.com",
    api_docs_url: "https://docs.stripe.com/api",
    base_url: Some("https://api.stripe.com"),
    // docs.stripe.com/api/authentication: the key as user name of Basic, or as a Bearer token.
    auth: &[AuthMethod {
        scheme: AuthScheme::Bearer(AuthField::Token),
        fields: &[TokenField {
            field: AuthField::Token,
            name: "Secret or restricted key",
            instruction: "Developers, API keys. A restricted key needs read access to Events and to what is \
                          subscribed to, and write access to Webhook Endpoints where native webhooks are wanted.",
        }],
    }],
    headers: &[],
    objects: &[
        spec(ObjectType::AccountingInvoice, "invoice"),
        spec(ObjectType::PaymentPayment, "charge"),
        spec(ObjectType::PaymentPayout, "payout"),
        spec(ObjectType::PaymentRefund, "refund"),
        spec(ObjectType::PaymentSubscription, "subscription"),
    ],
    // docs.stripe.com/rate-limits: 100 requests a second, 25 in a sandbox and for any one endpoint. No header tells what
    // is left.
    rate_limit: RateLimit {
        requests: 25,
        per_ms: 1_000,
        description: "100 requests a second in live mode and 25 in a sandbox; 25 a second for one endpoint",
        ..RateLimit::PLAIN
    },
    // docs.stripe.com/webhooks, "Verify webhook signatures manually" and "Roll endpoint signing secrets": while a secret
    // is rolled there is a `v1` for each; `v0` is for tests and not looked at.
    native: Some(NativeSpec {
        verification: Verification::Hmac(Hmac {
            header: "stripe-signature",
            form: SignatureForm::Items { separator: ',', name: "v1" },
            digest: Digest::Sha256,
            encoding: Encoding::Hex,
            key: KeyForm::Raw,
            content: Template("{timestamp}.{body}"),
            timestamp: Some(DateLimits { source: TimestampSource::Item("t"), milliseconds: false, tolerance_s: 300 }),
        }),
        delivery_id: Some(ValueAt::Body("id")),
        registers: Registers::VendorsSecret,
        comparable: true,
        handshake: None,
    }),
};

/// Stripe names no bound on how late an event shows in the list; a minute is this project's choice.
const LATE_VISIBILITY_MS: u64 = 60_000;

const fn spec(object_type: ObjectType, raw_object: &'static str) -> ObjectSpec {
    ObjectSpec {
        object_type,
        raw_object,
        live: Listing {
            cursor: CursorKind::Updated(FilterBound::Inclusive),
            order: Order::UpdatedDescending,
            paging: Paging::Token,
        },
        history: Listing { cursor: CursorKind::Nothing, order: Order::Stable, paging: Paging::Token },
        // docs.stripe.com/api/pagination: `limit` is 1 to 100.
        page_size: 100,
        result_window: None,
        late_visibility_ms: LATE_VISIBILITY_MS,
        granularity_ms: 1_000,
        // docs.stripe.com/api/events/types: a draft of an invoice can be deleted, which is an event. What else ends stays.
        deletions: Deletions::Feed,
        created_at: CreatedAt::True,
        parent: None,
        filters: &[],
        volatile: &[],
        native: &[Change::Created, Change::Updated, Change::Deleted],
        conditional: Conditional::Never,
    }
}

/// Where Stripe lists each type, and what its events are called.
pub(crate) fn names(object_type: ObjectType) -> Result<(&'static str, &'static str, &'static str), ConnectorError> {
    match object_type {
        ObjectType::AccountingInvoice => Ok(("invoice", "/v1/invoices", "invoice.")),
        ObjectType::PaymentPayment => Ok(("charge", "/v1/charges", "charge.")),
        ObjectType::PaymentPayout => Ok(("payout", "/v1/payouts", "payout.")),
        ObjectType::PaymentRefund => Ok(("refund", "/v1/refunds", "refund.")),
        ObjectType::PaymentSubscription => Ok(("subscription", "/v1/subscriptions", "customer.subscription.")),
        other => Err(ConnectorError::unsupported(format!("{other} at Stripe"))),
    }
}

/// The connector.
pub struct Stripe;

impl Connector for Stripe {
    fn manifest(&self) -> &'static Manifest {
        &MANIFEST
    }

    fn page_request(&self, job: &PageJob<'_>) -> Result<ApiRequest, ConnectorError> {
        match job.kind {
            ListingKind::Live => event::page_request(job),
            ListingKind::History => list::page_request(job),
        }
    }

    fn read_page<'a>(&self, job: &PageJob<'_>, response: &ApiResponse<'a>) -> Result<Page<'a>, ConnectorError> {
        match job.kind {
            ListingKind::Live => event::read_page(job, response),
            ListingKind::History => list::read_page(job, response),
        }
    }

    fn get_request(&self, job: &GetJob<'_>) -> Result<ApiRequest, ConnectorError> {
        let (_, path, _) = names(job.spec.object_type)?;
        Ok(ApiRequest::get(format!("{path}/{}", encode_segment(job.id))))
    }

    /// An answer for an object that was deleted may be a stub that says so.
    fn read_record<'a>(&self, job: &GetJob<'_>, response: &ApiResponse<'a>) -> Result<Found<'a>, ConnectorError> {
        if !(200..300).contains(&response.status) {
            return Ok(Found::Gone);
        }
        let raw: &RawValue = response.json()?;
        if parts::is_deleted(raw) {
            return Ok(Found::Gone);
        }
        let record = list::read(job.spec.object_type, raw).map_err(|error| ConnectorError::malformed(error.0))?;
        Ok(Found::Record(Box::new(record)))
    }

    /// docs.stripe.com/api/errors: 402 and 409 are no answers to reading; a key without access is 403.
    fn judge(&self, response: &ApiResponse<'_>) -> Verdict {
        match response.status {
            403 => Verdict::Credential,
            409 => Verdict::Transient,
            status => Verdict::of_status(status),
        }
    }

    fn read_event<'a>(&self, event: &NativeEvent<'a>) -> Result<Vec<Arrival<'a>>, ConnectorError> {
        event::read_event(event)
    }

    fn register_request(&self, job: &HookJob<'_>) -> Result<ApiRequest, ConnectorError> {
        hooks::register_request(job)
    }

    fn read_registration(&self, _: &HookJob<'_>, response: &ApiResponse<'_>) -> Result<Registration, ConnectorError> {
        hooks::read_registration(response)
    }

    fn remove_request(&self, _: &HookJob<'_>, registration: &Registration) -> Result<ApiRequest, ConnectorError> {
        Ok(hooks::remove_request(registration))
    }
}
