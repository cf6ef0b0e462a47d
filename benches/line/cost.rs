//! What this process has cost so far, from /proc.

use std::fs;
use std::time::{Duration, Instant};

/// Clock ticks a second in /proc/self/stat (USER_HZ, 100 on every Linux this runs on).
const TICKS_PER_SECOND: f64 = 100.0;

/// CPU and wall time between two moments.
pub(crate) struct Meter {
    cpu: f64,
    wall: Instant,
}

impl Meter {
    pub(crate) fn start() -> Self {
        Meter { cpu: cpu_seconds(), wall: Instant::now() }
    }

    pub(crate) fn cpu_seconds(&self) -> f64 {
        cpu_seconds() - self.cpu
    }

    pub(crate) fn wall(&self) -> Duration {
        self.wall.elapsed()
    }
}

/// User and system time of this process, all threads.
fn cpu_seconds() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let behind_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let field = |index: usize| behind_name.split_whitespace().nth(index).and_then(|text| text.parse::<f64>().ok());
    (field(11).unwrap_or(0.0) + field(12).unwrap_or(0.0)) / TICKS_PER_SECOND
}

/// The most memory this process has held, in MiB.
pub(crate) fn peak_memory_mib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|text| text.parse::<u64>().ok()).unwrap_or(0) / 1024
}

/// Bytes of the files in a directory, all levels.
pub(crate) fn directory_bytes(path: &std::path::Path) -> u64 {
    let Ok(entries) = fs::read_dir(path) else { return 0 };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(meta) if meta.is_dir() => directory_bytes(&entry.path()),
            Ok(meta) => meta.len(),
            Err(_) => 0,
        })
        .sum()
}
