//! What a crash may leave, and what it must.

use std::collections::BTreeSet;

use atoll_storage::{Disk, LockError, OpenHow};

use super::{content, disk, seen, synced, write};
use crate::disk::{Loss, SimDisk};

#[test]
fn synced_bytes_under_a_synced_name_survive_every_image() {
    let images = seen(
        200,
        |disk| {
            let file = synced(disk, "a", &[7; 1_500]);
            disk.sync_dir("").unwrap();
            write(&*file, 1_500, b"more");
        },
        |image| content(image, "a").unwrap()[..1_500].to_vec(),
    );
    assert_eq!(images.into_keys().collect::<Vec<_>>(), [vec![7; 1_500]]);
}

#[test]
fn unsynced_sectors_are_old_or_new_each_by_itself() {
    let images = seen(
        300,
        |disk| {
            let file = synced(disk, "a", &[1; 1_536]);
            disk.sync_dir("").unwrap();
            write(&*file, 0, &[2; 1_536]);
        },
        |image| {
            let bytes = content(image, "a").unwrap();
            let sectors: Vec<&[u8]> = bytes.chunks(512).collect();
            assert!(sectors.iter().all(|sector| sector.iter().all(|byte| *byte == sector[0])));
            sectors.iter().map(|sector| sector[0]).collect::<Vec<u8>>()
        },
    );
    assert_eq!(images.len(), 8, "every subset of three sectors: {images:?}");
    assert!(images[&vec![1, 1, 1]] > 40 && images[&vec![2, 2, 2]] > 30, "{images:?}");
}

#[test]
fn a_grown_file_ends_anywhere_between_and_gaps_are_zero() {
    let images = seen(
        400,
        |disk| {
            let file = synced(disk, "a", &[1; 100]);
            disk.sync_dir("").unwrap();
            write(&*file, 100, &[2; 1_400]);
        },
        |image| {
            let bytes = content(image, "a").unwrap();
            assert!((100..=1_500).contains(&bytes.len()));
            assert!(bytes[..100].iter().all(|byte| *byte == 1));
            assert!(bytes[100..].iter().all(|byte| *byte == 2 || *byte == 0));
            (bytes.len(), bytes.iter().filter(|byte| **byte == 0).count())
        },
    );
    let lengths: BTreeSet<usize> = images.keys().map(|(length, _)| *length).collect();
    assert!([100, 512, 1_024, 1_500].iter().all(|length| lengths.contains(length)));
    assert!(lengths.len() > 20, "lengths in between are drawn");
    assert!(images.keys().any(|(length, zeroes)| *length == 1_500 && *zeroes >= 512));
}

/// A length that is set is in the journal or not; every one of them may be the last that is.
#[test]
fn a_file_has_its_old_length_or_one_that_was_set() {
    let images = seen(
        400,
        |disk| {
            let file = synced(disk, "a", &[1; 2_000]);
            disk.sync_dir("").unwrap();
            file.set_len(10).unwrap();
            file.set_len(3_000).unwrap();
            write(&*file, 0, &[2; 3_000]);
            write(&*file, 3_000, &[2; 50]);
        },
        |image| content(image, "a").unwrap().len(),
    );
    let whole = images.keys().copied().filter(|length| *length < 3_000);
    assert_eq!(whole.collect::<Vec<_>>(), [10, 2_000]);
    let appended = images.keys().copied().filter(|length| *length >= 3_000);
    assert!(appended.clone().all(|length| length <= 3_050) && appended.count() > 4);
}

#[test]
fn names_are_lost_until_their_directory_is_synced() {
    let create = |disk: &SimDisk| drop(synced(disk, "a", b"x"));
    let images = seen(60, create, |image| content(image, "a"));
    assert_eq!(images.into_keys().collect::<Vec<_>>(), [None, Some(b"x".to_vec())]);
    let images = seen(
        60,
        |disk| {
            create(disk);
            disk.sync_dir("").unwrap();
            disk.remove("a").unwrap();
        },
        |image| image.names().len(),
    );
    assert_eq!(images.into_keys().collect::<Vec<_>>(), [0, 1], "a removed file may come back");
}

#[test]
fn a_rename_is_atomic_but_not_durable() {
    let images = seen(
        200,
        |disk| {
            synced(disk, "current", b"old");
            disk.sync_dir("").unwrap();
            synced(disk, "current.tmp", b"new");
            disk.rename("current.tmp", "current").unwrap();
        },
        |image| (content(image, "current").unwrap(), image.names().len()),
    );
    let expected = [(b"new".to_vec(), 1), (b"old".to_vec(), 1), (b"old".to_vec(), 2)];
    assert_eq!(images.into_keys().collect::<Vec<_>>(), expected);
}

#[test]
fn changes_of_one_name_survive_as_a_prefix_and_of_several_as_any_subset() {
    let images = seen(
        1_500,
        |disk| {
            for name in ["a", "b", "c"] {
                synced(disk, name, b"1");
            }
            disk.rename("c", "d").unwrap();
            disk.remove("d").unwrap();
        },
        |image| image.names().concat(),
    );
    let expected = ["", "a", "ab", "abc", "abd", "ac", "ad", "b", "bc", "bd", "c", "d"];
    assert_eq!(images.into_keys().collect::<Vec<_>>(), expected);
}

#[test]
fn directories_sync_by_themselves() {
    let disk = disk(1);
    disk.create_dir("one/two").unwrap();
    synced(&disk, "one/two/a", b"1");
    synced(&disk, "one/b", b"1");
    disk.sync_dir("one/two").unwrap();
    assert_eq!(disk.list("one").unwrap(), ["b"]);
    assert!(disk.open("three/a", OpenHow::Create).is_err());
    let lost = (0..40).any(|_| {
        let image = disk.crash(Loss::PowerLost);
        assert_eq!(image.list("one/two").unwrap(), ["a"]);
        image.list("one").unwrap().is_empty()
    });
    assert!(lost, "the other directory was not synced");
}

#[test]
fn a_killed_process_loses_nothing_and_what_was_dirty_stays_dirty() {
    let mut powerless = BTreeSet::new();
    for seed in 0..60 {
        let disk = disk(seed);
        synced(&disk, "a", b"synced");
        write(&*disk.open("b", OpenHow::Create).unwrap(), 0, b"unsynced");
        let next = disk.crash(Loss::ProcessKilled);
        assert_eq!(content(&next, "a").unwrap(), b"synced");
        assert_eq!(content(&next, "b").unwrap(), b"unsynced");
        powerless.insert(content(&next.crash(Loss::PowerLost), "b"));
    }
    assert!(powerless.contains(&None) && powerless.contains(&Some(Vec::new())));
}

#[test]
fn replacing_a_file_may_leave_the_old_one() {
    let images = seen(
        200,
        |disk| {
            synced(disk, "a", b"old one");
            disk.sync_dir("").unwrap();
            write(&*disk.open("a", OpenHow::Replace).unwrap(), 0, b"new");
        },
        |image| content(image, "a").unwrap(),
    );
    assert!(images.contains_key(&b"old one"[..]) && images.contains_key(&b"new"[..]));
}

#[test]
fn handles_locks_and_faults_end_with_the_crash() {
    let disk = disk(3);
    let file = synced(&disk, "a", b"1");
    let held = disk.lock_exclusive("LOCK").unwrap();
    assert!(matches!(disk.lock_exclusive("LOCK"), Err(LockError::Held { .. })));
    let calls = disk.calls();
    let next = disk.crash(Loss::ProcessKilled);
    assert_eq!((next.calls(), next.trace_hash()), (calls, disk.trace_hash()));
    let _ours = next.lock_exclusive("LOCK").unwrap();
    drop(held);
    assert!(matches!(next.lock_exclusive("LOCK"), Err(LockError::Held { .. })), "still ours");
    let dead = [
        file.write_at(0, b"2").unwrap_err().to_string(),
        file.sync_data().unwrap_err().to_string(),
        disk.list("").unwrap_err().to_string(),
    ];
    assert!(dead.iter().all(|text| text.contains("crashed")), "{dead:?}");
    assert!(disk.is_halted() && !next.is_halted());
    assert_eq!(content(&next, "a").unwrap(), b"1");
}

#[test]
fn halting_counts_calls_and_keeps_the_content_for_the_crash() {
    let disk = disk(4);
    let file = synced(&disk, "a", b"1");
    disk.sync_dir("").unwrap();
    disk.halt_after(2);
    assert!(!disk.is_halted());
    file.len().unwrap();
    file.len().unwrap();
    assert!(disk.is_halted());
    assert!(file.len().is_err());
    assert_eq!(content(&disk.crash(Loss::PowerLost), "a").unwrap(), b"1");
}

#[test]
fn equal_seeds_give_equal_images_and_traces() {
    let run = |seed| {
        let disk = SimDisk::new(crate::prng::Prng::stream(seed, "disk/n1"), 1 << 20);
        let file = disk.open("a", OpenHow::Create).unwrap();
        for index in 0..50u8 {
            write(&*file, u64::from(index) * 300, &[index; 300]);
        }
        let image = disk.crash(Loss::PowerLost);
        (content(&image, "a"), image.trace_hash(), image.injected())
    };
    assert_eq!(run(1), run(1));
    assert!((2..20).any(|seed| run(seed).0 != run(1).0));
    assert!((2..20).any(|seed| run(seed).2.contains_key("torn sector")));
    assert!((2..20).any(|seed| run(seed).2.contains_key("short write")));
}
