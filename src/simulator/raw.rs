//! Records as the vendor writes them, and where their contents come from.
//!
//! The fields of each struct stand in alphabetical order, as a `serde_json::Map` writes them: a record that was changed
//! keeps its form.

use super::Object;
use anyhook_connectors::model::Timestamp;
use fastrand::Rng;
use serde::Serialize;
use serde_json::{Map, Value, json};

/// A record before it has contents.
pub(super) struct Blank {
    pub(super) object: Object,
    pub(super) number: u64,
    pub(super) created_at: Timestamp,
    pub(super) updated_at: Timestamp,
}

#[derive(Serialize)]
struct Address {
    city: &'static str,
    country_code: &'static str,
    line1: String,
    postal_code: String,
}

#[derive(Serialize)]
struct Contact {
    address: Address,
    company_id: String,
    company_name: String,
    created_at: Timestamp,
    deleted: bool,
    department: &'static str,
    email: String,
    first_name: &'static str,
    id: String,
    last_name: &'static str,
    mobile: String,
    owner_id: String,
    title: &'static str,
    updated_at: Timestamp,
}

#[derive(Serialize)]
struct Company {
    address: Address,
    created_at: Timestamp,
    deleted: bool,
    description: String,
    domain: String,
    employees: u32,
    id: String,
    industry: &'static str,
    name: String,
    owner_id: String,
    phone: String,
    tags: [&'static str; 2],
    updated_at: Timestamp,
}

#[derive(Serialize)]
struct Deal {
    amount: f64,
    company_id: String,
    contact_ids: [String; 1],
    created_at: Timestamp,
    currency: &'static str,
    deleted: bool,
    expected_close_at: Timestamp,
    id: String,
    name: String,
    owner_id: String,
    pipeline: &'static str,
    probability: f64,
    source: &'static str,
    stage: &'static str,
    updated_at: Timestamp,
}

#[derive(Serialize)]
struct Ticket {
    created_at: Timestamp,
    deleted: bool,
    description: String,
    id: String,
    owner_id: String,
    priority: &'static str,
    requester_id: String,
    source: &'static str,
    status: &'static str,
    subject: String,
    tags: [&'static str; 1],
    updated_at: Timestamp,
}

const FIRST: [&str; 12] = [
    "Ada",
    "Alan",
    "Barbara",
    "Dennis",
    "Edsger",
    "Frances",
    "Grace",
    "Hedy",
    "Katherine",
    "Linus",
    "Margaret",
    "Niklaus",
];
const LAST: [&str; 12] = [
    "Abbott",
    "Brandt",
    "Chowdhury",
    "Dubois",
    "Eriksen",
    "Fernández",
    "Grünwald",
    "Hashimoto",
    "Ivanova",
    "Jansen",
    "Kowalski",
    "Lindqvist",
];
const TITLES: [&str; 6] = ["Accountant", "Buyer", "Engineer", "Head of Sales", "Operations Lead", "Support Agent"];
const DEPARTMENTS: [&str; 5] = ["Engineering", "Finance", "Operations", "Sales", "Support"];
const COMPANIES: [&str; 10] = [
    "Alder & Finch",
    "Blue Harbour",
    "Copperfield",
    "Dovetail",
    "Eastgate",
    "Fairwater",
    "Greystone",
    "Highmoor",
    "Inkwell",
    "Juniper",
];
const FORMS: [&str; 5] = ["AG", "GmbH", "Inc.", "Ltd", "S.A."];
const CITIES: [(&str, &str); 6] =
    [("Lisbon", "PT"), ("Leeds", "GB"), ("Lyon", "FR"), ("Toronto", "CA"), ("Uppsala", "SE"), ("Zürich", "CH")];
const STREETS: [&str; 5] = ["Bridge Street", "Canal Row", "Mill Lane", "Station Road", "Upper Square"];
const INDUSTRIES: [&str; 6] = ["Education", "Energy", "Finance", "Healthcare", "Logistics", "Retail"];
const TAGS: [&str; 6] = ["beta", "europe", "key-account", "newsletter", "partner", "renewal"];
const STAGES: [&str; 5] = ["qualified", "proposal", "negotiation", "won", "lost"];
const SOURCES: [&str; 4] = ["email", "phone", "referral", "web"];
const STATUSES: [&str; 4] = ["open", "pending", "solved", "closed"];
const PRIORITIES: [&str; 4] = ["low", "normal", "high", "urgent"];
const TROUBLES: [&str; 6] = [
    "Cannot sign in since the last update",
    "Invoice shows the wrong address",
    "Export stops half-way",
    "Password reset mail never arrives",
    "Totals differ between report and page",
    "Webhook is called twice",
];

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
