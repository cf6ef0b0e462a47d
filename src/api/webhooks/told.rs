//! A webhook's deliveries, put together from the rows of their attempts and from how far its streams are.

use crate::api::error::ApiError;
use crate::api::state::Api;
use crate::api_model::delivery::{DeliveryFacts, DeliveryStateName, DeliveryView};
use crate::deliver::derive::sequence_number;
use crate::ids::JobId;
use crate::store::{
    ApiCall, ApiCallQuery, CallKind, DeliveryState, JobState, ListingJob, Position, Stream, Webhook, WebhookHealth,
};
use chrono::{DateTime, Utc};
use std::collections::HashMap;

/// Rows of a webhook that are read; by default fewer are kept.
const ROWS_MAX: usize = 5_000;
/// Jobs that are read; the store remembers no more.
const JOBS_MAX: usize = 50;

/// A batch and the rows of its attempts, oldest first.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) calls: Vec<ApiCall>,
    facts: DeliveryFacts,
}

impl Told {
    pub(super) fn state(&self) -> DeliveryStateName {
        self.facts.state
    }

    pub(super) fn id(&self) -> Option<&str> {
        self.calls.first()?.delivery.as_deref()
    }

    /// When it was last attempted.
    pub(super) fn at(&self) -> DateTime<Utc> {
        self.calls.last().map(|call| call.at).unwrap_or_default()
    }

    pub(super) fn view(&self) -> Option<DeliveryView<'_>> {
        DeliveryView::new(&self.calls, self.facts.clone())
    }
}

/// A webhook's deliveries as far as their rows are kept, the one attempted last first.
pub(super) async fn all(api: &Api, webhook: &Webhook) -> Result<Vec<Told>, ApiError> {
    let store = &api.context.store;
    let query = ApiCallQuery {
        webhook_id: Some(webhook.id),
        kind: Some(CallKind::Webhook),
        limit: ROWS_MAX,
        ..ApiCallQuery::default()
    };
    let calls = store.api_calls(webhook.workspace_id, &query).await?;
    let jobs = store.jobs_of_webhook(webhook.id, JOBS_MAX).await?;
    let streams = Streams {
        delivery: store.delivery(webhook.id).await?.unwrap_or_default(),
        jobs: jobs.into_iter().map(|job| (job.id, job)).collect(),
    };
    let told = by_delivery(calls).into_iter().enumerate();
    Ok(told.map(|(number, calls)| Told { facts: streams.facts(&calls, number == 0), calls }).collect())
}

/// Rows by the batch they are about. They come newest first; the rows of a batch are answered oldest first.
fn by_delivery(calls: Vec<ApiCall>) -> Vec<Vec<ApiCall>> {
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut groups: Vec<Vec<ApiCall>> = Vec::new();
    for call in calls {
        let Some(id) = call.delivery.clone() else { continue };
        let place = *places.entry(id).or_insert(groups.len());
        match groups.get_mut(place) {
            Some(group) => group.push(call),
            None => groups.push(vec![call]),
        }
    }
    groups.iter_mut().for_each(|group| group.reverse());
    groups
}

/// How far a webhook's streams are.
struct Streams {
    delivery: DeliveryState,
    jobs: HashMap<JobId, ListingJob>,
}

impl Streams {
    fn facts(&self, calls: &[ApiCall], is_newest: bool) -> DeliveryFacts {
        let note = calls.iter().rev().find_map(|call| call.attempt.as_deref());
        let state = self.state(calls, is_newest);
        let retry = self.delivery.retry.as_ref().filter(|retry| {
            state == DeliveryStateName::Retrying && note.is_none_or(|note| note.stream() == retry.stream)
        });
        DeliveryFacts {
            state,
            next_at: retry.map(|retry| retry.next_at),
            sequence: note.map(|note| sequence_number(note.span.from)),
            stream: note.map(|note| match note.job {
                None => "live".to_owned(),
                Some(job) => format!("listing-{job}"),
            }),
        }
    }

    fn state(&self, calls: &[ApiCall], is_newest: bool) -> DeliveryStateName {
        if calls.iter().any(|call| !call.is_failure()) {
            return DeliveryStateName::Delivered;
        }
        let mut notes = calls.iter().rev().filter_map(|call| call.attempt.as_deref());
        if notes.clone().any(|note| note.is_skip) {
            return DeliveryStateName::Skipped;
        }
        let waiting = match self.delivery.health {
            WebhookHealth::Healthy => DeliveryStateName::Retrying,
            WebhookHealth::Unhealthy { .. } => DeliveryStateName::Failed,
        };
        let Some(note) = notes.next() else {
            // An older build's rows do not say where the batch stands: only the newest can still be waiting.
            return if is_newest { waiting } else { DeliveryStateName::Delivered };
        };
        match self.reached(note.stream()) {
            // Passed, though the row of that is no longer kept.
            Some(position) if position > note.span.from => DeliveryStateName::Delivered,
            Some(_) => waiting,
            None => DeliveryStateName::Failed,
        }
    }

    /// How far a stream is delivered; none where it was given up.
    fn reached(&self, stream: Stream) -> Option<Position> {
        let job = match stream {
            Stream::Live => return Some(self.delivery.position),
            Stream::Listing(job) => self.jobs.get(&job)?,
        };
        match job.state {
            JobState::Running | JobState::Listed => Some(job.position),
            JobState::Done => Some(Position { sequence: u64::MAX, offset: 0 }),
            JobState::Cancelled | JobState::Failed { .. } => None,
        }
    }
}
