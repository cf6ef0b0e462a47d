//! What goes wrong with one request: the rules that strike it, put together.

use super::faults::Fault;
use anyhook_connectors::model::Zone;

/// What goes wrong with one request.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) delay_ms: u64,
    pub(super) hang: bool,
    pub(super) reset: bool,
    pub(super) too_many: Option<Option<u32>>,
    pub(super) status: Option<u16>,
    pub(super) html: bool,
    pub(super) truncated: bool,
    pub(super) length_off_by: Option<i64>,
    pub(super) expired_token: bool,
    pub(super) expired_cursor: bool,
    pub(super) ignored_filter: bool,
    pub(super) duplicated_ids: bool,
    pub(super) bad_record: bool,
    pub(super) result_window: Option<u32>,
    pub(super) changes_after: u32,
    pub(super) vanish_after: u32,
    pub(super) empty_page: bool,
    pub(super) behind_ms: Option<u64>,
    pub(super) volatile: bool,
    pub(super) zone: Option<Zone>,
}

impl Plan {
    /// Lets this go wrong too.
    pub(super) fn add(&mut self, fault: &Fault) {
        match *fault {
            Fault::TooManyRequests { retry_after_s } => self.too_many = Some(retry_after_s),
            Fault::Status { status } => self.status = Some(status),
            Fault::TruncatedBody {} => self.truncated = true,
            Fault::HtmlBody {} => self.html = true,
            Fault::Slow { ms } => self.delay_ms = self.delay_ms.max(ms),
            Fault::Hang {} => self.hang = true,
            Fault::Reset {} => self.reset = true,
            Fault::WrongContentLength { by } => self.length_off_by = Some(by),
            Fault::ExpiredToken {} => self.expired_token = true,
            Fault::ExpiredCursor {} => self.expired_cursor = true,
            Fault::IgnoredFilter {} => self.ignored_filter = true,
            Fault::DuplicatedIds {} => self.duplicated_ids = true,
            Fault::BadRecord {} => self.bad_record = true,
            Fault::ResultWindow { records } => self.result_window = Some(records),
            Fault::ChangesWhilePaging { records } => self.changes_after = records,
            Fault::ShrinkingList { records } => self.vanish_after = records,
            Fault::EmptyPage {} => self.empty_page = true,
            Fault::LaggingReplica { ms } => self.behind_ms = Some(ms),
            Fault::VolatileFields {} => self.volatile = true,
            Fault::LocalTimes { ref zone } => self.zone = zone.parse().ok(),
            Fault::ClockSkew { .. } | Fault::LateVisibility { .. } => {}
        }
    }

    /// True where a listing shows what the records and the query make of it, and nothing else: it may have a tag.
    pub(super) fn lists_as_asked(&self) -> bool {
        let is_other = self.ignored_filter
            || self.duplicated_ids
            || self.bad_record
            || self.expired_cursor
            || self.empty_page
            || self.volatile;
        !is_other && self.behind_ms.is_none() && self.zone.is_none() && self.result_window.is_none()
    }
}
