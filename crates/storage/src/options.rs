//! [`Options`]: every knob and bound of an engine, with its arithmetic.
//!
//! Built by the node from its configuration; checked once by [`Engine::open`](crate::Engine::open); plain data.
//!
//! Memory, at most: (`memtables_sealed_max` + 2) × `memtable_bytes_max` for memtables (one active, one sealed on top
//! of the bound for the moment before the inline flush), plus `cache_bytes`, plus per table its top index (about one key
//! per `block_bytes` of index) and its filter (`bloom_bits_per_key` / 8 bytes per key). Disk: the same amount of log, plus
//! tables and value files.
//!
//! Invariant: a running engine's options have passed [`Options::validate`].

use crate::error::Error;

const KIB: u64 = 1_024;
const MIB: u64 = 1_024 * KIB;

/// The default of [`Options::value_bytes_max`].
const VALUE_BYTES_MAX: usize = 16 * 1_024 * 1_024;

/// The default of [`Options::batch_bytes_max`].
const BATCH_BYTES_MAX: usize = 2 * VALUE_BYTES_MAX;

const _: () =
    assert!(BATCH_BYTES_MAX > VALUE_BYTES_MAX + 2_048, "a largest operation fits a batch");

/// How an engine is shaped. Fields may be changed between runs; no format depends on them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// A memtable of this many bytes is sealed. Larger means fewer, larger level-0 tables (less write amplification)
    /// and longer recovery. 32 MiB is about 25 000 records of 1 KiB, replayed in well under a second.
    pub memtable_bytes_max: u64,
    /// Sealed memtables beyond this make the writer flush inline. 3 × 32 MiB absorb a burst while a flush or a unit of
    /// compaction runs.
    pub memtables_sealed_max: usize,
    /// A log segment of this many bytes seals its memtable. Above `memtable_bytes_max`, or it would decide alone;
    /// overwriting one key fills the log as fast as the memtable, so twice the memtable is ample.
    pub wal_segment_bytes_max: u64,
    /// Values of at least this many bytes are written once: tables point to them in the log, or in a file of relocated
    /// values. Smaller ones lie in tables. 512: a pointer takes about 20 bytes, a read of a separated value one read more
    /// than an inline one, and an inline value is written again by every compaction (docs/decisions/0005).
    pub value_separation_bytes: u64,
    /// Bytes of blocks and values kept in memory for reads; 0 caches nothing.
    pub cache_bytes: u64,
    /// Uncompressed bytes after which an SSTable block is closed; one block is one read. An entry is never split.
    pub block_bytes: usize,
    /// How blocks are compressed that will be rewritten by a compaction further down.
    pub compression: Compression,
    /// How blocks are compressed that nothing lies below.
    pub compression_bottom: Compression,
    /// Filter size. 10 bits make about 1 % false positives (split blocks cost a little over 0.6185^10 ≈ 0.8 %);
    /// 0 turns filters off.
    pub bloom_bits_per_key: usize,
    /// Level-0 tables from which on `maintain` merges them into level 1. A read may visit each of them, for about 40 ns if
    /// its filter says "absent"; merging 8 instead of 4 at a time halves what level 1 is rewritten.
    pub tables_l0_trigger: usize,
    /// Level-0 tables at which the writer compacts inline, so that their number is bounded without a maintainer.
    pub tables_l0_max: usize,
    /// Bytes after which compaction closes an output table and begins the next.
    pub table_bytes: u64,
    /// Most threads that share one unit of compaction; as many as call `maintain` at the same time, at most.
    pub subcompactions_max: usize,
    /// Bytes of level 1; each deeper level holds ten times more. Near `tables_l0_trigger` × `memtable_bytes_max`,
    /// so that merging level 0 into level 1 rewrites about as much as it adds.
    pub level_bytes_base: u64,
    /// Longest key accepted, in bytes: a user key of 1 KiB with its token and keyspace prefix stays below 2 KiB.
    pub key_bytes_max: usize,
    /// Longest value or operand accepted, in bytes: a full frame of the protocol (16 MiB). Joins may grow past it.
    pub value_bytes_max: usize,
    /// Longest batch accepted, in encoded bytes; at least one largest operation.
    pub batch_bytes_max: usize,
    /// Writers that may wait for a group commit; one more is refused. Each is a blocked thread of the caller.
    pub writers_queued_max: usize,
    /// Writes are refused while the file system has fewer free bytes, so that flush and compaction keep room.
    pub free_bytes_min: u64,
    /// Disk space that is set aside while there is plenty, and given up where opening, flush or compaction find none:
    /// together with `free_bytes_min` about the log's tail of a full set of memtables. 0 sets nothing aside.
    pub reserve_bytes: u64,
    /// When a write is acknowledged.
    pub durability: Durability,
}

/// When [`Engine::write`](crate::Engine::write) returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// After an fsync that covers the batch.
    Fsync,
    /// After the append: the batch survives a process kill, but not a power loss before the next
    /// [`Engine::sync`](crate::Engine::sync), which the caller runs on its interval.
    Periodic,
}

/// How a block of a table is compressed; a block that gains less than an eighth is stored as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// LZ4: about 2 µs per KiB to compress, 0.3 µs to decompress.
    Lz4,
    /// Zstandard, level 1: about 5 and 1 µs per KiB, and a fifth to a half smaller than LZ4.
    Zstd,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            memtable_bytes_max: 32 * MIB,
            memtables_sealed_max: 3,
            wal_segment_bytes_max: 64 * MIB,
            value_separation_bytes: 512,
            cache_bytes: 256 * MIB,
            block_bytes: 4_096,
            compression: Compression::Lz4,
            compression_bottom: Compression::Zstd,
            bloom_bits_per_key: 10,
            tables_l0_trigger: 8,
            tables_l0_max: 24,
            table_bytes: 16 * MIB,
            subcompactions_max: 4,
            level_bytes_base: 128 * MIB,
            key_bytes_max: 2_048,
            value_bytes_max: VALUE_BYTES_MAX,
            batch_bytes_max: BATCH_BYTES_MAX,
            writers_queued_max: 4_096,
            free_bytes_min: 64 * MIB,
            reserve_bytes: 64 * MIB,
            durability: Durability::Fsync,
        }
    }
}

impl Options {
    /// Checks the rules between fields.
    ///
    /// # Errors
    /// [`Error::InvalidOptions`] with the first rule that is broken.
    pub fn validate(&self) -> Result<(), Error> {
        const OPERATION_OVERHEAD: usize = 16; // kind and two lengths
        const LENGTH_MAX: usize = 1 << 30; // lengths are stored in 32 bits, with room for a block's other entries
        let operation_bytes = self
            .key_bytes_max
            .saturating_add(self.value_bytes_max)
            .saturating_add(OPERATION_OVERHEAD);
        let rules = [
            (self.memtable_bytes_max > 0, "memtable_bytes_max is 0"),
            (self.wal_segment_bytes_max > 0, "wal_segment_bytes_max is 0"),
            (self.value_separation_bytes > 0, "value_separation_bytes is 0"),
            ((64..=1 << 20).contains(&self.block_bytes), "block_bytes is outside 64 ..= 1 MiB"),
            (self.bloom_bits_per_key <= 64, "bloom_bits_per_key is above 64"),
            (self.tables_l0_trigger > 0, "tables_l0_trigger is 0"),
            (self.tables_l0_trigger <= self.tables_l0_max, "tables_l0_trigger above tables_l0_max"),
            (self.table_bytes > 0, "table_bytes is 0"),
            (self.subcompactions_max > 0, "subcompactions_max is 0"),
            (self.level_bytes_base > 0, "level_bytes_base is 0"),
            (self.key_bytes_max > 0, "key_bytes_max is 0"),
            (operation_bytes <= self.batch_bytes_max, "batch_bytes_max is below one operation"),
            (self.batch_bytes_max <= LENGTH_MAX, "batch_bytes_max is above 1 GiB"),
            (self.writers_queued_max > 0, "writers_queued_max is 0"),
        ];
        match rules.iter().find(|(holds, _)| !holds) {
            Some((_, what)) => Err(Error::InvalidOptions { what }),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Options;
    use crate::error::Error;

    #[test]
    fn defaults_are_valid_and_a_contradiction_is_named() {
        Options::default().validate().unwrap();
        let wrong = Options { tables_l0_trigger: 25, ..Options::default() };
        match wrong.validate() {
            Err(Error::InvalidOptions { what }) => assert!(what.contains("tables_l0_max")),
            other => panic!("{other:?}"),
        }
    }
}
