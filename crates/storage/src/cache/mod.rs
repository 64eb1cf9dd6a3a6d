//! [`Cache`]: checked bytes of files that do not change, kept in memory.
//!
//! Shared by all tables of an engine (blocks, parts of indexes) and by its readers of value files.
//!
//! 1. What is cached is named by file id and offset: ids are never reused, and a file's bytes never change, so nothing
//!    is ever invalidated. What belonged to a removed file is pushed out by what is used.
//! 2. Bytes come in only after their checksum was checked, and decompressed; whoever finds them checks nothing again.
//! 3. Each entry weighs its bytes and what keeping it costs; the weights of all stay below the bound.
//! 4. What a key comes to from an entry down, once it was joined, is kept under that entry's sequence number. It changes only
//!    when entries are left out that cannot be read, and how often that happened is part of the name. Where the entry alone
//!    comes to the same, only that is kept.
//! 5. Blocks are always taken in: each serves many keys. A full cache takes a value at its second miss ([`Admission`]).
//!
//! Invariants
//! - The cache decides nothing: with any content, and with none, reads answer the same.
//! - One sequence of calls leaves one content, in every process: the hasher has no seed and the number of shards does
//!   not depend on the machine. Simulated disks therefore see the same reads.
//!
//! Source: Yang et al., "FIFO Queues are All You Need for Cache Eviction" (S3-FIFO), SOSP 2023, by way of `quick_cache`.

mod admission;
mod hasher;

#[cfg(test)]
mod tests;

use std::hash::{BuildHasher, BuildHasherDefault};
use std::sync::atomic::{AtomicU64, Ordering};

use atoll_seeded_bug::{Mutant, seeded_bug};
use bytes::Bytes;
use quick_cache::sync::{Cache as Shards, DefaultLifecycle};
use quick_cache::{OptionsBuilder, Weighter};

use crate::error::Error;
use crate::fold::Join;

use admission::Admission;
use hasher::PlaceHasher;

/// Independently locked parts: enough that 16 reading threads rarely meet, few enough that each holds a large value.
const SHARDS: usize = 16;

/// Bytes that an entry costs beside its content: about 80 for the slot, its links and the hash table's share, and 48
/// for the header of the shared bytes and the allocator's rounding.
const OVERHEAD_BYTES: u64 = 128;

/// Joins are named like places of files with this bit and the number of losses as file id, which no file has: ids are
/// minted from 1 on.
const JOINS: u64 = 1 << 63;

/// What entries weigh in the estimate of their number, in bytes: a block of the default size.
const ENTRY_BYTES_ESTIMATE: u64 = 4_096 + OVERHEAD_BYTES;

/// What is cached; the classes are counted apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CacheClass {
    /// Payloads of data blocks and index partitions of tables.
    Block,
    /// Values of value files.
    Value,
}

/// Whether a reader leaves behind what it read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CacheUse {
    /// It will be wanted again.
    Fill,
    /// A long scan or a compaction: look, but push nothing out.
    Bypass,
    /// Somebody who cannot wait for the disk: what is not here is [`Error::NotInMemory`](crate::Error::NotInMemory).
    Only,
}

/// What the cache holds and how it was used since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheStatistics {
    /// Questions for blocks.
    pub blocks: CacheUsage,
    /// Questions for values.
    pub values: CacheUsage,
    /// Entries now.
    pub entries: u64,
    /// What they weigh now.
    pub bytes: u64,
}

/// How often a class was asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheUsage {
    /// Found.
    pub hits: u64,
    /// Not found.
    pub misses: u64,
}

/// A bounded set of checked bytes.
pub(crate) struct Cache {
    /// `None` if the bound is 0: nothing is kept.
    shards: Option<Shards<Place, Bytes, Weigh, BuildHasherDefault<PlaceHasher>>>,
    admission: Admission,
    blocks: Counters,
    values: Counters,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Place {
    file_id: u64,
    offset: u64,
}

#[derive(Default)]
struct Counters {
    hits: AtomicU64,
    misses: AtomicU64,
}

impl Cache {
    /// A cache of at most `bytes`; 0 keeps nothing.
    ///
    /// An entry of more than a shard (a 16th of the bytes, more of a small cache) is not kept.
    pub(crate) fn new(bytes: u64) -> Cache {
        let entries = usize::try_from(bytes / ENTRY_BYTES_ESTIMATE).unwrap_or(usize::MAX);
        let options = OptionsBuilder::new()
            .shards(SHARDS)
            .estimated_items_capacity(entries.max(1))
            .weight_capacity(bytes)
            .build()
            .expect("all that has no default is set");
        let shards = (bytes > 0).then(|| {
            Shards::with_options(
                options,
                Weigh,
                BuildHasherDefault::default(),
                DefaultLifecycle::default(),
            )
        });
        assert!(shards.as_ref().is_none_or(|shards| shards.num_shards() <= SHARDS));
        Cache {
            shards,
            admission: Admission::new(bytes),
            blocks: Counters::default(),
            values: Counters::default(),
        }
    }

    /// The bytes at `offset` of file `file_id`, if they are here.
    ///
    /// Cost: a hash, a read lock of one shard and a reference count; nothing is copied.
    pub(crate) fn get(&self, class: CacheClass, file_id: u64, offset: u64) -> Option<Bytes> {
        let found = self.find(file_id, offset);
        let counters = self.counters(class);
        let counter = if found.is_some() { &counters.hits } else { &counters.misses };
        counter.fetch_add(1, Ordering::Relaxed);
        found
    }

    /// The same for whoever means to read the disk if they are not here, unless `usage` forbids that.
    ///
    /// # Errors
    /// [`Error::NotInMemory`]: not here, and [`CacheUse::Only`]. It is no miss yet, but will be one when it is read.
    pub(crate) fn get_before_disk(
        &self,
        (class, usage): (CacheClass, CacheUse),
        file_id: u64,
        offset: u64,
    ) -> Result<Option<Bytes>, Error> {
        if usage != CacheUse::Only {
            return Ok(self.get(class, file_id, offset));
        }
        let found = self.find(file_id, offset).ok_or(Error::NotInMemory)?;
        self.counters(class).hits.fetch_add(1, Ordering::Relaxed);
        Ok(Some(found))
    }

    /// Keeps checked `bytes` of `offset` of file `file_id`; they should be an allocation of their own, because a slice
    /// keeps the whole of what it was cut from.
    pub(crate) fn insert(&self, file_id: u64, offset: u64, bytes: Bytes) {
        let file_id = if seeded_bug(Mutant::CacheForgetsFile) { 0 } else { file_id };
        if let Some(shards) = &self.shards {
            self.admission.took(weight_of(&bytes));
            shards.insert(Place { file_id, offset }, bytes);
        }
    }

    /// Keeps a checked `value` as [`insert`](Cache::insert) does, if it was missed before or there is room.
    pub(crate) fn offer(&self, file_id: u64, offset: u64, value: &Bytes) {
        let place = Place { file_id, offset };
        let hash = BuildHasherDefault::<PlaceHasher>::default().hash_one(place);
        if self.admission.admits(hash) {
            self.insert(file_id, offset, value.clone());
        }
    }

    /// The value of a key whose newest entry is the operand with this sequence number, after so many
    /// [`losses`](crate::version::Version::losses), if it was joined before. `load` is asked for the operand's own bytes, if
    /// they are the value.
    ///
    /// Cost: as [`get`](Cache::get); not counted.
    pub(crate) fn joined(
        &self,
        losses: u64,
        sequence: u64,
        load: impl FnOnce() -> Result<Bytes, Error>,
    ) -> Result<Option<Bytes>, Error> {
        match self.find(JOINS | losses, sequence) {
            Some(same) if same.is_empty() => load().map(Some),
            joined => Ok(joined),
        }
    }

    /// Keeps what was joined, as [`offer`](Cache::offer) does.
    pub(crate) fn offer_join(&self, losses: u64, join: &Join) {
        let value = if join.is_newest { Bytes::new() } else { join.value.clone() };
        self.offer(JOINS | losses, join.sequence, &value);
    }

    /// What is here and how it was used; the numbers are read one after the other.
    pub(crate) fn statistics(&self) -> CacheStatistics {
        CacheStatistics {
            blocks: self.blocks.read(),
            values: self.values.read(),
            entries: self.shards.as_ref().map_or(0, |shards| shards.len() as u64),
            bytes: self.shards.as_ref().map_or(0, Shards::weight),
        }
    }

    fn find(&self, file_id: u64, offset: u64) -> Option<Bytes> {
        let file_id = if seeded_bug(Mutant::CacheForgetsFile) { 0 } else { file_id };
        self.shards.as_ref().and_then(|shards| shards.get(&Place { file_id, offset }))
    }

    fn counters(&self, class: CacheClass) -> &Counters {
        match class {
            CacheClass::Block => &self.blocks,
            CacheClass::Value => &self.values,
        }
    }
}

impl Counters {
    fn read(&self) -> CacheUsage {
        CacheUsage {
            hits: self.hits.load(Ordering::Relaxed),
            misses: self.misses.load(Ordering::Relaxed),
        }
    }
}

/// An entry's weight: its bytes and [`OVERHEAD_BYTES`].
#[derive(Clone, Copy)]
struct Weigh;

impl Weighter<Place, Bytes> for Weigh {
    fn weight(&self, _place: &Place, bytes: &Bytes) -> u64 {
        weight_of(bytes)
    }
}

fn weight_of(bytes: &Bytes) -> u64 {
    bytes.len() as u64 + OVERHEAD_BYTES
}
