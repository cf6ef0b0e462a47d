//! What a process has cost so far, from /proc.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

/// Clock ticks a second in /proc/PID/stat (USER_HZ, 100 on every Linux this runs on).
const TICKS_PER_SECOND: f64 = 100.0;

/// CPU and wall time of a process between two moments, and what it has written.
#[derive(Clone)]
pub(crate) struct Meter {
    pid: u32,
    cpu: f64,
    written: u64,
    wall: Instant,
}

impl Meter {
    /// Of this process.
    pub(crate) fn start() -> Self {
        Meter::of(std::process::id())
    }

    /// Of a process.
    pub(crate) fn of(pid: u32) -> Self {
        Meter { pid, cpu: cpu_seconds(pid), written: written_bytes(pid), wall: Instant::now() }
    }

    pub(crate) fn cpu_seconds(&self) -> f64 {
        cpu_seconds(self.pid) - self.cpu
    }

    /// Bytes that it has written to files.
    pub(crate) fn written(&self) -> u64 {
        written_bytes(self.pid).saturating_sub(self.written)
    }

    pub(crate) fn wall(&self) -> Duration {
        self.wall.elapsed()
    }
}

/// User and system time of a process, all threads.
fn cpu_seconds(pid: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let behind_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let field = |index: usize| behind_name.split_whitespace().nth(index).and_then(|text| text.parse::<f64>().ok());
    (field(11).unwrap_or(0.0) + field(12).unwrap_or(0.0)) / TICKS_PER_SECOND
}

/// Bytes that a process has caused to be written to disks, in whole pages (proc(5), "io").
fn written_bytes(pid: u32) -> u64 {
    let io = fs::read_to_string(format!("/proc/{pid}/io")).unwrap_or_default();
    io.lines().find_map(|line| line.strip_prefix("write_bytes: ")?.parse().ok()).unwrap_or(0)
}

/// The most memory this process has held, in MiB.
pub(crate) fn peak_memory_mib() -> u64 {
    peak_mib(std::process::id())
}

/// The most memory a process has held since it began, or since [`forget_peak`], in MiB.
pub(crate) fn peak_mib(pid: u32) -> u64 {
    status_mib(pid, "VmHWM:")
}

/// The memory that a process holds now, in MiB.
pub(crate) fn resident_mib(pid: u32) -> u64 {
    status_mib(pid, "VmRSS:")
}

/// Starts a process's peak anew from what it holds now (proc(5), "clear_refs").
pub(crate) fn forget_peak(pid: u32) {
    fs::write(format!("/proc/{pid}/clear_refs"), "5").expect("the peak can be reset");
}

fn status_mib(pid: u32, name: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    line.split_whitespace().next().and_then(|text| text.parse::<u64>().ok()).unwrap_or(0) / 1024
}

/// Bytes of the files in a directory, all levels.
pub(crate) fn directory_bytes(path: &Path) -> u64 {
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
