//! People.

use super::{Address, address, list, mapped, telephone, time, work_email};
use crate::contract::RecordError;
use crate::json::{Mapped, Text};
use crate::model::{CrmContact, Timestamp};
use serde::Deserialize;
use std::borrow::Cow;

#[derive(Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
pub(super) struct Contact<'a> {
    id: Text<'a>,
    created_at: Text<'a>,
    updated_at: Text<'a>,
    #[serde(default)]
    deleted: bool,
    address: Option<Address<'a>>,
    company_id: Option<Text<'a>>,
    company_name: Option<Text<'a>>,
    department: Option<Text<'a>>,
    email: Option<Text<'a>>,
    first_name: Option<Text<'a>>,
    last_name: Option<Text<'a>>,
    mobile: Option<Text<'a>>,
    owner_id: Option<Text<'a>>,
    title: Option<Text<'a>>,
}

pub(super) fn contact(raw: Contact<'_>) -> Result<Mapped<'_, CrmContact<'_>>, RecordError> {
    let (created_at, updated_at) = (time("created_at", &raw.created_at)?, time("updated_at", &raw.updated_at)?);
    let name = match (&raw.first_name, &raw.last_name) {
        (Some(first), Some(last)) => Some(Cow::Owned([&first.0, " ", &last.0].concat())),
        (Some(only), None) | (None, Some(only)) => Some(only.0.clone()),
        (None, None) => None,
    };
    let object = CrmContact {
        id: raw.id.0.clone(),
        created_at: Some(Timestamp(created_at)),
        updated_at: Some(Timestamp(updated_at)),
        address: raw.address.map(address),
        company: raw.company_name.map(|text| text.0),
        company_ids: list(raw.company_id),
        department: raw.department.map(|text| text.0),
        emails: raw.email.map(work_email).into_iter().collect(),
        first_name: raw.first_name.map(|text| text.0),
        last_name: raw.last_name.map(|text| text.0),
        name,
        telephones: raw.mobile.map(|number| telephone(number, "MOBILE")).into_iter().collect(),
        title: raw.title.map(|text| text.0),
        user_id: raw.owner_id.map(|text| text.0),
        ..CrmContact::default()
    };
    Ok(mapped(raw.id, created_at, updated_at, raw.deleted, object))
}
