//! What is asked of an ordered key-value engine: reading. Writing is a [`Batch`], applied as a whole.

use crate::store::StoreError;
use std::collections::BTreeMap;

/// Bytes that are cheap to clone.
pub(crate) use ::sled::IVec as Value;

macro_rules! trees {
    ($($(#[$doc:meta])* $variant:ident $name:literal,)*) => {
        /// Where a row is kept.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub(crate) enum Tree {
            $($(#[$doc])* $variant,)*
        }

        impl Tree {
            /// All of them, in the order of their numbers.
            pub(crate) const ALL: &'static [Tree] = &[$(Tree::$variant),*];

            /// Its name on disk.
            pub(crate) fn name(self) -> &'static str {
                match self {
                    $(Tree::$variant => $name,)*
                }
            }
        }
    };
}

trees! {
    /// name -> what there is one of
    Meta "meta",
    /// workspace -> JSON
    Workspaces "workspaces",
    /// connection -> JSON
    Connections "connections",
    /// webhook -> JSON
    Webhooks "webhooks",
    /// feed -> JSON
    Feeds "feeds",
    /// feed -> JSON
    FeedStates "feed_states",
    /// feed -> when it is due, how often it was pinged
    FeedMarks "feed_marks",
    /// feed, parent -> how far it has read
    Progress "progress",
    /// feed, lower bound of ids -> a leaf of entries
    Ledger "ledger",
    /// feed -> where its log begins and ends
    LogHeads "log_heads",
    /// feed, sequence, chunk -> bytes
    LogPages "log_pages",
    /// feed -> JSON: pages before the log's beginning that are kept
    Kept "kept",
    /// feed, record -> JSON: a deletion that some webhook has yet to be told of
    Deletions "deletions",
    /// webhook -> how far it has been served
    Deliveries "deliveries",
    /// kind, shard, time, feed or webhook -> nothing
    Due "due",
    /// job -> JSON
    Jobs "jobs",
    /// job, sequence, chunk -> bytes
    Spool "spool",
    /// webhook -> JSON
    Replays "replays",
    /// workspace, time, scope, class, sequence -> JSON
    Calls "calls",
    /// scope, class, sequence -> workspace and times, which find sixteen rows in `calls`
    CallRings "call_rings",
    /// scope -> where its rings begin and end
    CallCounters "call_counters",
    /// duty, shard -> holder and epoch; shard -> the same of format 1
    Leases "leases",
    /// bucket -> until when it is paused
    Pauses "pauses",
    /// kind, one id, another id -> nothing, an id, or a count
    Index "index",
    /// kind, id -> nothing: rows of it are to be cleaned up
    Graves "graves",
    /// workspace, sequence -> JSON
    Notifications "notifications",
    /// connection, kind, id of a native delivery -> that it came
    Arrivals "arrivals",
    /// feed -> JSON
    Sweeps "sweeps",
    /// feed, generation, kind, row -> hashes of ids, or ids
    SweepRows "sweep_rows",
    /// workspace, sequence -> JSON: notifications of ended polls, which have a bound of their own
    Syncs "syncs",
    /// workspace -> the next sequence of its notifications, and how many of each kind there are
    NotificationCounts "notification_counts",
    /// destination -> JSON
    Destinations "destinations",
    /// workspace -> what its destinations listen to
    Listeners "listeners",
    /// connection, length, span, object type -> what was done in it
    Insights "insights",
    /// node -> until when it lives, and what it takes shards for
    Nodes "nodes",
}

impl Tree {
    /// How many there are.
    pub(crate) const COUNT: usize = Tree::ALL.len();

    /// Its place in arrays.
    pub(crate) fn index(self) -> usize {
        self as usize
    }
}

/// In which direction a scan goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scan {
    /// Smallest key first.
    Up,
    /// Greatest key first.
    Down,
}

/// A range of keys: from `from` on, up to but not including `to`; without end where there is no `to`.
#[derive(Debug, Clone)]
pub(crate) struct Span {
    pub(crate) from: Vec<u8>,
    pub(crate) to: Option<Vec<u8>>,
}

impl Span {
    /// All keys that begin so.
    pub(crate) fn prefix(prefix: &[u8]) -> Self {
        Span { from: prefix.to_vec(), to: successor(prefix) }
    }

    /// Those keys that begin with `prefix` and come behind `prefix` with `after`; all that begin so where it is none.
    pub(crate) fn after(prefix: &[u8], after: Option<&[u8]>) -> Self {
        let mut span = Span::prefix(prefix);
        if let Some(after) = after {
            span.from.extend_from_slice(after);
            span.from.push(0);
        }
        span
    }

    /// As the standard library's ranges.
    pub(crate) fn bounds(&self) -> (std::ops::Bound<&[u8]>, std::ops::Bound<&[u8]>) {
        use std::ops::Bound::{Excluded, Included, Unbounded};
        (Included(&self.from), self.to.as_deref().map_or(Unbounded, Excluded))
    }

    /// True if no key can be in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.to.as_ref().is_some_and(|to| *to <= self.from)
    }
}

/// The first key behind all that begin with `prefix`.
fn successor(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte != u8::MAX)?;
    let mut next = prefix[..=last].to_vec();
    next[last] += 1;
    Some(next)
}

/// Rows of a scan, as key and value.
pub(crate) type Rows<'a> = Box<dyn Iterator<Item = Result<(Value, Value), StoreError>> + 'a>;

/// Where a row stands.
pub(crate) type Place = (Tree, Vec<u8>);

/// Reading, from an engine or from a transaction over one.
pub(crate) trait Read {
    /// The value of a key.
    fn get(&self, tree: Tree, key: &[u8]) -> Result<Option<Value>, StoreError>;

    /// The rows of a range.
    fn range(&self, tree: Tree, span: Span, scan: Scan) -> Rows<'_>;

    /// The first row of a range.
    fn first(&self, tree: Tree, span: Span, scan: Scan) -> Result<Option<(Value, Value)>, StoreError> {
        self.range(tree, span, scan).next().transpose()
    }

    /// The rows of several ranges of a tree, smallest first. An engine that is far away asks for their beginnings at once.
    fn ranges(&self, tree: Tree, spans: Vec<Span>) -> Result<Vec<Rows<'_>>, StoreError> {
        Ok(spans.into_iter().map(|span| self.range(tree, span, Scan::Up)).collect())
    }

    /// Says which rows are going to be read, so that an engine that is far away can ask for all of them at once. What is
    /// not said, or said in vain, is only slower. Engines at hand do not even listen.
    fn expect(&self, _places: &dyn Fn() -> Vec<Place>) -> Result<(), StoreError> {
        Ok(())
    }

    /// True if there is such a key.
    fn has(&self, tree: Tree, key: &[u8]) -> Result<bool, StoreError> {
        Ok(self.get(tree, key)?.is_some())
    }

    /// The rows whose keys begin so, smallest first.
    fn prefix(&self, tree: Tree, prefix: &[u8]) -> Rows<'_> {
        self.range(tree, Span::prefix(prefix), Scan::Up)
    }
}

/// Rows to set, or to remove, all or nothing.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) trees: [BTreeMap<Vec<u8>, Option<Value>>; Tree::COUNT],
    pub(crate) len: usize,
}

impl Default for Batch {
    fn default() -> Self {
        Batch { trees: std::array::from_fn(|_| BTreeMap::new()), len: 0 }
    }
}

/// Rows in memory.
#[derive(Debug)]
pub(crate) struct MemoryEngine([BTreeMap<Vec<u8>, Value>; Tree::COUNT]);

impl Default for MemoryEngine {
    fn default() -> Self {
        MemoryEngine(std::array::from_fn(|_| BTreeMap::new()))
    }
}

impl MemoryEngine {
    /// Keeps what a batch holds.
    pub(crate) fn apply(&mut self, batch: Batch) {
        for (tree, writes) in self.0.iter_mut().zip(batch.trees) {
            for (key, value) in writes {
                match value {
                    Some(value) => tree.insert(key, value),
                    None => tree.remove(&key),
                };
            }
        }
    }
}

impl Read for MemoryEngine {
    fn get(&self, tree: Tree, key: &[u8]) -> Result<Option<Value>, StoreError> {
        Ok(self.0[tree.index()].get(key).cloned())
    }

    fn range(&self, tree: Tree, span: Span, scan: Scan) -> Rows<'_> {
        if span.is_empty() {
            return Box::new(std::iter::empty());
        }
        let rows = self.0[tree.index()].range::<[u8], _>(span.bounds());
        let rows = rows.map(|(key, value)| Ok((Value::from(key.as_slice()), value.clone())));
        match scan {
            Scan::Up => Box::new(rows),
            Scan::Down => Box::new(rows.rev()),
        }
    }
}
