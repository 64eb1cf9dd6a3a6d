//! Blocks return what was added, by search and by walk, and keep their bytes.

use bytes::Bytes;
use proptest::prelude::*;

use super::{Block, BlockBuilder, BlockCursor};
use crate::entry::{Entry, Payload, Pointer, Value};
use crate::fold::Stack;
use crate::sstable::references::ReferenceCounter;
use crate::value_log::ValueKind;

const POINTER: Pointer =
    Pointer { file_id: 9, offset: 300, bytes: 4_000, digest: 0x0807_0605_0403_0201 };

fn inline(bytes: &'static [u8]) -> Payload {
    Payload::Inline(Bytes::from_static(bytes))
}

fn build(entries: &[(&[u8], Entry)]) -> Block {
    let mut references = ReferenceCounter::default();
    references.declare(9, ValueKind::Values);
    let mut builder = BlockBuilder::default();
    for (key, entry) in entries {
        builder.add(key, entry, &mut references);
    }
    let mut payload = Vec::new();
    builder.finish(&mut payload);
    Block::new(Bytes::from(payload)).unwrap()
}

fn walk(block: &Block) -> Vec<(Vec<u8>, Entry)> {
    let mut cursor = BlockCursor::default();
    cursor.enter(block.clone(), &[9]).unwrap();
    let mut all = Vec::new();
    while let Some(key) = cursor.key() {
        all.push((key.to_vec(), cursor.entry().unwrap()));
        cursor.advance(&[9]).unwrap();
    }
    all
}

#[test]
fn golden_bytes_of_every_kind() {
    let values = [
        (&b"apple"[..], Value::Put(inline(b"red"))),
        (b"apricot", Value::Merge(inline(b"+1"))),
        (b"apricots", Value::Delete),
        (b"banana", Value::Put(Payload::Stored(POINTER))),
        (b"cherry", Value::Merge(Payload::Stored(POINTER))),
    ];
    let entries: Vec<_> = values
        .iter()
        .zip([300, 7, 8, 9, 10])
        .map(|((key, value), sequence)| (*key, Entry { sequence, value: value.clone() }))
        .collect();
    let block = build(&entries);
    let hex: String = block.payload.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, GOLDEN);
    let expected: Vec<_> = entries.into_iter().map(|(key, entry)| (key.to_vec(), entry)).collect();
    assert_eq!(walk(&block), expected);
}

const GOLDEN: &str = "\
    01000503ac026170706c6572656402020502077269636f742b310307010008730400060d0962616e\
    616e6100ac02a01f01020304050607080500060d0a63686572727900ac02a01f0102030405060708\
    6170706c650000000000000001000000";

#[test]
fn pointers_outside_the_references_are_malformed() {
    let block =
        build(&[(b"key", Entry { sequence: 1, value: Value::Put(Payload::Stored(POINTER)) })]);
    assert!(BlockCursor::default().enter(block.clone(), &[]).is_err());
    assert!(block.gather(b"key", &[], &mut Stack::default()).is_err());
}

#[test]
fn entries_out_of_order_are_malformed() {
    let merge = |sequence| Entry { sequence, value: Value::Merge(inline(b"+")) };
    for second in [5, 6] {
        let block = build(&[(b"key", merge(5)), (b"key", merge(second))]);
        assert!(block.gather(b"key", &[], &mut Stack::default()).is_err());
        let mut cursor = BlockCursor::default();
        cursor.enter(block, &[]).unwrap();
        assert!(cursor.advance(&[]).is_err());
        assert!(cursor.key().is_none());
    }
    // What newer blocks or tables hold of the key is on the stack.
    let mut stack = Stack::default();
    stack.push(merge(5));
    assert!(build(&[(b"key", merge(6))]).gather(b"key", &[], &mut stack.clone()).is_err());
    assert!(build(&[(b"key", merge(4))]).gather(b"key", &[], &mut stack).is_ok());
    let mut cursor = BlockCursor::default();
    cursor.enter(build(&[(b"key", merge(5))]), &[]).unwrap();
    for (key, sequence, is_behind) in [
        (b"key", 6, false),
        (b"key", 5, false),
        (b"kex", 1, false),
        (b"key", 4, true),
        (b"kez", 9, true),
    ] {
        let entered = cursor.enter(build(&[(key, merge(sequence))]), &[]);
        assert_eq!(entered.is_ok(), is_behind, "{key:?} {sequence}");
    }
}

/// Sorted keys out of few letters, so that they share much; some with several entries.
fn keyed() -> impl Strategy<Value = Vec<(Vec<u8>, Entry)>> {
    let key = prop::collection::vec(0u8..3, 0..10);
    let keys =
        prop::collection::btree_map(key, prop::collection::vec((0u8..5, 0usize..200), 1..4), 1..60);
    keys.prop_map(|keys| {
        let mut sequence = 1u64 << 40;
        let mut entries = Vec::new();
        for (key, values) in keys {
            let last = values.len() - 1;
            for (at, (kind, bytes)) in values.into_iter().enumerate() {
                let payload = Payload::Inline(Bytes::from(vec![7; bytes]));
                let pointer = Payload::Stored(Pointer { offset: bytes as u64, ..POINTER });
                let value = match (at == last, kind) {
                    (true, 0) => Value::Put(payload),
                    (true, 1) => Value::Put(pointer),
                    (true, 2) => Value::Delete,
                    (_, 3) => Value::Merge(pointer),
                    (_, _) => Value::Merge(payload),
                };
                sequence -= 1_000_003;
                entries.push((key.clone(), Entry { sequence, value }));
            }
        }
        entries
    })
}

proptest! {
    #[test]
    fn search_and_walk_return_what_was_added(
        entries in keyed(),
        probes in prop::collection::vec(prop::collection::vec(0u8..3, 0..10), 20),
    ) {
        let slices: Vec<_> = entries.iter().map(|(key, entry)| (key.as_slice(), entry.clone())).collect();
        let block = build(&slices);
        prop_assert_eq!(&walk(&block), &entries);
        for probe in probes.iter().chain(entries.iter().map(|(key, _)| key)) {
            let mut expected = Stack::default();
            for (_, entry) in entries.iter().filter(|(key, _)| key == probe) {
                expected.push(entry.clone());
            }
            let mut found = Stack::default();
            block.gather(probe, &[9], &mut found).unwrap();
            prop_assert_eq!(format!("{found:?}"), format!("{expected:?}"));
            let mut cursor = BlockCursor::default();
            cursor.enter(block.clone(), &[9]).unwrap();
            cursor.seek(probe, &[9]).unwrap();
            let at = entries.partition_point(|(key, _)| key < probe);
            prop_assert_eq!(cursor.key(), entries.get(at).map(|(key, _)| key.as_slice()));
            prop_assert_eq!(cursor.entry(), entries.get(at).map(|(_, entry)| entry.clone()));
        }
    }

    #[test]
    fn damaged_and_arbitrary_bytes_never_panic(
        entries in keyed(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        arbitrary: Vec<u8>,
    ) {
        let slices: Vec<_> = entries.iter().map(|(key, entry)| (key.as_slice(), entry.clone())).collect();
        let mut damaged = build(&slices).payload.to_vec();
        for (at, byte) in damage {
            let at = at.index(damaged.len());
            damaged[at] = byte;
        }
        for bytes in [damaged, arbitrary] {
            let Ok(block) = Block::new(Bytes::from(bytes)) else { continue };
            for (key, _) in &entries {
                let _ = block.gather(key, &[9], &mut Stack::default());
            }
            let mut cursor = BlockCursor::default();
            let mut went = cursor.enter(block, &[9]);
            while went.is_ok() && cursor.key().is_some() {
                let _ = cursor.entry();
                went = cursor.advance(&[9]);
            }
            let _ = cursor.seek(&entries[0].0, &[9]);
        }
    }
}
