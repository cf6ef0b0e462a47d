//! Contacts (developers.hubspot.com, "Contacts"; the properties are HubSpot's default ones).

use super::parts::{Object, Value, address, filled, list, mapped, telephone};
use crate::contract::RecordError;
use crate::json::Mapped;
use crate::model::{CrmContact, Email};
use serde::Deserialize;
use std::borrow::Cow;

pub(super) const PROPERTIES: &[&str] = &[
    "address",
    "associatedcompanyid",
    "city",
    "company",
    "country",
    "createdate",
    "email",
    "fax",
    "firstname",
    "hs_additional_emails",
    "hs_linkedin_url",
    "hs_object_id",
    "hubspot_owner_id",
    "jobtitle",
    "lastmodifieddate",
    "lastname",
    "mobilephone",
    "phone",
    "state",
    "website",
    "zip",
];

#[derive(Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
pub(super) struct Properties<'a> {
    address: Value<'a>,
    associatedcompanyid: Value<'a>,
    city: Value<'a>,
    company: Value<'a>,
    country: Value<'a>,
    email: Value<'a>,
    fax: Value<'a>,
    firstname: Value<'a>,
    hs_additional_emails: Value<'a>,
    hs_linkedin_url: Value<'a>,
    hubspot_owner_id: Value<'a>,
    jobtitle: Value<'a>,
    lastmodifieddate: Value<'a>,
    lastname: Value<'a>,
    mobilephone: Value<'a>,
    phone: Value<'a>,
    state: Value<'a>,
    website: Value<'a>,
    zip: Value<'a>,
}

pub(super) fn contact<'a>(raw: Object<'a, Properties<'a>>) -> Result<Mapped<'a, CrmContact<'a>>, RecordError> {
    let p = &raw.properties;
    let times = raw.times(&p.lastmodifieddate)?;
    let telephones =
        [telephone(&p.phone, None), telephone(&p.mobilephone, Some("MOBILE")), telephone(&p.fax, Some("FAX"))];
    let object = CrmContact {
        id: raw.id.0.clone(),
        created_at: times.created(),
        updated_at: times.updated(),
        address: address((&p.address, &None), &p.city, &p.state, &p.zip, &p.country),
        company: filled(&p.company),
        company_ids: list(&p.associatedcompanyid),
        emails: emails(p),
        first_name: filled(&p.firstname),
        last_name: filled(&p.lastname),
        link_urls: [&p.website, &p.hs_linkedin_url].into_iter().filter_map(filled).collect(),
        name: name(p),
        telephones: telephones.into_iter().flatten().collect(),
        title: filled(&p.jobtitle),
        user_id: filled(&p.hubspot_owner_id),
        ..CrmContact::default()
    };
    Ok(mapped(raw, &times, object))
}

fn name<'a>(p: &Properties<'a>) -> Option<Cow<'a, str>> {
    match (filled(&p.firstname), filled(&p.lastname)) {
        (Some(first), Some(last)) => Some(Cow::Owned([&first, " ", &last].concat())),
        (first, last) => first.or(last),
    }
}

/// The main address, and the others of the contact, which one property holds with semicolons between.
fn emails<'a>(p: &Properties<'a>) -> Vec<Email<'a>> {
    let others = filled(&p.hs_additional_emails);
    let others = others.iter().flat_map(|text| text.split(';')).filter(|email| !email.is_empty());
    let others = others.map(|email| Cow::Owned(email.trim().to_owned()));
    filled(&p.email).into_iter().chain(others).map(|email| Email { email, kind: None }).collect()
}
