//! What a run hands over: plain numbers, as JSON from the child to its parent and into the file of raw results.
//!
//! Totals are stored, ratios are methods: whoever reads the file can compute others.

use serde::{Deserialize, Serialize};

use crate::engine::EngineName;
use crate::latency::LatencySummary;
use crate::measure::Spent;
use crate::phase::{Phase, Scenario};
use crate::records::KEY_BYTES;

/// One scenario of one engine, run once.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct RunReport {
    /// Which engine.
    pub(crate) engine: EngineName,
    /// What was run.
    pub(crate) scenario: Scenario,
    /// Bytes of every value.
    pub(crate) value_bytes: usize,
    /// Records filled.
    pub(crate) records: u64,
    /// Bytes of the cache.
    pub(crate) cache_bytes: u64,
    /// Which alternation it belongs to, from 0.
    pub(crate) round: u32,
    /// The phases that were asked for, in order.
    pub(crate) phases: Vec<PhaseReport>,
}

/// One phase.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct PhaseReport {
    /// Which one.
    pub(crate) phase: Phase,
    /// Client threads.
    pub(crate) threads: usize,
    /// Operations done; entries seen, for a scan.
    pub(crate) operations: u64,
    /// Bytes of keys and values that clients wrote.
    pub(crate) user_bytes_written: u64,
    /// CPU of the client threads alone, in seconds.
    pub(crate) client_cpu_seconds: f64,
    /// Latencies; none for a scan.
    pub(crate) latency: Option<LatencySummary>,
    /// What the phase took.
    pub(crate) cost: Cost,
    /// What it left to do.
    pub(crate) settle: Option<Cost>,
    /// Bytes that the device took during the phase and its settling, from everybody; not counted for reads.
    pub(crate) device_write_bytes: Option<u64>,
    /// Largest resident set, in bytes.
    pub(crate) peak_memory_bytes: u64,
    /// Bytes on disk after the phase and its settling.
    pub(crate) disk_bytes: u64,
    /// Bytes of keys and values that a reader can see.
    pub(crate) live_bytes: u64,
    /// The engine's own words.
    pub(crate) notes: String,
}

/// Totals of a stretch of time.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Cost {
    /// Wall-clock seconds.
    pub(crate) seconds: f64,
    /// CPU seconds of the whole process.
    pub(crate) cpu_seconds: f64,
    /// Bytes fetched from the device.
    pub(crate) read_bytes: u64,
    /// Bytes sent to the device.
    pub(crate) write_bytes: u64,
    /// Share of the machine taken by its host.
    pub(crate) steal_share: f64,
    /// Share of the machine used by other processes and the kernel.
    pub(crate) others_share: f64,
}

impl From<Spent> for Cost {
    fn from(spent: Spent) -> Cost {
        Cost {
            seconds: spent.wall.as_secs_f64(),
            cpu_seconds: spent.cpu.as_secs_f64(),
            read_bytes: spent.read_bytes,
            write_bytes: spent.write_bytes,
            steal_share: spent.steal_share,
            others_share: spent.others_share,
        }
    }
}

impl RunReport {
    /// Bytes of keys and values of all records.
    pub(crate) fn live_bytes(records: u64, value_bytes: usize) -> u64 {
        records * (KEY_BYTES + value_bytes) as u64
    }
}

impl PhaseReport {
    /// Operations per second, without settling.
    pub(crate) fn rate(&self) -> f64 {
        self.operations as f64 / self.cost.seconds
    }

    /// CPU microseconds of the process per operation, without settling.
    pub(crate) fn cpu_us(&self) -> f64 {
        self.cost.cpu_seconds * 1e6 / self.operations as f64
    }

    /// CPU microseconds of the process per operation, with settling.
    pub(crate) fn cpu_us_settled(&self) -> f64 {
        let settle = self.settle.unwrap_or_default();
        (self.cost.cpu_seconds + settle.cpu_seconds) * 1e6 / self.operations as f64
    }

    /// CPU microseconds of the clients per operation.
    pub(crate) fn client_cpu_us(&self) -> f64 {
        self.client_cpu_seconds * 1e6 / self.operations as f64
    }

    /// Bytes sent to the device, with settling: the smaller of two bounds from above.
    ///
    /// The process's own count takes a whole folio of the page cache, which can be 1 MiB, for one changed byte in it,
    /// and pages of files that are gone before they are written back. The device's count takes what others write.
    pub(crate) fn written_bytes(&self) -> u64 {
        let own = self.cost.write_bytes + self.settle.unwrap_or_default().write_bytes;
        own.min(self.device_write_bytes.unwrap_or(u64::MAX))
    }

    /// Bytes sent to the device, with settling, per byte that a client wrote; `None` if none wrote.
    pub(crate) fn write_amplification(&self) -> Option<f64> {
        let written = self.written_bytes() as f64;
        (self.user_bytes_written > 0).then(|| written / self.user_bytes_written as f64)
    }

    /// Bytes on disk per live byte; `None` where no live bytes are known.
    pub(crate) fn space_amplification(&self) -> Option<f64> {
        (self.live_bytes > 0).then(|| self.disk_bytes as f64 / self.live_bytes as f64)
    }

    /// Bytes fetched from the device per operation.
    pub(crate) fn read_bytes_per_operation(&self) -> f64 {
        self.cost.read_bytes as f64 / self.operations as f64
    }
}
