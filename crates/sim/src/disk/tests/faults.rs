//! Injected errors, a full disk, and damage.

use std::io::ErrorKind;

use atoll_storage::{Disk, OpenHow};

use super::{MIB, content, disk, synced, write};
use crate::disk::{DiskFaults, Loss, SimDisk, Space};
use crate::prng::Prng;

#[test]
fn each_kind_of_call_fails_as_often_as_asked() {
    let always = |set: fn(&mut DiskFaults)| {
        let disk = disk(1);
        let file = synced(&disk, "a", &[1; 10]);
        let mut faults = DiskFaults::default();
        set(&mut faults);
        disk.set_faults(faults);
        let outcomes = [
            file.read_at(0, &mut [0; 10]).is_ok(),
            file.write_at(0, &[2; 10]).is_ok(),
            file.sync_data().is_ok(),
            disk.sync_dir("").is_ok(),
        ];
        (outcomes, disk.injected().into_iter().collect::<Vec<_>>())
    };
    let read = always(|faults| faults.read_per_mille = 1_000);
    assert_eq!(read, ([false, true, true, true], vec![("disk read error", 1)]));
    let write = always(|faults| faults.write_per_mille = 1_000);
    assert_eq!(write, ([true, false, true, true], vec![("disk write error", 1)]));
    let sync = always(|faults| faults.sync_per_mille = 1_000);
    assert_eq!(sync, ([true, true, false, true], vec![("disk sync error", 1)]));
    let sync_dir = always(|faults| faults.sync_dir_per_mille = 1_000);
    assert_eq!(sync_dir, ([true, true, true, false], vec![("disk directory sync error", 1)]));
}

#[test]
fn a_failed_sync_may_lose_data_although_the_next_one_succeeds() {
    let (mut lost, mut kept) = (0, 0);
    for seed in 0..100 {
        let disk = disk(seed);
        let file = synced(&disk, "a", &[1; 512]);
        disk.sync_dir("").unwrap();
        write(&*file, 0, &[2; 512]);
        disk.set_faults(DiskFaults { sync_per_mille: 1_000, ..DiskFaults::default() });
        file.sync_data().unwrap_err();
        disk.set_faults(DiskFaults::default());
        file.sync_data().unwrap();
        assert_eq!(content(&disk, "a").unwrap()[0], 2, "the cache has the new bytes");
        let next = disk.crash(Loss::ProcessKilled);
        assert_eq!(content(&next, "a").unwrap()[0], 2);
        match content(&next.crash(Loss::PowerLost), "a").unwrap()[0] {
            1 => lost += 1,
            _ => kept += 1,
        }
    }
    assert!(lost > 20 && kept > 20, "lost {lost}, kept {kept}");
}

#[test]
fn a_sector_written_again_after_a_failed_sync_is_safe() {
    for seed in 0..50 {
        let disk = disk(seed);
        let file = synced(&disk, "a", &[1; 512]);
        disk.sync_dir("").unwrap();
        write(&*file, 0, &[2; 512]);
        disk.set_faults(DiskFaults { sync_per_mille: 1_000, ..DiskFaults::default() });
        file.sync_data().unwrap_err();
        disk.set_faults(DiskFaults::default());
        write(&*file, 0, &[3; 10]);
        file.sync_data().unwrap();
        let bytes = content(&disk.crash(Loss::PowerLost), "a").unwrap();
        assert_eq!((bytes[0], bytes[100]), (3, 2));
    }
}

#[test]
fn a_full_disk_refuses_and_recovers() {
    let disk = disk(1);
    let file = synced(&disk, "a", &[1; 10]);
    disk.set_faults(DiskFaults { space: Space::Full, ..DiskFaults::default() });
    assert_eq!(disk.free_bytes().unwrap(), 0);
    let refused = [
        file.write_at(10, b"x").unwrap_err(),
        file.set_len(100).unwrap_err(),
        disk.open("b", OpenHow::Create).err().unwrap(),
    ];
    assert!(refused.iter().all(|error| error.kind() == ErrorKind::StorageFull));
    disk.rename("a", "c").unwrap();
    file.set_len(5).unwrap();
    disk.remove("c").unwrap();
    assert_eq!(disk.injected()["disk full"], 3);
    disk.set_faults(DiskFaults::default());
    assert_eq!(disk.free_bytes().unwrap(), 64 * MIB - 5, "still open");
    drop(file);
    disk.sync_dir("").unwrap();
    assert_eq!(disk.free_bytes().unwrap(), 64 * MIB);
}

#[test]
fn capacity_is_enforced_by_the_byte() {
    let disk = SimDisk::new(Prng::stream(1, "disk"), 1_000);
    disk.transfer_whole();
    let file = disk.open("a", OpenHow::Create).unwrap();
    assert_eq!(file.write_at(0, &[1; 900]).unwrap(), 900);
    assert_eq!(file.write_at(900, &[1; 900]).unwrap(), 100);
    assert_eq!(file.write_at(1_000, b"x").unwrap_err().kind(), ErrorKind::StorageFull);
    assert_eq!(file.write_at(0, &[2; 1_000]).unwrap(), 1_000, "overwriting needs no room");
    let next = disk.crash(Loss::ProcessKilled);
    assert_eq!(next.free_bytes().unwrap(), 0, "capacity is kept");
}

#[test]
fn rot_flips_exactly_the_bits_it_names() {
    for seed in 0..20 {
        let disk = disk(seed);
        let file = synced(&disk, "a", &[0; 3_000]);
        write(&*file, 0, &[0xff; 512]);
        let words = disk.rot(1);
        let flipped: u32 = content(&disk, "a").unwrap()[512..].iter().map(|b| b.count_ones()).sum();
        assert_eq!((words.len(), flipped), (1, 1), "{words:?}");
        assert_eq!(disk.injected()["bit flip"], 1);
    }
    assert!(disk(1).rot(3).is_empty(), "an empty disk has nothing to rot");
}

#[test]
fn a_misdirected_write_damages_another_place_and_spares_its_own() {
    let mut places = std::collections::BTreeSet::new();
    for seed in 0..100 {
        let disk = disk(seed);
        let file = synced(&disk, "a", &[1; 1_024]);
        synced(&disk, "b", &[1; 1_024]);
        disk.misdirect_next_write();
        assert_eq!(file.write_at(0, &[9; 100]).unwrap(), 100);
        let (a, b) = (content(&disk, "a").unwrap(), content(&disk, "b").unwrap());
        assert!(a[..100].iter().all(|byte| *byte == 1), "the intended place is as it was");
        let hit = a.iter().chain(&b).position(|byte| *byte == 9).unwrap();
        places.insert(hit);
        assert_eq!(a.iter().chain(&b).filter(|byte| **byte == 9).count(), 100);
        assert_eq!(disk.injected()["misdirected write"], 1);
        file.write_at(0, &[5; 100]).unwrap();
        assert_eq!(content(&disk, "a").unwrap()[0], 5, "only one write is misdirected");
    }
    assert_eq!(places.into_iter().collect::<Vec<_>>(), [512, 1_024, 1_536]);
}

#[test]
fn open_handles_keep_a_removed_file_readable() {
    let disk = disk(1);
    let file = synced(&disk, "a", b"still here");
    disk.remove("a").unwrap();
    disk.sync_dir("").unwrap();
    let mut bytes = [0; 10];
    assert_eq!(file.read_at(0, &mut bytes).unwrap(), 10);
    assert_eq!(&bytes, b"still here");
    assert!(disk.names().is_empty());
}
