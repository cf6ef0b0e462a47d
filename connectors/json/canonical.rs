//! JSON rewritten so that JavaScript keeps its bytes.

use crate::model::js_number;
use serde::de::Error as _;
use serde_json::Error;
use serde_json::value::RawValue;
use std::collections::HashMap;
use std::ops::Range;

/// How deep arrays and objects may nest; as `serde_json` has it.
const DEPTH_MAX: usize = 128;
/// The greatest integer below which every integer is exact in JavaScript: 2^53 - 1.
const SAFE_INTEGER: u64 = 9_007_199_254_740_991;
/// The greatest key that JavaScript sorts as a number (ECMA-262, array index): 2^32 - 2.
const INDEX_MAX: u32 = u32::MAX - 1;

/// Rewrites JSON to what `JSON.stringify(JSON.parse(x))` leaves as it is (ECMA-262, 25.5), so that a receiver that
/// parses a payload before it verifies its signature still finds the signed bytes.
///
/// - Compact; integer-like keys first and ascending, then the others as they came; of a key that comes twice, the last
///   value at the first place.
/// - Numbers as JavaScript writes them. Integers that JavaScript would round, beyond 2^53 - 1 either way, and numbers
///   too great for it become strings, digit for digit.
/// - Escapes as `JSON.stringify` writes them; half a surrogate pair stays an escape.
///
/// What is no JSON, or nests deeper than 128, is an error.
pub fn canonical(raw: &str) -> Result<String, Error> {
    let checked: &RawValue = serde_json::from_str(raw)?;
    let mut writer = Writer { text: checked.get(), at: 0, out: String::with_capacity(raw.len()) };
    writer.value(0)?;
    Ok(writer.out)
}

/// Reads text that is known to be JSON, and writes it anew.
struct Writer<'a> {
    text: &'a str,
    at: usize,
    out: String,
}

/// A member of an object, as ranges of what was written.
struct Member {
    key: Range<usize>,
    end: usize,
    index: Option<u32>,
}

impl Writer<'_> {
    /// The next byte that is no white space.
    fn peek(&mut self) -> u8 {
        let bytes = self.text.as_bytes();
        while bytes.get(self.at).is_some_and(u8::is_ascii_whitespace) {
            self.at += 1;
        }
        bytes.get(self.at).copied().unwrap_or_default()
    }

    /// Steps over the next byte if it is this one.
    fn take(&mut self, byte: u8) -> bool {
        let is_next = self.peek() == byte;
        self.at += usize::from(is_next);
        is_next
    }

    fn value(&mut self, depth: usize) -> Result<(), Error> {
        if depth > DEPTH_MAX {
            return Err(Error::custom(format!("nested deeper than {DEPTH_MAX}")));
        }
        match self.peek() {
            b'{' => self.object(depth),
            b'[' => self.array(depth),
            b'"' => self.string(),
            _ => {
                self.scalar();
                Ok(())
            }
        }
    }

    fn array(&mut self, depth: usize) -> Result<(), Error> {
        self.at += 1;
        self.out.push('[');
        while !self.take(b']') {
            if self.take(b',') {
                self.out.push(',');
            }
            self.value(depth + 1)?;
        }
        self.out.push(']');
        Ok(())
    }

    fn object(&mut self, depth: usize) -> Result<(), Error> {
        self.at += 1;
        self.out.push('{');
        let start = self.out.len();
        let mut members: Vec<Member> = Vec::new();
        while !self.take(b'}') {
            if self.take(b',') {
                self.out.push(',');
            }
            let key = self.out.len();
            self.peek();
            self.string()?;
            let key = key..self.out.len();
            self.take(b':');
            self.out.push(':');
            self.value(depth + 1)?;
            let index = array_index(&self.out[key.start + 1..key.end - 1]);
            members.push(Member { key, end: self.out.len(), index });
        }
        self.reorder(start, members);
        self.out.push('}');
        Ok(())
    }

    /// Puts the members written from `start` on into JavaScript's order, each key once.
    fn reorder(&mut self, start: usize, members: Vec<Member>) {
        let mut places: HashMap<&str, usize> = HashMap::with_capacity(members.len());
        let mut kept: Vec<&Member> = Vec::with_capacity(members.len());
        for member in &members {
            let place = *places.entry(&self.out[member.key.clone()]).or_insert(kept.len());
            match kept.get_mut(place) {
                Some(earlier) => *earlier = member,
                None => kept.push(member),
            }
        }
        if kept.len() == members.len() && members.iter().all(|member| member.index.is_none()) {
            return;
        }
        kept.sort_by_key(|member| member.index.unwrap_or(u32::MAX));
        let written: Vec<&str> = kept.iter().map(|member| &self.out[member.key.start..member.end]).collect();
        let ordered = written.join(",");
        self.out.replace_range(start.., &ordered);
    }

    /// A number, `true`, `false` or `null`.
    fn scalar(&mut self) {
        let rest = &self.text[self.at..];
        let end = rest.find(|c: char| matches!(c, ',' | ']' | '}') || c.is_ascii_whitespace()).unwrap_or(rest.len());
        let literal = &rest[..end];
        self.at += end;
        if literal.starts_with(|c: char| c.is_ascii_alphabetic()) {
            self.out.push_str(literal);
            return;
        }
        let digits = literal.trim_start_matches('-');
        let is_integer = digits.bytes().all(|byte| byte.is_ascii_digit());
        let is_safe = !is_integer || digits.parse().is_ok_and(|number: u64| number <= SAFE_INTEGER);
        match literal.parse::<f64>() {
            Ok(number) if is_safe && number.is_finite() => self.out.push_str(&js_number(number)),
            _ => self.out.extend(["\"", literal, "\""]),
        }
    }

    fn string(&mut self) -> Result<(), Error> {
        self.at += 1;
        self.out.push('"');
        loop {
            let rest = &self.text[self.at..];
            let plain = rest.find(['"', '\\']).ok_or_else(|| Error::custom("a string without an end"))?;
            self.out.push_str(&rest[..plain]);
            self.at += plain + 1;
            if rest.as_bytes()[plain] == b'"' {
                self.out.push('"');
                return Ok(());
            }
            self.escape()?;
        }
    }

    /// What follows a backslash.
    fn escape(&mut self) -> Result<(), Error> {
        let letter = self.text.as_bytes().get(self.at).copied().unwrap_or_default();
        self.at += 1;
        match letter {
            b'u' => {
                let unit = self.unit(self.at)?;
                self.at += 4;
                self.code_unit(unit)?;
            }
            b'/' => self.out.push('/'),
            letter => self.out.extend(['\\', char::from(letter)]),
        }
        Ok(())
    }

    /// The code unit whose four hexadecimal digits stand at `at`.
    fn unit(&self, at: usize) -> Result<u16, Error> {
        let digits = self.text.get(at..at + 4).ok_or_else(|| Error::custom("an escape without an end"))?;
        u16::from_str_radix(digits, 16).map_err(Error::custom)
    }

    /// An escaped code unit, with the second half of its pair where one follows.
    fn code_unit(&mut self, unit: u16) -> Result<(), Error> {
        let is_first_half = (0xd800..0xdc00).contains(&unit);
        if is_first_half && self.text[self.at..].starts_with("\\u") {
            let second = self.unit(self.at + 2)?;
            if let Some(Ok(character)) = char::decode_utf16([unit, second]).next() {
                self.at += 6;
                self.out.push(character);
                return Ok(());
            }
        }
        match char::from_u32(u32::from(unit)) {
            Some('"') => self.out.push_str("\\\""),
            Some('\\') => self.out.push_str("\\\\"),
            Some('\u{8}') => self.out.push_str("\\b"),
            Some('\u{c}') => self.out.push_str("\\f"),
            Some('\n') => self.out.push_str("\\n"),
            Some('\r') => self.out.push_str("\\r"),
            Some('\t') => self.out.push_str("\\t"),
            Some(character) if character >= ' ' => self.out.push(character),
            _ => self.out.push_str(&format!("\\u{unit:04x}")),
        }
        Ok(())
    }
}

/// A key that JavaScript sorts as a number: decimal without leading zeros.
fn array_index(key: &str) -> Option<u32> {
    let is_decimal = key.bytes().all(|byte| byte.is_ascii_digit()) && (key == "0" || !key.starts_with('0'));
    if is_decimal { key.parse().ok().filter(|index| *index <= INDEX_MAX) } else { None }
}

#[cfg(test)]
mod tests;
