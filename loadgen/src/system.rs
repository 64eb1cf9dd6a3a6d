//! What the system says of processes and of itself: `/proc`, and nothing where there is none.
//!
//! Invariants
//! - A process that has ended is `None`, never zero.

use std::fs;

use serde::{Deserialize, Serialize};

use crate::measure::Usage;

#[cfg(test)]
mod tests;

/// The machine that a report was made on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Machine {
    pub(crate) host: String,
    pub(crate) system: String,
    pub(crate) kernel: String,
    pub(crate) architecture: String,
    pub(crate) processor: String,
    pub(crate) cores: usize,
    pub(crate) memory_bytes: u64,
}

/// What process `pid` has spent since it began; this one with `None`.
pub(crate) fn usage(pid: Option<u32>) -> Option<Usage> {
    let folder = pid.map_or_else(|| "/proc/self".to_owned(), |pid| format!("/proc/{pid}"));
    let stat = fs::read_to_string(format!("{folder}/stat")).ok()?;
    let memory = fs::read_to_string(format!("{folder}/statm")).ok()?;
    let ticks = rustix::param::clock_ticks_per_second();
    let page = u64::try_from(rustix::param::page_size()).ok()?;
    parse_usage(&stat, &memory, (ticks, page))
}

/// Reads `stat` and `statm`; `units` are ticks per second and bytes per page.
fn parse_usage(stat: &str, statm: &str, (ticks, page): (u64, u64)) -> Option<Usage> {
    // The name is in parentheses and may hold anything, parentheses too.
    let (_, rest) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let field = |place: usize| fields.get(place)?.parse::<u64>().ok();
    // Fields 14 and 15 of proc(5), where the state behind the name is field 3.
    let spent = field(11)? + field(12)?;
    let resident: u64 = statm.split_whitespace().nth(1)?.parse().ok()?;
    Some(Usage { cpu_seconds: spent as f64 / ticks as f64, memory_bytes: resident * page })
}

/// This machine.
pub(crate) fn machine() -> Machine {
    let names = rustix::system::uname();
    let text = |name: &std::ffi::CStr| name.to_string_lossy().into_owned();
    let processors = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kib: u64 = value_of(&memory, "MemTotal")
        .and_then(|text| text.split_whitespace().next()?.parse().ok())
        .unwrap_or(0);
    Machine {
        host: text(names.nodename()),
        system: text(names.sysname()),
        kernel: text(names.release()),
        architecture: text(names.machine()),
        processor: value_of(&processors, "model name").unwrap_or_default().to_owned(),
        cores: std::thread::available_parallelism().map_or(1, usize::from),
        memory_bytes: kib * 1_024,
    }
}

/// The value of the first line `name: value`.
fn value_of<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let mut pairs = text.lines().filter_map(|line| line.split_once(':'));
    pairs.find(|(key, _)| key.trim() == name).map(|(_, value)| value.trim())
}
