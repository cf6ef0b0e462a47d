//! What people see: lines on stdout, complaints on stderr.

use std::io::{IsTerminal, Write, stderr, stdout};

/// Says on stderr, in one line, what went wrong. There is nobody left to tell if that fails.
pub(super) fn complain(message: &str) {
    let line: Vec<&str> = message.split_whitespace().collect();
    let _ = writeln!(stderr(), "anyhook: {}", line.join(" "));
}

/// A mark and its colour; colours only where a person looks on and `NO_COLOR` (<https://no-color.org>) is not set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    Good,
    Bad,
    Faint,
    Strong,
}

/// The text in its tone, if stdout is a terminal.
pub(crate) fn toned(text: &str, tone: Tone) -> String {
    let is_plain = !stdout().is_terminal() || std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    if is_plain {
        return text.to_owned();
    }
    let code = match tone {
        Tone::Good => "32",
        Tone::Bad => "31",
        Tone::Faint => "2",
        Tone::Strong => "1",
    };
    format!("\u{1b}[{code}m{text}\u{1b}[0m")
}
