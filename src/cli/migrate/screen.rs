//! What a move shows: what it does, how far it is, and how the two sides compare.

use super::CliError;
use super::place::Place;
use crate::cli::output::{Tone, toned};
use crate::store::MoveState;
use crate::store::kv::engine::Tree;
use crate::store::moving::{Begun, Sum, Watch};
use comfy_table::{Table, presets};
use indicatif::{HumanBytes, HumanCount, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{IsTerminal, Write, stdout};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How often the bar is drawn while nothing goes on.
const TICK: Duration = Duration::from_millis(200);

/// Where a move is shown.
pub(super) struct Screen {
    bar: ProgressBar,
    bytes: AtomicU64,
    began: Instant,
}

fn line(text: &str) -> Result<(), CliError> {
    let mut out = stdout().lock();
    Ok(writeln!(out, "{text}").and_then(|()| out.flush())?)
}

/// Rows and bytes, and how many of them a second.
fn speed(rows: u64, bytes: u64, took: Duration) -> String {
    let seconds = took.as_secs_f64().max(0.001);
    let each = |count: u64| count as f64 / seconds;
    format!(
        "{} rows, {:.1} MB in {seconds:.1} s ({} rows/s, {:.1} MB/s)",
        HumanCount(rows),
        bytes as f64 / 1e6,
        HumanCount(each(rows) as u64),
        each(bytes) / 1e6
    )
}

impl Screen {
    pub(super) fn new() -> Self {
        Screen { bar: ProgressBar::hidden(), bytes: AtomicU64::new(0), began: Instant::now() }
    }

    pub(super) fn opening(&self, from: &Place, to: &Place) -> Result<(), CliError> {
        line(&format!("  from       {}", from.name()))?;
        line(&format!("  to         {}", to.name()))
    }

    /// Something begins that takes a while. There is a bar only where a person looks on.
    fn start(&mut self, what: &'static str) {
        self.bytes.store(0, Ordering::Relaxed);
        self.began = Instant::now();
        if stdout().is_terminal() {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stdout()).with_prefix(what);
            if let Ok(style) =
                ProgressStyle::with_template("  {prefix:<10} {spinner} {human_pos} rows, {per_sec}, {elapsed}  {msg}")
            {
                bar.set_style(style);
            }
            bar.enable_steady_tick(TICK);
            self.bar = bar;
        }
    }

    pub(super) fn copying(&mut self, begun: &Begun) -> Result<(), CliError> {
        if let (true, MoveState::Arriving(at)) = (begun.is_resumed, &begun.row.state) {
            line(&format!(
                "  resumed    a move that began at {}, {} rows of which are there",
                begun.row.began_at.format("%Y-%m-%dT%H:%M:%SZ"),
                HumanCount(at.rows)
            ))?;
        }
        self.start("copying");
        Ok(())
    }

    pub(super) fn copied(&self, sum: Sum) -> Result<(), CliError> {
        self.bar.finish_and_clear();
        line(&format!("  copied     {}", speed(sum.rows, sum.bytes, self.began.elapsed())))
    }

    pub(super) fn verifying(&mut self) -> Result<(), CliError> {
        self.start("verifying");
        Ok(())
    }

    /// How the sides compare, a line a tree; true if they hold the same.
    pub(super) fn verified(&self, pairs: &[(&'static str, Sum, Sum)]) -> Result<bool, CliError> {
        self.bar.finish_and_clear();
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        table.set_header(["TREE", "ROWS", "BYTES", "CHECKSUM", "TARGET"]);
        let (mut all, mut differing) = (Sum::default(), Vec::new());
        for (tree, here, there) in pairs.iter().filter(|(_, here, there)| here.rows + there.rows > 0) {
            all.rows += here.rows;
            all.bytes += here.bytes;
            let verdict = if here == there {
                "the same".to_owned()
            } else {
                differing.push(*tree);
                format!("DIFFERS: {} rows, {} bytes, {:032x}", there.rows, there.bytes, there.checksum)
            };
            let checksum = format!("{:032x}", here.checksum);
            table.add_row([(*tree).to_owned(), here.rows.to_string(), here.bytes.to_string(), checksum, verdict]);
        }
        line(&table.trim_fmt())?;
        line(&format!("  compared   {}, twice", speed(all.rows, all.bytes, self.began.elapsed())))?;
        let (verdict, tone) = match differing.is_empty() {
            true => ("verified: both hold the same".to_owned(), Tone::Good),
            false => (format!("NOT the same: {}", differing.join(", ")), Tone::Bad),
        };
        line(&format!("  {}", toned(&verdict, tone)))?;
        Ok(differing.is_empty())
    }

    pub(super) fn not_moved(&self, to: &Place) -> Result<(), CliError> {
        line(&format!(
            "  The source stays as it is, and no server starts on the target. Give the move up by {},",
            to.give_up()
        ))?;
        line("  and begin it anew.")
    }

    pub(super) fn moved(&self, from: &Place, to: &Place) -> Result<(), CliError> {
        line(&format!("  {} is marked as moved: no server starts on it.", from.name()))?;
        line(&format!("  Start with {}, by the same master key{}.", to.name(), key_hint(from, to)))
    }
}

/// How the master key gets from one side to the other.
fn key_hint(from: &Place, to: &Place) -> &'static str {
    match (from.directory(), to.directory()) {
        (Some(_), None) => ": what is in master.key of the data directory is ANYHOOK_MASTER_KEY of each node",
        (Some(_), Some(_)) => ": copy master.key beside it, or set ANYHOOK_MASTER_KEY",
        (None, _) => " in ANYHOOK_MASTER_KEY",
    }
}

impl Watch for Screen {
    fn went(&self, tree: Tree, rows: u64, bytes: u64) {
        let bytes = self.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        self.bar.set_message(format!("{}  {}", HumanBytes(bytes), tree.name()));
        self.bar.inc(rows);
    }
}
