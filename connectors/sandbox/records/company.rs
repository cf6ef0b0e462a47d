//! Organisations.

use super::{Address, address, list, mapped, telephone, texts, time};
use crate::contract::RecordError;
use crate::json::{Mapped, Text};
use crate::model::{CrmCompany, Number, Timestamp};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
pub(super) struct Company<'a> {
    id: Text<'a>,
    created_at: Text<'a>,
    updated_at: Text<'a>,
    #[serde(default)]
    deleted: bool,
    address: Option<Address<'a>>,
    description: Option<Text<'a>>,
    domain: Option<Text<'a>>,
    employees: Option<u32>,
    industry: Option<Text<'a>>,
    name: Option<Text<'a>>,
    owner_id: Option<Text<'a>>,
    phone: Option<Text<'a>>,
    #[serde(default)]
    tags: Vec<Text<'a>>,
}

pub(super) fn company(raw: Company<'_>) -> Result<Mapped<'_, CrmCompany<'_>>, RecordError> {
    let (created_at, updated_at) = (time("created_at", &raw.created_at)?, time("updated_at", &raw.updated_at)?);
    let object = CrmCompany {
        id: raw.id.0.clone(),
        created_at: Some(Timestamp(created_at)),
        updated_at: Some(Timestamp(updated_at)),
        address: raw.address.map(address),
        description: raw.description.map(|text| text.0),
        domains: list(raw.domain),
        employees: raw.employees.map(Number::from),
        industry: raw.industry.map(|text| text.0),
        is_active: Some(!raw.deleted),
        name: raw.name.map(|text| text.0),
        tags: texts(raw.tags),
        telephones: raw.phone.map(|number| telephone(number, "WORK")).into_iter().collect(),
        user_id: raw.owner_id.map(|text| text.0),
        ..CrmCompany::default()
    };
    Ok(mapped(raw.id, created_at, updated_at, raw.deleted, object))
}
