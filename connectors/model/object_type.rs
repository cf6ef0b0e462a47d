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
