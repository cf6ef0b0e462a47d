//! A life as data: how its world is made, and what happens in it step by step. All chance is inside, so that a plan
//! lived again is the same life, and one with fewer or simpler steps is a life too.

use crate::nodes::NodeAct;
use crate::support::Setup;
use crate::support::receiver::Reply;
use crate::support::vendors;
use anyhook::simulator::{Fault, FaultRule, Granularity};
use anyhook_connectors::contract::Change;
use chrono::TimeDelta;
use std::fmt;
use std::time::Duration;

/// A life.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    pub ways: Ways,
    pub steps: Vec<Step>,
}

/// How a world is made.
#[derive(Debug, Clone, PartialEq)]
pub struct Ways {
    /// What jitter, latencies and contents come from.
    pub seed: u64,
    pub vendor: &'static str,
    pub records: u32,
    /// Records that the vendor gives in a page at most.
    pub page: u32,
    /// How far the vendor's clock is ahead of ours, in seconds.
    pub ahead_s: i64,
    /// Requests the vendor allows a minute; 0 for any.
    pub calls: u32,
    /// The share of the documented budget that is used, in percent.
    pub budget_percent: u32,
    pub latency_ms: u64,
    pub store_latency_us: u64,
    pub log_page_bytes: usize,
    pub pages_per_run: u32,
    pub commits_in_flight: usize,
    pub spool_pages: u64,
    pub batch_records: u32,
    /// One engine, or a fleet that begins with so many nodes.
    pub nodes: usize,
}

/// Something happens, then time passes.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    pub act: Act,
    pub then_ms: u64,
}

/// What happens. Records and subscribers are named by a number that is taken modulo how many there are.
#[derive(Debug, Clone, PartialEq)]
pub enum Act {
    Wait,
    Create {
        count: u32,
        of_the_future: bool,
    },
    Update {
        which: u32,
        count: u32,
    },
    Delete {
        which: u32,
    },
    Undelete {
        which: u32,
    },
    /// The next `count` requests go wrong, or three of ten from now on.
    Wrong {
        trouble: Trouble,
        count: Option<u32>,
    },
    Right,
    VendorClock {
        by_s: i64,
    },
    OurClock {
        by_s: i64,
    },
    Subscribe {
        event: Change,
        every_s: u64,
        include_all: bool,
        limit: Option<u32>,
        raw: bool,
    },
    Unsubscribe {
        which: u32,
    },
    /// A webhook wants other fields, at another interval.
    Reshape {
        which: u32,
        every_s: u64,
        raw: bool,
    },
    Pause {
        which: u32,
        is_paused: bool,
    },
    PauseConnection {
        is_paused: bool,
    },
    Ping {
        which: u32,
    },
    /// History again: what was changed up to so long ago, and what was changed not later than so long ago.
    Backfill {
        which: u32,
        from_s: Option<i64>,
        until_s: Option<i64>,
    },
    CancelBackfill {
        which: u32,
    },
    Answers {
        which: u32,
        script: Vec<Answer>,
        then: Answer,
    },
    Restart,
    Crash,
    /// The engine dies at a call of the store, before or after that is kept.
    CrashAtCall {
        calls: i64,
        is_kept: bool,
    },
    Disk {
        is_away: bool,
    },
    /// Another node takes all leases at once, and does nothing with them.
    LoseLeases {
        ms: u64,
    },
    /// Another node takes over once the leases have ended, because the first could not renew them.
    TakeOver,
    /// Something happens to a node of a fleet.
    Node(NodeAct),
    /// Everything goes well for a while, then all promises hold.
    Calm,
}

/// What goes wrong at the vendor.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Trouble {
    Status(u16),
    TooMany(Option<u32>),
    Truncated,
    Html,
    Slow(u64),
    Hang,
    Reset,
    LengthOff(i64),
    ExpiredToken,
    ExpiredCursor,
    IgnoredFilter,
    DuplicatedIds,
    BadRecord,
}

/// How a destination answers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Answer {
    Ok,
    Status(u16),
    /// This status, with Retry-After in seconds.
    Later(u16, u32),
    Hang,
    /// Well, so many milliseconds later.
    Slow(u64),
    Reset,
}

impl Answer {
    pub fn reply(self) -> Reply {
        match self {
            Answer::Ok => Reply::Ok,
            Answer::Status(status) => Reply::Status(status),
            Answer::Later(status, seconds) => Reply::Later(status, seconds),
            Answer::Hang => Reply::Hang,
            Answer::Slow(ms) => Reply::Slow(Duration::from_millis(ms)),
            Answer::Reset => Reply::Reset,
        }
    }
}

impl Trouble {
    pub fn rule(self, count: Option<u32>) -> FaultRule {
        let fault = match self {
            Trouble::Status(status) => Fault::Status { status },
            Trouble::TooMany(retry_after_s) => Fault::TooManyRequests { retry_after_s },
            Trouble::Truncated => Fault::TruncatedBody {},
            Trouble::Html => Fault::HtmlBody {},
            Trouble::Slow(ms) => Fault::Slow { ms },
            Trouble::Hang => Fault::Hang {},
            Trouble::Reset => Fault::Reset {},
            Trouble::LengthOff(by) => Fault::WrongContentLength { by },
            Trouble::ExpiredToken => Fault::ExpiredToken {},
            Trouble::ExpiredCursor => Fault::ExpiredCursor {},
            Trouble::IgnoredFilter => Fault::IgnoredFilter {},
            Trouble::DuplicatedIds => Fault::DuplicatedIds {},
            Trouble::BadRecord => Fault::BadRecord {},
        };
        // A history whose tokens end again and again is given up, and waits for a person.
        let ends_tokens = matches!(self, Trouble::ExpiredCursor | Trouble::Status(410));
        match count.or(ends_tokens.then_some(3)) {
            Some(count) => FaultRule::next(fault, count),
            None => FaultRule { probability: Some(0.3), ..FaultRule::always(fault) },
        }
    }
}

impl Ways {
    pub fn setup(&self) -> Setup {
        let mut setup = Setup::contacts(self.records);
        setup.seed = self.seed;
        setup.simulator.seed = self.seed;
        setup.page_max = self.page;
        setup.simulator.rate_limit = self.calls;
        if self.vendor == vendors::SECONDS {
            setup.simulator.granularity = Granularity::Second;
        }
        setup.latency_ms_max = self.latency_ms;
        setup.store_latency_us_max = self.store_latency_us;
        setup.limits.poll.budget_percent = self.budget_percent;
        setup.limits.poll.log_page_bytes_max = self.log_page_bytes;
        setup.limits.poll.pages_per_run_max = self.pages_per_run;
        setup.limits.poll.commits_in_flight_max = self.commits_in_flight;
        setup.limits.poll.spool_pages_max = self.spool_pages;
        setup.limits.deliver.batch_records_max = self.batch_records;
        setup
    }
}

impl Step {
    pub fn pause(&self) -> Duration {
        Duration::from_millis(self.then_ms)
    }
}

/// So many seconds, as a difference of times.
pub fn seconds(count: i64) -> TimeDelta {
    TimeDelta::seconds(count)
}

/// As Rust, to be pasted as a test that lives it again.
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Plan {{\n    ways: {:?},\n    steps: vec![", self.ways)?;
        for Step { act, then_ms } in &self.steps {
            let act = format!("{act:?}").replace('[', "vec![");
            writeln!(f, "        Step {{ act: {act}, then_ms: {then_ms} }},")?;
        }
        f.write_str("    ],\n}")
    }
}
