//! The vendor's objects and what they are called.

use serde::{Deserialize, Serialize};

/// A kind of record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Object {
    /// People: `crm_contact`.
    Contacts,
    /// Organisations: `crm_company`.
    Companies,
    /// Sales opportunities: `crm_deal`.
    Deals,
    /// Requests for help: `ticketing_ticket`.
    Tickets,
}

impl Object {
    /// All of them.
    pub const ALL: [Object; 4] = [Object::Contacts, Object::Companies, Object::Deals, Object::Tickets];

    /// Its name in paths.
    pub fn plural(self) -> &'static str {
        match self {
            Object::Contacts => "contacts",
            Object::Companies => "companies",
            Object::Deals => "deals",
            Object::Tickets => "tickets",
        }
    }

    /// Its name in events, such as `contact.updated`.
    pub fn singular(self) -> &'static str {
        match self {
            Object::Contacts => "contact",
            Object::Companies => "company",
            Object::Deals => "deal",
            Object::Tickets => "ticket",
        }
    }

    /// What its ids begin with.
    fn prefix(self) -> &'static str {
        match self {
            Object::Contacts => "con_",
            Object::Companies => "com_",
            Object::Deals => "dea_",
            Object::Tickets => "tic_",
        }
    }

    /// The object of this name in a path.
    pub fn parse(plural: &str) -> Option<Self> {
        Object::ALL.into_iter().find(|object| object.plural() == plural)
    }

    pub(super) fn index(self) -> usize {
        self as usize
    }

    /// The id of the record with this number. Ids sort as their numbers do.
    pub(super) fn id(self, number: u64) -> String {
        format!("{}{number:08}", self.prefix())
    }

    /// The number in an id.
    pub(super) fn number(self, id: &str) -> Option<u64> {
        let digits = id.strip_prefix(self.prefix())?;
        let number = digits.parse().ok()?;
        (self.id(number) == id).then_some(number)
    }
}
