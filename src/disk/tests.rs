//! The metered disk over a real one, with a clock that the test moves.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use atoll_protocol::time::{MonoTime, WallTime};
use atoll_protocol::wire::{SyncKind, SyncSpans, SyncStatus};
use atoll_storage::{Disk, OpenHow, RealDisk};
use tempfile::TempDir;

use super::{MeteredDisk, SyncMeter, kind_of};
use crate::env::{BoxFuture, Env, EnvBackend};

/// A clock that goes on by so much whenever it is read.
struct Ticking {
    micros: AtomicU64,
    step: u64,
}

impl EnvBackend for Ticking {
    fn mono(&self) -> MonoTime {
        let micros = self.micros.fetch_add(self.step, Ordering::Relaxed);
        MonoTime::from_nanos(micros * 1_000)
    }
    fn wall(&self) -> WallTime {
        WallTime::from_micros(0)
    }
    fn sleep_until(&self, _at: MonoTime) -> BoxFuture<'static, ()> {
        Box::pin(std::future::ready(()))
    }
    fn random(&self, out: &mut [u8]) {
        out.fill(0);
    }
    fn spawn(&self, _name: &'static str, task: BoxFuture<'static, ()>) {
        drop(task);
    }
    fn blocking(&self, job: Box<dyn FnOnce() + Send>) {
        job();
    }
    fn exit(&self, reason: &str) -> ! {
        panic!("{reason}");
    }

    fn parallelism(&self) -> usize {
        1
    }
}

fn of(reports: &[SyncStatus], kind: SyncKind) -> SyncSpans {
    reports.iter().find(|status| status.kind == kind).map_or(SyncSpans::default(), |status| {
        assert_eq!(status.since_start, status.last_minute);
        status.since_start
    })
}

fn at(seconds: u64) -> MonoTime {
    MonoTime::from_nanos(seconds * 1_000_000_000)
}

#[test]
fn an_engine_behind_the_meter_sets_space_aside() {
    let dir = TempDir::new().unwrap();
    let inner = Arc::new(RealDisk::new(dir.path()));
    let env = Env::new(Arc::new(Ticking { micros: AtomicU64::new(0), step: 1 }));
    let disk = MeteredDisk::new(env, inner, Arc::new(SyncMeter::default()));
    disk.allocate("RESERVE", 4_096).unwrap();
    assert_eq!(disk.open("RESERVE", OpenHow::Read).unwrap().len().unwrap(), 4_096);
}

#[test]
fn kinds_follow_the_ending() {
    let rows = [
        ("000001.wal", SyncKind::Log),
        ("000001.wal.tmp", SyncKind::Log),
        ("000002.sst", SyncKind::Table),
        ("000003.vlog", SyncKind::Values),
        ("000004.manifest", SyncKind::Manifest),
        ("CURRENT.tmp", SyncKind::Other),
        ("CURRENT", SyncKind::Other),
        ("", SyncKind::Other),
    ];
    for (path, kind) in rows {
        assert_eq!(kind_of(path), kind, "{path}");
    }
}

#[test]
fn syncs_are_timed_and_everything_else_passes_through() {
    let folder = TempDir::new().unwrap();
    let meter = Arc::new(SyncMeter::new());
    let env = Env::new(Arc::new(Ticking { micros: AtomicU64::new(0), step: 100 }));
    let real = Arc::new(RealDisk::new(folder.path()));
    let disk = MeteredDisk::new(env, real, meter.clone());

    let log = disk.open("1.wal.tmp", OpenHow::Replace).unwrap();
    assert_eq!(log.write_at(0, b"log").unwrap(), 3);
    log.sync_data().unwrap();
    disk.rename("1.wal.tmp", "1.wal").unwrap();
    disk.sync_dir("").unwrap();
    assert_eq!(of(&meter.report(at(1)), SyncKind::Log).count, 0, "nobody waited for those");
    assert_eq!(of(&meter.report(at(1)), SyncKind::Other).count, 2);
    log.sync_data().unwrap();
    log.sync_all().unwrap();
    let table = disk.open("2.sst", OpenHow::Create).unwrap();
    table.set_len(7).unwrap();
    table.sync_all().unwrap();

    let reports = meter.report(at(1));
    let spans = of(&reports, SyncKind::Log);
    assert_eq!(spans.count, 2);
    assert!((100..=101).contains(&spans.p50_us), "{spans:?}");
    assert!((100..=101).contains(&spans.max_us), "{spans:?}");
    assert_eq!(of(&reports, SyncKind::Table).count, 1);
    assert_eq!(reports.len(), 3, "kinds without syncs are left out: {reports:?}");

    assert_eq!(table.len().unwrap(), 7);
    let mut found = disk.list("").unwrap();
    found.sort();
    assert_eq!(found, ["1.wal", "2.sst"]);
    let mut content = [0; 3];
    assert_eq!(disk.open("1.wal", OpenHow::Read).unwrap().read_at(0, &mut content).unwrap(), 3);
    assert_eq!(&content, b"log");
    disk.remove("1.wal").unwrap();
    assert!(disk.open("1.wal", OpenHow::Read).is_err());
    assert!(disk.free_bytes().unwrap() > 0);
    let _lock = disk.lock_exclusive("LOCK").unwrap();
}

#[test]
fn the_last_minute_forgets_and_the_start_does_not() {
    let meter = SyncMeter::new();
    let millis = Duration::from_millis;
    for _ in 0..99 {
        meter.record(SyncKind::Log, at(1), millis(1));
    }
    meter.record(SyncKind::Log, at(9), millis(80));
    let log = |now: u64| meter.report(at(now)).first().copied().unwrap();

    let early = log(59);
    assert_eq!(early.since_start, early.last_minute);
    assert_eq!(early.since_start.count, 100);
    assert!((1_000..=1_010).contains(&early.since_start.p50_us), "{early:?}");
    assert!((1_000..=1_010).contains(&early.since_start.p99_us), "{early:?}");
    assert!((80_000..=80_800).contains(&early.since_start.max_us), "{early:?}");

    let late = log(60);
    assert_eq!(late.last_minute, SyncSpans::default(), "those of the first ten seconds are gone");
    assert_eq!(late.since_start.count, 100);

    // A slot whose time comes again is emptied, and one that is older than others does not count.
    meter.record(SyncKind::Log, at(61), millis(2));
    meter.record(SyncKind::Log, at(75), millis(2));
    assert_eq!(log(75).last_minute.count, 2);
    assert_eq!(log(125).last_minute.count, 1);
    assert_eq!(log(100_000).last_minute.count, 0);
    assert_eq!(log(100_000).since_start.count, 102);
}

#[test]
fn spans_beyond_the_range_are_the_longest() {
    let meter = SyncMeter::new();
    meter.record(SyncKind::Log, at(0), Duration::MAX);
    meter.record(SyncKind::Log, at(0), Duration::ZERO);
    let spans = meter.report(at(0)).first().unwrap().since_start;
    assert_eq!(spans.count, 2);
    assert!(spans.max_us >= 60_000_000 && spans.max_us < 61_000_000, "{spans:?}");
}
