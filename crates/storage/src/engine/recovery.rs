//! Opening a store: after a clean close and after a crash alike.
//!
//! Called by `Engine::open` only; nothing is served before it returns.
//!
//! 1. Lock the directory; read `CURRENT` and the manifest; open every table it lists.
//! 2. Replay the live log segments, oldest first, into a memtable, and append every record to a draft segment.
//! 3. Publish the draft (sync, rename, directory sync): what was only readable before is durable now.
//! 4. Write a new manifest that begins the log at that segment, and switch `CURRENT` to it.
//! 5. Remove every file of ours that is not live: orphans of flush and compaction, old segments, temporary files.
//!
//! Invariants
//! - A crash at any point of this leaves a store that opens to the same content: a draft is ignored until it has its
//!   name, and from then on replaces the segments before it (`Origin::Relog`), whether or not the manifest knows yet.
//! - A relog is only as good as the manifest it was made from: if a power loss takes an edit that was readable but not
//!   synced (a killed flush), the relog made on top of it is abandoned, and the segments before it are replayed again.
//! - A missing table, manifest or segment is corruption, never an empty one.
//! - Bytes that can be read after a crash are not trusted to be on the platter: they are written and synced again.
//!
//! Source: failures.md 5.1, S2; Rebello et al., ATC 2020.

use std::collections::BTreeSet;
use std::sync::Arc;

use arc_swap::ArcSwap;
use atoll_seeded_bug::{Mutant, seeded_bug};
use parking_lot::Mutex;

use crate::batch::operations;
use crate::cache::Cache;
use crate::compaction::FileIds;
use crate::disk::{Disk, OpenHow};
use crate::dropped::{DroppedRange, floor_of};
use crate::entry::{Value, digest};
use crate::error::Error;
use crate::files::{CURRENT, FileKind, LOCK, ROOT, StoreFile, is_temporary};
use crate::levels::damage_of_levels;
use crate::manifest::{Manifest, State, is_present, read_current, read_state};
use crate::memtable::Memtable;
use crate::merge::MergeOperator;
use crate::options::Options;
use crate::sstable::{Table, TableContext};
use crate::value_log::ValueFiles;
use crate::version::Version;
use crate::wal::{
    Log, Origin, Record, Segment, read_header, record_header_bytes, replay, segment_header_bytes,
};

use super::Engine;
use super::commit::Writing;
use super::compact::Compacting;
use super::health::Health;
use super::queue::CommitQueue;
use super::reserve::Reserve;
use super::statistics::Counters;
use super::view::Tree;

pub(super) fn open(
    disk: Arc<dyn Disk>,
    options: Options,
    merge: Arc<dyn MergeOperator>,
) -> Result<Engine, Error> {
    options.validate()?;
    disk.create_dir(ROOT).map_err(|error| Error::disk("create", "the directory", error))?;
    let lock = disk.lock_exclusive(LOCK)?;
    let names = disk.list(ROOT).map_err(|error| Error::disk("list", "the directory", error))?;
    let state = read_store(&*disk, &names)?;
    let file_ids = FileIds::starting_at(file_id_after(&names).max(state.file_id_next));
    let (cache, value_files) = (Arc::new(Cache::new(options.cache_bytes)), ValueFiles::default());
    let context = TableContext { disk: &*disk, values: &value_files, cache: &cache };
    let version = open_version(&context, &state)?;
    let log = Relog { disk: &*disk, merge: &*merge, state: &state, file_id: file_ids.mint() };
    let (memtable, segment, torn_bytes) = log.run(&names)?;
    let manifest_id = file_ids.mint();
    let state =
        State { segment_low_water: segment.file_id(), file_id_next: file_ids.next(), ..state };
    assert!(segment.file_id() == memtable.segment_id(), "one segment per memtable");
    assert!(state.sequence_flushed <= memtable.sequence_last());
    assert!(state.tables.keys().all(|file_id| *file_id < segment.file_id()), "ids are fresh");
    let manifest = Manifest::create(&*disk, manifest_id, state)?;
    remove_orphans(&*disk, &names, &version);
    let counters = Counters::default();
    counters.torn_bytes.add(torn_bytes);
    let health = Arc::new(Health::default());
    let (sequence_visible, wal_bytes) = (memtable.sequence_last().into(), segment.bytes().into());
    let log = Log::new(segment);
    let tree = Tree { active: Arc::new(memtable), sealed: Vec::new(), version: Arc::new(version) };
    Ok(Engine {
        queue: CommitQueue::new(options.writers_queued_max, Arc::clone(&health)),
        health,
        sequence_visible,
        sequence_maintained: 0.into(),
        calm_calls: 0.into(),
        wal_bytes,
        tree: ArcSwap::from_pointee(tree),
        tree_change: Mutex::new(()),
        durable: Arc::clone(log.durable()),
        writing: Mutex::new(Writing::new(log)),
        spinning: false.into(),
        inserting: Mutex::new(()),
        spare: Mutex::new(None),
        flushing: Mutex::new(()),
        compacting: Mutex::new(Compacting::default()),
        offered: Mutex::new(None),
        helpers_seen: 0.into(),
        syncing: Mutex::new(()),
        manifest: Mutex::new(manifest),
        warmed: Mutex::new(BTreeSet::new()),
        removals: Mutex::new(Vec::new()),
        reserve: Reserve::default(),
        file_ids,
        value_files,
        cache,
        counters,
        disk,
        options,
        merge,
        _lock: lock,
    })
}

fn read_store(disk: &dyn Disk, names: &[String]) -> Result<State, Error> {
    if !is_present(names) {
        refuse_headless_store(disk, names)?;
        return Ok(State::default());
    }
    let manifest_id = read_current(disk)?;
    let state = read_state(disk, manifest_id)?;
    match damage_of_levels(state.tables.values()) {
        Some(what) => Err(Error::corrupt(&FileKind::Manifest.name(manifest_id), 0, what)),
        None => Ok(state),
    }
}

/// A store whose first open was interrupted has no data; anything else without `CURRENT` has lost it.
pub(crate) fn refuse_headless_store(disk: &dyn Disk, names: &[String]) -> Result<(), Error> {
    for name in names {
        let data = match FileKind::parse(name) {
            Some((FileKind::Table | FileKind::Values, _)) => true,
            Some((FileKind::Segment, _)) => {
                StoreFile::open(disk, name, OpenHow::Read)?.len()? > segment_header_bytes()
            }
            Some((FileKind::Manifest, _)) | None => false,
        };
        if data {
            return Err(Error::corrupt(CURRENT, 0, "CURRENT is missing, but there are data files"));
        }
    }
    Ok(())
}

fn file_id_after(names: &[String]) -> u64 {
    let untemporary = names.iter().map(|name| name.trim_end_matches(".tmp"));
    let highest = untemporary.filter_map(FileKind::parse).map(|(_, id)| id).max();
    highest.unwrap_or(0).saturating_add(1)
}

fn open_version(context: &TableContext<'_>, state: &State) -> Result<Version, Error> {
    let records = state.tables.values();
    let opened: Result<Vec<_>, Error> =
        records.map(|record| Table::open(context, record.meta.clone()).map(Arc::new)).collect();
    Ok(Version::empty().apply(&state.snapshot(), &opened?))
}

/// Replays the log into a memtable and logs it again.
struct Relog<'a> {
    disk: &'a dyn Disk,
    merge: &'a dyn MergeOperator,
    state: &'a State,
    /// The new segment.
    file_id: u64,
}

impl Relog<'_> {
    fn run(&self, names: &[String]) -> Result<(Memtable, Segment, u64), Error> {
        let live = live_segments(self.disk, self.state, names)?;
        let flushed = self.state.sequence_flushed;
        let memtable = Memtable::new(self.file_id, flushed);
        let mut draft = Segment::draft(self.disk, self.file_id, Origin::Relog, flushed)?;
        let dropped: Vec<DroppedRange> = self.state.dropped.values().cloned().collect();
        let replayed = replay(self.disk, &live, flushed, |record: Record| {
            let malformed = || Error::corrupt("the log", 0, "a record that checks is malformed");
            // A draft vouches for itself, whatever is said here.
            let again =
                draft.append(std::iter::once(record.encoded.as_ref()), record.operations, 0)?;
            assert!(again.sequence_first == record.sequence_first, "replay keeps sequence numbers");
            let decoded: Option<Vec<_>> = operations(again.operations).collect();
            let whole =
                decoded.filter(|decoded| decoded.len() as u64 == u64::from(record.operations));
            let written = whole.ok_or_else(malformed)?;
            let forgets = seeded_bug(Mutant::RelogForgetsPlace);
            let first = segment_header_bytes() + record_header_bytes();
            let begin = if forgets { first } else { again.begin };
            let logged = written.into_iter().zip(record.sequence_first..);
            let logged = logged.map(|(operation, sequence)| {
                let digest = digest(&operation.value);
                let (key, value) = operation.into_logged(begin, digest);
                // Joins that the memtable stores must not cover what was dropped.
                let was_dropped = sequence <= floor_of(&dropped, &key);
                (key, if was_dropped { Value::Delete } else { value })
            });
            memtable.insert(record.sequence_first, logged, self.merge);
            Ok(())
        })?;
        assert!(replayed.sequence_last == draft.sequence_last(), "every record was logged again");
        assert!(memtable.sequence_last() == draft.sequence_last());
        Ok((memtable, draft.publish(self.disk)?, replayed.torn_bytes))
    }
}

/// Ids of the segments to replay: from the low-water mark, or from the last relog above it, which replaces those.
pub(crate) fn live_segments(
    disk: &dyn Disk,
    state: &State,
    names: &[String],
) -> Result<Vec<u64>, Error> {
    let low_water = state.segment_low_water;
    let parsed = names.iter().filter_map(|name| FileKind::parse(name));
    let segments = parsed.filter(|(kind, id)| *kind == FileKind::Segment && *id >= low_water);
    let mut live: BTreeSet<u64> = segments.map(|(_, id)| id).collect();
    let is_new_store = low_water == 0;
    if is_new_store {
        // Nothing was ever acknowledged; an empty segment of an interrupted first open may exist.
        return Ok(Vec::new());
    }
    while let Some(segment_id) = last_relog(disk, low_water, &live)? {
        let header = read_header(disk, segment_id)?;
        if header.sequence_before <= state.sequence_flushed {
            return Ok(live.split_off(&segment_id).into_iter().collect());
        }
        // It was logged on top of a flush whose edit could be read but was not durable yet, and that edit is lost.
        // Nothing was served from it, and what it was to replace is still there.
        live.remove(&segment_id);
        if live.last() > Some(&segment_id) {
            let name = FileKind::Segment.name(segment_id);
            return Err(Error::corrupt(&name, 0, "the log goes on behind an abandoned relog"));
        }
    }
    if live.first() != Some(&low_water) {
        let name = FileKind::Segment.name(low_water);
        return Err(Error::corrupt(&name, 0, "the first live log segment is missing"));
    }
    Ok(live.into_iter().collect())
}

/// The youngest relog above the low-water mark: the manifest does not know it.
fn last_relog(disk: &dyn Disk, low_water: u64, live: &BTreeSet<u64>) -> Result<Option<u64>, Error> {
    for segment_id in live.iter().rev().filter(|id| **id > low_water) {
        if read_header(disk, *segment_id)?.origin == Origin::Relog {
            return Ok(Some(*segment_id));
        }
    }
    Ok(None)
}

fn remove_orphans(disk: &dyn Disk, names: &[String], version: &Version) {
    // The new segment and the new manifest are younger than the listing.
    let tables: BTreeSet<u64> = version.tables().map(|(_, live)| live.file_id()).collect();
    for name in names {
        let live = match FileKind::parse(name) {
            Some((FileKind::Table, file_id)) => tables.contains(&file_id),
            Some((FileKind::Segment | FileKind::Values, file_id)) => {
                version.values().contains_key(&file_id)
            }
            Some((FileKind::Manifest, _)) => false,
            None => !is_temporary(name),
        };
        if !live {
            // What cannot be removed now is tried again at the next open.
            let _ = disk.remove(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use bytes::Bytes;

    use super::open;
    use crate::error::Error;
    use crate::harness::FlatDisk;
    use crate::manifest::{Manifest, State, TableRecord};
    use crate::merge::Unused;
    use crate::options::Options;
    use crate::sstable::TableMeta;

    /// Every checksum of such a manifest is right; opening it once ran into an assertion.
    #[test]
    fn a_manifest_with_tables_that_overlap_is_damage() {
        let table = |file_id| {
            let meta = TableMeta {
                file_id,
                bytes: 1,
                entries: 1,
                sequence_min: 1,
                sequence_max: 1,
                key_first: Bytes::from_static(b"a"),
                key_last: Bytes::from_static(b"b"),
            };
            (file_id, TableRecord { level: 1, meta, trimmed_to: None })
        };
        let disk = FlatDisk::default();
        let tables = BTreeMap::from([table(2), table(3)]);
        Manifest::create(&disk, 1, State { tables, file_id_next: 4, ..State::default() }).unwrap();
        let opened = open(Arc::new(disk), Options::default(), Arc::new(Unused));
        let error = opened.expect_err("it does not open");
        assert!(matches!(error, Error::Corrupt { .. }), "{error}");
        assert!(error.to_string().contains("000001.manifest"), "{error}");
        assert!(error.to_string().contains("overlap in keys"), "{error}");
    }
}
