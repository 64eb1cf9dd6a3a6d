//! A compaction that several threads are at.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use atoll_storage::{
    Budget, Disk, DiskFile, Engine, Lock, LockError, OpenHow, Options, Progress, SyncError, Work,
};

use crate::harness::{Concat, content, put, settle, tiny};
use crate::mem_disk::MemDisk;

/// Holds the next thread that creates a table, until it is let through.
#[derive(Default)]
struct Gate {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Open,
    /// The next one will be held.
    Armed,
    /// Somebody is held.
    Holding,
}

impl Gate {
    fn set(&self, state: State) {
        *self.state.lock().unwrap() = state;
        self.changed.notify_all();
    }

    fn wait_for(&self, wanted: State) {
        let state = self.state.lock().unwrap();
        drop(self.changed.wait_while(state, |state| *state != wanted).unwrap());
    }

    fn pass(&self) {
        let mut state = self.state.lock().unwrap();
        if *state == State::Armed {
            *state = State::Holding;
            self.changed.notify_all();
            drop(self.changed.wait_while(state, |state| *state == State::Holding).unwrap());
        }
    }
}

#[derive(Clone, Default)]
struct GateDisk {
    inner: MemDisk,
    gate: Arc<Gate>,
}

impl Disk for GateDisk {
    fn open(&self, path: &str, how: OpenHow) -> io::Result<Box<dyn DiskFile>> {
        if how == OpenHow::Create && path.ends_with(".sst") {
            self.gate.pass();
        }
        self.inner.open(path, how)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.inner.rename(from, to)
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        self.inner.remove(path)
    }

    fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        self.inner.list(dir)
    }

    fn create_dir(&self, path: &str) -> io::Result<()> {
        self.inner.create_dir(path)
    }

    fn sync_dir(&self, dir: &str) -> Result<(), SyncError> {
        self.inner.sync_dir(dir)
    }

    fn free_bytes(&self) -> io::Result<u64> {
        self.inner.free_bytes()
    }

    fn allocate(&self, path: &str, bytes: u64) -> io::Result<()> {
        self.inner.allocate(path, bytes)
    }

    fn lock_exclusive(&self, path: &str) -> Result<Box<dyn Lock>, LockError> {
        self.inner.lock_exclusive(path)
    }
}

fn options() -> Options {
    Options { tables_l0_trigger: 2, tables_l0_max: 100, level_bytes_base: 1 << 20, ..tiny() }
}

/// First bytes differ, as those of hashed keys do: pieces are cut between them.
fn key(index: usize) -> String {
    let first = char::from(b'a' + u8::try_from(index % 23).unwrap());
    format!("{first}{index:05}")
}

fn write_round(engine: &Engine, round: usize) {
    for index in 0..600 {
        put(engine, &key(index), &format!("value{round}")).unwrap();
    }
}

/// Flushes everything; what is left is compaction.
fn flush_all(engine: &Engine) {
    while engine.statistics().memtables_sealed > 0 {
        engine.maintain(Budget { bytes: 1 }).unwrap();
    }
}

#[test]
fn who_finds_a_compaction_running_takes_a_piece_of_the_next() {
    let disk = GateDisk::default();
    let engine = Engine::open(Arc::new(disk.clone()), options(), Arc::new(Concat)).unwrap();
    write_round(&engine, 0);
    settle(&engine);
    assert!(engine.statistics().tables > 3, "level 1 can be cut");
    write_round(&engine, 1);
    flush_all(&engine);
    let budget = Budget { bytes: 1 };
    std::thread::scope(|scope| {
        disk.gate.set(State::Armed);
        let owner = scope.spawn(|| engine.maintain(budget).unwrap());
        disk.gate.wait_for(State::Holding);
        assert_eq!(engine.maintain(budget).unwrap(), Progress::Idle, "there is one piece");
        disk.gate.set(State::Open);
        assert!(matches!(owner.join().unwrap(), Progress::Worked { did: Work::Compaction, .. }));

        disk.gate.set(State::Armed);
        let owner = scope.spawn(|| engine.maintain(budget).unwrap());
        disk.gate.wait_for(State::Holding);
        let helped = engine.maintain(budget).unwrap();
        assert!(matches!(helped, Progress::Worked { did: Work::Compaction, .. }));
        assert_eq!(engine.statistics().subcompactions, 1);
        disk.gate.set(State::Open);
        assert!(matches!(owner.join().unwrap(), Progress::Worked { did: Work::Compaction, .. }));
    });
    settle(&engine);
    let all = content(&engine.snapshot(), 100);
    assert_eq!(all.len(), 600);
    assert!(all.values().all(|value| value == "value1"), "the newest everywhere");
}

#[test]
fn writers_and_maintainers_together_lose_nothing() {
    let engine = Engine::open(Arc::new(MemDisk::default()), options(), Arc::new(Concat)).unwrap();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    engine.maintain(Budget { bytes: 2_000 }).unwrap();
                    std::thread::yield_now();
                }
            });
        }
        (0..8).for_each(|round| write_round(&engine, round));
        stop.store(true, Ordering::Relaxed);
    });
    settle(&engine);
    let all = content(&engine.snapshot(), 100);
    assert_eq!(all.len(), 600);
    assert!(all.values().all(|value| value == "value7"), "the newest everywhere");
}
