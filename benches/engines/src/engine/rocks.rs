//! RocksDB, with its values inline or in blob files.
//!
//! Configuration: what its tuning guide gives a small server with a log, levelled compaction and LZ4. Memtables of
//! 64 MiB, four of them; blocks of 4 KiB; 10-bit Bloom filters; one LRU cache for blocks, index, filters and blobs;
//! two background jobs. Blob files from 512 bytes on, LZ4, with garbage collection at its defaults.
//!
//! Source: the wiki of RocksDB, "Setup Options and Basic Tuning" and "BlobDB".

use rocksdb::{
    BlockBasedOptions, Cache, DB, DBCompressionType, Options, ReadOptions, WaitForCompactOptions,
    WriteOptions,
};

use crate::Outcome;

use super::{Durability, Engine, MEMTABLE_BYTES, SEPARATION_BYTES, Setup, WORKERS, Writes};

/// Where values are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Blobs {
    /// In the tables.
    Inline,
    /// In blob files, when they are long enough.
    Separate,
}

/// An open RocksDB.
pub(super) struct Rocks {
    db: DB,
    read: ReadOptions,
    write: WriteOptions,
}

impl Rocks {
    pub(super) fn open(setup: Setup<'_>, blobs: Blobs) -> Outcome<Rocks> {
        let db = DB::open(&options(setup, blobs)?, setup.directory)?;
        let mut write = WriteOptions::default();
        write.set_sync(setup.durability == Durability::Synced);
        Ok(Rocks { db, read: ReadOptions::default(), write })
    }
}

fn options(setup: Setup<'_>, blobs: Blobs) -> Outcome<Options> {
    let cache = Cache::new_lru_cache(usize::try_from(setup.cache_bytes)?);
    let mut blocks = BlockBasedOptions::default();
    blocks.set_block_size(4_096);
    blocks.set_bloom_filter(10.0, false);
    blocks.set_block_cache(&cache);
    blocks.set_cache_index_and_filter_blocks(true);
    blocks.set_format_version(6);

    let mut options = Options::default();
    options.create_if_missing(true);
    options.set_block_based_table_factory(&blocks);
    options.set_compression_type(DBCompressionType::Lz4);
    options.set_write_buffer_size(MEMTABLE_BYTES);
    options.set_max_write_buffer_number(4);
    options.set_level_compaction_dynamic_level_bytes(true);
    options.set_bytes_per_sync(1_024 * 1_024);
    options.set_max_background_jobs(i32::try_from(WORKERS)?);
    if blobs == Blobs::Separate {
        options.set_enable_blob_files(true);
        options.set_min_blob_size(u64::from(SEPARATION_BYTES));
        options.set_blob_compression_type(DBCompressionType::Lz4);
        options.set_enable_blob_gc(true);
        options.set_blob_cache(&cache);
    }
    Ok(options)
}

impl Writes for Rocks {
    fn put(&self, key: &[u8], value: &[u8]) -> Outcome<()> {
        Ok(self.db.put_opt(key, value, &self.write)?)
    }
}

impl Engine for Rocks {
    fn get(&self, key: &[u8], visit: &mut dyn FnMut(&[u8])) -> Outcome<()> {
        if let Some(value) = self.db.get_pinned_opt(key, &self.read)? {
            visit(&value);
        }
        Ok(())
    }

    fn scan_pairs(&self, visit: &mut dyn FnMut(&[u8], &[u8])) -> Outcome<()> {
        let mut read = ReadOptions::default();
        read.fill_cache(false);
        let mut cursor = self.db.raw_iterator_opt(read);
        cursor.seek_to_first();
        while let Some((key, value)) = cursor.item() {
            visit(key, value);
            cursor.next();
        }
        Ok(cursor.status()?)
    }

    fn sync(&self) -> Outcome<()> {
        Ok(self.db.flush_wal(true)?)
    }

    fn settle(&self) -> Outcome<()> {
        Ok(self.db.wait_for_compact(&WaitForCompactOptions::default())?)
    }

    fn notes(&self) -> String {
        let property = |name: &str| self.db.property_value(name).ok().flatten().unwrap_or_default();
        property("rocksdb.levelstats") + &property("rocksdb.blob-stats")
    }

    fn close(self: Box<Self>) -> Outcome<()> {
        self.db.cancel_all_background_work(true);
        Ok(())
    }
}
