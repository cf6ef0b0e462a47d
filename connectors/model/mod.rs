//! The unified objects: one shape for the same thing at every vendor.
//!
//! They are only ever written, so they borrow from the vendor's answer wherever they can. A field that a vendor does not
//! have is left out, never null.

mod accounting;
mod calendar;
mod crm;
mod custom;
mod kms;
mod messaging;
mod object_type;
mod payment;
mod repo;
mod sample;
mod scalar;
mod shared;
mod task;
mod ticketing;
mod zone;

pub use accounting::{AccountingInvoice, Lineitem};
pub use calendar::{Attendee, CalendarEvent, Recurrence};
pub use crm::{CrmCompany, CrmContact, CrmDeal};
pub use custom::CustomEvent;
pub use kms::{KmsComment, KmsPage};
pub use messaging::{MessagingAttachment, MessagingChannel, MessagingMember, MessagingMessage, MessagingReaction};
pub use object_type::ObjectType;
pub use payment::{PaymentPayment, PaymentPayout, PaymentRefund, PaymentSubscription};
pub use repo::{RepoCommit, RepoPullrequest, RepoRepository};
pub use scalar::{Number, Timestamp, js_number, parse_time, parse_time_utc};
pub use shared::{Address, Email, Metadata, Reference, Telephone};
pub use task::{TaskComment, TaskProject, TaskTask};
pub use ticketing::TicketingTicket;
pub use zone::Zone;

/// The vendor's own object of a sample, where `raw` is asked for: compact JSON.
pub const SAMPLE_RAW: &str = r#"{"id":"sample-1","is_sample":true}"#;

/// Whether a field has nothing to say and is left out.
trait Absent {
    fn is_absent(&self) -> bool;
}

impl<T> Absent for Option<T> {
    fn is_absent(&self) -> bool {
        self.is_none()
    }
}

impl<T> Absent for Vec<T> {
    fn is_absent(&self) -> bool {
        self.is_empty()
    }
}

/// The name of a field in JSON: `type` is a word of Rust's, so the field is called `kind` here.
const fn wire_name(field: &'static str) -> &'static str {
    match field.as_bytes() {
        b"kind" => "type",
        _ => field,
    }
}

/// Declares a unified object: its name, and its fields besides `id`, `created_at` and `updated_at`.
macro_rules! unified_object {
    ($(#[$doc:meta])* $name:ident { $($(#[$attribute:meta])* $field:ident: $kind:ty,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Default, serde::Serialize)]
        pub struct $name<'a> {
            /// The vendor's id.
            pub id: std::borrow::Cow<'a, str>,
            /// When it came to be.
            #[serde(skip_serializing_if = "crate::model::Absent::is_absent")]
            pub created_at: Option<crate::model::Timestamp>,
            /// When it last changed.
            #[serde(skip_serializing_if = "crate::model::Absent::is_absent")]
            pub updated_at: Option<crate::model::Timestamp>,
            $(
                #[doc = concat!("The field `", stringify!($field), "`.")]
                #[serde(skip_serializing_if = "crate::model::Absent::is_absent")]
                $(#[$attribute])*
                pub $field: $kind,
            )*
        }

        impl $name<'_> {
            /// The names of its fields; `raw`, the vendor's own object, is among them.
            pub const FIELDS: &'static [&'static str] =
                &["id", "created_at", "updated_at", "raw", $(crate::model::wire_name(stringify!($field))),*];

            /// One with a value in every field, always the same.
            pub fn sample() -> Self {
                let sampled = crate::model::sample::Place { object: stringify!($name), field: "" };
                crate::model::sample::Sample::sample(sampled)
            }
        }

        crate::model::sample::sampled! { $name { id, created_at, updated_at, $($field),* } }
    };
}
pub(crate) use unified_object;

/// Shorthands for the kinds of field.
pub(crate) mod kinds {
    use std::borrow::Cow;

    pub(crate) type Text<'a> = Option<Cow<'a, str>>;
    pub(crate) type Texts<'a> = Vec<Cow<'a, str>>;
    pub(crate) type Bool = Option<bool>;
    pub(crate) type Num = Option<crate::model::Number>;
    pub(crate) type Date = Option<crate::model::Timestamp>;
}
