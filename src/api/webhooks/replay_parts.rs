//! What a replay sends again: one delivery, those in a state, or all since a time.

use super::deliveries::STATES;
use super::told::{self, Told};
use crate::api::error::ApiError;
use crate::api::recipient::Recipient;
use crate::api::state::Api;
use crate::api::wire::{Fields, choice, shorten};
use crate::api_model::delivery::DeliveryStateName;
use crate::deliver::{Payload, Plan, Reached};
use crate::store::{ApiCall, Attempt, ReplayPart, Stream};
use chrono::{DateTime, SecondsFormat, Utc};

/// What is asked for, and how many deliveries that is.
pub(super) async fn parts(api: &Api, to: &Recipient, fields: &Fields<'_>) -> Result<(Vec<ReplayPart>, u64), ApiError> {
    let all = told::all(api, &to.webhook).await?;
    let state = fields.text("state")?.map(|text| choice("state", text, &STATES)).transpose()?;
    let (from, until) = (fields.date("updated_gte")?, fields.date("updated_lt")?);
    if let (Some(from), Some(until)) = (from, until)
        && from >= until
    {
        return Err(fields.error("updated_lt", "expected a time after updated_gte"));
    }
    match (fields.text("delivery")?, state, from) {
        (Some(delivery), None, None) => {
            let missing = || ApiError::not_found("delivery", shorten(delivery));
            let told = all.iter().find(|told| told.id() == Some(delivery)).ok_or_else(missing)?;
            several(api, to, vec![told]).await
        }
        (None, Some(state @ (DeliveryStateName::Failed | DeliveryStateName::Skipped)), _) => {
            let is_asked = |told: &&Told| {
                told.state() == state
                    && from.is_none_or(|from| told.at() >= from)
                    && until.is_none_or(|until| told.at() < until)
            };
            several(api, to, all.iter().filter(is_asked).collect()).await
        }
        (None, Some(_), _) => {
            Err(fields
                .error("state", "expected failed or skipped; what was delivered is repeated by updated_gte alone"))
        }
        (None, None, Some(from)) if until.is_none() => since(api, to, &all, from).await,
        _ => Err(ApiError::bad_request(
            "name one delivery by delivery, or a range by state (failed or skipped) with updated_gte and updated_lt, or all since a time by updated_gte alone",
        )),
    }
}

/// Single deliveries, oldest first. Each is put together once, to see that it is still what it was.
async fn several(api: &Api, to: &Recipient, mut told: Vec<&Told>) -> Result<(Vec<ReplayPart>, u64), ApiError> {
    told.sort_by_key(|told| own(told).map(|(_, note)| note.span.from));
    let (mut parts, mut gone, mut changed) = (Vec::with_capacity(told.len()), 0, 0);
    for told in &told {
        let found = own(told).filter(|(_, note)| note.stream() == Stream::Live);
        let Some((call, note)) = found else {
            gone += 1;
            continue;
        };
        match api.desk().await?.payload(&to.webhook, call).await? {
            Payload::Body(_) => {
                let records = Some(u32::try_from(call.records).unwrap_or(u32::MAX));
                parts.push(ReplayPart { span: note.span, records });
            }
            Payload::Gone => gone += 1,
            Payload::Changed => changed += 1,
        }
    }
    if gone > 0 {
        let kept = kept_text(to, api.desk().await?.kept_since(&to.webhook).await?);
        let (all, advice) = (told.len(), to.advice());
        return Err(ApiError::conflict(format!(
            "the payloads of {gone} of {all} deliveries are no longer kept{kept}; narrow it by updated_gte, or {advice}"
        )));
    }
    if changed > 0 {
        let (noun, advice) = (to.noun(), to.advice());
        return Err(ApiError::conflict(format!(
            "the {noun} was set otherwise since, so that {changed} deliveries would be other bytes; {advice}"
        )));
    }
    let deliveries = parts.len() as u64;
    Ok((parts, deliveries))
}

async fn since(
    api: &Api,
    to: &Recipient,
    all: &[Told],
    from: DateTime<Utc>,
) -> Result<(Vec<ReplayPart>, u64), ApiError> {
    let max = api.context.limits.deliver.replay_deliveries_max;
    match api.desk().await?.plan(&to.webhook, from, reached(all, from)).await? {
        Plan::Parts(parts, deliveries) => Ok((parts, deliveries)),
        Plan::Gone(kept_since) => Err(ApiError::conflict(format!(
            "not all that was delivered since is kept{}; ask for a later time, or {}",
            kept_text(to, Some(kept_since)),
            to.advice()
        ))),
        Plan::TooMany => Err(ApiError::unprocessable(format!(
            "more than {max} deliveries were made since; ask for a later time, or raise deliver.replay_deliveries_max"
        ))),
    }
}

/// What was delivered before a time and since, as far as rows are kept that tell it.
fn reached(all: &[Told], from: DateTime<Utc>) -> Reached {
    let calls = all.iter().flat_map(|told| &told.calls).filter(|call| !call.is_failure());
    let notes = calls.filter_map(|call| call.attempt.as_deref().map(|note| (call.at, note)));
    let live = notes.filter(|(_, note)| note.stream() == Stream::Live && note.replay.is_none());
    let (before, since): (Vec<_>, Vec<_>) = live.partition(|(at, _)| *at < from);
    Reached {
        before: before.iter().map(|(_, note)| note.span.to).max(),
        since: since.iter().map(|(_, note)| note.span.from).min(),
    }
}

/// The newest row of a delivery itself that says where it stands.
fn own(told: &Told) -> Option<(&ApiCall, &Attempt)> {
    let calls = told.calls.iter().rev();
    let mut noted = calls.filter_map(|call| call.attempt.as_deref().map(|note| (call, note)));
    noted.find(|(_, note)| note.replay.is_none())
}

fn kept_text(to: &Recipient, kept_since: Option<DateTime<Utc>>) -> String {
    let what = if to.destination_id().is_some() { "told" } else { "delivered" };
    let since = kept_since.map(|since| since.to_rfc3339_opts(SecondsFormat::Millis, true));
    since.map(|since| format!("; payloads of what was {what} after {since} are")).unwrap_or_default()
}
