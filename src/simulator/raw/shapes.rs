//! The vendor's objects as they stand in its answers.
//!
//! The fields of each struct stand in alphabetical order, as a `serde_json::Map` writes them: a record that was changed
//! keeps its form.

use anyhook_connectors::model::Timestamp;
use serde::Serialize;

#[derive(Serialize)]
pub(super) struct Address {
    pub(super) city: &'static str,
    pub(super) country_code: &'static str,
    pub(super) line1: String,
    pub(super) postal_code: String,
}

#[derive(Serialize)]
pub(super) struct Contact {
    pub(super) address: Address,
    pub(super) company_id: String,
    pub(super) company_name: String,
    pub(super) created_at: Timestamp,
    pub(super) deleted: bool,
    pub(super) department: &'static str,
    pub(super) email: String,
    pub(super) first_name: &'static str,
    pub(super) id: String,
    pub(super) last_name: &'static str,
    pub(super) mobile: String,
    pub(super) owner_id: String,
    pub(super) title: &'static str,
    pub(super) updated_at: Timestamp,
}

#[derive(Serialize)]
pub(super) struct Company {
    pub(super) address: Address,
    pub(super) created_at: Timestamp,
    pub(super) deleted: bool,
    pub(super) description: String,
    pub(super) domain: String,
    pub(super) employees: u32,
    pub(super) id: String,
    pub(super) industry: &'static str,
    pub(super) name: String,
    pub(super) owner_id: String,
    pub(super) phone: String,
    pub(super) tags: [&'static str; 2],
    pub(super) updated_at: Timestamp,
}

#[derive(Serialize)]
pub(super) struct Deal {
    pub(super) amount: f64,
    pub(super) company_id: String,
    pub(super) contact_ids: [String; 1],
    pub(super) created_at: Timestamp,
    pub(super) currency: &'static str,
    pub(super) deleted: bool,
    pub(super) expected_close_at: Timestamp,
    pub(super) id: String,
    pub(super) name: String,
    pub(super) owner_id: String,
    pub(super) pipeline: &'static str,
    pub(super) probability: f64,
    pub(super) source: &'static str,
    pub(super) stage: &'static str,
    pub(super) updated_at: Timestamp,
}

#[derive(Serialize)]
pub(super) struct Ticket {
    pub(super) created_at: Timestamp,
    pub(super) deleted: bool,
    pub(super) description: String,
    pub(super) id: String,
    pub(super) owner_id: String,
    pub(super) priority: &'static str,
    pub(super) requester_id: String,
    pub(super) source: &'static str,
    pub(super) status: &'static str,
    pub(super) subject: String,
    pub(super) tags: [&'static str; 1],
    pub(super) updated_at: Timestamp,
}
