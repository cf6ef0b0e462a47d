//! Where the contents of records come from: chance, within what is likely.

mod shapes;
mod words;

use super::Object;
use anyhook_connectors::model::Timestamp;
use fastrand::Rng;
use serde_json::{Map, Value, json};
use shapes::{Address, Company, Contact, Deal, Ticket};
use words::{
    CITIES, COMPANIES, DEPARTMENTS, FIRST, FORMS, INDUSTRIES, LAST, PRIORITIES, SOURCES, STAGES, STATUSES, STREETS,
    TAGS, TITLES, TROUBLES,
};

/// A record before it has contents.
pub(super) struct Blank {
    pub(super) object: Object,
    pub(super) number: u64,
    pub(super) created_at: Timestamp,
    pub(super) updated_at: Timestamp,
}

fn pick<T: Copy>(random: &mut Rng, from: &[T]) -> T {
    from[random.usize(..from.len())]
}

fn address(random: &mut Rng) -> Address {
    let (city, country_code) = pick(random, &CITIES);
    Address {
        city,
        country_code,
        line1: format!("{} {}", random.u32(1..200), pick(random, &STREETS)),
        postal_code: format!("{:05}", random.u32(1_000..99_999)),
    }
}

fn phone(random: &mut Rng) -> String {
    format!("+44 20 7946 0{:03}", random.u32(0..1_000))
}

fn owner(random: &mut Rng) -> String {
    format!("usr_{:02}", random.u32(1..20))
}

/// The id of a record that a new one of this number may point at: one that is as old or older.
fn pointer(random: &mut Rng, object: Object, number: u64) -> String {
    object.id(random.u64(1..=number.max(1)))
}

/// Writes a new record with contents of chance.
pub(super) fn write_new(random: &mut Rng, blank: &Blank) -> serde_json::Result<Vec<u8>> {
    match blank.object {
        Object::Contacts => serde_json::to_vec(&contact(random, blank)),
        Object::Companies => serde_json::to_vec(&company(random, blank)),
        Object::Deals => serde_json::to_vec(&deal(random, blank)),
        Object::Tickets => serde_json::to_vec(&ticket(random, blank)),
    }
}

fn contact(random: &mut Rng, blank: &Blank) -> Contact {
    let (first_name, last_name) = (pick(random, &FIRST), pick(random, &LAST));
    Contact {
        address: address(random),
        company_id: pointer(random, Object::Companies, blank.number),
        company_name: format!("{} {}", pick(random, &COMPANIES), pick(random, &FORMS)),
        created_at: blank.created_at,
        deleted: false,
        department: pick(random, &DEPARTMENTS),
        email: format!("{}.{}@example.com", first_name.to_lowercase(), blank.number),
        first_name,
        id: blank.object.id(blank.number),
        last_name,
        mobile: phone(random),
        owner_id: owner(random),
        title: pick(random, &TITLES),
        updated_at: blank.updated_at,
    }
}

fn company(random: &mut Rng, blank: &Blank) -> Company {
    let (name, industry) = (pick(random, &COMPANIES), pick(random, &INDUSTRIES));
    Company {
        address: address(random),
        created_at: blank.created_at,
        deleted: false,
        description: format!("{name} works in {} for customers of every size.", industry.to_lowercase()),
        domain: format!("company{}.example.com", blank.number),
        employees: random.u32(1..5_000),
        id: blank.object.id(blank.number),
        industry,
        name: format!("{name} {}", pick(random, &FORMS)),
        owner_id: owner(random),
        phone: phone(random),
        tags: [pick(random, &TAGS[..3]), pick(random, &TAGS[3..])],
        updated_at: blank.updated_at,
    }
}

fn deal(random: &mut Rng, blank: &Blank) -> Deal {
    let days = chrono::Duration::days(i64::from(random.u32(1..90)));
    Deal {
        amount: f64::from(random.u32(1_000..5_000_000)) / 100.0,
        company_id: pointer(random, Object::Companies, blank.number),
        contact_ids: [pointer(random, Object::Contacts, blank.number)],
        created_at: blank.created_at,
        currency: pick(random, &["CHF", "EUR", "GBP", "USD"]),
        deleted: false,
        expected_close_at: Timestamp(blank.created_at.0 + days),
        id: blank.object.id(blank.number),
        name: format!(
            "{} for {}",
            pick(random, &["Licences", "Rollout", "Support", "Training"]),
            pick(random, &COMPANIES)
        ),
        owner_id: owner(random),
        pipeline: pick(random, &["new-business", "renewals"]),
        probability: f64::from(random.u32(1..20)) / 20.0,
        source: pick(random, &SOURCES),
        stage: pick(random, &STAGES),
        updated_at: blank.updated_at,
    }
}

fn ticket(random: &mut Rng, blank: &Blank) -> Ticket {
    let subject = pick(random, &TROUBLES);
    Ticket {
        created_at: blank.created_at,
        deleted: false,
        description: format!("{subject}. It began on the {}th and happens every time.", random.u32(4..20)),
        id: blank.object.id(blank.number),
        owner_id: owner(random),
        priority: pick(random, &PRIORITIES),
        requester_id: pointer(random, Object::Contacts, blank.number),
        source: pick(random, &SOURCES),
        status: pick(random, &STATUSES),
        subject: subject.to_owned(),
        tags: [pick(random, &TAGS)],
        updated_at: blank.updated_at,
    }
}

/// A change of chance, as people make them.
pub(super) fn chance_edit(random: &mut Rng, object: Object) -> Map<String, Value> {
    let fields = match object {
        Object::Contacts if random.bool() => json!({"title": pick(random, &TITLES)}),
        Object::Contacts => json!({"mobile": phone(random), "department": pick(random, &DEPARTMENTS)}),
        Object::Companies => json!({"employees": random.u32(1..5_000)}),
        Object::Deals => {
            json!({"stage": pick(random, &STAGES), "amount": f64::from(random.u32(1_000..5_000_000)) / 100.0})
        }
        Object::Tickets => json!({"status": pick(random, &STATUSES), "priority": pick(random, &PRIORITIES)}),
    };
    match fields {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}
