//! Opens engines with tiny bounds, and the operator they all use.

use std::collections::BTreeMap;
use std::sync::Arc;

use atoll_storage::{
    Batch, Budget, Disk, Engine, Error, MergeError, MergeOperator, Options, Progress, ScanLimit,
    Snapshot,
};
use bytes::Bytes;

/// Concatenates operands: associative, and sensitive to order and loss.
pub(crate) struct Concat;

impl MergeOperator for Concat {
    fn merge(
        &self,
        _key: &[u8],
        existing: Option<&Bytes>,
        operands: &[Bytes],
    ) -> Result<Bytes, MergeError> {
        assert!(!operands.is_empty());
        if operands.iter().any(|operand| operand == "!") {
            return Err(MergeError::new("refused"));
        }
        Ok(existing.into_iter().chain(operands).flatten().copied().collect())
    }
}

/// Bounds so small that every mechanism runs within a hundred writes.
pub(crate) fn tiny() -> Options {
    Options {
        memtable_bytes_max: 2_000,
        memtables_sealed_max: 2,
        wal_segment_bytes_max: 4_000,
        block_bytes: 128,
        tables_l0_trigger: 3,
        tables_l0_max: 6,
        table_bytes: 2_000,
        level_bytes_base: 8_000,
        value_separation_bytes: 12,
        cache_bytes: 4_000,
        reserve_bytes: 0,
        ..Options::default()
    }
}

pub(crate) fn open_with(disk: &impl CloneDisk, options: Options) -> Result<Engine, Error> {
    Engine::open(disk.shared(), options, Arc::new(Concat))
}

pub(crate) fn open(disk: &impl CloneDisk) -> Engine {
    open_with(disk, tiny()).unwrap()
}

pub(crate) trait CloneDisk {
    fn shared(&self) -> Arc<dyn Disk>;
}

impl<D: Disk + Clone> CloneDisk for D {
    fn shared(&self) -> Arc<dyn Disk> {
        Arc::new(self.clone())
    }
}

pub(crate) fn put(engine: &Engine, key: &str, value: &str) -> Result<(), Error> {
    let mut batch = Batch::new();
    batch.put(key.as_bytes(), value.as_bytes());
    engine.write(batch)
}

pub(crate) fn merge(engine: &Engine, key: &str, operand: &str) -> Result<(), Error> {
    let mut batch = Batch::new();
    batch.merge(key.as_bytes(), operand.as_bytes());
    engine.write(batch)
}

pub(crate) fn delete(engine: &Engine, key: &str) -> Result<(), Error> {
    let mut batch = Batch::new();
    batch.delete(key.as_bytes());
    engine.write(batch)
}

/// The value of `key`, also if only memory is asked, if that knows it.
pub(crate) fn get(engine: &Engine, key: &str) -> Option<String> {
    let at_once = engine.get_in_memory(key.as_bytes());
    let value = engine.get(key.as_bytes()).unwrap();
    match at_once {
        Ok(found) => assert_eq!(found, value, "of {key} in memory"),
        Err(error) => assert!(matches!(error, Error::NotInMemory), "{error}"),
    }
    value.map(|value| String::from_utf8(value.to_vec()).unwrap())
}

/// Runs maintenance until there is nothing to do, also nothing that waits for calm; returns the units.
pub(crate) fn settle(engine: &Engine) -> usize {
    let (mut units, mut idle) = (0, 0);
    while idle < 8 {
        match engine.maintain(Budget { bytes: 1 }).unwrap() {
            Progress::Idle => idle += 1,
            Progress::Worked { .. } => {
                idle = 0;
                units += 1;
            }
        }
        assert!(units < 10_000, "maintenance does not come to an end");
    }
    units
}

pub(crate) type Content = BTreeMap<String, String>;

/// Everything below `~`, page by page.
pub(crate) fn content(snapshot: &Snapshot, entries_max: usize) -> Content {
    let mut all = Content::new();
    let mut start = Vec::new();
    loop {
        let limit = ScanLimit { entries_max, bytes_max: 1 << 20 };
        let page = snapshot.scan(&start[..]..b"~", limit).unwrap();
        for (key, value) in page.entries {
            let key = String::from_utf8(key.to_vec()).unwrap();
            assert!(all.last_key_value().is_none_or(|(last, _)| *last < key), "keys ascend");
            all.insert(key, String::from_utf8(value.to_vec()).unwrap());
        }
        match page.next {
            Some(next) => {
                assert!(next > start, "pages make progress");
                start = next;
            }
            None => return all,
        }
    }
}
