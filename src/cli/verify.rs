//! `anyhook verify`: checks a payload's signatures, for people who write receivers.

use super::CliError;
use super::output::{Tone, toned};
use crate::clock::Clock;
use crate::verify::{Outcome, Payload, Report, check};
use clap::Args;
use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write, stdin, stdout};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Bytes of a payload or of headers that are read.
const BYTES_MAX: u64 = 64 << 20;

/// Check a payload's signatures, as a receiver does
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  anyhook verify payload.json --secret whsec_…
  anyhook verify payload.json --headers headers.txt     (the secret from ANYHOOK_WORKSPACE_SECRET)
  curl -s … | anyhook verify --header 'webhook-id: …' --header 'webhook-timestamp: …' --header 'webhook-signature: …'

sig and sig256 are HMAC-SHA1 and HMAC-SHA256 of the data array's exact bytes followed by the nonce. The Standard
Webhooks headers sign the whole body, so save it as it came, before parsing it.
The exit code is 0 if everything that is there matches, else 1.")]
pub(super) struct Arguments {
    /// The body of the delivery; - or nothing reads stdin
    payload: Option<PathBuf>,
    /// The workspace's signing secret
    #[arg(long, env = "ANYHOOK_WORKSPACE_SECRET", hide_env_values = true)]
    secret: String,
    /// A file with the delivery's headers: `name: value` lines, or a JSON object
    #[arg(long, value_name = "FILE")]
    headers: Option<PathBuf>,
    /// One header of the delivery; may be repeated
    #[arg(long, value_name = "NAME: VALUE")]
    header: Vec<String>,
}

pub(super) fn run(arguments: &Arguments) -> Result<ExitCode, CliError> {
    let body = read(arguments.payload.as_deref())?;
    let mut headers = match &arguments.headers {
        Some(path) => parse_headers(&String::from_utf8_lossy(&read(Some(path))?)),
        None => Vec::new(),
    };
    for line in &arguments.header {
        let header =
            parse_line(line).ok_or_else(|| CliError::Usage(format!("--header {line}: write it as 'name: value'")))?;
        headers.push(header);
    }
    let report = check(&body, &headers, &arguments.secret, Clock::system().now())?;
    let payload = Payload::parse(&body)?;
    let kind = payload.kind.as_deref().unwrap_or("no type");
    let mut out = stdout().lock();
    let count = payload.objects()?.len();
    writeln!(out, "{kind}, {count} object{}, {} bytes", if count == 1 { "" } else { "s" }, body.len())?;
    write!(out, "{}", rendered(&report))?;
    Ok(if report.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The report, a line a check, the verdict last.
fn rendered(report: &Report) -> String {
    let mut text = String::new();
    for check in &report.checks {
        let (word, tone, detail) = match &check.outcome {
            Outcome::Matches(form) => ("matches", Tone::Good, form),
            Outcome::Differs(why) => ("DIFFERS", Tone::Bad, why),
            Outcome::Absent(why) => ("not checked", Tone::Faint, why),
        };
        text.push_str(&format!("  {:<18} {} ({detail})\n", check.name, toned(&format!("{word:<11}"), tone)));
    }
    for note in &report.notes {
        text.push_str(&format!("  note: {note}\n"));
    }
    let (verdict, tone) = if report.is_good() { ("verified", Tone::Good) } else { ("NOT verified", Tone::Bad) };
    text.push_str(&format!("{}\n", toned(verdict, tone)));
    text
}

/// Reads a file, or stdin for none and `-`.
fn read(path: Option<&Path>) -> Result<Vec<u8>, CliError> {
    let path = path.filter(|path| *path != Path::new("-"));
    let name = path.map_or_else(|| "stdin".to_owned(), |path| path.display().to_string());
    let mut bytes = Vec::new();
    let count = match path {
        Some(path) => fs::File::open(path).and_then(|file| file.take(BYTES_MAX + 1).read_to_end(&mut bytes)),
        None => stdin().lock().take(BYTES_MAX + 1).read_to_end(&mut bytes),
    };
    let count = count.map_err(|error| CliError::Unreadable { name: name.clone(), error })?;
    if count as u64 > BYTES_MAX {
        return Err(CliError::Usage(format!("{name} is larger than {BYTES_MAX} bytes: that is no delivery")));
    }
    Ok(bytes)
}

/// Headers as `curl -i`, a log or a JSON object has them; other lines, such as a request line, are skipped.
fn parse_headers(text: &str) -> Vec<(String, String)> {
    match serde_json::from_str::<BTreeMap<String, String>>(text) {
        Ok(headers) => headers.into_iter().collect(),
        Err(_) => text.lines().filter_map(parse_line).collect(),
    }
}

fn parse_line(line: &str) -> Option<(String, String)> {
    let (name, value) = line.split_once(':')?;
    let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    is_name.then(|| (name.to_owned(), value.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read_from_lines_and_from_json() {
        let expected = vec![("webhook-id".to_owned(), "a:b".to_owned())];
        assert_eq!(parse_headers("POST /hook HTTP/1.1\r\nwebhook-id: a:b\r\n\r\n"), expected);
        assert_eq!(parse_headers(r#"{"webhook-id": "a:b"}"#), expected);
    }
}
