//! Insights: what was done for a connection's object type, added up by the hour and by the day.

use super::{ChangeCounts, StoreError};
use crate::ids::ConnectionId;
use anyhook_connectors::model::ObjectType;
use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};

/// Upper bounds of the classes that lags are counted in, in milliseconds; what is longer makes one class more.
pub const LAG_BOUNDS_MS: [u64; 11] = [10, 30, 100, 300, 1_000, 3_000, 10_000, 30_000, 60_000, 600_000, 3_600_000];

/// How long a span is that is added up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolution {
    /// An hour of UTC.
    Hour,
    /// A day of UTC.
    Day,
}

impl Resolution {
    /// Its length in seconds.
    pub fn seconds(self) -> i64 {
        match self {
            Resolution::Hour => 3_600,
            Resolution::Day => 86_400,
        }
    }

    /// The beginning of the span that a time is in.
    pub fn begin(self, at: DateTime<Utc>) -> DateTime<Utc> {
        let into = at.timestamp().rem_euclid(self.seconds());
        DateTime::from_timestamp(at.timestamp() - into, 0).unwrap_or_default()
    }
}

/// How long changes were on their way: from being logged to being taken by the endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Lags {
    /// Deliveries whose lag is known.
    pub count: u64,
    /// Their lags in milliseconds, added up.
    pub sum_ms: u64,
    /// The longest, in milliseconds.
    pub max_ms: u64,
    /// How many there are of each class of [`LAG_BOUNDS_MS`], and longer than all.
    pub classes: [u64; LAG_BOUNDS_MS.len() + 1],
}

impl Lags {
    /// Adds one.
    pub fn add(&mut self, lag_ms: u64) {
        self.count += 1;
        self.sum_ms = self.sum_ms.saturating_add(lag_ms);
        self.max_ms = self.max_ms.max(lag_ms);
        let class = LAG_BOUNDS_MS.iter().position(|bound| lag_ms <= *bound).unwrap_or(LAG_BOUNDS_MS.len());
        self.classes[class] += 1;
    }

    /// The lag that this share of them does not exceed, in milliseconds, as exact as its class; none where there are none.
    pub fn at_percent(&self, percent: u64) -> Option<u64> {
        let wanted = self.count.saturating_mul(percent).div_ceil(100).max(1);
        let mut seen = 0;
        let class = self.classes.iter().position(|count| {
            seen += count;
            seen >= wanted
        })?;
        Some(LAG_BOUNDS_MS.get(class).map_or(self.max_ms, |bound| self.max_ms.min(*bound)))
    }
}

/// What was done in a span.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Figures {
    /// Poll runs.
    pub runs: u64,
    /// Those that failed.
    pub failed_runs: u64,
    /// Requests that they, and listings of history, made to the vendor.
    pub requests: u64,
    /// Changes that runs found.
    pub changes: u64,
    /// These by kind; of what older builds counted the kinds are not known.
    pub kinds: ChangeCounts,
    /// Batches that were delivered.
    pub deliveries: u64,
    /// Records in them.
    pub records: u64,
    /// Attempts that failed.
    pub failures: u64,
    /// How long what was delivered was on its way.
    pub lags: Lags,
}

/// What was done for a connection's object type in a span.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Insight {
    /// The connection.
    pub connection_id: ConnectionId,
    /// The object type.
    pub object_type: ObjectType,
    /// How long the span is.
    pub resolution: Resolution,
    /// When it began.
    pub from: DateTime<Utc>,
    /// What was done.
    pub figures: Figures,
}

impl Insight {
    /// When its span ends.
    pub fn to(&self) -> DateTime<Utc> {
        self.from + TimeDelta::seconds(self.resolution.seconds())
    }
}

/// Which insights a list shall have. They come newest first unless the query says otherwise.
#[derive(Debug, Clone)]
pub struct InsightQuery {
    /// Those of this connection.
    pub connection_id: ConnectionId,
    /// Those of spans of this length.
    pub resolution: Resolution,
    /// Those of this object type.
    pub object_type: Option<ObjectType>,
    /// Those whose span has not ended by then.
    pub since: Option<DateTime<Utc>>,
    /// Oldest first.
    pub is_ascending: bool,
    /// Rows to leave out first.
    pub offset: usize,
    /// Rows to answer at most.
    pub limit: usize,
}

/// Insights. No call writes one: each is added to by the calls that end runs and attempts, or keep what a job listed, in
/// their transaction.
#[async_trait]
pub trait Insights {
    /// A connection's insights that match; none where the connection is gone.
    ///
    /// - A run or an attempt whose row names an object type is counted once, in its hour and its day, by when it began.
    /// - Requests of a listing job are counted in the hour and day in which what came of them is kept.
    /// - Hours and days are kept for a time each; a new one drives out what is older.
    /// - With the first of these of an hour, the hour before that in which there was something is told
    ///   ([`super::NotificationEvent::InsightPopulated`]), if some destination listens to that.
    async fn insights(&self, query: &InsightQuery) -> Result<Vec<Insight>, StoreError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lags_are_told_by_their_class() {
        let mut lags = Lags::default();
        assert_eq!(lags.at_percent(50), None);
        (0..98).for_each(|_| lags.add(20));
        lags.add(700);
        lags.add(9_000_000);
        assert_eq!((lags.count, lags.max_ms, lags.sum_ms), (100, 9_000_000, 98 * 20 + 700 + 9_000_000));
        let percents = [50, 98, 99, 100].map(|percent| lags.at_percent(percent).unwrap());
        assert_eq!(percents, [30, 30, 1_000, 9_000_000]);
    }

    #[test]
    fn spans_begin_at_whole_hours_and_days() {
        let at = |seconds| DateTime::from_timestamp(seconds, 0).unwrap();
        assert_eq!(Resolution::Hour.begin(at(7_201)), at(7_200));
        assert_eq!(Resolution::Day.begin(at(86_399)), at(0));
        assert_eq!(Resolution::Day.begin(at(-1)), at(-86_400));
    }
}
