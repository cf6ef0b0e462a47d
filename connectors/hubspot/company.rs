//! Companies (developers.hubspot.com, "Companies"; the properties are HubSpot's default ones).

use super::parts::{Object, Value, address, filled, list, mapped, number, telephone};
use crate::contract::RecordError;
use crate::json::Mapped;
use crate::model::CrmCompany;
use serde::Deserialize;

pub(super) const PROPERTIES: &[&str] = &[
    "address",
    "address2",
    "city",
    "country",
    "createdate",
    "description",
    "domain",
    "hs_lastmodifieddate",
    "hs_object_id",
    "hubspot_owner_id",
    "industry",
    "linkedin_company_page",
    "name",
    "numberofemployees",
    "phone",
    "state",
    "timezone",
    "website",
    "zip",
];

#[derive(Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
pub(super) struct Properties<'a> {
    address: Value<'a>,
    address2: Value<'a>,
    city: Value<'a>,
    country: Value<'a>,
    description: Value<'a>,
    domain: Value<'a>,
    hs_lastmodifieddate: Value<'a>,
    hubspot_owner_id: Value<'a>,
    industry: Value<'a>,
    linkedin_company_page: Value<'a>,
    name: Value<'a>,
    numberofemployees: Value<'a>,
    phone: Value<'a>,
    state: Value<'a>,
    timezone: Value<'a>,
    website: Value<'a>,
    zip: Value<'a>,
}

pub(super) fn company<'a>(raw: Object<'a, Properties<'a>>) -> Result<Mapped<'a, CrmCompany<'a>>, RecordError> {
    let p = &raw.properties;
    let times = raw.times(&p.hs_lastmodifieddate)?;
    let object = CrmCompany {
        id: raw.id.0.clone(),
        created_at: times.created(),
        updated_at: times.updated(),
        address: address((&p.address, &p.address2), &p.city, &p.state, &p.zip, &p.country),
        description: filled(&p.description),
        domains: list(&p.domain),
        employees: number(&p.numberofemployees),
        industry: filled(&p.industry),
        link_urls: list(&p.linkedin_company_page),
        name: filled(&p.name),
        telephones: telephone(&p.phone, None).into_iter().collect(),
        timezone: filled(&p.timezone),
        user_id: filled(&p.hubspot_owner_id),
        websites: list(&p.website),
        ..CrmCompany::default()
    };
    Ok(mapped(raw, &times, object))
}
