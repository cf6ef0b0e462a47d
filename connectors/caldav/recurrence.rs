//! How an event comes again: `RRULE`, `EXDATE` and `RDATE` (RFC 5545, sections 3.3.10 and 3.8.5).

use super::ical::Component;
use super::time::{When, Zones};
use crate::model::{Number, Recurrence, Timestamp};
use chrono::{NaiveDate, NaiveDateTime, NaiveTime, SecondsFormat};
use std::borrow::Cow;

/// The rules of an event; dates added and taken away stand with the first.
pub(super) fn recurrences(event: &Component<'_>, zones: &Zones<'_, '_>) -> Vec<Recurrence<'static>> {
    let mut rules: Vec<_> = event.all("RRULE").filter_map(|property| rule(&property.value)).collect();
    let dates = |name| event.all(name).flat_map(|property| zones.all(property)).map(shown).collect::<Vec<_>>();
    let (excluded_dates, included_dates) = (dates("EXDATE"), dates("RDATE"));
    if rules.is_empty() && !included_dates.is_empty() {
        rules.push(Recurrence::default());
    }
    if let Some(first) = rules.first_mut() {
        first.excluded_dates = excluded_dates;
        first.included_dates = included_dates;
    }
    rules
}

fn shown(when: When) -> Cow<'static, str> {
    Cow::Owned(when.at.to_rfc3339_opts(SecondsFormat::Secs, true))
}

/// A rule such as `FREQ=WEEKLY;BYDAY=MO,WE`. None for one that comes more often than daily.
fn rule(value: &str) -> Option<Recurrence<'static>> {
    let mut rule = Recurrence::default();
    for (name, value) in value.split(';').filter_map(|part| part.split_once('=')) {
        match name.to_ascii_uppercase().as_str() {
            "FREQ" => {
                rule.frequency = Some(
                    *["DAILY", "WEEKLY", "MONTHLY", "YEARLY"].iter().find(|known| known.eq_ignore_ascii_case(value))?,
                );
            }
            "INTERVAL" => rule.interval = value.parse::<u32>().ok().map(Number::from),
            "COUNT" => rule.count = value.parse::<u32>().ok().map(Number::from),
            "UNTIL" => rule.end_at = until(value),
            "WKST" => rule.week_start = weekday(value),
            "BYMONTH" => rule.on_months = numbers(value),
            "BYMONTHDAY" => rule.on_month_days = numbers(value),
            "BYYEARDAY" => rule.on_year_days = numbers(value),
            "BYDAY" => days(value, &mut rule),
            _ => {}
        }
    }
    rule.frequency.map(|_| rule)
}

/// `MO`, or `-1FR` for the last Friday. Which of the days it is stands beside it where any rule says so.
fn days(value: &str, rule: &mut Recurrence<'_>) {
    for item in value.split(',') {
        let split = item.len().saturating_sub(2);
        let Some(day) = item.get(split..).and_then(weekday) else { continue };
        rule.on_days.push(day);
        rule.on_weeks.push(item.get(..split).and_then(|text| text.parse().ok()).unwrap_or(0));
    }
    if rule.on_weeks.iter().all(|week| *week == 0) {
        rule.on_weeks.clear();
    }
}

fn weekday(value: &str) -> Option<&'static str> {
    ["SU", "MO", "TU", "WE", "TH", "FR", "SA"].into_iter().find(|day| day.eq_ignore_ascii_case(value.trim()))
}

fn numbers(value: &str) -> Vec<i32> {
    value.split(',').filter_map(|text| text.trim().parse().ok()).collect()
}

fn until(value: &str) -> Option<Timestamp> {
    let value = value.trim_end_matches(['Z', 'z']);
    let time = NaiveDateTime::parse_from_str(value, "%Y%m%dT%H%M%S").ok();
    let day = || NaiveDate::parse_from_str(value, "%Y%m%d").ok().map(|day| day.and_time(NaiveTime::MIN));
    time.or_else(day).map(|at| Timestamp(at.and_utc()))
}
