//! Sales opportunities.

use super::{list, mapped, named, texts, time};
use crate::contract::RecordError;
use crate::json::{Mapped, Text};
use crate::model::{CrmDeal, Number, Timestamp};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
pub(super) struct Deal<'a> {
    id: Text<'a>,
    created_at: Text<'a>,
    updated_at: Text<'a>,
    #[serde(default)]
    deleted: bool,
    amount: Option<f64>,
    company_id: Option<Text<'a>>,
    #[serde(default)]
    contact_ids: Vec<Text<'a>>,
    currency: Option<Text<'a>>,
    expected_close_at: Option<Text<'a>>,
    name: Option<Text<'a>>,
    owner_id: Option<Text<'a>>,
    pipeline: Option<Text<'a>>,
    probability: Option<f64>,
    source: Option<Text<'a>>,
    stage: Option<Text<'a>>,
}

pub(super) fn deal(raw: Deal<'_>) -> Result<Mapped<'_, CrmDeal<'_>>, RecordError> {
    let (created_at, updated_at) = (time("created_at", &raw.created_at)?, time("updated_at", &raw.updated_at)?);
    let closing_at = raw.expected_close_at.map(|text| time("expected_close_at", &text)).transpose()?;
    let object = CrmDeal {
        id: raw.id.0.clone(),
        created_at: Some(Timestamp(created_at)),
        updated_at: Some(Timestamp(updated_at)),
        amount: raw.amount.and_then(Number::new),
        closing_at: closing_at.map(Timestamp),
        company_ids: list(raw.company_id),
        contact_ids: texts(raw.contact_ids),
        currency: raw.currency.map(|text| text.0),
        name: raw.name.map(|text| text.0),
        pipelines: raw.pipeline.map(named).unwrap_or_default(),
        probability: raw.probability.and_then(Number::new),
        source: raw.source.map(|text| text.0),
        stages: raw.stage.map(named).unwrap_or_default(),
        user_id: raw.owner_id.map(|text| text.0),
        ..CrmDeal::default()
    };
    Ok(mapped(raw.id, created_at, updated_at, raw.deleted, object))
}
