//! Deals (developers.hubspot.com, "Deals"; the properties are HubSpot's default ones).

use super::parts::{Object, Value, date, filled, mapped, number};
use crate::contract::RecordError;
use crate::json::Mapped;
use crate::model::{CrmDeal, Reference};
use serde::Deserialize;

pub(super) const PROPERTIES: &[&str] = &[
    "amount",
    "closed_lost_reason",
    "closed_won_reason",
    "closedate",
    "createdate",
    "deal_currency_code",
    "dealname",
    "dealstage",
    "description",
    "hs_deal_stage_probability",
    "hs_is_closed",
    "hs_lastmodifieddate",
    "hs_object_id",
    "hubspot_owner_id",
    "pipeline",
];

#[derive(Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
pub(super) struct Properties<'a> {
    amount: Value<'a>,
    closed_lost_reason: Value<'a>,
    closed_won_reason: Value<'a>,
    closedate: Value<'a>,
    deal_currency_code: Value<'a>,
    dealname: Value<'a>,
    dealstage: Value<'a>,
    description: Value<'a>,
    hs_deal_stage_probability: Value<'a>,
    hs_is_closed: Value<'a>,
    hs_lastmodifieddate: Value<'a>,
    hubspot_owner_id: Value<'a>,
    pipeline: Value<'a>,
}

/// `closedate` is when a deal is expected to close, and of one that is closed when it did.
pub(super) fn deal<'a>(raw: Object<'a, Properties<'a>>) -> Result<Mapped<'a, CrmDeal<'a>>, RecordError> {
    let p = &raw.properties;
    let times = raw.times(&p.hs_lastmodifieddate)?;
    let is_closed = p.hs_is_closed.as_ref().is_some_and(|text| text.0 == "true");
    let close = date(&p.closedate);
    let object = CrmDeal {
        id: raw.id.0.clone(),
        created_at: times.created(),
        updated_at: times.updated(),
        amount: number(&p.amount),
        closed_at: close.filter(|_| is_closed),
        closing_at: close,
        currency: filled(&p.deal_currency_code),
        description: filled(&p.description),
        lost_reason: filled(&p.closed_lost_reason),
        name: filled(&p.dealname),
        pipelines: reference(&p.pipeline),
        probability: number(&p.hs_deal_stage_probability),
        stages: reference(&p.dealstage),
        user_id: filled(&p.hubspot_owner_id),
        won_reason: filled(&p.closed_won_reason),
        ..CrmDeal::default()
    };
    Ok(mapped(raw, &times, object))
}

fn reference<'a>(id: &Value<'a>) -> Vec<Reference<'a>> {
    filled(id).map(|id| Reference { id: Some(id), ..Reference::default() }).into_iter().collect()
}
