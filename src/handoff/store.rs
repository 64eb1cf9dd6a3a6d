//! Where hints are kept: a small storage engine of their own.
//!
//! ```text
//! target u16 │ 0 │ since u64 │ stored key   ─▶ nothing       the order of delivery: oldest first
//! target u16 │ 1 │ stored key               ─▶ since u64 │ record   the hint; one per target and key
//! ```
//!
//! All integers are big-endian, so that they sort as numbers; `since` is in microseconds of the wall clock. The record is
//! empty where the holder replicates the key: it reads its own when it delivers.
//!
//! A store that is damaged is emptied when it is opened: a start compares everything anyway, and a hint is no more than
//! the promise to do so sooner.
//!
//! Invariant: both entries of a hint are written, and removed, in one batch.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use atoll_protocol::ids::NodeIndex;
use atoll_protocol::time::WallTime;
use atoll_storage::{
    Batch, Disk, Durability, Engine, Error, MergeError, MergeOperator, Options, ScanLimit,
};
use bytes::{Buf, BufMut, Bytes};

use super::backlog::Waiting;
use crate::replica::StoredKey;

/// Tells the two kinds of entries apart.
const ORDER: u8 = 0;
const HINT: u8 = 1;

/// Bytes before the stored key in an entry that gives the order: target, kind, time.
const ORDER_HEAD_BYTES: usize = 2 + 1 + 8;

/// Bytes before the stored key in a hint: target, kind.
const HINT_HEAD_BYTES: usize = 2 + 1;

/// Bytes of a hint's value before the record.
const SINCE_BYTES: usize = 8;

/// A memtable of the hint store: some 30 000 hints; there are two, seldom more.
const MEMTABLE_BYTES: u64 = 4 * 1_024 * 1_024;

/// Blocks in memory: hints are read once, in order, but for the look whether there is one.
const CACHE_BYTES: u64 = 1_024 * 1_024;

/// Entries read at once while a store is counted.
const COUNTED_AT_ONCE: usize = 4_096;

/// A hint for a target that is known from elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hint {
    /// When the target first missed the key.
    pub(super) since: WallTime,
    pub(super) key: StoredKey,
}

/// What is stored of a hint besides its target and key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// When the target first missed the key.
    pub(super) since: WallTime,
    /// The record that is kept for the target; empty if the holder has its own.
    pub(super) record: Bytes,
}

/// The hint store of one node. Cheap to clone.
#[derive(Clone)]
pub struct HintStore {
    engine: Arc<Engine>,
    found: Arc<BTreeMap<NodeIndex, Waiting>>,
}

impl HintStore {
    /// Opens the store at the root of `disk`, shaped like the engine of `options` and smaller. Blocks on disk.
    ///
    /// Cost: reads all hints.
    ///
    /// # Errors
    /// Those of [`Engine::open`], but for damage.
    pub fn open(disk: &Arc<dyn Disk>, options: &Options) -> Result<Self, Error> {
        match Self::try_open(disk, options) {
            Err(error @ Error::Corrupt { .. }) => {
                tracing::error!(%error, "the hints are damaged and dropped; replicas are compared instead");
                empty(&**disk).map_err(|_| error)?;
                Self::try_open(disk, options)
            }
            opened => opened,
        }
    }

    fn try_open(disk: &Arc<dyn Disk>, options: &Options) -> Result<Self, Error> {
        let options = Options {
            memtable_bytes_max: MEMTABLE_BYTES.min(options.memtable_bytes_max),
            wal_segment_bytes_max: (2 * MEMTABLE_BYTES).min(options.wal_segment_bytes_max),
            cache_bytes: CACHE_BYTES.min(options.cache_bytes),
            reserve_bytes: 0,
            durability: Durability::Fsync,
            // Hints leave the last room to records.
            free_bytes_min: options.free_bytes_min * 2,
            ..options.clone()
        };
        let engine = Engine::open(disk.clone(), options, Arc::new(NeverMerged))?;
        let found = count(&engine)?;
        Ok(Self { engine: Arc::new(engine), found: Arc::new(found) })
    }

    /// What was found when the store was opened.
    pub(super) fn found(&self) -> &BTreeMap<NodeIndex, Waiting> {
        &self.found
    }

    /// The hint for `target` and `key`, if there is one. Blocks on disk.
    pub(super) fn find(&self, target: NodeIndex, key: &StoredKey) -> Result<Option<Entry>, Error> {
        let value = self.engine.get(&hint_key(target, key))?;
        let entry = |mut record: Bytes| {
            let since = WallTime::from_micros(record.try_get_u64().unwrap_or(0));
            Entry { since, record }
        };
        Ok(value.map(entry))
    }

    /// The oldest hints for `target`, at most `hints_max`. Blocks on disk.
    pub(super) fn oldest(&self, target: NodeIndex, hints_max: usize) -> Result<Vec<Hint>, Error> {
        let (mut start, end) = (head(target, ORDER), head(target, HINT));
        let mut hints = Vec::new();
        loop {
            let limit = ScanLimit { entries_max: hints_max - hints.len(), bytes_max: usize::MAX };
            let page = self.engine.scan(&start..&end, limit)?;
            hints.extend(page.entries.iter().filter_map(|(key, _)| parse_order(key)));
            match page.next {
                Some(next) if hints.len() < hints_max => start = next,
                _ => return Ok(hints),
            }
        }
    }

    /// Writes a batch; it is durable on return. Blocks on disk.
    pub(super) fn write(&self, batch: Batch) -> Result<(), Error> {
        if batch.is_empty() { Ok(()) } else { self.engine.write(batch) }
    }

    /// Forgets the hints for `target`. Blocks on disk.
    pub(super) fn drop_all(&self, target: NodeIndex) -> Result<(), Error> {
        self.engine.drop_range(&head(target, ORDER)..&head(target, HINT + 1))
    }

    /// Does one unit of flush or compaction, if there is one. Blocks on disk.
    pub(super) fn maintain(&self) -> Result<(), Error> {
        self.engine.maintain(atoll_storage::Budget::default()).map(drop)
    }

    /// Since when a record of `key` is kept for `target`, or a hint; `None` if there is none. Blocks on disk.
    ///
    /// # Errors
    /// Those of [`Engine::get`].
    pub fn keeps(&self, target: NodeIndex, key: &StoredKey) -> Result<Option<WallTime>, Error> {
        Ok(self.find(target, key)?.map(|entry| entry.since))
    }

    /// Closes the engine; every other call fails afterwards. Blocks on disk.
    ///
    /// # Errors
    /// Those of [`Engine::close`].
    pub fn close(&self) -> Result<(), Error> {
        self.engine.close()
    }
}

/// Adds the entries of a hint to `batch`.
pub(super) fn put(batch: &mut Batch, target: NodeIndex, key: &StoredKey, entry: &Entry) {
    batch.put(&order_key(target, key, entry.since), &[]);
    let value = [&entry.since.as_micros().to_be_bytes()[..], &entry.record].concat();
    batch.put(&hint_key(target, key), &value);
}

/// Adds the removal of a hint's entries to `batch`.
pub(super) fn remove(batch: &mut Batch, target: NodeIndex, key: &StoredKey, since: WallTime) {
    batch.delete(&order_key(target, key, since));
    batch.delete(&hint_key(target, key));
}

/// Bytes that a hint of `key` takes, before compression.
pub(super) fn bytes_of(key: &StoredKey, record: &[u8]) -> u64 {
    let heads = ORDER_HEAD_BYTES + HINT_HEAD_BYTES + SINCE_BYTES;
    (heads + 2 * key.as_bytes().len() + record.len()) as u64
}

/// Age of what is of `since`; zero if the clock was set back meanwhile.
pub(super) fn age(since: WallTime, now: WallTime) -> Duration {
    Duration::from_micros(now.as_micros().saturating_sub(since.as_micros()))
}

/// Counts what waits, by target. Blocks on disk.
fn count(engine: &Engine) -> Result<BTreeMap<NodeIndex, Waiting>, Error> {
    let (mut start, end) = (Vec::new(), vec![u8::MAX; 3]);
    let mut found = BTreeMap::<NodeIndex, Waiting>::new();
    loop {
        let limit = ScanLimit { entries_max: COUNTED_AT_ONCE, bytes_max: usize::MAX };
        let page = engine.scan(&start..&end, limit)?;
        for (entry, value) in &page.entries {
            let mut head = &entry[..];
            let (Ok(target), Ok(kind)) = (head.try_get_u16(), head.try_get_u8()) else { continue };
            let waiting = found.entry(NodeIndex(target)).or_default();
            waiting.bytes += (entry.len() + value.len()) as u64;
            if kind == ORDER {
                waiting.hints += 1;
                // They come oldest first.
                waiting.oldest =
                    waiting.oldest.or(head.try_get_u64().ok().map(WallTime::from_micros));
            }
        }
        match page.next {
            Some(next) => start = next,
            None => return Ok(found),
        }
    }
}

/// Removes every file.
fn empty(disk: &dyn Disk) -> std::io::Result<()> {
    for name in disk.list("")? {
        disk.remove(&name)?;
    }
    disk.sync_dir("").map_err(std::io::Error::other)
}

fn head(target: NodeIndex, kind: u8) -> Vec<u8> {
    let mut head = target.0.to_be_bytes().to_vec();
    head.put_u8(kind);
    head
}

fn order_key(target: NodeIndex, key: &StoredKey, since: WallTime) -> Vec<u8> {
    let mut entry = head(target, ORDER);
    entry.put_u64(since.as_micros());
    entry.put_slice(key.as_bytes());
    entry
}

fn hint_key(target: NodeIndex, key: &StoredKey) -> Vec<u8> {
    let mut entry = head(target, HINT);
    entry.put_slice(key.as_bytes());
    entry
}

/// The hint of an entry that gives the order; `None` for other entries.
fn parse_order(entry: &[u8]) -> Option<Hint> {
    let mut rest = entry.get(HINT_HEAD_BYTES - 1..)?;
    if rest.try_get_u8().ok()? != ORDER {
        return None;
    }
    let since = WallTime::from_micros(rest.try_get_u64().ok()?);
    Some(Hint { since, key: StoredKey::parse(Bytes::copy_from_slice(rest))? })
}

/// Nothing is ever merged here.
struct NeverMerged;

impl MergeOperator for NeverMerged {
    fn merge(
        &self,
        _key: &[u8],
        _existing: Option<&Bytes>,
        _operands: &[Bytes],
    ) -> Result<Bytes, MergeError> {
        Err(MergeError::new("hints are never merged"))
    }
}
