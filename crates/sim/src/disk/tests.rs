//! One small table per promise of the disk.

mod crashes;

mod engine;

mod faults;

mod metadata;

use atoll_storage::{Disk, DiskFile, OpenHow};

use super::{Loss, SimDisk};
use crate::prng::Prng;

const MIB: u64 = 1 << 20;

fn disk(seed: u64) -> SimDisk {
    let disk = SimDisk::new(Prng::stream(seed, "disk"), 64 * MIB);
    disk.transfer_whole();
    disk
}

fn write(file: &dyn DiskFile, offset: u64, bytes: &[u8]) {
    let mut done = 0;
    while done < bytes.len() {
        done += file.write_at(offset + done as u64, &bytes[done..]).unwrap();
    }
}

/// Creates `path` with `bytes`, durable but for its name.
fn synced(disk: &SimDisk, path: &str, bytes: &[u8]) -> Box<dyn DiskFile> {
    let file = disk.open(path, OpenHow::Create).unwrap();
    write(&*file, 0, bytes);
    file.sync_data().unwrap();
    file
}

fn content(disk: &SimDisk, path: &str) -> Option<Vec<u8>> {
    let file = disk.open(path, OpenHow::Read).ok()?;
    let mut bytes = vec![0; usize::try_from(file.len().unwrap()).unwrap()];
    let mut done = 0;
    while done < bytes.len() {
        done += file.read_at(done as u64, &mut bytes[done..]).unwrap();
    }
    Some(bytes)
}

/// What `look` sees in power-loss images of equal disks, over many seeds.
fn seen<T: Ord>(
    seeds: u64,
    prepare: impl Fn(&SimDisk),
    look: impl Fn(&SimDisk) -> T,
) -> std::collections::BTreeMap<T, usize> {
    let mut seen = std::collections::BTreeMap::new();
    for seed in 0..seeds {
        let disk = disk(seed);
        prepare(&disk);
        *seen.entry(look(&disk.crash(Loss::PowerLost))).or_default() += 1;
    }
    seen
}
