//! What can be made to go wrong, and when it does.
//!
//! A new kind of fault is a variant of [`Fault`], a line in [`Plan::add`] if it concerns single requests, its effect
//! where the plan is carried out, and a line in the help of `anyhook simulator`.

use super::plan::Plan;
use anyhook_connectors::model::Zone;
use serde::{Deserialize, Serialize};

/// Rules in force at once at most.
const RULES_MAX: usize = 64;
/// The longest delay, skew or lag a fault may ask for, in milliseconds: a day.
const FAULT_MS_MAX: u64 = 86_400_000;

/// Something that goes wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Fault {
    /// 429, with `Retry-After` if given.
    TooManyRequests {
        /// Seconds to wait.
        #[serde(default)]
        retry_after_s: Option<u32>,
    },
    /// This status with an error body.
    Status {
        /// From 400 to 599.
        status: u16,
    },
    /// The right answer, cut in the middle but complete as HTTP.
    TruncatedBody {},
    /// 200 with a page of HTML, as proxies and login walls send it.
    HtmlBody {},
    /// The right answer, late.
    Slow {
        /// Milliseconds before the answer.
        ms: u64,
    },
    /// No answer at all, until the client gives up.
    Hang {},
    /// The connection is reset before the answer.
    Reset {},
    /// A `Content-Length` that is off: the body ends early (positive) or is cut (negative).
    WrongContentLength {
        /// Bytes it is off by.
        by: i64,
    },
    /// The vendor's clock is ahead (positive) or behind: the `Date` header and all times of changes made meanwhile.
    /// Stays until the rules are replaced.
    ClockSkew {
        /// Milliseconds.
        ms: i64,
    },
    /// Changes made meanwhile, or those that the probability strikes, show in listings only later; reads by id see them
    /// at once. Stays until the rules are replaced.
    LateVisibility {
        /// Milliseconds.
        ms: u64,
    },
    /// The access token is refused as expired.
    ExpiredToken {},
    /// A cursor is refused as expired.
    ExpiredCursor {},
    /// `updated_gte` and `updated_lt` are ignored.
    IgnoredFilter {},
    /// Every page after the first begins with the last record of the page before it.
    DuplicatedIds {},
    /// The first record of a page is broken: its `updated_at` is no time.
    BadRecord {},
    /// Paging by offset ends after so many records, however many match: 400 beyond.
    ResultWindow {
        /// Records.
        records: u32,
    },
    /// After each page that more follow, so many records of it are changed: those behind it move up in a listing by
    /// `updated_at`.
    ChangesWhilePaging {
        /// Records.
        records: u32,
    },
    /// After each page that more follow, so many records of it vanish, and nothing is left of them.
    ShrinkingList {
        /// Records.
        records: u32,
    },
    /// A page by offset comes without records, though more follow.
    EmptyPage {},
    /// The answer comes from a copy that is behind: records show as they were before their last change, where that was
    /// less long ago than this, and not at all where they were not there yet.
    LaggingReplica {
        /// Milliseconds.
        ms: u64,
    },
    /// Every record carries `fetched_at` and `avatar_url`, which differ from answer to answer.
    VolatileFields {},
    /// Times in records have no zone and are local in this one; times in queries are read likewise, one that the clock
    /// shows twice as the later.
    LocalTimes {
        /// Such as `Europe/Berlin` or `+05:30`.
        zone: String,
    },
}

/// A fault, and the requests it strikes: those whose path begins with `path`; the first `next` of them, or each with a
/// `probability`, or all until the rules are replaced.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultRule {
    /// What goes wrong.
    pub fault: Fault,
    /// What paths begin with.
    #[serde(default = "all_of_the_api")]
    pub path: String,
    /// How many requests are left for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<u32>,
    /// From 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probability: Option<f64>,
}

fn all_of_the_api() -> String {
    "/v1/".to_owned()
}

impl FaultRule {
    /// A fault that strikes every request to the API.
    pub fn always(fault: Fault) -> Self {
        FaultRule { fault, path: all_of_the_api(), next: None, probability: None }
    }

    /// A fault that strikes the next `count` requests to the API.
    pub fn next(fault: Fault, count: u32) -> Self {
        FaultRule { next: Some(count), ..FaultRule::always(fault) }
    }

    fn check(&self) -> Result<(), String> {
        if self.probability.is_some_and(|chance| !(0.0..=1.0).contains(&chance)) {
            return Err("probability must be from 0 to 1".to_owned());
        }
        match &self.fault {
            Fault::ClockSkew { .. } if self.next.is_some() || self.probability.is_some() => {
                Err("clock_skew stays until the rules are replaced: leave out next and probability".to_owned())
            }
            Fault::LateVisibility { .. } if self.next.is_some() => {
                Err("late_visibility stays until the rules are replaced: leave out next".to_owned())
            }
            Fault::Status { status } if !(400..=599).contains(status) => {
                Err("status must be from 400 to 599".to_owned())
            }
            Fault::Slow { ms } | Fault::LateVisibility { ms } | Fault::LaggingReplica { ms } if *ms > FAULT_MS_MAX => {
                Err(format!("ms must be at most {FAULT_MS_MAX}"))
            }
            Fault::ClockSkew { ms } if ms.unsigned_abs() > FAULT_MS_MAX => {
                Err(format!("ms must be from -{FAULT_MS_MAX} to {FAULT_MS_MAX}"))
            }
            Fault::LocalTimes { zone } => zone.parse::<Zone>().map(drop),
            _ => Ok(()),
        }
    }
}

/// The rules in force.
#[derive(Debug, Default)]
pub(super) struct FaultBook {
    rules: Vec<FaultRule>,
}

impl FaultBook {
    pub(super) fn rules(&self) -> &[FaultRule] {
        &self.rules
    }

    /// Replaces all rules; none is changed if one is wrong.
    pub(super) fn replace(&mut self, rules: Vec<FaultRule>) -> Result<(), String> {
        if rules.len() > RULES_MAX {
            return Err(format!("at most {RULES_MAX} faults at once"));
        }
        rules.iter().try_for_each(FaultRule::check)?;
        self.rules = rules;
        Ok(())
    }

    /// What goes wrong with a request to this path. Counts it.
    pub(super) fn plan(&mut self, path: &str, random: &mut fastrand::Rng) -> Plan {
        let mut plan = Plan::default();
        for rule in self.rules.iter_mut().filter(|rule| path.starts_with(&rule.path)) {
            let strikes = rule.next != Some(0) && rule.probability.is_none_or(|probability| random.f64() < probability);
            if strikes {
                rule.next = rule.next.map(|left| left - 1);
                plan.add(&rule.fault);
            }
        }
        plan
    }

    /// How far the vendor's clock is off.
    pub(super) fn skew_ms(&self) -> i64 {
        self.rules.iter().map(|rule| if let Fault::ClockSkew { ms } = rule.fault { ms } else { 0 }).sum()
    }

    /// How long a change stays out of the listings under this path.
    pub(super) fn lag_ms(&self, path: &str, random: &mut fastrand::Rng) -> u64 {
        let mut longest = 0;
        for rule in self.rules.iter().filter(|rule| path.starts_with(&rule.path)) {
            if let Fault::LateVisibility { ms } = rule.fault
                && rule.probability.is_none_or(|probability| random.f64() < probability)
            {
                longest = longest.max(ms);
            }
        }
        longest
    }
}
