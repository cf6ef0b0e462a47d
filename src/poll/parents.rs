//! The parents under which a feed's records live: named by its filters, or listed and kept for a while. The parts of a
//! listing that the vendor has in several places are read the same way.

use super::budget::Caller;
use super::error::PollError;
use super::transport::{CallCost, Vendors};
use crate::ids::FeedId;
use crate::store::{Connection, Feed};
use anyhook_connectors::contract::{Account, Connector, ListingKind, ObjectSpec, PageJob, Parent, Verdict};
use anyhook_connectors::walk::{Step, Walk};
use chrono::{DateTime, TimeDelta, Utc};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Feeds whose parents are kept in memory.
const FEEDS_MAX: usize = 10_000;

/// Parents, and when they were listed.
#[derive(Debug, Clone)]
struct Listed {
    at: DateTime<Utc>,
    parents: Arc<Vec<Parent>>,
}

/// Parents that were listed, by feed.
#[derive(Debug, Default)]
pub struct ParentLists(Mutex<HashMap<FeedId, Listed>>);

impl Vendors {
    /// A feed's parents, or the parts of its listing, in the order of their ids; none for records that live under
    /// nothing in one listing.
    ///
    /// A parent that comes to be after its feed started is read from the feed's start, so a list that is some minutes
    /// old delays its records and loses none.
    pub(super) async fn parents(
        &self,
        caller: Caller,
        connector: &dyn Connector,
        spec: &ObjectSpec,
        connection: &Connection,
        feed: &Feed,
        cost: &mut CallCost,
    ) -> Result<Option<Arc<Vec<Parent>>>, PollError> {
        let parts = connector.parts(spec, &feed.filters);
        if !parts.is_empty() {
            return Ok(Some(Arc::new(in_order(parts))));
        }
        let Some(parent_type) = spec.parent else { return Ok(None) };
        if let Some(named) = connector.named_parents(&feed.filters) {
            return Ok(Some(Arc::new(in_order(named))));
        }
        let now = self.context.clock.now();
        let kept_for =
            TimeDelta::milliseconds(i64::try_from(self.context.limits.poll.parents_kept_ms).unwrap_or(i64::MAX));
        if let Some(listed) = self.parent_lists.0.lock().unwrap_or_else(PoisonError::into_inner).get(&feed.id)
            && now - listed.at < kept_for
        {
            return Ok(Some(listed.parents.clone()));
        }
        let parent_spec = connector.manifest().object(parent_type).ok_or_else(|| {
            PollError::permanent(
                "parents",
                format!("the integration lists no {parent_type}, under which these records live"),
            )
        })?;
        let parents = Arc::new(self.list_parents(caller, connector, parent_spec, connection, cost).await?);
        let mut lists = self.parent_lists.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lists.len() >= FEEDS_MAX {
            lists.clear();
        }
        lists.insert(feed.id, Listed { at: now, parents: parents.clone() });
        Ok(Some(parents))
    }

    async fn list_parents(
        &self,
        caller: Caller,
        connector: &dyn Connector,
        spec: &'static ObjectSpec,
        connection: &Connection,
        cost: &mut CallCost,
    ) -> Result<Vec<Parent>, PollError> {
        let limits = &self.context.limits.poll;
        let filters = BTreeMap::new();
        let mut walk = Walk::new(spec, ListingKind::History, None, spec.page_size, None);
        let mut parents: BTreeMap<String, Parent> = BTreeMap::new();
        loop {
            let job = PageJob {
                spec,
                kind: ListingKind::History,
                account: Account { meta: &connection.profile.meta },
                filters: &filters,
                parent: None,
                updated_gte: walk.updated_gte(),
                cursor: None,
                place: walk.place(),
                limit: walk.limit(),
            };
            let answer = self.call_costed(caller, connection, &connector.page_request(&job)?, cost).await?;
            if answer.verdict == Verdict::NotFound {
                return Err(PollError::permanent(
                    "not_found",
                    format!("{} does not know {}", connector.manifest().name, spec.raw_object),
                ));
            }
            let page = connector.read_page(&job, &answer.response())?;
            for record in page.records.iter().filter(|record| !record.deleted) {
                let parent = connector.parent_of(record);
                parents.insert(parent.id.clone(), parent);
            }
            if parents.len() > limits.parents_max {
                return Err(PollError::permanent(
                    "parents",
                    format!(
                        "there are more than {} {}; name some by a filter, or raise poll.parents_max",
                        limits.parents_max, spec.raw_object
                    ),
                ));
            }
            match walk.step(&page)? {
                Step::End => return Ok(parents.into_values().collect()),
                Step::Ask => {}
                Step::Wait(wait_ms) => {
                    self.context.clock.sleep(Duration::from_millis(wait_ms.min(limits.retry_wait_max_ms))).await;
                }
            }
        }
    }
}

/// Jobs go through parents in this order, and resume in it.
fn in_order(mut parents: Vec<Parent>) -> Vec<Parent> {
    parents.sort_by(|a, b| a.id.cmp(&b.id));
    parents.dedup();
    parents
}
