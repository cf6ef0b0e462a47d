//! Numbers and times, written so that JavaScript would write them the same.

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, Timelike, Utc};
use serde::{Serialize, Serializer};

/// A finite number, written as `JSON.stringify` writes it: no `1.0`, no `-0`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Number(f64);

/// The greatest integer below which every integer is exact in JavaScript: 2^53 - 1.
const SAFE_INTEGER: f64 = 9_007_199_254_740_991.0;

impl Number {
    /// None for what JSON cannot say: NaN and the infinities.
    pub fn new(value: f64) -> Option<Self> {
        value.is_finite().then_some(Number(value))
    }

    /// Reads a decimal such as `"12.50"`, as many vendors write amounts.
    pub fn parse(text: &str) -> Option<Self> {
        text.trim().parse().ok().and_then(Number::new)
    }
}

impl From<u32> for Number {
    fn from(value: u32) -> Self {
        Number(f64::from(value))
    }
}

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.fract() == 0.0 && self.0.abs() <= SAFE_INTEGER {
            #[allow(clippy::cast_possible_truncation)] // integral and within 2^53
            return serializer.serialize_i64(self.0 as i64);
        }
        match serde_json::value::RawValue::from_string(js_number(self.0)) {
            Ok(raw) => raw.serialize(serializer),
            Err(error) => Err(serde::ser::Error::custom(error)),
        }
    }
}

/// A finite number as JavaScript writes it (ECMA-262, Number::toString).
pub fn js_number(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    if (1e-6..1e21).contains(&value.abs()) {
        return format!("{value}");
    }
    let text = format!("{value:e}");
    match text.split_once('e') {
        Some((digits, exponent)) if !exponent.starts_with('-') => format!("{digits}e+{exponent}"),
        _ => text,
    }
}

/// An instant, written as RFC 3339 in UTC with as many decimals as it needs (none, 3, 6 or 9).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(pub DateTime<Utc>);

impl From<DateTime<Utc>> for Timestamp {
    fn from(at: DateTime<Utc>) -> Self {
        Timestamp(at)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if !(0..=9999).contains(&self.0.year()) {
            return serializer.serialize_str(&self.0.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true));
        }
        let mut text = [0u8; 30];
        let length = write_rfc3339(self.0, &mut text);
        let text = std::str::from_utf8(&text[..length]).map_err(serde::ser::Error::custom)?;
        serializer.serialize_str(text)
    }
}

/// Writes `number` right-aligned with leading zeros.
fn digits(out: &mut [u8], mut number: u32) {
    for slot in out.iter_mut().rev() {
        *slot = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

/// The formatter of the data path: chrono's general one costs several times as much per record.
fn write_rfc3339(at: DateTime<Utc>, out: &mut [u8; 30]) -> usize {
    out[..20].copy_from_slice(b"0000-00-00T00:00:00Z");
    digits(&mut out[0..4], at.year().unsigned_abs());
    digits(&mut out[5..7], at.month());
    digits(&mut out[8..10], at.day());
    digits(&mut out[11..13], at.hour());
    digits(&mut out[14..16], at.minute());
    digits(&mut out[17..19], at.second());
    let nanos = at.nanosecond() % 1_000_000_000;
    let (decimals, fraction) = match nanos {
        0 => return 20,
        n if n % 1_000_000 == 0 => (3, n / 1_000_000),
        n if n % 1_000 == 0 => (6, n / 1_000),
        n => (9, n),
    };
    out[19] = b'.';
    digits(&mut out[20..20 + decimals], fraction);
    out[20 + decimals] = b'Z';
    21 + decimals
}

/// Reads an RFC 3339 time. None for anything else, times without a zone among it.
pub fn parse_time(text: &str) -> Option<DateTime<Utc>> {
    match fast_naive(text) {
        Some((at, "Z")) => Some(at.and_utc()),
        _ => DateTime::parse_from_rfc3339(text).ok().map(|at| at.with_timezone(&Utc)),
    }
}

/// Reads a time that the vendor declares to be UTC though it may carry no zone, with `T` or a space between date and
/// time.
pub fn parse_time_utc(text: &str) -> Option<DateTime<Utc>> {
    match fast_naive(text) {
        Some((at, "Z" | "")) => Some(at.and_utc()),
        _ => parse_time(text).or_else(|| read_naive(text).map(|at| at.and_utc())),
    }
}

/// Reads a time without a zone, with `T` or a space between date and time.
pub(super) fn read_naive(text: &str) -> Option<NaiveDateTime> {
    match fast_naive(text) {
        Some((at, "")) => Some(at),
        Some(_) => None,
        None => NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f").ok(),
    }
}

/// Reads `YYYY-MM-DDTHH:MM:SS[.fraction]` and gives back what follows.
fn fast_naive(text: &str) -> Option<(NaiveDateTime, &str)> {
    let bytes = text.as_bytes();
    if bytes.len() < 19
        || bytes[4] != b'-'
        || bytes[7] != b'-'
        || bytes[10] != b'T'
        || bytes[13] != b':'
        || bytes[16] != b':'
    {
        return None;
    }
    let number = |from: usize, to: usize| {
        bytes[from..to]
            .iter()
            .try_fold(0u32, |sum, byte| byte.is_ascii_digit().then(|| sum * 10 + u32::from(byte - b'0')))
    };
    let year = i32::try_from(number(0, 4)?).ok()?;
    let date = NaiveDate::from_ymd_opt(year, number(5, 7)?, number(8, 10)?)?;
    let mut rest = text.get(19..)?;
    let mut nanos = 0;
    if let Some(fraction) = rest.strip_prefix('.') {
        let length = fraction.bytes().take_while(u8::is_ascii_digit).count();
        if length == 0 || length > 9 {
            return None;
        }
        nanos = fraction[..length].parse::<u32>().ok()? * 10u32.pow(9 - u32::try_from(length).ok()?);
        rest = &fraction[length..];
    }
    Some((date.and_hms_nano_opt(number(11, 13)?, number(14, 16)?, number(17, 19)?, nanos)?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_javascript_writes_them() {
        let cases = [
            (1.0, "1"),
            (-0.0, "0"),
            (0.1, "0.1"),
            (1e21, "1e+21"),
            (1e-7, "1e-7"),
            (1.5e300, "1.5e+300"),
            (123456789012345680000.0, "123456789012345680000"),
            (-2.5, "-2.5"),
        ];
        for (value, text) in cases {
            assert_eq!(serde_json::to_string(&Number(value)).unwrap(), text);
        }
        assert_eq!(Number::new(f64::NAN), None);
    }

    #[test]
    fn times_are_written_as_they_were_read() {
        for text in [
            "2026-01-02T03:04:05Z",
            "2026-01-02T03:04:05.120Z",
            "0001-12-31T23:59:59.000001Z",
            "2026-01-02T03:04:05.000000001Z",
        ] {
            let at = parse_time(text).unwrap();
            assert_eq!(serde_json::to_string(&Timestamp(at)).unwrap(), format!("\"{text}\""));
        }
        assert_eq!(parse_time("2026-01-02T03:04:05+02:00"), parse_time("2026-01-02T01:04:05Z"));
        assert_eq!(parse_time("2026-01-02T03:04:05"), None);
        assert_eq!(parse_time_utc("2026-01-02 03:04:05"), parse_time("2026-01-02T03:04:05Z"));
        assert_eq!(parse_time("2026-13-02T03:04:05Z"), None);
        assert_eq!(parse_time("not a time, but long enough"), None);
    }
}
