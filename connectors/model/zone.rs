//! Zones, for vendors whose times have none of their own: the connector declares in which zone they are local.

use super::scalar::read_naive;
use chrono::{DateTime, FixedOffset, NaiveDateTime, Offset, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;
use std::str::FromStr;

/// A time zone.
///
/// Where its clocks are put back, an hour of local times comes twice and is read as the first: records of the second one
/// seem an hour older than they are, and seem to come late. An object type with such times needs an hour of
/// `late_visibility_ms`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Zone {
    /// A zone of the IANA's database, such as `Europe/Berlin`.
    Named(Tz),
    /// Always as far from UTC.
    Fixed(FixedOffset),
}

impl Zone {
    /// The instant of a local time. One that a change of clocks skips or repeats is taken as before the change.
    pub fn instant(self, local: NaiveDateTime) -> DateTime<Utc> {
        let zone = match self {
            Zone::Fixed(offset) => return (local - offset).and_utc(),
            Zone::Named(zone) => zone,
        };
        match zone.from_local_datetime(&local).earliest() {
            Some(at) => at.with_timezone(&Utc),
            None => {
                let before = zone.from_local_datetime(&(local - TimeDelta::hours(3))).earliest();
                before.map_or(local.and_utc(), |at| at.with_timezone(&Utc) + TimeDelta::hours(3))
            }
        }
    }

    /// Reads a time that is local here: `YYYY-MM-DDTHH:MM:SS` with any fraction, or with a space in place of the `T`. One
    /// that names its own zone is none.
    pub fn read(self, text: &str) -> Option<DateTime<Utc>> {
        read_naive(text).map(|local| self.instant(local))
    }

    /// The local time of an instant, to be written as the vendor wants it.
    pub fn local(self, at: DateTime<Utc>) -> NaiveDateTime {
        match self {
            Zone::Fixed(offset) => at.with_timezone(&offset).naive_local(),
            Zone::Named(zone) => at.with_timezone(&zone).naive_local(),
        }
    }

    /// How far the zone is from UTC at this instant.
    pub fn offset(self, at: DateTime<Utc>) -> FixedOffset {
        match self {
            Zone::Fixed(offset) => offset,
            Zone::Named(zone) => zone.offset_from_utc_datetime(&at.naive_utc()).fix(),
        }
    }
}

impl FromStr for Zone {
    type Err = String;

    /// Reads a name of the IANA's database, or an offset such as `+05:30`.
    fn from_str(text: &str) -> Result<Self, String> {
        text.parse::<FixedOffset>()
            .map(Zone::Fixed)
            .or_else(|_| text.parse::<Tz>().map(Zone::Named))
            .map_err(|_| format!("{text} is no time zone: it must be like Europe/Berlin or +05:30"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn berlin() -> Zone {
        "Europe/Berlin".parse().unwrap()
    }

    fn read(zone: Zone, text: &str) -> String {
        zone.read(text).unwrap().format("%FT%TZ").to_string()
    }

    #[test]
    fn local_times_are_read_in_winter_in_summer_and_between() {
        assert_eq!(read(berlin(), "2026-01-15T10:00:00"), "2026-01-15T09:00:00Z");
        assert_eq!(read(berlin(), "2026-07-15 10:00:00.250"), "2026-07-15T08:00:00Z");
        assert_eq!(read(berlin(), "2026-03-29T02:30:00"), "2026-03-29T01:30:00Z", "skipped by the clock");
        assert_eq!(read(berlin(), "2026-10-25T02:30:00"), "2026-10-25T00:30:00Z", "comes twice");
        assert_eq!(read("+05:30".parse().unwrap(), "2026-01-15T10:00:00"), "2026-01-15T04:30:00Z");
        assert_eq!(berlin().read("2026-01-15T10:00:00Z"), None, "it has a zone of its own");
        assert!("Mars/Olympus".parse::<Zone>().is_err());
    }

    #[test]
    fn what_is_written_is_read_again_but_in_the_hour_that_comes_twice() {
        for (text, same) in
            [("2026-07-15T08:00:00Z", true), ("2026-10-25T00:30:00Z", true), ("2026-10-25T01:30:00Z", false)]
        {
            let at: DateTime<Utc> = text.parse().unwrap();
            assert_eq!(berlin().instant(berlin().local(at)) == at, same, "{text}");
        }
        assert_eq!(berlin().offset("2026-07-15T08:00:00Z".parse().unwrap()).local_minus_utc(), 7_200);
    }
}
