//! The storage engine through lives of failing calls, full disks, kills and power losses.
//!
//! The enumerator crashes it on sound disks; here syncs fail, pages are lost although they are clean, and the next
//! process goes on with what is left. Single-threaded, so that batches have one order.
//!
//! Invariant checked: what a life finds is a prefix of the batches that may have been written, with every batch that
//! the loss must spare.

mod damage;

use std::collections::BTreeMap;
use std::sync::Arc;

use atoll_storage::{
    Batch, Budget, Durability, Engine, Error, MergeError, MergeOperator, Options, ScanLimit,
};
use bytes::Bytes;

use super::MIB;
use crate::disk::{DiskFaults, Loss, SimDisk, Space};
use crate::prng::Prng;

const SEEDS: u64 = 100;
const LIVES: usize = 8;
const STEPS: u64 = 40;

type Content = BTreeMap<Vec<u8>, Vec<u8>>;

struct Concat;

impl MergeOperator for Concat {
    fn merge(
        &self,
        _key: &[u8],
        existing: Option<&Bytes>,
        operands: &[Bytes],
    ) -> Result<Bytes, MergeError> {
        Ok(existing.into_iter().chain(operands).flatten().copied().collect())
    }
}

#[test]
fn the_engine_keeps_its_promises_on_a_failing_disk() {
    let mut lives = Lives::default();
    for seed in 0..SEEDS {
        Story::new(seed).run(&mut lives);
    }
    assert!(lives.opened > 300 && lives.refused > 20 && lives.poisoned > 50, "{lives:?}");
}

#[derive(Debug, Default)]
struct Lives {
    opened: u64,
    refused: u64,
    poisoned: u64,
}

struct Story {
    seed: u64,
    prng: Prng,
    durability: Durability,
    /// What the store holds after each batch that may be there, since the last batch known to be found.
    states: Vec<Content>,
    acknowledged: usize,
    durable: usize,
    mark: u64,
}

impl Story {
    fn new(seed: u64) -> Self {
        let durability =
            if seed.is_multiple_of(2) { Durability::Fsync } else { Durability::Periodic };
        Self {
            seed,
            prng: Prng::stream(seed, "story"),
            durability,
            states: vec![Content::new()],
            acknowledged: 0,
            durable: 0,
            mark: 0,
        }
    }

    fn run(&mut self, lives: &mut Lives) {
        let mut disk = SimDisk::new(Prng::stream(self.seed, "disk"), 4 * MIB);
        for life in 0..LIVES {
            let sound = life + 1 == LIVES || self.prng.per_mille(500);
            let faults = if sound { DiskFaults::default() } else { self.faults() };
            disk.set_faults(faults);
            if self.prng.per_mille(500) && life + 1 < LIVES {
                disk.halt_after(self.prng.between(1, 400));
            }
            match open(&disk, self.durability) {
                Ok(engine) => {
                    lives.opened += 1;
                    disk.set_faults(DiskFaults::default());
                    if self.check(life, &engine, &disk) {
                        disk.set_faults(faults);
                        self.live(&engine, &disk, lives);
                    }
                }
                Err(Error::Corrupt { file, offset, what }) => {
                    panic!("seed {} life {life}: {file} at {offset}: {what}", self.seed)
                }
                Err(error) => {
                    assert!(!sound || disk.is_halted(), "seed {}: {error}", self.seed);
                    lives.refused += 1;
                }
            }
            let loss = *self.prng.pick(&[Loss::ProcessKilled, Loss::PowerLost]).unwrap();
            if loss == Loss::PowerLost {
                self.acknowledged = self.durable;
            }
            disk = disk.crash(loss);
        }
    }

    fn faults(&mut self) -> DiskFaults {
        let mut rate = || if self.prng.per_mille(400) { 30 } else { 0 };
        DiskFaults {
            read_per_mille: rate(),
            write_per_mille: rate(),
            sync_per_mille: rate(),
            sync_dir_per_mille: rate(),
            space: if false { Space::Full } else { Space::Room },
        }
    }

    /// Finds out which prefix is there, to go on from it; false if the process died meanwhile.
    fn check(&mut self, life: usize, engine: &Engine, disk: &SimDisk) -> bool {
        let limit = ScanLimit { entries_max: 100, bytes_max: 1 << 20 };
        let page = match engine.scan(&b""[..]..b"~", limit) {
            Ok(page) => page,
            Err(error) => {
                assert!(disk.is_halted(), "seed {} life {life}: {error}", self.seed);
                return false;
            }
        };
        let found: Content =
            page.entries.iter().map(|(key, value)| (key.to_vec(), value.to_vec())).collect();
        let allowed: Vec<&Content> = self.states.iter().skip(self.acknowledged).collect();
        let text = || (text(&found), allowed.iter().map(|state| text(state)).collect::<Vec<_>>());
        assert!(allowed.contains(&&found), "seed {} life {life}: {:#?}", self.seed, text());
        // Recovery has made it durable.
        self.states = vec![found];
        (self.acknowledged, self.durable) = (0, 0);
        true
    }

    fn live(&mut self, engine: &Engine, disk: &SimDisk, lives: &mut Lives) {
        for _ in 0..self.prng.between(1, STEPS) {
            if self.prng.per_mille(30) {
                disk.set_faults(DiskFaults { space: Space::Full, ..DiskFaults::default() });
            } else if self.prng.per_mille(30) {
                disk.set_faults(DiskFaults::default());
            }
            let outcome = match self.prng.below(10) {
                0..7 => self.write(engine),
                7 | 8 => engine.maintain(Budget { bytes: 1 }).map(drop),
                _ => self.sync(engine),
            };
            match outcome {
                Err(Error::Poisoned { .. }) => {
                    lives.poisoned += 1;
                    return;
                }
                Err(error @ (Error::Corrupt { .. } | Error::Closed)) => {
                    panic!("seed {}: {error}", self.seed)
                }
                Err(_) | Ok(()) => {}
            }
        }
        if self.prng.per_mille(300) && engine.close().is_ok() {
            self.acknowledged = self.states.len() - 1;
            self.durable = self.acknowledged;
        }
    }

    fn write(&mut self, engine: &Engine) -> Result<(), Error> {
        self.mark += 1;
        let mut content = self.states.last().unwrap().clone();
        let mut batch = Batch::new();
        for _ in 0..self.prng.between(1, 2) {
            let key = format!("key{}", self.prng.below(6)).into_bytes();
            let value = format!("{}.", self.mark).into_bytes();
            match self.prng.below(4) {
                0 | 1 => {
                    let value = value.repeat(self.prng.index(100) + 1);
                    batch.put(&key, &value);
                    content.insert(key, value);
                }
                2 => {
                    batch.merge(&key, &value);
                    content.entry(key).or_default().extend(value);
                }
                _ => {
                    batch.delete(&key);
                    content.remove(&key);
                }
            }
        }
        let outcome = engine.write(batch);
        let may_be_there = outcome.as_ref().err().is_none_or(Error::may_have_applied);
        if may_be_there {
            self.states.push(content);
        }
        outcome?;
        self.acknowledged = self.states.len() - 1;
        if self.durability == Durability::Fsync {
            self.durable = self.acknowledged;
        }
        Ok(())
    }

    fn sync(&mut self, engine: &Engine) -> Result<(), Error> {
        engine.sync()?;
        self.durable = self.acknowledged;
        Ok(())
    }
}

/// Each key with the batches in its value, once each.
fn text(content: &Content) -> String {
    let marks = |value: &[u8]| {
        let text = String::from_utf8_lossy(value).into_owned();
        let mut marks: Vec<&str> = text.split('.').collect();
        marks.dedup();
        marks.join(".")
    };
    let entries = content
        .iter()
        .map(|(key, value)| format!("{}={}", String::from_utf8_lossy(key), marks(value)));
    entries.collect::<Vec<_>>().join(" ")
}

fn open(disk: &SimDisk, durability: Durability) -> Result<Engine, Error> {
    let options = Options {
        memtable_bytes_max: 1_500,
        memtables_sealed_max: 1,
        wal_segment_bytes_max: 3_000,
        block_bytes: 128,
        tables_l0_trigger: 2,
        tables_l0_max: 4,
        table_bytes: 1_000,
        level_bytes_base: 3_000,
        free_bytes_min: 0,
        durability,
        ..Options::default()
    };
    Engine::open(Arc::new(disk.clone()), options, Arc::new(Concat))
}
