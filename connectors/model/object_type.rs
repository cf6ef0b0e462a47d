//! The names of the unified objects.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

macro_rules! object_types {
    ($($variant:ident $name:literal,)*) => {
        /// A kind of unified object, such as `crm_contact`: a category and an object.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum ObjectType {
            $(
                #[doc = concat!("`", $name, "`")]
                #[serde(rename = $name)]
                $variant,
            )*
        }

        impl ObjectType {
            /// All of them.
            pub const ALL: &'static [ObjectType] = &[$(ObjectType::$variant),*];

            /// The name the API uses.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(ObjectType::$variant => $name,)*
                }
            }
        }
    };
}

object_types! {
    AccountingInvoice "accounting_invoice",
    CalendarEvent "calendar_event",
    CrmCompany "crm_company",
    CrmContact "crm_contact",
    CrmDeal "crm_deal",
    CustomEvent "custom_event",
    KmsComment "kms_comment",
    KmsPage "kms_page",
    MessagingChannel "messaging_channel",
    MessagingMessage "messaging_message",
    PaymentPayment "payment_payment",
    PaymentPayout "payment_payout",
    PaymentRefund "payment_refund",
    PaymentSubscription "payment_subscription",
    RepoCommit "repo_commit",
    RepoPullrequest "repo_pullrequest",
    RepoRepository "repo_repository",
    TaskComment "task_comment",
    TaskProject "task_project",
    TaskTask "task_task",
    TicketingTicket "ticketing_ticket",
}

impl ObjectType {
    /// The category: what stands before the first underscore.
    pub fn category(self) -> &'static str {
        self.as_str().split_once('_').map_or(self.as_str(), |(category, _)| category)
    }

    /// The names of the object's fields.
    pub fn fields(self) -> &'static [&'static str] {
        use super::*;
        match self {
            ObjectType::AccountingInvoice => AccountingInvoice::FIELDS,
            ObjectType::CalendarEvent => CalendarEvent::FIELDS,
            ObjectType::CrmCompany => CrmCompany::FIELDS,
            ObjectType::CrmContact => CrmContact::FIELDS,
            ObjectType::CrmDeal => CrmDeal::FIELDS,
            ObjectType::CustomEvent => CustomEvent::FIELDS,
            ObjectType::KmsComment => KmsComment::FIELDS,
            ObjectType::KmsPage => KmsPage::FIELDS,
            ObjectType::MessagingChannel => MessagingChannel::FIELDS,
            ObjectType::MessagingMessage => MessagingMessage::FIELDS,
            ObjectType::PaymentPayment => PaymentPayment::FIELDS,
            ObjectType::PaymentPayout => PaymentPayout::FIELDS,
            ObjectType::PaymentRefund => PaymentRefund::FIELDS,
            ObjectType::PaymentSubscription => PaymentSubscription::FIELDS,
            ObjectType::RepoCommit => RepoCommit::FIELDS,
            ObjectType::RepoPullrequest => RepoPullrequest::FIELDS,
            ObjectType::RepoRepository => RepoRepository::FIELDS,
            ObjectType::TaskComment => TaskComment::FIELDS,
            ObjectType::TaskProject => TaskProject::FIELDS,
            ObjectType::TaskTask => TaskTask::FIELDS,
            ObjectType::TicketingTicket => TicketingTicket::FIELDS,
        }
    }

    /// An object with a value in every field but `raw`, always the same: compact JSON. What `raw` would hold is
    /// [`super::SAMPLE_RAW`].
    pub fn sample(self) -> Result<String, serde_json::Error> {
        use super::*;
        match self {
            ObjectType::AccountingInvoice => serde_json::to_string(&AccountingInvoice::sample()),
            ObjectType::CalendarEvent => serde_json::to_string(&CalendarEvent::sample()),
            ObjectType::CrmCompany => serde_json::to_string(&CrmCompany::sample()),
            ObjectType::CrmContact => serde_json::to_string(&CrmContact::sample()),
            ObjectType::CrmDeal => serde_json::to_string(&CrmDeal::sample()),
            ObjectType::CustomEvent => serde_json::to_string(&CustomEvent::sample()),
            ObjectType::KmsComment => serde_json::to_string(&KmsComment::sample()),
            ObjectType::KmsPage => serde_json::to_string(&KmsPage::sample()),
            ObjectType::MessagingChannel => serde_json::to_string(&MessagingChannel::sample()),
            ObjectType::MessagingMessage => serde_json::to_string(&MessagingMessage::sample()),
            ObjectType::PaymentPayment => serde_json::to_string(&PaymentPayment::sample()),
            ObjectType::PaymentPayout => serde_json::to_string(&PaymentPayout::sample()),
            ObjectType::PaymentRefund => serde_json::to_string(&PaymentRefund::sample()),
            ObjectType::PaymentSubscription => serde_json::to_string(&PaymentSubscription::sample()),
            ObjectType::RepoCommit => serde_json::to_string(&RepoCommit::sample()),
            ObjectType::RepoPullrequest => serde_json::to_string(&RepoPullrequest::sample()),
            ObjectType::RepoRepository => serde_json::to_string(&RepoRepository::sample()),
            ObjectType::TaskComment => serde_json::to_string(&TaskComment::sample()),
            ObjectType::TaskProject => serde_json::to_string(&TaskProject::sample()),
            ObjectType::TaskTask => serde_json::to_string(&TaskTask::sample()),
            ObjectType::TicketingTicket => serde_json::to_string(&TicketingTicket::sample()),
        }
    }
}

impl fmt::Display for ObjectType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for ObjectType {
    type Err = UnknownObjectType;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        ObjectType::ALL.iter().copied().find(|known| known.as_str() == name).ok_or(UnknownObjectType)
    }
}

/// The name is none of the object types.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unknown object type")]
pub struct UnknownObjectType;
