//! An insight as the API answers it.

use crate::ids::ConnectionId;
use crate::store::{Insight, Lags, Resolution};
use anyhook_connectors::model::{ObjectType, Timestamp};
use serde::Serialize;

/// What was done for a connection's object type in a span.
#[derive(Debug, Clone, Serialize)]
pub struct InsightView {
    connection_id: ConnectionId,
    object_type: ObjectType,
    /// `hour` or `day`, of UTC.
    resolution: &'static str,
    /// When the span began and when it ends.
    from: Timestamp,
    to: Timestamp,
    /// Poll runs, those of them that failed, and the requests that they and listings of history made to the vendor.
    runs: u64,
    failed_runs: u64,
    requests: u64,
    /// Changes that polls found, and these by kind.
    changes: u64,
    created: u64,
    updated: u64,
    deleted: u64,
    /// Batches that were delivered, records in them, and attempts that failed.
    deliveries: u64,
    records: u64,
    failures: u64,
    /// From being found to being delivered; left out where nothing was delivered.
    #[serde(skip_serializing_if = "Option::is_none")]
    lag: Option<LagView>,
}

/// Lags in milliseconds; p50 and p99 are upper bounds of the class that they fall into.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct LagView {
    mean_ms: u64,
    p50_ms: u64,
    p99_ms: u64,
    max_ms: u64,
}

impl InsightView {
    /// An insight in the API's words.
    pub fn new(insight: &Insight) -> Self {
        let figures = &insight.figures;
        InsightView {
            connection_id: insight.connection_id,
            object_type: insight.object_type,
            resolution: match insight.resolution {
                Resolution::Hour => "hour",
                Resolution::Day => "day",
            },
            from: Timestamp::from(insight.from),
            to: Timestamp::from(insight.to()),
            runs: figures.runs,
            failed_runs: figures.failed_runs,
            requests: figures.requests,
            changes: figures.changes,
            created: figures.kinds.created,
            updated: figures.kinds.updated,
            deleted: figures.kinds.deleted,
            deliveries: figures.deliveries,
            records: figures.records,
            failures: figures.failures,
            lag: lag(&figures.lags),
        }
    }
}

fn lag(lags: &Lags) -> Option<LagView> {
    let (p50_ms, p99_ms) = lags.at_percent(50).zip(lags.at_percent(99))?;
    Some(LagView { mean_ms: lags.sum_ms.checked_div(lags.count)?, p50_ms, p99_ms, max_ms: lags.max_ms })
}
