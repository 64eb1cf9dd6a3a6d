//! How long syncs took, by kind of file: since the start, and within the last minute.
//!
//! 1. Each kind has a histogram of all syncs, and a ring of histograms of ten seconds each.
//! 2. A sync goes into the first and into the slot of its moment; a slot whose time has come again is emptied first.
//! 3. A question joins the slots of the last minute: the newest may be a moment old, so that 50 to 60 seconds are covered.
//!
//! Memory: a histogram of two digits grows with what it has seen, up to 20 KiB for a span of a minute; 5 kinds of 7 are at
//! most 700 KiB, and a tenth of that on a sound device.
//!
//! Invariant: a lock is held for one record or one question, never across a sync.

use std::time::Duration;

use atoll_protocol::time::MonoTime;
use atoll_protocol::wire::{SyncKind, SyncSpans, SyncStatus};
use hdrhistogram::Histogram;
use parking_lot::Mutex;

/// Every kind, in the order of reports.
const KINDS: [SyncKind; 5] =
    [SyncKind::Log, SyncKind::Table, SyncKind::Values, SyncKind::Manifest, SyncKind::Other];

/// Longest span that is told from longer ones, in microseconds: a device that syncs for a minute is broken.
const MICROS_MAX: u64 = 60_000_000;

/// Digits that are kept of a span: 1 % is less than two measurements of one device differ.
const DIGITS: u8 = 2;

/// Slots of the last minute.
const SLOTS: usize = 6;

/// Length of a slot in nanoseconds: a sixth of a minute.
const SLOT_NANOS: u64 = 10_000_000_000;

/// Spans of syncs by kind of file.
pub struct SyncMeter {
    kinds: [(SyncKind, Mutex<Spans>); KINDS.len()],
}

impl SyncMeter {
    /// A meter that has seen nothing.
    pub fn new() -> Self {
        Self { kinds: KINDS.map(|kind| (kind, Mutex::new(Spans::new()))) }
    }

    /// A sync of a file of `kind` ended at `now` after `took`.
    pub fn record(&self, kind: SyncKind, now: MonoTime, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX).min(MICROS_MAX);
        if let Some((_, spans)) = self.kinds.iter().find(|(of, _)| *of == kind) {
            spans.lock().record(slot_number(now), micros);
        }
    }

    /// What was seen until `now`, for every kind that was synced.
    pub fn report(&self, now: MonoTime) -> Vec<SyncStatus> {
        let reports = self.kinds.iter().map(|(kind, spans)| {
            let spans = spans.lock();
            let last_minute = summary(&spans.last_minute(slot_number(now)));
            SyncStatus { kind: *kind, since_start: summary(&spans.since_start), last_minute }
        });
        reports.filter(|status| status.since_start.count > 0).collect()
    }
}

impl Default for SyncMeter {
    fn default() -> Self {
        Self::new()
    }
}

/// The spans of one kind.
struct Spans {
    since_start: Histogram<u64>,
    slots: [Slot; SLOTS],
}

/// Ten seconds.
struct Slot {
    /// Which ten seconds since the start.
    number: u64,
    spans: Histogram<u64>,
}

impl Spans {
    fn new() -> Self {
        let slots = std::array::from_fn(|number| Slot { number: number as u64, spans: empty() });
        Self { since_start: empty(), slots }
    }

    fn record(&mut self, number: u64, micros: u64) {
        add(&mut self.since_start, micros);
        let Some(slot) = self.slots.iter_mut().find(|slot| is_same_place(slot.number, number))
        else {
            unreachable!("there is a slot for every remainder");
        };
        if slot.number < number {
            slot.spans.reset();
            slot.number = number;
        }
        add(&mut slot.spans, micros);
    }

    /// All that the slots up to `number` hold of the last minute.
    fn last_minute(&self, number: u64) -> Histogram<u64> {
        let mut joined = empty();
        let oldest = number.saturating_sub(SLOTS as u64 - 1);
        for slot in self.slots.iter().filter(|slot| slot.number >= oldest) {
            // It grows as needed.
            let _ = joined.add(&slot.spans);
        }
        joined
    }
}

fn is_same_place(one: u64, other: u64) -> bool {
    one % SLOTS as u64 == other % SLOTS as u64
}

fn slot_number(now: MonoTime) -> u64 {
    now.as_nanos() / SLOT_NANOS
}

fn empty() -> Histogram<u64> {
    Histogram::new(DIGITS).expect("the digits are within 0..=5")
}

fn add(spans: &mut Histogram<u64>, micros: u64) {
    // It grows as needed, and `MICROS_MAX` is far from what it cannot grow to.
    let _ = spans.record(micros);
}

fn summary(spans: &Histogram<u64>) -> SyncSpans {
    if spans.is_empty() {
        return SyncSpans::default();
    }
    SyncSpans {
        count: spans.len(),
        p50_us: spans.value_at_quantile(0.5),
        p99_us: spans.value_at_quantile(0.99),
        max_us: spans.max(),
    }
}
