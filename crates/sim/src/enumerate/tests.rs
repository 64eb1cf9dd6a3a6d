//! The engine passes, and broken disks do not.

use std::io;
use std::sync::Arc;

use atoll_storage::{Disk, DiskFile, Lock, LockError, OpenHow, SyncError};

use super::record::record;
use super::workload::Workload;
use super::{Options, Summary, enumerate, enumerate_on};
use crate::disk::SimDisk;

/// Workloads of at most two steps.
const WORKLOADS_OF_TWO_STEPS: u64 = 16 * (1 + 9 + 81);

const SOME: Options = Options { images: 1_500, seed: 1, first_workload: 0 };

#[test]
fn the_engine_survives_every_image_of_the_first_workloads() {
    let summary = enumerate(&SOME);
    assert_eq!(summary.violations_found, 0, "{summary}");
    assert!(summary.images >= 1_500 && summary.images_distinct > 200, "{summary}");
    assert!(summary.images_depth_two > 250, "{summary}");
}

/// Where it once lost a manifest edit that a relog had been built on.
#[test]
fn the_engine_survives_a_kill_during_the_flush_of_a_close() {
    let options = Options { images: 700, seed: 1, first_workload: 264 };
    let story = Workload::numbered(options.first_workload).unwrap().to_string();
    let shape = "fresh store, fsync, memtable of one batch, long values separated";
    assert_eq!(story, format!("{shape}: open, put a, close and open"));
    let summary = enumerate(&options);
    assert_eq!(summary.violations_found, 0, "{summary}");
}

/// Crash points within a relocation, and on the way to one, are what the shapes and sizes were chosen for.
#[test]
fn workloads_separate_values_and_relocate_them() {
    let (mut with_values, mut with_relocation) = (0, 0);
    for number in 0..WORKLOADS_OF_TWO_STEPS {
        let workload = Workload::numbered(number).unwrap();
        let recording = record(&workload, &|disk| Arc::new(disk)).unwrap();
        with_values += u64::from(recording.value_files > 0);
        with_relocation += u64::from(recording.relocations > 0);
    }
    assert!(3 * with_values > WORKLOADS_OF_TWO_STEPS, "{with_values} with value files");
    assert!(with_relocation > 10, "{with_relocation} with relocation");
}

#[test]
fn equal_options_give_equal_summaries() {
    let options = Options { images: 200, seed: 2, first_workload: 1_200 };
    assert_eq!(enumerate(&options), enumerate(&options));
}

#[test]
fn workloads_are_numbered_from_short_to_long() {
    let steps = |number| Workload::numbered(number).map(|workload| workload.steps.len());
    assert_eq!([0, 15, 16, 159, 160].map(steps), [0, 0, 1, 1, 2].map(Some));
    let last = 16 * (1 + 9 + 81 + 729 + 6_561) - 1;
    assert_eq!([last, last + 1].map(steps), [Some(4), None]);
    let text = Workload::numbered(16 + 5).unwrap().to_string();
    assert_eq!(text, "seeded store, fsync, roomy memtable, all values separated: open, put a");
}

#[test]
fn a_disk_that_does_not_sync_files_is_found_out() {
    let found = broken(Ignored::SyncData);
    assert!(found.violations_found > 10, "{found}");
}

#[test]
fn a_disk_that_does_not_sync_names_is_found_out() {
    let found = broken(Ignored::SyncDir);
    assert!(found.violations_found > 10, "{found}");
    let account = found.violations[0].to_string();
    assert!(account.contains("workload") && account.contains("survived"), "{account}");
}

#[test]
fn a_disk_that_leaks_files_is_found_out() {
    let found = broken(Ignored::Remove);
    assert!(found.violations.iter().all(|violation| violation.problem.contains("files are left")));
    assert!(found.violations_found > 10, "{found}");
}

fn broken(ignored: Ignored) -> Summary {
    let options = Options { images: 300, ..SOME };
    enumerate_on(&options, &move |disk| Arc::new(Broken { disk, ignored }))
}

/// The call that reports success and does nothing.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ignored {
    SyncData,
    SyncDir,
    Remove,
}

struct Broken {
    disk: SimDisk,
    ignored: Ignored,
}

impl Disk for Broken {
    fn open(&self, path: &str, how: OpenHow) -> io::Result<Box<dyn DiskFile>> {
        let file = self.disk.open(path, how)?;
        Ok(Box::new(BrokenFile { file, ignored: self.ignored }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        if self.ignored == Ignored::Remove { Ok(()) } else { self.disk.remove(path) }
    }

    fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        self.disk.list(dir)
    }

    fn create_dir(&self, path: &str) -> io::Result<()> {
        self.disk.create_dir(path)
    }

    fn sync_dir(&self, dir: &str) -> Result<(), SyncError> {
        if self.ignored == Ignored::SyncDir { Ok(()) } else { self.disk.sync_dir(dir) }
    }

    fn free_bytes(&self) -> io::Result<u64> {
        self.disk.free_bytes()
    }

    fn allocate(&self, path: &str, bytes: u64) -> io::Result<()> {
        self.disk.allocate(path, bytes)
    }

    fn lock_exclusive(&self, path: &str) -> Result<Box<dyn Lock>, LockError> {
        self.disk.lock_exclusive(path)
    }
}

struct BrokenFile {
    file: Box<dyn DiskFile>,
    ignored: Ignored,
}

impl DiskFile for BrokenFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.file.read_at(offset, buffer)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        self.file.write_at(offset, bytes)
    }

    fn sync_data(&self) -> Result<(), SyncError> {
        if self.ignored == Ignored::SyncData { Ok(()) } else { self.file.sync_data() }
    }

    fn sync_all(&self) -> Result<(), SyncError> {
        self.sync_data()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }
}
