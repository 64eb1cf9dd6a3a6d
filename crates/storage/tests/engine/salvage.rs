//! Damaged files are got rid of: what of them can be read stays, what cannot is left out once it is said to be mended.

use atoll_storage::{Engine, Error, KeyRange, Salvaged, ScrubPosition, Survey, verify_store};

use crate::harness::{CloneDisk, delete, get, merge, open, put, settle, tiny};
use crate::mem_disk::{Call, MemDisk};

const KEYS: usize = 150;

fn key(index: usize) -> String {
    format!("key{index:03}")
}

fn value(index: usize) -> String {
    // Every other one is separated.
    if index.is_multiple_of(2) { format!("v{index}") } else { format!("a separated value {index}") }
}

/// A closed store with tables and value files.
fn stored() -> MemDisk {
    let disk = MemDisk::default();
    let engine = open(&disk);
    for index in 0..KEYS {
        put(&engine, &key(index), &value(index)).unwrap();
    }
    settle(&engine);
    engine.close().unwrap();
    disk
}

/// The damaged files, as the scrub finds them.
fn scrub(engine: &Engine) -> Vec<String> {
    let (mut files, mut next) = (Vec::new(), Some(ScrubPosition::default()));
    while let Some(position) = next {
        let step = engine.scrub(position, &mut |_| {}).unwrap();
        files.extend(step.damages.into_iter().map(|damage| damage.file));
        next = step.next;
    }
    files.dedup();
    files
}

fn lost(engine: &Engine, file: &str) -> Vec<KeyRange> {
    match engine.survey(file, &mut |_| {}).unwrap() {
        Survey::Lost(lost) => lost,
        Survey::Unused => panic!("{file} is in use"),
    }
}

fn is_lost(lost: &[KeyRange], key: &str) -> bool {
    lost.iter().any(|range| (&range.first[..]..=&range.last[..]).contains(&key.as_bytes()))
}

/// Salvages `file` to its end; returns the tables written anew.
fn salvage(engine: &Engine, file: &str, mended: &[KeyRange]) -> usize {
    let mut tables = 1;
    loop {
        match engine.salvage(file, mended).unwrap() {
            Salvaged::Done => return tables,
            Salvaged::More => tables += 1,
            Salvaged::Again => panic!("something was lost that is not in {mended:?}"),
        }
    }
}

/// Whether the damaged file is still in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Damaged,
    Salvaged,
}

/// Every sound key reads as it was; the lost ones fail before they are salvaged, and are absent afterwards.
fn check(engine: &Engine, lost: &[KeyRange], state: State) -> usize {
    let mut corrupt = 0;
    for index in 0..KEYS {
        match engine.get(key(index).as_bytes()) {
            Ok(Some(found)) => assert_eq!(found, value(index).as_bytes()),
            Ok(None) => {
                assert!(state == State::Salvaged && is_lost(lost, &key(index)), "{}", key(index))
            }
            Err(Error::Corrupt { .. }) => {
                assert!(state == State::Damaged && is_lost(lost, &key(index)), "{}", key(index));
                corrupt += 1;
            }
            Err(other) => panic!("{other}"),
        }
    }
    corrupt
}

/// Whatever bit flips, in tables and value files: what a survey does not name can be read, and after the salvage the store is
/// sound and complete but for what was named.
#[test]
fn a_flip_anywhere_costs_what_it_hit_and_no_more() {
    let stored = stored();
    let (mut hits, mut losses) = (0, 0);
    let names = [stored.named(".sst"), stored.named(".wal"), stored.named(".vlog")].concat();
    for name in names {
        for position in (0..stored.bytes(&name).len()).step_by(41) {
            let disk = stored.crash(crate::mem_disk::Loss::Nothing);
            disk.flip(&name, position);
            let Ok(engine) = Engine::open(
                disk.shared(),
                atoll_storage::Options { cache_bytes: 0, ..tiny() },
                std::sync::Arc::new(crate::harness::Concat),
            ) else {
                // Parts that an open table needs, or the log.
                continue;
            };
            if scrub(&engine).is_empty() {
                continue;
            }
            assert_eq!(scrub(&engine), std::slice::from_ref(&name));
            let lost = lost(&engine, &name);
            losses += check(&engine, &lost, State::Damaged);
            assert!(lost.len() <= 1 || !name.ends_with(".sst"), "one flip, one range: {lost:?}");
            if !lost.is_empty() {
                // Others than these are not given up.
                let refused = engine.salvage(&name, &[]);
                match refused {
                    Err(Error::Corrupt { file, .. }) => assert_eq!(file, name),
                    Ok(Salvaged::More | Salvaged::Again) => assert!(!name.ends_with(".sst")),
                    other => panic!("{other:?}"),
                }
                check(&engine, &lost, State::Damaged);
            }
            salvage(&engine, &name, &lost);
            check(&engine, &lost, State::Salvaged);
            assert_eq!(engine.survey(&name, &mut |_| {}).unwrap(), Survey::Unused);
            assert_eq!(scrub(&engine), Vec::<String>::new());
            settle(&engine);
            engine.close().unwrap();
            drop(engine);
            let mut found = Vec::new();
            verify_store(&disk, &mut |damage| found.push(damage.clone())).unwrap();
            assert_eq!(found, []);
            let engine = open(&disk);
            check(&engine, &lost, State::Salvaged);
            hits += 1;
        }
    }
    assert!(hits > 100 && losses > 100, "{hits} damaged stores, {losses} lost keys");
}

/// What others hold of a lost key is written first; then the salvage makes it readable.
#[test]
fn what_was_written_again_reads_after_the_salvage() {
    let disk = stored();
    let name = disk.named(".sst").remove(0);
    disk.flip(&name, 40);
    let engine = open(&disk);
    let lost = lost(&engine, &name);
    let keys: Vec<usize> = (0..KEYS).filter(|index| is_lost(&lost, &key(*index))).collect();
    assert!(!keys.is_empty());
    for index in &keys {
        merge(&engine, &key(*index), &value(*index)).unwrap();
        let read = engine.get(key(*index).as_bytes());
        assert!(matches!(read, Err(Error::Corrupt { .. })), "not before: {read:?}");
    }
    salvage(&engine, &name, &lost);
    for index in 0..KEYS {
        assert_eq!(get(&engine, &key(index)), Some(value(index)));
    }
    delete(&engine, &key(keys[0])).unwrap();
    settle(&engine);
    assert_eq!(get(&engine, &key(keys[0])), None);
}

/// A crash at any call of the disk leaves the damaged table or the salvaged one, and every sound key.
#[test]
fn a_crash_leaves_the_table_damaged_or_salvaged() {
    let stored = stored();
    let name = stored.named(".sst").remove(0);
    stored.flip(&name, 40);
    let mut outcomes = [0, 0];
    for call in [Call::Sync, Call::SyncDir] {
        for after in 0..6 {
            let disk = stored.crash(crate::mem_disk::Loss::Nothing);
            let engine = open(&disk);
            let lost = lost(&engine, &name);
            disk.fail(call, "", after);
            let result = engine.salvage(&name, &lost);
            drop(engine);
            for loss in [crate::mem_disk::Loss::Nothing, crate::mem_disk::Loss::Everything] {
                let image = disk.crash(loss);
                image.heal();
                let engine = open(&image);
                let is_salvaged = engine.survey(&name, &mut |_| {}).unwrap() == Survey::Unused;
                let state = if is_salvaged { State::Salvaged } else { State::Damaged };
                check(&engine, &lost, state);
                assert!(is_salvaged || result.is_err(), "a salvage that was done stays done");
                outcomes[usize::from(is_salvaged)] += 1;
            }
        }
    }
    assert!(outcomes.iter().all(|count| *count > 0), "{outcomes:?}");
}
