//! `[storage]`: what an acknowledgement means, and how much memory and disk the engine may take.
//!
//! ```toml
//! [storage]
//! durability = "fsync"                           # or "periodic": acknowledged writes are synced within the interval
//! sync_interval = "100ms"                        # of periodic
//! memtable_bytes_max = 33554432                  # up to five memtables are in memory; larger ones recover slower
//! cache_bytes = 268435456                        # blocks and values kept for reads; 0 keeps none
//! value_separation_bytes = 512                   # values from this size on are written once, beside the tables
//! compaction_bytes_per_second_max = 268435456    # leaves the rest of the disk to requests; 0 is no limit
//! ```
//!
//! Every value has a default; those of the engine are the engine's own. Sizes are bytes.
//!
//! Invariant: a checked section makes valid options of the engine.

use std::ops::RangeInclusive;
use std::time::Duration;

use atoll_protocol::ids::NodeIndex;
use atoll_storage::{Durability as StorageDurability, Options};
use serde::{Deserialize, Serialize};

const KIB: u64 = 1_024;
const MIB: u64 = 1_024 * KIB;
const GIB: u64 = 1_024 * MIB;

/// Memtables that are accepted: one record of the default cap must fit a few times, and 1 GiB of log is read again after
/// an unclean stop.
const MEMTABLE_BYTES: RangeInclusive<u64> = 64 * KIB..=GIB;

/// The fraction of the golden ratio, of 2^16.
const GOLDEN_RATIO: u16 = 40_503;

/// Caches that are accepted: none, up to the memory of the largest machines.
const CACHE_BYTES: RangeInclusive<u64> = 0..=1_024 * GIB;

/// Sizes from which on values may be separated: a pointer takes about 20 bytes, so that below 64 there is little to gain;
/// no value reaches 1 GiB, which separates none.
const VALUE_SEPARATION_BYTES: RangeInclusive<u64> = 64..=GIB;

/// Limits of background work that are accepted besides none: below 1 MiB/s a single unit would pause for half a minute;
/// no disk writes 1 TiB/s.
const COMPACTION_BYTES_PER_SECOND: RangeInclusive<u64> = MIB..=1_024 * GIB;

/// Limit of background work unless the file says otherwise: half of what a slow NVMe disk writes, and more than one
/// thread compacts.
const COMPACTION_BYTES_PER_SECOND_DEFAULT: u64 = 256 * MIB;

/// Limits of the scrub that are accepted besides none: below 64 KiB/s a single file would take a quarter of an hour.
const SCRUB_BYTES_PER_SECOND: RangeInclusive<u64> = 64 * KIB..=1_024 * GIB;

/// Limit of the scrub unless the file says otherwise: a percent of what a disk reads; 1 TB takes a day and a half.
const SCRUB_BYTES_PER_SECOND_DEFAULT: u64 = 8 * MIB;

/// Interval between syncs under `periodic` durability unless the file says otherwise.
const SYNC_INTERVAL_DEFAULT: Duration = Duration::from_millis(100);

/// The storage section, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StorageConfig {
    /// What an acknowledgement means.
    pub durability: Durability,
    /// Size at which a memtable is sealed, in bytes. Larger ones mean less compaction, more memory (five of them at most)
    /// and a longer recovery.
    pub memtable_bytes_max: u64,
    /// Blocks and values kept in memory for reads, in bytes; 0 keeps none. Reads that miss go to the disk.
    pub cache_bytes: u64,
    /// Size from which on values are written once, beside the tables, in bytes. Smaller: less compaction; larger: fewer
    /// reads per value.
    pub value_separation_bytes: u64,
    /// Bytes per second that compaction and relocation may write; 0 does not limit them.
    pub compaction_bytes_per_second_max: u64,
    /// Bytes per second that the scrub may read in search of damage; 0 does not scrub. Greater: damage that nobody reads is
    /// found sooner.
    pub scrub_bytes_per_second_max: u64,
}

/// What an acknowledgement of a write means (promise P1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// The write is synced.
    Fsync,
    /// The write is synced within this interval.
    Periodic(Duration),
}

/// `[storage]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawStorage {
    /// `fsync` (default) or `periodic`.
    pub durability: Option<String>,
    /// Interval of `periodic`, like `100ms`.
    pub sync_interval: Option<String>,
    /// Memtable size in bytes.
    pub memtable_bytes_max: Option<u64>,
    /// Cache size in bytes.
    pub cache_bytes: Option<u64>,
    /// Size of separated values in bytes.
    pub value_separation_bytes: Option<u64>,
    /// Limit of background work in bytes per second.
    pub compaction_bytes_per_second_max: Option<u64>,
    /// Limit of the scrub in bytes per second.
    pub scrub_bytes_per_second_max: Option<u64>,
}

impl StorageConfig {
    /// The engine's options.
    pub fn options(&self) -> Options {
        Options {
            memtable_bytes_max: self.memtable_bytes_max,
            // As the engine's default: overwriting one key fills the log as fast as the memtable.
            wal_segment_bytes_max: 2 * self.memtable_bytes_max,
            value_separation_bytes: self.value_separation_bytes,
            cache_bytes: self.cache_bytes,
            durability: match self.durability {
                Durability::Fsync => StorageDurability::Fsync,
                Durability::Periodic(_) => StorageDurability::Periodic,
            },
            ..Options::default()
        }
    }

    /// The options of the engine of `node`.
    ///
    /// Replicas of the same keys fill at the same rate: were their memtables equally large, all would flush at the same
    /// time, and no quorum would be quick then. So they have three quarters of the configured size or more, and neighbours in
    /// the topology are far apart (multiples of the golden ratio; Knuth, "The Art of Computer Programming", §6.4).
    pub fn options_of(&self, node: NodeIndex) -> Options {
        let part = u64::from(node.0.wrapping_mul(GOLDEN_RATIO));
        let less = ((self.memtable_bytes_max / 4) * part) >> u16::BITS;
        let memtable_bytes_max = (self.memtable_bytes_max - less).max(*MEMTABLE_BYTES.start());
        Options { memtable_bytes_max, ..self.options() }
    }

    /// The section that says all of this, for showing.
    pub fn to_raw(&self) -> RawStorage {
        let (durability, sync_interval) = match self.durability {
            Durability::Fsync => ("fsync", None),
            Durability::Periodic(interval) => {
                ("periodic", Some(humantime::format_duration(interval).to_string()))
            }
        };
        RawStorage {
            durability: Some(durability.to_owned()),
            sync_interval,
            memtable_bytes_max: Some(self.memtable_bytes_max),
            cache_bytes: Some(self.cache_bytes),
            value_separation_bytes: Some(self.value_separation_bytes),
            compaction_bytes_per_second_max: Some(self.compaction_bytes_per_second_max),
            scrub_bytes_per_second_max: Some(self.scrub_bytes_per_second_max),
        }
    }
}

impl Default for StorageConfig {
    fn default() -> Self {
        let engine = Options::default();
        Self {
            durability: Durability::Fsync,
            memtable_bytes_max: engine.memtable_bytes_max,
            cache_bytes: engine.cache_bytes,
            value_separation_bytes: engine.value_separation_bytes,
            compaction_bytes_per_second_max: COMPACTION_BYTES_PER_SECOND_DEFAULT,
            scrub_bytes_per_second_max: SCRUB_BYTES_PER_SECOND_DEFAULT,
        }
    }
}

impl RawStorage {
    /// Checks every value; a wrong one is reported, and its default returned in its place.
    pub(super) fn check(&self, problems: &mut Vec<String>) -> StorageConfig {
        let default = StorageConfig::default();
        let durability = self.durability(problems);
        let mut within = |key, found: Option<u64>, default, range: &RangeInclusive<u64>| {
            let found = found.unwrap_or(default);
            if !range.contains(&found) {
                problems.push(format!(
                    "  storage.{key}: {found} is outside {}..={}; {default} suits most nodes",
                    range.start(),
                    range.end()
                ));
            }
            found
        };
        let config = StorageConfig {
            durability,
            memtable_bytes_max: within(
                "memtable_bytes_max",
                self.memtable_bytes_max,
                default.memtable_bytes_max,
                &MEMTABLE_BYTES,
            ),
            cache_bytes: within("cache_bytes", self.cache_bytes, default.cache_bytes, &CACHE_BYTES),
            value_separation_bytes: within(
                "value_separation_bytes",
                self.value_separation_bytes,
                default.value_separation_bytes,
                &VALUE_SEPARATION_BYTES,
            ),
            compaction_bytes_per_second_max: rate(
                "compaction_bytes_per_second_max",
                (self.compaction_bytes_per_second_max, default.compaction_bytes_per_second_max),
                (&COMPACTION_BYTES_PER_SECOND, "no limit"),
                problems,
            ),
            scrub_bytes_per_second_max: rate(
                "scrub_bytes_per_second_max",
                (self.scrub_bytes_per_second_max, default.scrub_bytes_per_second_max),
                (&SCRUB_BYTES_PER_SECOND, "no scrub"),
                problems,
            ),
        };
        debug_assert!(!problems.is_empty() || config.options().validate().is_ok());
        config
    }

    fn durability(&self, problems: &mut Vec<String>) -> Durability {
        let interval = match self.sync_interval.as_deref().map(humantime::parse_duration) {
            None => SYNC_INTERVAL_DEFAULT,
            Some(Ok(interval)) if !interval.is_zero() => interval,
            Some(_) => {
                let found = self.sync_interval.as_deref().unwrap_or_default();
                problems.push(format!(
                    "  storage.sync_interval: `{found}` is not a time span; write for example 100ms"
                ));
                SYNC_INTERVAL_DEFAULT
            }
        };
        match self.durability.as_deref() {
            None | Some("fsync") => Durability::Fsync,
            Some("periodic") => Durability::Periodic(interval),
            Some(other) => {
                problems.push(format!(
                    "  storage.durability: `{other}` is unknown; use `fsync` (an acknowledged write is synced) or \
                     `periodic` (synced within storage.sync_interval)"
                ));
                Durability::Fsync
            }
        }
    }
}

/// A rate that is 0 or within a range.
fn rate(
    key: &str,
    (found, default): (Option<u64>, u64),
    (range, zero): (&RangeInclusive<u64>, &str),
    problems: &mut Vec<String>,
) -> u64 {
    let found = found.unwrap_or(default);
    if found != 0 && !range.contains(&found) {
        problems.push(format!(
            "  storage.{key}: {found} is outside {}..={}; write 0 for {zero}; {default} suits most nodes",
            range.start(),
            range.end()
        ));
    }
    found
}
