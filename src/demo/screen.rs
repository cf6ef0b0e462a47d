//! What the demo shows: a progress bar and colours on a terminal, plain lines anywhere else.

use super::compare::Difference;
use super::stage::{Changes, INTERVAL_MS, Stage};
use super::tally::{Arrival, Hook, Tally};
use super::{DemoError, Options};
use crate::cli::output::{Tone, toned};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{IsTerminal, Write, stdout};

/// Ids of lost records that are named.
const NAMED_MAX: usize = 5;

/// Where the demo is shown.
pub(super) struct Screen {
    bar: Option<ProgressBar>,
    /// The tenth of the history that was told of last, where there is no bar.
    tenth: usize,
}

/// A number with its thousands set apart.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn counted(count: usize, word: &str) -> String {
    format!("{} {word}{}", grouped(count), if count == 1 { "" } else { "s" })
}

fn contacts(count: usize) -> String {
    counted(count, "contact")
}

fn payloads(count: usize) -> String {
    counted(count, "payload")
}

/// One delivery in one line, without tones.
fn described(arrival: &Arrival) -> String {
    let hook = match arrival.hook {
        Hook::Updated => "updated",
        Hook::Deleted => "deleted",
    };
    let new = match arrival.hook {
        Hook::Updated if arrival.new > 0 => format!(" ({} new)", arrival.new),
        _ => String::new(),
    };
    let what = format!("{}{new}", contacts(arrival.objects));
    let latency = arrival.latency_ms.map(|ms| format!("{ms} ms")).unwrap_or_default();
    format!("{}  {:<8} {hook}  {what:<24} {latency:>8}", arrival.at.format("%H:%M:%S%.3f"), arrival.kind.as_str())
}

fn line(text: &str) -> Result<(), DemoError> {
    let mut out = stdout().lock();
    writeln!(out, "{text}").and_then(|()| out.flush()).map_err(DemoError::Output)
}

impl Screen {
    pub(super) fn new() -> Self {
        Screen { bar: None, tenth: 0 }
    }

    /// Who takes part.
    pub(super) fn opening(&self, stage: &Stage, options: Options) -> Result<(), DemoError> {
        line(&toned(
            "Anyhook demo: a vendor, a receiver, and Anyhook between them, all on this machine",
            Tone::Strong,
        ))?;
        line("")?;
        let records = usize::try_from(options.records).unwrap_or(usize::MAX);
        line(&format!("  vendor     {}  a simulator with {}", stage.vendor_url, contacts(records)))?;
        line(&format!("  anyhook    {}  polls the vendor every {INTERVAL_MS} ms", stage.api.url()))?;
        line(&format!("  receiver   {}  verifies every signature", stage.receiver_url))?;
        line("")
    }

    /// Something was asked of the API.
    pub(super) fn step(&self, what: &str, request: &str, came_of_it: &str) -> Result<(), DemoError> {
        line(&format!("  {what:<10} {}  {came_of_it}", toned(&format!("{request:<25}"), Tone::Faint)))
    }

    pub(super) fn history_begins(&mut self, total: usize) -> Result<(), DemoError> {
        line("")?;
        line(&toned("History: pages of INITIAL-PARTIAL, then one INITIAL-COMPLETE", Tone::Strong))?;
        if stdout().is_terminal() {
            let bar = ProgressBar::with_draw_target(Some(total as u64), ProgressDrawTarget::stdout());
            if let Ok(style) = ProgressStyle::with_template("  [{bar:40}] {human_pos}/{human_len} contacts, {elapsed}")
            {
                bar.set_style(style.progress_chars("=> "));
            }
            self.bar = Some(bar);
        }
        Ok(())
    }

    pub(super) fn history_page(&mut self, arrival: &Arrival, count: usize, total: usize) -> Result<(), DemoError> {
        if let Some(why) = &arrival.refused {
            return line(&toned(&format!("  REFUSED {why}"), Tone::Bad));
        }
        match &self.bar {
            Some(bar) => bar.set_position(count as u64),
            None => {
                let tenth = (count * 10).checked_div(total).unwrap_or(10);
                if tenth > self.tenth {
                    self.tenth = tenth;
                    line(&format!("  {:<16}  {}/{}", arrival.kind.as_str(), grouped(count), contacts(total)))?;
                }
            }
        }
        Ok(())
    }

    pub(super) fn history_ends(&mut self, count: usize, tally: &Tally) -> Result<(), DemoError> {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
        let seconds = tally.initial_ms() as f64 / 1_000.0;
        let verdict =
            if tally.refused == 0 { toned("all verified", Tone::Good) } else { toned("NOT all verified", Tone::Bad) };
        line(&format!("  {} in {} and {seconds:.1} s, {verdict}", contacts(count), payloads(tally.initial_payloads)))
    }

    pub(super) fn changes_begin(&self, options: Options) -> Result<(), DemoError> {
        line("")?;
        let title = format!(
            "Changes: about {} a second at the vendor for {} s, and how long each took to get here",
            options.changes_per_second, options.seconds
        );
        line(&toned(&title, Tone::Strong))
    }

    pub(super) fn change(&self, arrival: &Arrival) -> Result<(), DemoError> {
        let verdict = match (&arrival.refused, arrival.is_repeat) {
            (Some(why), _) => toned(&format!("REFUSED {why}"), Tone::Bad),
            (None, true) => toned("verified, a repeat", Tone::Faint),
            (None, false) => toned("verified", Tone::Good),
        };
        line(&format!("  {}  {verdict}", described(arrival)))
    }

    /// What it all came to; true if everything was verified and nothing lost.
    pub(super) fn summary(
        &self,
        tally: &Tally,
        changes: &Changes,
        vendor_calls: u64,
        difference: &Difference,
    ) -> Result<bool, DemoError> {
        let is_good = tally.refused == 0 && difference.is_none();
        line("")?;
        line(&toned("Summary", Tone::Strong))?;
        for row in summary_rows(tally, changes, vendor_calls) {
            line(&format!("  {:<14} {}", row.0, row.1))?;
        }
        let (label, verdict) = verdict(difference);
        line(&format!(
            "  {:<14} {}",
            label,
            toned(&verdict, if difference.is_none() { Tone::Good } else { Tone::Bad })
        ))?;
        Ok(is_good)
    }

    pub(super) fn how_to_go_on(&self) -> Result<(), DemoError> {
        line("")?;
        line(&toned("Go on", Tone::Strong))?;
        line("  anyhook demo --keep     the same, left running, with a key and curl lines to try the API")?;
        line("  anyhook serve           a server of your own; anyhook simulator gives it a vendor")?;
        line("  anyhook integrations    what can be connected")
    }

    /// URLs, key and requests to try while everything runs on.
    pub(super) fn how_to_try(&self, stage: &Stage, connection: &str, webhook: &str) -> Result<(), DemoError> {
        let (url, key) = (stage.api.url(), stage.api.key());
        line("")?;
        line(&toned("Left running; end it with Ctrl-C", Tone::Strong))?;
        line(&format!("  API key         {key}"))?;
        line(&format!("  signing secret  {}", stage.secret))?;
        line(&format!("  connection      {connection}"))?;
        line("")?;
        line(&format!("  curl -H 'authorization: {key}' {url}/unified/webhook/{webhook}"))?;
        line(&format!("  curl -H 'authorization: {key}' '{url}/unified/apicall?webhook_id={webhook}&limit=3'"))?;
        line(&format!("  curl {}/_control/contacts -d '{{\"first_name\": \"Ann\"}}'", stage.vendor_url))?;
        line(&format!("  curl {}/_control/settings -d '{{\"changes_per_second\": 5}}'", stage.vendor_url))
    }
}

fn summary_rows(tally: &Tally, changes: &Changes, vendor_calls: u64) -> Vec<(&'static str, String)> {
    let latency = match (tally.latency_ms(50), tally.latency_ms(99)) {
        (Some(p50), Some(p99)) => format!("p50 {p50} ms, p99 {p99} ms, from the vendor's change to the receiver"),
        _ => "no changes".to_owned(),
    };
    let signatures = match tally.refused {
        0 => format!("{} verified by sig, sig256 and Standard Webhooks", payloads(tally.verified)),
        refused => format!("{} verified, {refused} REFUSED", payloads(tally.verified)),
    };
    let made = format!("{} created, {} updated, {} deleted", changes.created, changes.updated, changes.deleted);
    vec![
        ("history", format!("{} in {}", contacts(tally.initial_objects), payloads(tally.initial_payloads))),
        ("at the vendor", made),
        ("received", format!("{} in {}", contacts(tally.later_objects), payloads(tally.later_payloads))),
        ("signatures", signatures),
        ("latency", latency),
        ("vendor calls", grouped(usize::try_from(vendor_calls).unwrap_or(usize::MAX))),
    ]
}

fn verdict(difference: &Difference) -> (&'static str, String) {
    if difference.is_none() {
        let live = contacts(difference.live);
        return ("nothing lost", format!("the receiver holds exactly what the vendor holds: {live}"));
    }
    let named = |what: &str, ids: &[String]| {
        let names = ids.iter().take(NAMED_MAX).cloned().collect::<Vec<_>>().join(" ");
        format!("{} {what} ({names})", grouped(ids.len()))
    };
    let parts =
        [("missing", &difference.missing), ("outdated", &difference.outdated), ("not deleted", &difference.undead)];
    let told: Vec<String> =
        parts.iter().filter(|(_, ids)| !ids.is_empty()).map(|(what, ids)| named(what, ids)).collect();
    ("LOST", told.join(", "))
}

#[cfg(test)]
mod tests {
    use super::super::tally::Kind;
    use super::*;
    use chrono::DateTime;

    #[test]
    fn a_delivery_is_one_line_of_the_same_columns() {
        let arrival = Arrival {
            at: DateTime::from_timestamp_millis(1_800_000_000_123).unwrap(),
            hook: Hook::Updated,
            kind: Kind::Virtual,
            objects: 7,
            new: 2,
            latency_ms: Some(142),
            is_repeat: false,
            refused: None,
        };
        assert_eq!(described(&arrival), "08:00:00.123  VIRTUAL  updated  7 contacts (2 new)         142 ms");
        let deleted = Arrival { hook: Hook::Deleted, objects: 1, new: 1, ..arrival };
        assert_eq!(described(&deleted), "08:00:00.123  VIRTUAL  deleted  1 contact                  142 ms");
    }

    #[test]
    fn what_was_lost_is_named_but_not_without_end() {
        let missing: Vec<String> = (0..1_234).map(|number| format!("c{number}")).collect();
        let difference = Difference { missing, undead: vec!["d".to_owned()], ..Difference::default() };
        assert_eq!(verdict(&difference).1, "1,234 missing (c0 c1 c2 c3 c4), 1 not deleted (d)");
        assert_eq!(verdict(&Difference { live: 1, ..Difference::default() }).0, "nothing lost");
    }
}
