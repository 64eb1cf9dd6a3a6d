//! Opens an image and judges what comes back.
//!
//! 1. The store opens: a legal image is never corrupt.
//! 2. Its sequence number ends at a batch that may be there, and not before one that must be.
//! 3. Scan and gets show exactly what that prefix of batches holds.
//! 4. Only the files that the store needs are left.
//! 5. After a power loss that takes everything the recovery did not sync, a second recovery finds the same.
//! 6. The store then takes a write, flushes, compacts and relocates all that is due, and closes; nothing is left over then
//!    either.
//!
//! Invariant: judging changes nothing but its own image.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use atoll_storage::{Budget, Engine, Progress, ScanLimit};

use crate::disk::{SimDisk, Survival, Volume};
use crate::prng::Prng;

use super::Wrap;
use super::workload::{Concat, Content, Model, Step, Workload};

/// `LOCK`, `CURRENT`, a manifest and a log segment.
const FILES_BESIDE_DATA: u64 = 4;

/// A log segment that maintenance has prepared ahead.
const SPARE_SEGMENTS_MAX: u64 = 1;

/// What an image may hold, in batches.
#[derive(Clone, Copy)]
pub(super) struct Expectation<'a> {
    pub(super) workload: &'a Workload,
    pub(super) model: &'a Model,
    pub(super) at_least: usize,
    pub(super) at_most: usize,
}

impl Expectation<'_> {
    /// Two expectations with equal hashes accept the same stores.
    pub(super) fn hash(&self) -> u64 {
        self.model.hash(self.at_least, self.at_most)
    }

    /// Judges an image; returns the batches found in it, or what is wrong.
    pub(super) fn judge(&self, image: &Volume, wrap: Wrap<'_>) -> Result<usize, String> {
        let judged = catch_unwind(AssertUnwindSafe(|| self.judge_image(image, wrap)));
        judged.unwrap_or_else(|panic| Err(format!("panic: {}", panic_text(&*panic))))
    }

    fn judge_image(&self, image: &Volume, wrap: Wrap<'_>) -> Result<usize, String> {
        let disk = holding(image.clone());
        let engine = self.open(&disk, wrap)?;
        let found = self.found(&engine)?;
        check_files(&disk, &engine, FILES_BESIDE_DATA)?;
        drop(engine);
        let volume = disk.volume();
        let unsynced = volume.unsynced();
        let second = holding(volume.image(&unsynced, &Survival::nothing(unsynced.len())));
        let engine = self.open(&second, wrap).map_err(|problem| format!("again: {problem}"))?;
        let again = self.found(&engine).map_err(|problem| format!("again: {problem}"))?;
        if again != found {
            return Err(format!("one recovery found {found} batches, the next one {again}"));
        }
        self.check_usable(&engine, found).map_err(|error| format!("after recovery: {error}"))?;
        check_files(&second, &engine, FILES_BESIDE_DATA + SPARE_SEGMENTS_MAX)
            .map_err(|problem| format!("after recovery: {problem}"))?;
        Ok(found)
    }

    fn open(&self, disk: &SimDisk, wrap: Wrap<'_>) -> Result<Engine, String> {
        let opened = Engine::open(wrap(disk.clone()), self.workload.options(), Arc::new(Concat));
        opened.map_err(|error| format!("does not open: {error}"))
    }

    /// The number of batches that the store holds.
    fn found(&self, engine: &Engine) -> Result<usize, String> {
        let sequence = engine.statistics().sequence_visible;
        let Some(found) = self.model.batches_at(sequence) else {
            return Err(format!("sequence number {sequence} is not the end of any batch"));
        };
        let (low, high) = (self.at_least, self.at_most);
        if found < low {
            return Err(format!("{found} batches came back, and {low} were promised"));
        }
        if found > high {
            return Err(format!("{found} batches came back, and only {high} were written"));
        }
        check_content(engine, self.model.content(found))?;
        Ok(found)
    }

    fn check_usable(&self, engine: &Engine, found: usize) -> Result<(), String> {
        let mut model = self.model.upto(found);
        let batch = model.write(Step::Pair).unwrap_or_default();
        engine.write(batch).map_err(|error| format!("write: {error}"))?;
        engine.sync().map_err(|error| format!("sync: {error}"))?;
        while engine.maintain(Budget { bytes: 1 }).map_err(|error| format!("maintain: {error}"))?
            != Progress::Idle
        {}
        engine.close().map_err(|error| format!("close: {error}"))?;
        check_content(engine, model.content(model.batches()))
    }
}

fn holding(volume: Volume) -> SimDisk {
    SimDisk::holding(volume, Prng::stream(0, "a disk without chance"))
}

/// Tables and value files are there, and beside them `others` files at most.
fn check_files(disk: &SimDisk, engine: &Engine, others: u64) -> Result<(), String> {
    let statistics = engine.statistics();
    let allowed = statistics.tables + statistics.value_files + others;
    let names = disk.names();
    if names.len() as u64 > allowed {
        return Err(format!("more than {allowed} files are left: {}", names.join(" ")));
    }
    Ok(())
}

fn check_content(engine: &Engine, expected: &Content) -> Result<(), String> {
    let limit = ScanLimit { entries_max: 100, bytes_max: 1 << 20 };
    let page = engine.scan(&b""[..]..b"~", limit).map_err(|error| format!("scan: {error}"))?;
    let found: Content =
        page.entries.iter().map(|(key, value)| (key.to_vec(), value.to_vec())).collect();
    if found != *expected {
        return Err(format!("holds {}, and not {}", text(&found), text(expected)));
    }
    for key in [&b"a"[..], b"b"] {
        let value = engine.get(key).map_err(|error| format!("get: {error}"))?;
        if value.as_deref() != expected.get(key).map(Vec::as_slice) {
            return Err("a get and a scan disagree".to_owned());
        }
    }
    Ok(())
}

/// Keys with the printable ends of their values.
fn text(content: &Content) -> String {
    let printable = |value: &[u8]| {
        let ends = value.iter().filter(|byte| byte.is_ascii_digit() || b"+:".contains(byte));
        let text: String = ends.map(|byte| char::from(*byte)).collect();
        format!("{text} ({} bytes)", value.len())
    };
    let entries = content
        .iter()
        .map(|(key, value)| format!("{}={}", String::from_utf8_lossy(key), printable(value)));
    format!("{{{}}}", entries.collect::<Vec<_>>().join(", "))
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no text").to_owned()
}
