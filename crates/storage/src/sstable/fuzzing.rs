//! Doors to the decoders of this folder; see `crate::fuzzing`.

use std::sync::Arc;

use bytes::Bytes;

use crate::cache::{Cache, CacheUse};
use crate::checksum::Place;
use crate::entry::{Entry, Payload, Pointer, Value};
use crate::files::FileKind;
use crate::fold::Stack;
use crate::harness::{FlatDisk, Show, Source};
use crate::options::Compression;
use crate::value_log::{ValueFiles, ValueKind};

use super::block::{Block, BlockBuilder, BlockCursor};
use super::bloom::{Filter, KeyHash};
use super::footer::{FOOTER_BYTES, Footer};
use super::frame::{self, BlockKind, TRAILER_BYTES, TableBlock};
use super::index::IndexBlock;
use super::prefixes::PrefixFilter;
use super::references::{self, ReferenceCounter};
use super::{Table, TableContext, TableMeta, TableShape, TableWriter};

const KINDS: [BlockKind; 6] = [
    BlockKind::Data,
    BlockKind::Filter,
    BlockKind::Partition,
    BlockKind::Prefixes,
    BlockKind::References,
    BlockKind::Top,
];

/// Id of the table, and of the value files before it.
const TABLE: u64 = 3;

/// A footer, as it is and with the checksum it should have.
pub fn footer(bytes: &[u8]) {
    let mut source = Source::new(bytes);
    let (file_id, offset) = (source.number(), source.number());
    let mut footer = source.rest().to_vec();
    let _ = Footer::decode(&footer, file_id, offset);
    footer.resize(FOOTER_BYTES, 0);
    patch(&mut footer, Place { file_id, offset, sequence: 0 });
    if let Ok(decoded) = Footer::decode(&footer, file_id, offset) {
        assert_eq!(decoded.end(), offset, "the parts tile the file");
        assert_eq!((decoded.filter().offset, decoded.file_id), (decoded.filter_offset, file_id));
    }
}

/// Makes the last four bytes the checksum of those before.
fn patch(bytes: &mut [u8], place: Place) {
    let at = bytes.len().saturating_sub(4);
    let (covered, sum) = bytes.split_at_mut(at);
    if sum.len() == 4 {
        sum.copy_from_slice(&place.checksum(&[covered]).to_le_bytes());
    }
}

/// A frame of any kind, as it is and with the checksum it should have; compressed payloads, too.
pub fn frame(bytes: &[u8]) {
    let place = Place { file_id: TABLE, offset: 40, sequence: 2 };
    let mut patched = bytes.to_vec();
    patch(&mut patched, place);
    for kind in KINDS {
        let _ = frame::open(Bytes::copy_from_slice(bytes), kind, place);
        if let Ok(payload) = frame::open(Bytes::from(patched.clone()), kind, place) {
            assert!(!payload.is_empty());
        }
    }
}

/// The payload of a data block: walked, sought, searched.
pub fn block(bytes: &[u8]) {
    let mut source = Source::new(bytes);
    let probe = source.short();
    let payload = Bytes::copy_from_slice(source.rest());
    let Ok(block) = Block::new(payload) else { return };
    let file_ids = [1, 2];
    let mut cursor = BlockCursor::default();
    let mut keys = vec![probe.to_vec(), Vec::new(), vec![0xff; 9]];
    let mut entered = cursor.enter(block.clone(), &file_ids);
    let mut offsets = vec![0];
    while let (Ok(()), Some(key)) = (entered, cursor.key()) {
        if keys.len() < 40 {
            keys.push(key.to_vec());
        }
        assert!(cursor.entry().is_some());
        offsets.push(cursor.next_offset());
        entered = cursor.advance(&file_ids);
    }
    offsets.pop();
    let _ = cursor.has_restarts_among(&offsets);
    for key in &keys {
        let mut stack = Stack::default();
        let _ = block.gather(key, &file_ids, &mut stack);
        if cursor.enter(block.clone(), &file_ids).is_ok() && cursor.seek(key, &file_ids).is_ok() {
            assert!(cursor.key().is_none_or(|found| found >= key.as_slice()));
        }
    }
}

/// Entries in, the same entries out: by a walk, by seeking, by searching.
pub fn block_round_trip(bytes: &[u8]) {
    let entries = entries(&mut Source::new(bytes));
    if entries.is_empty() {
        return;
    }
    let mut counter = ReferenceCounter::default();
    counter.declare(1, ValueKind::Segment);
    counter.declare(2, ValueKind::Values);
    let mut builder = BlockBuilder::default();
    entries.iter().for_each(|(key, entry)| builder.add(key, entry, &mut counter));
    let mut payload = Vec::new();
    builder.finish(&mut payload);
    let file_ids: Vec<u64> = counter.records().iter().map(|record| record.file_id).collect();
    let block = Block::new(Bytes::from(payload)).expect("what is written can be read");
    let mut cursor = BlockCursor::default();
    cursor.enter(block.clone(), &file_ids).expect("what is written can be walked");
    for (key, entry) in &entries {
        assert_eq!((cursor.key(), cursor.entry().as_ref()), (Some(key.as_slice()), Some(entry)));
        cursor.advance(&file_ids).expect("what is written can be walked");
    }
    assert_eq!(cursor.key(), None);
    for (key, _) in &entries {
        let mut wanted = Stack::default();
        for (_, entry) in entries.iter().filter(|(other, _)| other == key) {
            if !wanted.is_settled() {
                wanted.push(entry.clone());
            }
        }
        let mut found = Stack::default();
        block.gather(key, &file_ids, &mut found).expect("what is written can be searched");
        assert_eq!(format!("{found:?}"), format!("{wanted:?}"));
        cursor.seek(key, &file_ids).expect("what is written can be sought");
        assert_eq!(cursor.key(), Some(key.as_slice()));
    }
}

/// Sorted entries, at most 64.
fn entries(source: &mut Source<'_>) -> Vec<(Vec<u8>, Entry)> {
    let mut entries = Vec::new();
    while !source.is_empty() && entries.len() < 64 {
        let (kind, sequence) = (source.byte(), u64::from(source.byte()) << (source.byte() % 50));
        let key = source.short().to_vec();
        let inline = Payload::Inline(Bytes::copy_from_slice(source.short()));
        let pointer = Pointer {
            file_id: u64::from(kind >> 4) % 2 + 1,
            offset: sequence % 50,
            bytes: u32::from(kind % 50),
            digest: sequence,
        };
        let value = match kind % 5 {
            0 => Value::Put(inline),
            1 => Value::Merge(inline),
            2 => Value::Delete,
            3 => Value::Put(Payload::Stored(pointer)),
            _ => Value::Merge(Payload::Stored(pointer)),
        };
        entries.push((key, Entry { sequence, value }));
    }
    entries.sort_by(|(left, newer), (right, older)| {
        left.cmp(right).then(older.sequence.cmp(&newer.sequence))
    });
    entries.dedup_by(|(left, one), (right, other)| left == right && one.sequence == other.sequence);
    entries
}

/// An index block: decoded, walked, bisected.
pub fn index(bytes: &[u8]) {
    let mut source = Source::new(bytes);
    let probe = source.short();
    let payload = Bytes::copy_from_slice(source.rest());
    if let Some(index) = IndexBlock::of_checked(payload.clone()) {
        let walked = (0..=index.len()).filter(|at| index.handle(*at).is_some());
        assert!(walked.count() <= index.len());
    }
    let Some(index) = IndexBlock::decode(payload) else { return };
    let mut before: &[u8] = &[];
    for at in 0..index.len() {
        let handle = index.handle(at).expect("every handle was checked");
        assert!(handle.bytes > 0 && handle.key_last >= before);
        before = handle.key_last;
    }
    let first = index.first_for(probe);
    assert!(first <= index.len());
    assert!(index.handle(first).is_none_or(|handle| handle.key_last >= probe));
    let _ = (index.begins(), index.ends());
}

/// The filter over whole keys.
pub fn filter(bytes: &[u8]) {
    let mut source = Source::new(bytes);
    let hash = KeyHash::of(source.short());
    if let Some(filter) = Filter::decode(Bytes::copy_from_slice(source.rest())) {
        let _ = filter.may_contain(hash);
    }
}

/// The filter over the first bytes of keys.
pub fn prefixes(bytes: &[u8]) {
    let mut source = Source::new(bytes);
    let (start, end) = (source.short(), source.short());
    let Some(filter) = PrefixFilter::decode(source.rest()) else { return };
    assert_eq!(PrefixFilter::decode(&filter.encode()).as_ref(), Some(&filter));
    if filter.may_contain_range(start, Some(end)) {
        assert!(filter.may_contain_range(start, None));
    }
}

/// The references to value files.
pub fn references(bytes: &[u8]) {
    if let Some(records) = references::decode(bytes) {
        assert_eq!(references::decode(&references::encode(&records)), Some(records));
    }
}

/// A whole table: written, then changed anywhere, with every checksum right; opened, read and verified.
///
/// Half of the inputs change nothing, and must be read back as they were written.
pub(crate) fn table(bytes: &[u8], show: Show) {
    let mut source = Source::new(bytes);
    let (shape, changes) = (source.byte(), source.byte() % 8);
    let changes: Vec<_> = (0..changes / 2).map(|_| (source.number(), source.byte())).collect();
    let entries = entries(&mut source);
    let Some((key_first, _)) = entries.first() else { return };
    let disk = FlatDisk::default();
    for (kind, file_id) in [(ValueKind::Segment, 1), (ValueKind::Values, 2)] {
        // Room for whatever the entries point to: a table that points to more is refused.
        disk.put(&kind.file_kind().name(file_id), vec![0; 64 * 1_024]);
    }
    let (values, cache) = (ValueFiles::default(), Arc::new(Cache::new(10_000)));
    let context = TableContext { disk: &disk, values: &values, cache: &cache };
    let meta = write(&disk, shape, &entries);
    assert_eq!(&meta.key_first[..], key_first.as_slice());
    let sound =
        Arc::new(Table::open(&context, meta.clone()).expect("what is written can be opened"));
    let mut blocks = Vec::new();
    sound.verify(&mut |block| blocks.push(block)).expect("what is written is sound");
    if changes.is_empty() {
        check_sound(&sound, &entries);
        return;
    }
    let name = FileKind::Table.name(TABLE);
    let mut file = disk.bytes(&name);
    for (position, change) in &changes {
        let at = usize::try_from(position % (file.len() as u64)).unwrap_or(0);
        if let Some(byte) = file.get_mut(at) {
            *byte ^= change;
        }
    }
    patch_table(&mut file, &blocks);
    disk.put(&name, file);
    let cache = Arc::new(Cache::new(10_000));
    let context = TableContext { cache: &cache, ..context };
    if let Ok(table) = Table::open(&context, meta) {
        read(&Arc::new(table), &entries);
    }
    show(&disk, &name);
}

fn write(disk: &FlatDisk, shape: u8, entries: &[(Vec<u8>, Entry)]) -> TableMeta {
    let compression = match shape % 3 {
        0 => Compression::None,
        1 => Compression::Lz4,
        _ => Compression::Zstd,
    };
    let bloom_bits_per_key = usize::from(shape >> 7) * 10;
    let shape =
        TableShape { block_bytes: 64 + usize::from(shape), bloom_bits_per_key, compression };
    let mut writer = TableWriter::create(disk, TABLE, shape).expect("nothing fails here");
    writer.declare(1, ValueKind::Segment);
    writer.declare(2, ValueKind::Values);
    for (key, entry) in entries {
        writer.add(key, entry).expect("nothing fails here");
    }
    writer.finish().expect("nothing fails here")
}

/// Gives every block and the footer the checksum they should have.
fn patch_table(file: &mut [u8], blocks: &[TableBlock]) {
    let range = |offset: u64, bytes: usize| {
        let offset = usize::try_from(offset).unwrap_or(usize::MAX);
        offset..offset.saturating_add(bytes)
    };
    for block in blocks {
        let bytes = usize::try_from(block.bytes).unwrap_or(TRAILER_BYTES);
        let place = Place { file_id: TABLE, offset: block.offset, sequence: block.ordinal };
        if let Some(frame) = file.get_mut(range(block.offset, bytes)) {
            patch(frame, place);
        }
    }
    let offset = (file.len() - FOOTER_BYTES) as u64;
    if let Some(footer) = file.get_mut(range(offset, FOOTER_BYTES)) {
        patch(footer, Place { file_id: TABLE, offset, sequence: 0 });
    }
}

fn check_sound(table: &Arc<Table>, entries: &[(Vec<u8>, Entry)]) {
    let mut cursor = table.cursor(&[], None, CacheUse::Fill).expect("what is written can be read");
    for (key, entry) in entries {
        assert_eq!((cursor.key(), cursor.entry().as_ref()), (Some(key.as_slice()), Some(entry)));
        cursor.advance().expect("what is written can be read");
    }
    assert!(cursor.key().is_none());
    read(table, entries);
}

/// Reads in every way there is.
fn read(table: &Arc<Table>, entries: &[(Vec<u8>, Entry)]) {
    let _ = table.verify(&mut |_block| {});
    for (key, _) in entries {
        let mut stack = Stack::default();
        let _ = table.gather(key, KeyHash::of(key), (&mut stack, CacheUse::Fill));
        let Ok(mut cursor) = table.cursor(key, None, CacheUse::Bypass) else { continue };
        while cursor.key().is_some() && cursor.advance().is_ok() {}
    }
}
