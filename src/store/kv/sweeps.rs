//! Sweeps: how they stand, what they saw, and whom they suspect.

use super::engine::{Read, Scan, Span, Tree, Value};
use super::keys::{Grave, under};
use super::rows::{Reader, Writer, damaged, load, save};
use super::txn::Txn;
use super::{Domain, Pace, Units, feeds, ledger, runs};
use crate::ids::FeedId;
use crate::store::{LedgerEntry, PageCommitted, StoreError, Sweep, SweepCommit, SweepPhase, Sweeps};
use async_trait::async_trait;

const WHAT: &str = "sweep";
const ROW: &str = "sweep row";
pub(super) const FORMAT: u8 = 1;

/// What a row holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    Seen = 1,
    Suspects = 2,
}

/// What the keys of all rows of a generation begin with.
fn owner(feed: FeedId, generation: u64) -> Vec<u8> {
    under(feed.as_bytes(), &generation.to_be_bytes())
}

fn key(feed: FeedId, generation: u64, kind: Kind, row: u64) -> Vec<u8> {
    [&owner(feed, generation)[..], &[kind as u8], &row.to_be_bytes()].concat()
}

fn sweep(read: &dyn Read, feed: FeedId) -> Result<Option<Sweep>, StoreError> {
    load(read, Tree::Sweeps, feed.as_bytes(), WHAT)
}

fn commit(txn: &mut Txn<'_>, commit: &SweepCommit) -> Result<(Sweep, PageCommitted), StoreError> {
    let mut head = runs::open(txn, commit.fence, commit.feed, commit.feed_revision, commit.expected_end)?;
    let before = sweep(txn, commit.feed)?.unwrap_or_default();
    let mut next = commit.sweep.clone();
    (next.seen_rows, next.suspect_rows) = if next.generation == before.generation {
        (before.seen_rows, before.suspect_rows)
    } else {
        bury(txn, commit.feed, &before);
        (0, 0)
    };
    if !commit.seen.is_empty() {
        txn.put(
            Tree::SweepRows,
            key(commit.feed, next.generation, Kind::Seen, next.seen_rows),
            encode_seen(&commit.seen),
        );
        next.seen_rows += 1;
    }
    if !commit.suspects.is_empty() {
        let key = key(commit.feed, next.generation, Kind::Suspects, next.suspect_rows);
        txn.put(Tree::SweepRows, key, encode_suspects(&commit.suspects));
        next.suspect_rows += 1;
    }
    if next.phase == SweepPhase::Resting {
        bury(txn, commit.feed, &next);
        (next.seen_rows, next.suspect_rows) = (0, 0);
    }
    save(txn, Tree::Sweeps, commit.feed.as_bytes(), WHAT, &next)?;
    ledger::set(txn, commit.feed, &commit.ledger, None)?;
    ledger::forget(txn, commit.feed, &commit.forget)?;
    runs::close(txn, commit.feed, &head.clone(), &mut head, &commit.pages)?;
    Ok((next, PageCommitted { end: head.log.end }))
}

fn bury(txn: &mut Txn<'_>, feed: FeedId, sweep: &Sweep) {
    if sweep.seen_rows + sweep.suspect_rows > 0 {
        txn.put(Tree::Graves, Grave::Sweep.key(&owner(feed, sweep.generation)), &[]);
    }
}

pub(super) fn encode_seen(hashes: &[u64]) -> Value {
    let mut row = Writer::new(FORMAT);
    hashes.iter().for_each(|hash| row.u64(*hash));
    row.finish()
}

pub(super) fn decode_seen(row: &[u8]) -> Result<Vec<u64>, StoreError> {
    let (hashes, rest) = Reader::new(ROW, FORMAT, row)?.rest().as_chunks::<8>();
    if rest.is_empty() { Ok(hashes.iter().map(|hash| u64::from_be_bytes(*hash)).collect()) } else { Err(damaged(ROW)) }
}

pub(super) fn encode_suspects(ids: &[String]) -> Value {
    let mut row = Writer::new(FORMAT);
    row.u32(u32::try_from(ids.len()).unwrap_or(u32::MAX));
    ids.iter().for_each(|id| row.text(id));
    row.finish()
}

pub(super) fn decode_suspects(row: &[u8]) -> Result<Vec<String>, StoreError> {
    let mut row = Reader::new(ROW, FORMAT, row)?;
    let count = row.u32()?;
    (0..count).map(|_| row.text()).collect()
}

fn seen_rows(read: &dyn Read, feed: FeedId, first: u64, limit: usize) -> Result<Vec<Vec<u64>>, StoreError> {
    let Some(Sweep { generation, seen_rows, .. }) = sweep(read, feed)? else { return Ok(Vec::new()) };
    let span =
        Span { from: key(feed, generation, Kind::Seen, first), to: Some(key(feed, generation, Kind::Seen, seen_rows)) };
    read.range(Tree::SweepRows, span, Scan::Up).take(limit).map(|row| decode_seen(&row?.1)).collect()
}

fn suspect_row(read: &dyn Read, feed: FeedId, row: u64) -> Result<Vec<String>, StoreError> {
    let Some(Sweep { generation, suspect_rows, .. }) = sweep(read, feed)? else { return Ok(Vec::new()) };
    if row >= suspect_rows {
        return Ok(Vec::new());
    }
    let row = read.get(Tree::SweepRows, &key(feed, generation, Kind::Suspects, row))?;
    row.map_or(Ok(Vec::new()), |row| decode_suspects(&row))
}

#[async_trait]
impl<U: Units> Sweeps for U {
    async fn sweep(&self, feed: FeedId) -> Result<Sweep, StoreError> {
        self.read(|read| Ok(sweep(read, feed)?.unwrap_or_default())).await
    }

    async fn commit_sweep(&self, step: SweepCommit) -> Result<(Sweep, PageCommitted), StoreError> {
        self.write(Domain::Shard(step.fence.shard), Pace::Page, move |txn| commit(txn, &step)).await
    }

    async fn seen_rows(&self, feed: FeedId, first: u64, limit: usize) -> Result<Vec<Vec<u64>>, StoreError> {
        self.read(|read| seen_rows(read, feed, first, limit)).await
    }

    async fn suspect_row(&self, feed: FeedId, row: u64) -> Result<Vec<String>, StoreError> {
        self.read(|read| suspect_row(read, feed, row)).await
    }

    async fn ledger_after(
        &self,
        feed: FeedId,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, LedgerEntry)>, StoreError> {
        self.read(|read| match feeds::feed(read, feed)? {
            Some(_) => ledger::after(read, feed, after, limit),
            None => Ok(Vec::new()),
        })
        .await
    }
}
