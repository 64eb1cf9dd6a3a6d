//! What a phase costs: CPU of the process and of the machine, device bytes, peak memory.
//!
//! 1. [`Usage::now`] before and after; [`Usage::since`] is the difference.
//! 2. [`reset_peak_memory`] before, [`peak_memory_bytes`] after.
//!
//! `write_bytes` counts a page when it becomes dirty, and direct I/O when it is submitted; where a file's pages are kept
//! in large folios it counts the whole folio, which is why the device's count is taken as well. `read_bytes` counts what was really fetched from the device.
//!
//! Source: proc(5): `/proc/self/io`, `/proc/self/clear_refs`, `/proc/self/status`, `/proc/stat`.

use std::fs;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use crate::Outcome;

/// `/proc/stat` counts in USER_HZ, which is 100 on every Linux of today.
const TICKS_PER_SECOND: f64 = 100.0;

/// Running totals at one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    at: Instant,
    cpu: Duration,
    read_bytes: u64,
    write_bytes: u64,
    machine: MachineTicks,
}

/// The difference of two [`Usage`]s.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spent {
    /// Wall-clock time.
    pub(crate) wall: Duration,
    /// User and system time of all threads of this process.
    pub(crate) cpu: Duration,
    /// Bytes fetched from the device.
    pub(crate) read_bytes: u64,
    /// Bytes sent to the device.
    pub(crate) write_bytes: u64,
    /// Share of the machine that its host took away, 0 to 1.
    pub(crate) steal_share: f64,
    /// Share of the machine that other processes (and the kernel's own threads) used, 0 to 1.
    pub(crate) others_share: f64,
}

#[derive(Clone, Copy, Debug, Default)]
struct MachineTicks {
    total: u64,
    busy: u64,
    steal: u64,
}

impl Usage {
    /// Reads the counters.
    pub(crate) fn now() -> Outcome<Usage> {
        let io = fs::read_to_string("/proc/self/io")?;
        let machine = MachineTicks::parse(&fs::read_to_string("/proc/stat")?);
        Ok(Usage {
            at: Instant::now(),
            cpu: clock(ClockId::ProcessCPUTime),
            read_bytes: field(&io, "read_bytes:").unwrap_or(0),
            write_bytes: field(&io, "write_bytes:").unwrap_or(0),
            machine,
        })
    }

    /// What was used after `earlier`.
    pub(crate) fn since(&self, earlier: &Usage) -> Spent {
        let cpu = self.cpu.saturating_sub(earlier.cpu);
        let ticks = |of: fn(&MachineTicks) -> u64| {
            of(&self.machine).saturating_sub(of(&earlier.machine)) as f64
        };
        let total = ticks(|machine| machine.total).max(1.0);
        let own = cpu.as_secs_f64() * TICKS_PER_SECOND;
        Spent {
            wall: self.at.duration_since(earlier.at),
            cpu,
            read_bytes: self.read_bytes - earlier.read_bytes,
            write_bytes: self.write_bytes - earlier.write_bytes,
            steal_share: ticks(|machine| machine.steal) / total,
            others_share: ((ticks(|machine| machine.busy) - own) / total).max(0.0),
        }
    }
}

impl MachineTicks {
    /// Fields of the first line: user nice system idle iowait irq softirq steal (guest time is part of user).
    fn parse(stat: &str) -> MachineTicks {
        let line = stat.lines().next().unwrap_or_default();
        let ticks: Vec<u64> =
            line.split_whitespace().skip(1).take(8).filter_map(|word| word.parse().ok()).collect();
        let [user, nice, system, idle, iowait, irq, softirq, steal] = ticks[..] else {
            return MachineTicks::default();
        };
        let busy = user + nice + system + irq + softirq;
        MachineTicks { total: busy + idle + iowait + steal, busy, steal }
    }
}

/// CPU time of the calling thread.
pub(crate) fn thread_cpu() -> Duration {
    clock(ClockId::ThreadCPUTime)
}

/// Lets [`peak_memory_bytes`] begin again at the present size.
pub(crate) fn reset_peak_memory() -> Outcome<()> {
    Ok(fs::write("/proc/self/clear_refs", "5")?)
}

/// The largest resident set since the last reset.
pub(crate) fn peak_memory_bytes() -> Outcome<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    Ok(field(&status, "VmHWM:").unwrap_or(0) * 1_024)
}

fn clock(id: ClockId) -> Duration {
    let time = clock_gettime(id);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// The number after `name` at the start of a line.
fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{MachineTicks, field};

    #[test]
    fn fields_are_found_by_their_whole_name() {
        let io = "rchar: 1\nread_bytes: 22\nwrite_bytes: 333\ncancelled_write_bytes: 4\n";
        assert_eq!(field(io, "read_bytes:"), Some(22));
        assert_eq!(field(io, "write_bytes:"), Some(333));
        assert_eq!(field("VmHWM:\t  1024 kB\n", "VmHWM:"), Some(1_024));
    }

    #[test]
    fn steal_is_not_busy() {
        let ticks = MachineTicks::parse("cpu  10 1 5 70 4 1 1 8 3 0\ncpu0 1 1 1 1 1 1 1 1 1 1\n");
        assert_eq!((ticks.total, ticks.busy, ticks.steal), (100, 18, 8));
    }
}
