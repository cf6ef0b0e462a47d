//! What a verified delivery comes to: changes for the logs of the feeds it belongs to, pings for those where that
//! cannot be told.
//!
//! A record goes to a feed's log where its filters match and it can be held against the ledger: the vendor's events and
//! listings have the same raw form, it has an `updated_at`, the feed has started and its progress says what it has
//! seen. A deletion goes there in any case, because polling may never see it. Whatever else is a ping: polling tells.

use crate::log::{Found, PageMeta};
use crate::poll::diff::{self, DiffRules};
use crate::poll::sift::{self, PageForm, Pages, Sifted};
use crate::poll::window;
use crate::store::{ArrivalFeed, Feed, LedgerEntry, LogHead, Progress, Store, StoreError};
use anyhook_connectors::contract::{Arrival, Change, Manifest, Next, ObjectSpec, Page, Record};
use chrono::{DateTime, Utc};
use std::collections::{BTreeMap, HashMap, HashSet};

/// What a delivery is held against.
pub(super) struct Ledgers<'a> {
    pub(super) store: &'a dyn Store,
    pub(super) manifest: &'static Manifest,
    /// Stored bytes of a feed's log from which on nothing more is added.
    pub(super) log_bytes_max: u64,
    /// Bytes of objects and raws in one log page.
    pub(super) page_bytes_max: usize,
    pub(super) now: DateTime<Utc>,
}

/// What one feed gets of a delivery.
#[derive(Default)]
pub(super) struct Share {
    /// Changes for its log.
    pub(super) append: Option<ArrivalFeed>,
    /// True if it is to be polled.
    pub(super) ping: bool,
    /// True if nothing could be kept because the log is full and polling cannot make up for it.
    pub(super) is_refused: bool,
}

/// The records of a delivery that are one feed's.
#[derive(Default)]
struct Sorted<'r> {
    changes: Vec<Record<'r>>,
    deletions: Vec<Record<'r>>,
    /// Under which parent the changes live; those under another one are polled.
    parent: Option<String>,
    must_ping: bool,
}

/// Whether a feed's filters let a record through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Match {
    Yes,
    No,
    Unknown,
}

fn matches(filters: &BTreeMap<String, String>, values: &[(&'static str, String)]) -> Match {
    let mut result = Match::Yes;
    for (name, wanted) in filters {
        let mut given = values.iter().filter(|(known, _)| known == name).map(|(_, value)| value).peekable();
        if given.peek().is_none() {
            result = Match::Unknown;
        } else if !given.any(|value| value == wanted) {
            return Match::No;
        }
    }
    result
}

impl Ledgers<'_> {
    /// What a feed gets of a delivery.
    pub(super) async fn share(&self, feed: &Feed, arrivals: &[Arrival<'_>]) -> Result<Share, StoreError> {
        let Some(spec) = self.manifest.object(feed.object_type) else { return Ok(Share::default()) };
        if spec.is_only_pushed() {
            return self.told(feed, arrivals).await;
        }
        let sorted = self.sort(feed, spec, arrivals);
        if sorted.changes.is_empty() && sorted.deletions.is_empty() {
            return Ok(Share { ping: sorted.must_ping, ..Share::default() });
        }
        // The log's end first: whoever writes after it makes the commit fail.
        let head = self.store.log_head(feed.id).await?;
        if head.bytes >= self.log_bytes_max {
            return Ok(Share { ping: true, ..Share::default() });
        }
        self.diffed(feed, spec, sorted, &head).await
    }

    /// The records of a delivery that can go to a feed's log, and whether there is something that cannot.
    fn sort<'r>(&self, feed: &Feed, spec: &ObjectSpec, arrivals: &[Arrival<'r>]) -> Sorted<'r> {
        let is_comparable = self.manifest.native.is_some_and(|native| native.comparable);
        let mut sorted = Sorted::default();
        for arrival in arrivals {
            match arrival {
                Arrival::Record { object_type, change, record, matches: values, parent }
                    if *object_type == feed.object_type =>
                {
                    let deleted = *change == Change::Deleted || record.deleted;
                    match matches(&feed.filters, values) {
                        Match::No => {}
                        Match::Yes if deleted => sorted.deletions.push(Record { deleted, ..Record::clone(record) }),
                        Match::Yes
                            if is_comparable
                                && record.updated_at.is_some()
                                && spec.parent.is_some() == parent.is_some()
                                && (sorted.changes.is_empty() || sorted.parent == *parent) =>
                        {
                            sorted.parent.clone_from(parent);
                            sorted.changes.push(Record::clone(record));
                        }
                        Match::Yes | Match::Unknown => sorted.must_ping = true,
                    }
                }
                Arrival::PollNow(object_type) => sorted.must_ping |= *object_type == feed.object_type,
                Arrival::Record { .. } | Arrival::Ignore => {}
            }
        }
        sorted
    }

    /// Holds records against a feed's ledger.
    async fn diffed(
        &self,
        feed: &Feed,
        spec: &ObjectSpec,
        sorted: Sorted<'_>,
        head: &LogHead,
    ) -> Result<Share, StoreError> {
        let state = self.store.feed_state(feed.id).await?;
        let progress = self.store.progress(feed.id, sorted.parent.as_deref().unwrap_or_default()).await?;
        let depth = window::depth_needed(spec, &feed.settings);
        let plan = window::plan(spec, &state, &progress, depth, state.started_at.unwrap_or(self.now));
        // Before the feed knows what is there, only polling can tell what is news.
        let is_ready = state.started_at.is_some() && !plan.is_baseline;
        let must_ping = sorted.must_ping || (!is_ready && !sorted.changes.is_empty());
        let mut changes = page(if is_ready { sorted.changes } else { Vec::new() });
        let deletions = page(sorted.deletions);
        let rules = plan.rules(spec, depth);
        let form = self.form(feed, spec, &progress);
        let ties = self.ties(feed, spec, &changes).await?;
        let must_ping = must_ping || !ties.is_empty();
        changes.records.retain(|record| !ties.contains(&*record.id));
        let mut held = self.held(feed, &[&changes, &deletions]).await?;
        let forget_before = window::forget_before(spec, &progress, depth);
        let told = sift::sift(&changes, held.clone(), spec, &rules, forget_before, form.clone()).map_err(unreadable)?;
        for (id, entry) in &told.ledger {
            held.insert(id, *entry);
        }
        // Deleting does not move a record's `updated_at` everywhere, and nobody else may ever tell of it: it is news
        // however old the record is, and remembered so that a repeat is none.
        let late = DiffRules { quiet_before: None, ..rules };
        let gone = sift::sift(&deletions, held.clone(), spec, &late, None, form).map_err(unreadable)?;
        for bad in told.bad.iter().chain(&gone.bad) {
            tracing::warn!(feed = %feed.id, record = bad.id, error = %bad.error, "a pushed record could not be kept");
        }
        Ok(Share {
            ping: must_ping || !told.bad.is_empty() || !gone.bad.is_empty(),
            append: append(feed, head, told, gone),
            is_refused: false,
        })
    }

    /// Records of which another version of the very same time is held: only the vendor can tell which is the later one.
    async fn ties(&self, feed: &Feed, spec: &ObjectSpec, changes: &Page<'_>) -> Result<HashSet<String>, StoreError> {
        let held = self.held(feed, &[changes]).await?;
        let is_tie = |record: &&Record<'_>| {
            let new = diff::entry(record, spec);
            held.get(&*record.id)
                .is_some_and(|held| held.updated_at_ms == new.updated_at_ms && held.version != new.version)
        };
        Ok(changes.records.iter().filter(is_tie).map(|record| record.id.clone().into_owned()).collect())
    }

    /// What only arrives is told as it comes: there is nothing to hold it against, and repeats are known by the id of
    /// the delivery.
    async fn told(&self, feed: &Feed, arrivals: &[Arrival<'_>]) -> Result<Share, StoreError> {
        let head = self.store.log_head(feed.id).await?;
        let meta = PageMeta { found: Found::Native, made_at: self.now, from: None, token: None, is_last: false };
        let form = PageForm { meta, keeps_raw: feed.settings.keeps_raw, bytes_max: self.page_bytes_max };
        let mut pages = Pages::new(form);
        let mut count = 0;
        for arrival in arrivals {
            match arrival {
                Arrival::Record { object_type, change, record, matches: values, .. }
                    if *object_type == feed.object_type && matches(&feed.filters, values) == Match::Yes =>
                {
                    match pages.push(*change, record) {
                        Ok(()) => count += 1,
                        Err(error) => {
                            tracing::warn!(feed = %feed.id, record = %record.id, %error, "a pushed record could not be kept")
                        }
                    }
                }
                Arrival::Record { .. } | Arrival::PollNow(_) | Arrival::Ignore => {}
            }
        }
        if count == 0 {
            return Ok(Share::default());
        }
        if head.bytes >= self.log_bytes_max {
            return Ok(Share { is_refused: true, ..Share::default() });
        }
        let pages = pages.finish(false).map_err(unreadable)?;
        let append = Some(ArrivalFeed { feed: feed.id, expected_end: head.end, ledger: Vec::new(), pages });
        Ok(Share { append, ..Share::default() })
    }

    /// What the ledger holds of the records of these pages.
    async fn held<'p>(&self, feed: &Feed, pages: &[&'p Page<'_>]) -> Result<HashMap<&'p str, LedgerEntry>, StoreError> {
        let records = pages.iter().flat_map(|page| &page.records);
        let ids: Vec<&'p str> = records.map(|record| record.id.as_ref()).collect();
        let rows = self.store.ledger(feed.id, &ids).await?;
        Ok(ids.into_iter().zip(rows).filter_map(|(id, row)| row.map(|row| (id, row))).collect())
    }

    fn form(&self, feed: &Feed, spec: &ObjectSpec, progress: &Progress) -> PageForm {
        let meta = PageMeta {
            found: Found::Native,
            made_at: self.now,
            from: window::resume_from(spec, progress),
            token: progress.cursor.clone(),
            is_last: false,
        };
        PageForm { meta, keeps_raw: feed.settings.keeps_raw, bytes_max: self.page_bytes_max }
    }
}

fn page(records: Vec<Record<'_>>) -> Page<'_> {
    Page { records, bad: Vec::new(), next: Next::End, cursor: None, total: None }
}

fn unreadable(error: serde_json::Error) -> StoreError {
    StoreError::Unreadable(error.to_string())
}

/// Both together; none where nothing is to be kept.
fn append(feed: &Feed, head: &LogHead, told: Sifted, gone: Sifted) -> Option<ArrivalFeed> {
    let mut ledger: BTreeMap<_, _> = told.ledger.into_iter().collect();
    ledger.extend(gone.ledger);
    let pages: Vec<_> = told.pages.into_iter().chain(gone.pages).collect();
    if ledger.is_empty() && pages.is_empty() {
        return None;
    }
    Some(ArrivalFeed { feed: feed.id, expected_end: head.end, ledger: ledger.into_iter().collect(), pages })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_let_through_hold_back_or_cannot_tell() {
        let filters = |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let values = [("repo_id", "a/b".to_owned()), ("repo_id", "7".to_owned())];
        assert_eq!(matches(&filters(&[]), &values), Match::Yes);
        assert_eq!(matches(&filters(&[("repo_id", "7")]), &values), Match::Yes);
        assert_eq!(matches(&filters(&[("repo_id", "8")]), &values), Match::No);
        assert_eq!(matches(&filters(&[("repo_id", "7"), ("branch", "x")]), &values), Match::Unknown);
        assert_eq!(matches(&filters(&[("branch", "x"), ("repo_id", "8")]), &values), Match::No);
    }
}
