//! Times of events (RFC 5545, sections 3.3.4, 3.3.5, 3.3.6 and 3.6.5).

use super::ical::{Component, Property};
use crate::model::Zone;
use chrono::{DateTime, FixedOffset, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Utc};

/// The zones that a calendar's events may name.
#[derive(Debug, Clone)]
pub(super) struct Zones<'c, 't> {
    calendar: &'c Component<'t>,
}

/// When something is: an instant, or a whole day, which is its midnight UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct When {
    pub(super) at: DateTime<Utc>,
    pub(super) is_day: bool,
}

impl<'c, 't> Zones<'c, 't> {
    pub(super) fn of(calendar: &'c Component<'t>) -> Self {
        Zones { calendar }
    }

    /// The time of a property; none where it cannot be told.
    pub(super) fn when(&self, property: &Property<'_>) -> Option<When> {
        self.read(property.value.trim(), property)
    }

    /// The times of a property that has several, divided by commas. Of a period only the start counts.
    pub(super) fn all(&self, property: &Property<'_>) -> Vec<When> {
        let values = property.value.split(',').map(|value| value.split('/').next().unwrap_or(value).trim());
        values.filter_map(|value| self.read(value, property)).collect()
    }

    /// A time without a zone is everyone's own; the calendar's zone is taken for it, else UTC.
    fn read(&self, value: &str, property: &Property<'_>) -> Option<When> {
        if let Some(day) = day(value) {
            return Some(When { at: day.and_time(NaiveTime::MIN).and_utc(), is_day: true });
        }
        let (local, is_utc) = match value.strip_suffix(['Z', 'z']) {
            Some(value) => (value, true),
            None => (value, false),
        };
        let local = NaiveDateTime::parse_from_str(local, "%Y%m%dT%H%M%S").ok()?;
        let at = match (is_utc, property.param("TZID")) {
            (true, _) => local.and_utc(),
            (false, Some(name)) => self.zone(name)?.instant(local),
            (false, None) => match self.calendar.get("X-WR-TIMEZONE").and_then(|name| self.zone(&name.text())) {
                Some(zone) => zone.instant(local),
                None => local.and_utc(),
            },
        };
        Some(When { at, is_day: false })
    }

    /// A zone by its name, which may stand behind a prefix of some program's; else by the calendar's own description of
    /// it, where that knows but one offset.
    fn zone(&self, name: &str) -> Option<Zone> {
        let suffixes = std::iter::successors(Some(name.trim_start_matches('/')), |rest| Some(rest.split_once('/')?.1));
        if let Some(named) = suffixes.filter_map(|name| name.parse().ok()).next() {
            return Some(Zone::Named(named));
        }
        let is_it =
            |zone: &&Component<'_>| zone.name == "VTIMEZONE" && zone.get("TZID").is_some_and(|id| id.text() == name);
        let described = self.calendar.components.iter().find(is_it)?;
        if let Some(named) = described.get("X-LIC-LOCATION").and_then(|name| name.text().parse().ok()) {
            return Some(Zone::Named(named));
        }
        match described.components.as_slice() {
            [only] => offset(only.get("TZOFFSETTO")?.value.trim()).map(Zone::Fixed),
            _ => None,
        }
    }
}

fn day(value: &str) -> Option<NaiveDate> {
    if value.len() == 8 { NaiveDate::parse_from_str(value, "%Y%m%d").ok() } else { None }
}

/// `+HHMM`, or with seconds.
fn offset(value: &str) -> Option<FixedOffset> {
    let (sign, digits) =
        if let Some(rest) = value.strip_prefix('-') { (-1, rest) } else { (1, value.trim_start_matches('+')) };
    let part = |from: usize| digits.get(from..from + 2).map_or(Some(0), |text| text.parse::<i32>().ok());
    FixedOffset::east_opt(sign * (part(0)? * 3_600 + part(2)? * 60 + part(4)?))
}

/// A duration such as `P1DT2H30M` or `-PT15M`.
pub(super) fn duration(value: &str) -> Option<TimeDelta> {
    let (sign, rest) = match value.trim().strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, value.trim().trim_start_matches('+')),
    };
    let mut seconds = 0_i64;
    let mut number = String::new();
    for character in rest.strip_prefix('P')?.chars() {
        let unit = match character {
            '0'..='9' if number.len() < 9 => {
                number.push(character);
                continue;
            }
            'T' if number.is_empty() => continue,
            'W' => 604_800,
            'D' => 86_400,
            'H' => 3_600,
            'M' => 60,
            'S' => 1,
            _ => return None,
        };
        seconds += number.parse::<i64>().ok()? * unit;
        number.clear();
    }
    TimeDelta::try_seconds(sign * seconds).filter(|_| number.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(property: &str, zones: &str) -> Option<String> {
        let text = format!("BEGIN:VCALENDAR\n{zones}BEGIN:VEVENT\n{property}\nEND:VEVENT\nEND:VCALENDAR\n");
        let calendar = Component::parse(&text).unwrap();
        let event = calendar.components.iter().find(|component| component.name == "VEVENT").unwrap();
        Zones::of(&calendar).when(event.get("DTSTART").unwrap()).map(|when| when.at.format("%FT%TZ").to_string())
    }

    #[test]
    fn times_are_read_in_their_zone() {
        let berlin = |time: &str| read(&format!("DTSTART;TZID=Europe/Berlin:{time}"), "");
        assert_eq!(berlin("20260115T100000").as_deref(), Some("2026-01-15T09:00:00Z"));
        assert_eq!(berlin("20260715T100000").as_deref(), Some("2026-07-15T08:00:00Z"));
        assert_eq!(berlin("20260329T023000").as_deref(), Some("2026-03-29T01:30:00Z"), "skipped by the clock");
        assert_eq!(berlin("20261025T023000").as_deref(), Some("2026-10-25T00:30:00Z"), "comes twice");
        assert_eq!(read("DTSTART;VALUE=DATE:20260102", "").as_deref(), Some("2026-01-02T00:00:00Z"));
        assert_eq!(read("DTSTART:20260102T030405Z", "").as_deref(), Some("2026-01-02T03:04:05Z"));
        assert_eq!(
            read("DTSTART:20260102T030405", "X-WR-TIMEZONE:Asia/Tokyo\n").as_deref(),
            Some("2026-01-01T18:04:05Z")
        );
        let prefixed = "DTSTART;TZID=/example.org/20250101/Europe/Berlin:20260115T100000";
        assert_eq!(read(prefixed, "").as_deref(), Some("2026-01-15T09:00:00Z"));
    }

    #[test]
    fn a_zone_of_the_calendars_own_needs_one_offset() {
        let zone = "BEGIN:VTIMEZONE\nTZID:Ours\nBEGIN:STANDARD\nTZOFFSETTO:-0330\nEND:STANDARD\nEND:VTIMEZONE\n";
        assert_eq!(read("DTSTART;TZID=Ours:20260102T000000", zone).as_deref(), Some("2026-01-02T03:30:00Z"));
        assert_eq!(read("DTSTART;TZID=Nowhere:20260102T000000", zone), None, "better no time than a wrong one");
    }

    #[test]
    fn durations() {
        assert_eq!(duration("P1DT2H30M"), Some(TimeDelta::minutes(26 * 60 + 30)));
        assert_eq!(duration("-PT15M"), Some(TimeDelta::minutes(-15)));
        assert_eq!(duration("P2W"), Some(TimeDelta::weeks(2)));
        for wrong in ["", "1D", "P1", "PX", "P99999999999D"] {
            assert_eq!(duration(wrong), None, "{wrong}");
        }
    }
}
