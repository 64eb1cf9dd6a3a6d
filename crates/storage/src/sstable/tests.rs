//! A table returns what was written, refuses every damaged byte, and keeps its bytes.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;

use super::footer::{FOOTER_BYTES, Footer};
use super::frame::{BlockKind, TableBlock};
use super::{KeyHash, Table, TableContext, TableCursor, TableMeta, TableShape, TableWriter};
use crate::cache::{Cache, CacheUse};
use crate::checksum::Place;
use crate::disk::{Disk, OpenHow, RealDisk};
use crate::entry::{Entry, Payload, Pointer, Value};
use crate::error::Error;
use crate::files::FileKind;
use crate::fold::Stack;
use crate::options::Compression;
use crate::value_log::{ValueFiles, ValueKind};

/// Keys, and several entries for some of them.
type Entries = Vec<(Vec<u8>, Entry)>;

/// Tables are file 3 of a temporary directory; value files 1 (a segment) and 2 are there for them to point into.
struct Bench {
    _dir: tempfile::TempDir,
    disk: RealDisk,
    values: ValueFiles,
    cache: Arc<Cache>,
    shape: TableShape,
}

impl Bench {
    fn new(compression: Compression, cache_bytes: u64) -> Bench {
        let dir = tempfile::tempdir().unwrap();
        let disk = RealDisk::new(dir.path());
        for (kind, id) in [(FileKind::Segment, 1), (FileKind::Values, 2)] {
            let file = disk.open(&kind.name(id), OpenHow::Create).unwrap();
            file.set_len(1 << 33).unwrap(); // longer than any pointer of these tests leads
        }
        let shape = TableShape { block_bytes: 128, bloom_bits_per_key: 10, compression };
        let cache = Arc::new(Cache::new(cache_bytes));
        Bench { _dir: dir, disk, values: ValueFiles::default(), cache, shape }
    }

    fn write(&self, entries: &[(Vec<u8>, Entry)]) -> TableMeta {
        let _ = self.disk.remove(&FileKind::Table.name(3));
        let mut writer = TableWriter::create(&self.disk, 3, self.shape).unwrap();
        writer.declare(1, ValueKind::Segment);
        writer.declare(2, ValueKind::Values);
        for (key, entry) in entries {
            writer.add(key, entry).unwrap();
        }
        writer.finish().unwrap()
    }

    fn open(&self, meta: &TableMeta) -> Result<Arc<Table>, Error> {
        let context = TableContext { disk: &self.disk, values: &self.values, cache: &self.cache };
        Table::open(&context, meta.clone()).map(Arc::new)
    }

    fn bytes(&self, meta: &TableMeta) -> Vec<u8> {
        let file = self.disk.open(&FileKind::Table.name(3), OpenHow::Read).unwrap();
        let mut bytes = vec![0; usize::try_from(meta.bytes).unwrap()];
        assert_eq!(file.read_at(0, &mut bytes).unwrap(), bytes.len());
        bytes
    }

    fn overwrite(&self, bytes: &[u8]) {
        let file = self.disk.open(&FileKind::Table.name(3), OpenHow::Replace).unwrap();
        assert_eq!(file.write_at(0, bytes).unwrap(), bytes.len());
    }
}

fn pointer(file_id: u64, bytes: u32) -> Payload {
    Payload::Stored(Pointer { file_id, offset: 1_000, bytes, digest: u64::from(bytes) })
}

fn sample(count: u64) -> Entries {
    let mut entries = Vec::new();
    for index in 0..count {
        let key = format!("key{:04}", index * 2).into_bytes();
        // Every seventh key has a long stack that crosses blocks.
        let copies = if index % 7 == 3 { 15 } else { 1 };
        for copy in 0..copies {
            let payload = Payload::Inline(Bytes::from(format!("v{index}-{copy}")));
            let value = match (copies, index % 5) {
                (1, 1) => Value::Delete,
                (1, 2) => Value::Put(pointer(1, 100)),
                (1, 3) => Value::Merge(pointer(2, 7)),
                (1, _) => Value::Put(payload),
                _ => Value::Merge(payload),
            };
            entries.push((key.clone(), Entry { sequence: 1_000 * index + 100 - copy, value }));
        }
    }
    entries
}

fn gather(table: &Table, key: &[u8]) -> Result<Stack, Error> {
    let mut stack = Stack::default();
    table.gather(key, KeyHash::of(key), (&mut stack, CacheUse::Fill))?;
    Ok(stack)
}

fn expected_stack(entries: &[(Vec<u8>, Entry)], key: &[u8]) -> Stack {
    let mut stack = Stack::default();
    for (_, entry) in entries.iter().filter(|(of, _)| of == key) {
        if !stack.is_settled() {
            stack.push(entry.clone());
        }
    }
    stack
}

fn collect(table: &Arc<Table>, start: &[u8], end: Option<&[u8]>) -> Result<Entries, Error> {
    let mut cursor = table.cursor(start, end, CacheUse::Bypass)?;
    let mut all = Vec::new();
    while let Some(key) = cursor.key() {
        all.push((key.to_vec(), cursor.entry().unwrap()));
        cursor.advance()?;
    }
    assert!(cursor.entry().is_none());
    Ok(all)
}

fn check_all(bench: &Bench, entries: &Entries, probes: &[Vec<u8>]) {
    let meta = bench.write(entries);
    assert_eq!(meta.entries, entries.len() as u64);
    let table = bench.open(&meta).unwrap();
    assert_eq!(&collect(&table, b"", None).unwrap(), entries);
    assert_eq!(table.verify(&mut |_| {}).unwrap(), meta.bytes);
    for probe in probes {
        let found = gather(&table, probe).unwrap();
        assert_eq!(format!("{found:?}"), format!("{:?}", expected_stack(entries, probe)));
        let start = entries.partition_point(|(key, _)| key < probe);
        assert_eq!(collect(&table, probe, None).unwrap(), entries[start..]);
        for end in probes.iter().take(3) {
            let stop = entries.partition_point(|(key, _)| key < end).max(start);
            let range = &entries[start..stop];
            assert_eq!(collect(&table, probe, Some(end)).unwrap(), range);
            assert!(range.is_empty() || table.may_contain_range(probe, Some(end)));
        }
    }
}

#[test]
fn gathers_and_cursors_return_what_was_written() {
    for compression in [Compression::None, Compression::Lz4, Compression::Zstd] {
        for cache_bytes in [0, 4_000, 1 << 20] {
            let bench = Bench::new(compression, cache_bytes);
            let probes: Vec<_> = (0..200).map(|at| format!("key{at:04}").into_bytes()).collect();
            check_all(&bench, &sample(100), &probes);
        }
    }
}

/// All blocks in front of the footer, in the order of the file.
fn blocks(table: &Table) -> Vec<TableBlock> {
    let mut blocks = Vec::new();
    table.verify(&mut |block| blocks.push(block)).unwrap();
    blocks
}

#[test]
fn tables_have_several_partitions_and_name_their_blocks() {
    let bench = Bench::new(Compression::Lz4, 0);
    let meta = bench.write(&sample(100));
    let table = bench.open(&meta).unwrap();
    let blocks = blocks(&table);
    let of = |kind| blocks.iter().filter(|block| block.kind == kind).count();
    assert!(of(BlockKind::Data) > 20 && of(BlockKind::Partition) > 5);
    for kind in [BlockKind::Filter, BlockKind::Prefixes, BlockKind::References, BlockKind::Top] {
        assert_eq!(of(kind), 1);
    }
    let mut end = 0;
    for (ordinal, block) in blocks.iter().enumerate() {
        assert_eq!((block.ordinal, block.offset), (ordinal as u64, end));
        end += u64::from(block.bytes);
    }
}

#[test]
fn a_pointer_out_of_its_value_file_is_found() {
    let bench = Bench::new(Compression::None, 0);
    let meta = bench.write(&sample(100));
    let name = FileKind::Values.name(2);
    bench.disk.open(&name, OpenHow::Replace).unwrap().set_len(1_000).unwrap();
    let error = bench.open(&meta).unwrap().verify(&mut |_| {}).unwrap_err();
    assert!(error.to_string().contains("leads out of its value file"), "{error}");
}

#[test]
fn an_index_that_leads_out_of_the_table_asks_for_no_memory() {
    let bench = Bench::new(Compression::None, 0);
    let meta = bench.write(&sample(2));
    let top = *blocks(&bench.open(&meta).unwrap()).last().unwrap();
    let at = usize::try_from(top.offset).unwrap();
    let mut bytes = bench.bytes(&meta);
    // Behind count, first ordinal, start and the key's beginning: where the only partition ends.
    bytes[at + 24 + 3] = 0xff;
    let payload = bytes[at..at + usize::try_from(top.bytes).unwrap() - 6].to_vec();
    let place = Place { file_id: 3, offset: top.offset, sequence: top.ordinal };
    let mut sealed = Vec::new();
    super::frame::seal(&mut sealed, &payload, Compression::None, BlockKind::Top, place);
    bytes[at..at + sealed.len()].copy_from_slice(&sealed);
    bench.overwrite(&bytes);
    let name = FileKind::Table.name(3);
    let file = crate::files::StoreFile::open(&bench.disk, &name, OpenHow::Read).unwrap();
    let mut damaged = Vec::new();
    let mut sink = |item: crate::finding::Item| {
        damaged.extend((item.part == "damaged").then_some(item));
        std::ops::ControlFlow::Continue(())
    };
    assert!(super::dissect_table(&file, 3, meta.bytes, &mut sink).is_continue());
    assert_eq!(damaged.len(), 1, "{damaged:?}");
    assert!(format!("{damaged:?}").contains("leads out of the table"), "{damaged:?}");
    assert!(matches!(bench.open(&meta), Err(Error::Corrupt { .. })));
}

#[test]
fn references_add_up() {
    let bench = Bench::new(Compression::None, 0);
    let entries = sample(100);
    let table = bench.open(&bench.write(&entries)).unwrap();
    for (reference, file_id) in table.references().iter().zip([1, 2]) {
        let pointed = |key: &[u8], entry: &Entry| match entry.value.payload() {
            Some(Payload::Stored(pointer)) if pointer.file_id == file_id => pointer.copy_bytes(key),
            _ => 0,
        };
        assert_eq!(reference.file.file_id(), file_id);
        assert!(reference.live_bytes > 0);
        assert_eq!(
            reference.live_bytes,
            entries.iter().map(|(key, entry)| pointed(key, entry)).sum()
        );
    }
    assert_eq!(table.references().len(), 2);
    bench.disk.remove(&FileKind::Values.name(2)).unwrap();
    drop(table);
    let meta = bench.write(&entries);
    assert!(matches!(bench.open(&meta), Err(Error::Corrupt { .. })), "a value file is missing");
}

#[test]
fn reads_fill_the_cache_and_scans_do_not() {
    let bench = Bench::new(Compression::Lz4, 1 << 20);
    let entries = sample(100);
    let table = bench.open(&bench.write(&entries)).unwrap();
    collect(&table, b"", None).unwrap();
    assert_eq!(bench.cache.statistics().entries, 0);
    gather(&table, b"key0010").unwrap();
    assert_eq!(bench.cache.statistics().entries, 2, "a partition and a block");
    let before = bench.cache.statistics().blocks;
    gather(&table, b"key0010").unwrap();
    let after = bench.cache.statistics().blocks;
    assert_eq!((after.hits - before.hits, after.misses - before.misses), (2, 0));
    collect(&table, b"key0010", Some(b"key0011")).unwrap();
    assert_eq!(bench.cache.statistics().blocks.hits - after.hits, 2, "scans look");
}

#[test]
fn every_flipped_bit_is_corrupt_and_never_absent() {
    let compressible = (0..6).map(|index| {
        let payload = Payload::Inline(Bytes::from(vec![b'a'; 90]));
        (
            format!("long{index}").into_bytes(),
            Entry { sequence: 90_000 + index, value: Value::Put(payload) },
        )
    });
    let entries: Entries = sample(9).into_iter().chain(compressible).collect();
    for compression in [Compression::Lz4, Compression::Zstd] {
        let bench = Bench::new(compression, 0);
        let meta = bench.write(&entries);
        let bytes = bench.bytes(&meta);
        for position in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[position] ^= 1 << (position % 8);
            bench.overwrite(&flipped);
            let corrupt = |error: &Error| matches!(error, Error::Corrupt { .. });
            let table = match bench.open(&meta) {
                Ok(table) => table,
                Err(error) => {
                    assert!(corrupt(&error), "flip at {position}: {error}");
                    continue;
                }
            };
            for key in entries.iter().map(|(key, _)| key).collect::<BTreeSet<_>>() {
                match gather(&table, key) {
                    Ok(found) => assert_eq!(
                        format!("{found:?}"),
                        format!("{:?}", expected_stack(&entries, key))
                    ),
                    Err(error) => assert!(corrupt(&error)),
                }
            }
            assert!(collect(&table, b"", None).is_err_and(|error| corrupt(&error)), "{position}");
            assert!(table.verify(&mut |_| {}).is_err_and(|error| corrupt(&error)), "{position}");
        }
    }
}

/// Its checksums are right: a defect of the writer, or a forgery. Found by the fuzz target `table`.
#[test]
fn entries_that_do_not_descend_across_blocks_are_corrupt_for_every_reader() {
    let bench = Bench::new(Compression::None, 1 << 20);
    let mut entries = sample(10);
    let long = entries.iter().position(|(key, _)| key == b"key0006").unwrap();
    entries[long + 14].1.sequence = entries[long].1.sequence;
    let meta = bench.write(&entries);
    let table = bench.open(&meta).unwrap();
    assert_corrupt(gather(&table, b"key0006"));
    assert_corrupt(collect(&table, b"", None));
    assert_corrupt(table.verify(&mut |_| {}));
    assert!(gather(&table, b"key0008").is_ok(), "others stay readable");
}

fn assert_corrupt<T: std::fmt::Debug>(read: Result<T, Error>) {
    let file = FileKind::Table.name(3);
    assert!(matches!(&read, Err(Error::Corrupt { file: of, .. }) if *of == file), "{read:?}");
}

#[test]
fn a_cursor_is_at_its_end_after_an_error() {
    let bench = Bench::new(Compression::None, 0);
    let meta = bench.write(&sample(100));
    let table = bench.open(&meta).unwrap();
    let third = blocks(&table)[2];
    let mut bytes = bench.bytes(&meta);
    bytes[usize::try_from(third.offset).unwrap()] ^= 1;
    let mut cursor = table.cursor(b"", None, CacheUse::Bypass).unwrap();
    bench.overwrite(&bytes);
    let error = loop {
        if let Err(error) = cursor.advance() {
            break error;
        }
    };
    assert!(matches!(error, Error::Corrupt { offset, .. } if offset == third.offset));
    assert!(cursor.key().is_none() && cursor.entry().is_none());
}

#[test]
fn counts_that_only_the_entries_contradict_are_found_by_verify() {
    let bench = Bench::new(Compression::None, 0);
    let meta = bench.write(&sample(9));
    let mut bytes = bench.bytes(&meta);
    let at = bytes.len() - FOOTER_BYTES;
    let footer = Footer::decode(&bytes[at..], 3, at as u64).unwrap();
    bytes.truncate(at);
    bytes.extend(Footer { entries: footer.entries + 1, ..footer }.encode());
    bench.overwrite(&bytes);
    let table = bench.open(&TableMeta { entries: meta.entries + 1, ..meta }).unwrap();
    let error = table.verify(&mut |_| {}).unwrap_err().to_string();
    assert!(error.contains("entries and footer disagree"), "{error}");
}

#[test]
fn what_scans_move_between_threads_can_be_moved() {
    fn is_send<T: Send>() {}
    fn is_shared<T: Send + Sync>() {}
    is_send::<TableCursor>();
    is_send::<TableWriter>();
    is_shared::<Table>();
    is_shared::<Cache>();
}

#[test]
fn a_block_of_another_table_is_refused() {
    let bench = Bench::new(Compression::None, 0);
    let meta = bench.write(&sample(4));
    let other = TableMeta { file_id: 4, ..meta };
    bench.disk.rename(&FileKind::Table.name(3), &FileKind::Table.name(4)).unwrap();
    assert!(matches!(bench.open(&other), Err(Error::Corrupt { .. })));
}

#[test]
fn a_table_of_version_1_is_refused_by_name() {
    let bench = Bench::new(Compression::None, 0);
    let digit = |at: usize| u8::from_str_radix(&VERSION_1[at..at + 2], 16).unwrap();
    let bytes: Vec<u8> = (0..VERSION_1.len()).step_by(2).map(digit).collect();
    bench.overwrite(&bytes);
    let meta = TableMeta {
        file_id: 3,
        bytes: bytes.len() as u64,
        entries: 3,
        sequence_min: 7,
        sequence_max: 300,
        key_first: Bytes::from_static(b"apple"),
        key_last: Bytes::from_static(b"banana"),
    };
    let error = bench.open(&meta).err().unwrap().to_string();
    assert!(error.contains("older version"), "{error}");
}

#[test]
fn golden_bytes() {
    let bench = Bench::new(Compression::None, 0);
    let entry = |sequence, value| Entry { sequence, value };
    let inline = |bytes| Payload::Inline(Bytes::from_static(bytes));
    let entries = vec![
        (b"apple".to_vec(), entry(300, Value::Put(inline(b"red")))),
        (b"apricot".to_vec(), entry(7, Value::Merge(inline(b"+1")))),
        (b"banana".to_vec(), entry(8, Value::Delete)),
        (b"cherry".to_vec(), entry(9, Value::Put(pointer(2, 500)))),
    ];
    let meta = bench.write(&entries);
    let hex: String = bench.bytes(&meta).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, GOLDEN);
}

/// Sorted keys out of few letters, so that they share much and cross blocks; some with several entries.
fn arbitrary_entries() -> impl Strategy<Value = Entries> {
    let key = prop::collection::vec(0u8..4, 0..12);
    let values = prop::collection::vec((0u8..5, 0u32..150), 1..6);
    prop::collection::btree_map(key, values, 1..80).prop_map(|keys| {
        let mut sequence = 1u64 << 20;
        let mut entries = Vec::new();
        for (key, values) in keys {
            let last = values.len() - 1;
            for (at, (kind, bytes)) in values.into_iter().enumerate() {
                let letter = u8::try_from(bytes % 256).unwrap();
                let payload = Payload::Inline(Bytes::from(vec![letter; bytes as usize]));
                let value = match (at == last, kind) {
                    (true, 0) => Value::Put(payload),
                    (true, 1) => Value::Put(pointer(1, bytes)),
                    (true, 2) => Value::Delete,
                    (_, 3) => Value::Merge(pointer(2, bytes)),
                    (_, _) => Value::Merge(payload),
                };
                sequence -= 1;
                entries.push((key.clone(), Entry { sequence, value }));
            }
        }
        entries
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn tables_round_trip(
        entries in arbitrary_entries(),
        probes in prop::collection::vec(prop::collection::vec(0u8..5, 0..12), 10),
        compression in prop::sample::select(vec![Compression::None, Compression::Lz4, Compression::Zstd]),
        block_bytes in 1usize..400,
        cache_bytes in prop::sample::select(vec![0u64, 2_000, 100_000]),
    ) {
        let mut bench = Bench::new(compression, cache_bytes);
        bench.shape.block_bytes = block_bytes;
        let keys = entries.iter().map(|(key, _)| key.clone()).step_by(3);
        let probes: Vec<_> = probes.into_iter().chain(keys).collect();
        check_all(&bench, &entries, &probes);
    }
}

const GOLDEN: &str = "\
    01000503ac026170706c6572656402020502077269636f742b31030006000862616e616e61040006\
    0d0963686572727900e807f403f4010000000000006170706c65000000000000000100000001007e\
    1a0cff01000000000000000000000000000000636865727279000053000000000000000600000063\
    6865727279030023042cec0100004940c0000810001c0002020088108200100420018200000201c0\
    80001208020005966bdf01f0c20101f00101860201040013637445010202fe030500604f1b500100\
    00000100000053000000000000006368657272790000830000000000000006000000636865727279\
    0600fcb0f4ec41544f4c4c5353540200000001000000030000000000000001000000270000001100\
    00000b00000030000000000000005300000000000000830000000000000004000000000000000700\
    0000000000002c0100000000000000000000aee7ec93";

/// The golden bytes of version 1.
const VERSION_1: &str = "\
    000503ac02016170706c6572656402050207027269636f742b31000600080362616e616e61000000\
    00010000000176dfafbd0100004840c0000010001c00000200880082001000000182000002018080\
    00100802aa5779ee0662616e616e61320334bb704c41544f4c4c5353540100000001000000030000\
    00000000003200000000000000260000000d000000030000000000000007000000000000002c0100\
    0000000000000000002bdfe48e";
