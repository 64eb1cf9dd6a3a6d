//! Runs a workload and keeps the disk as it was before each changing call.
//!
//! 1. [`Recorder`] stands between the engine and the disk. Before a call that changes anything it keeps a [`Point`].
//! 2. The runner tells it how far the workload has come, so that each point knows what was promised by then.
//! 3. Recording begins with the last step, or with the recovery that is to be crashed.
//!
//! Invariant: a point's progress counts a batch as acknowledged only after the engine returned.

use std::io;
use std::sync::Arc;

use atoll_storage::{
    Budget, Disk, DiskFile, Engine, Error, Lock, LockError, OpenHow, Progress as Maintained,
    SyncError,
};
use parking_lot::Mutex;

use crate::disk::{SimDisk, Survival, Volume};
use crate::prng::Prng;

use super::Wrap;
use super::workload::{Concat, Model, Step, Store, Workload};

/// Units of maintenance after which a workload is taken to be stuck.
const UNITS_MAX: usize = 64;

/// How far a workload has come, in batches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Promise {
    /// May be there.
    pub(super) invoked: usize,
    /// Survive the process.
    pub(super) acknowledged: usize,
    /// Survive power loss.
    pub(super) durable: usize,
}

/// A moment between two calls.
#[derive(Clone, Debug)]
pub(super) struct Point {
    pub(super) volume: Volume,
    pub(super) promise: Promise,
    /// The number of calls before it, and the call that comes next.
    pub(super) words: String,
}

/// A workload that was run.
pub(super) struct Recording {
    pub(super) model: Model,
    pub(super) points: Vec<Point>,
    /// Value files that the store had before the last step or after it.
    pub(super) value_files: u64,
    /// Units of relocation of the last step.
    pub(super) relocations: u64,
}

/// Runs `workload` and returns the crash points of its last step.
pub(super) fn record(workload: &Workload, wrap: Wrap<'_>) -> Result<Recording, Error> {
    let (volume, model) = match workload.store {
        Store::Fresh => (Volume::default(), Model::new()),
        Store::Seeded => seeded(&workload.seeding())?,
    };
    let mut run = Run::begin(workload, volume, model, wrap);
    if workload.steps.is_empty() {
        run.recorder.begin();
    }
    run.open()?;
    let (mut value_files, mut relocations) = (0, 0);
    for (index, step) in workload.steps.iter().enumerate() {
        if index + 1 == workload.steps.len() {
            run.recorder.begin();
            (value_files, relocations) = run.values();
        }
        run.step(*step)?;
    }
    run.recorder.keep("the end");
    let after = run.values();
    Ok(Recording {
        points: run.recorder.take_points(),
        model: run.model,
        value_files: value_files.max(after.0),
        // An engine that was opened by the last step counts anew, and has relocated nothing.
        relocations: after.1.saturating_sub(relocations),
    })
}

/// Opens a store and returns the crash points of its recovery. What was promised stays as it is until the end.
pub(super) fn record_recovery(
    workload: &Workload,
    volume: &Volume,
    promise: Promise,
    wrap: Wrap<'_>,
) -> Result<Vec<Point>, Error> {
    let run = Run::begin(workload, volume.clone(), Model::new(), wrap);
    run.recorder.log.lock().promise = promise;
    run.recorder.begin();
    let engine = run.open_engine()?;
    run.recorder.keep("the end");
    drop(engine);
    Ok(run.recorder.take_points())
}

/// The volume and model after the seeding workload, all of it durable; on a sound disk.
fn seeded(workload: &Workload) -> Result<(Volume, Model), Error> {
    let mut run = Run::begin(workload, Volume::default(), Model::new(), &|disk| Arc::new(disk));
    run.open()?;
    for step in &workload.steps {
        run.step(*step)?;
    }
    let volume = run.recorder.disk.volume();
    let unsynced = volume.unsynced();
    let durable = volume.image(&unsynced, &Survival::everything(unsynced.len()));
    Ok((durable, run.model.rebased()))
}

struct Run<'a> {
    workload: &'a Workload,
    recorder: Recorder,
    engine: Option<Engine>,
    model: Model,
}

impl<'a> Run<'a> {
    fn begin(workload: &'a Workload, volume: Volume, model: Model, wrap: Wrap<'_>) -> Self {
        let disk = SimDisk::holding(volume, Prng::stream(0, "a disk without chance"));
        let recorder = Recorder { under: wrap(disk.clone()), disk, log: Arc::default() };
        Self { workload, recorder, engine: None, model }
    }

    fn open(&mut self) -> Result<(), Error> {
        self.engine = Some(self.open_engine()?);
        let mut log = self.recorder.log.lock();
        log.promise.durable = log.promise.acknowledged;
        Ok(())
    }

    fn open_engine(&self) -> Result<Engine, Error> {
        let disk = Arc::new(self.recorder.clone());
        Engine::open(disk, self.workload.options(), Arc::new(Concat))
    }

    /// Value files, and relocations since the engine was opened.
    fn values(&self) -> (u64, u64) {
        let statistics = self.engine.as_ref().map(Engine::statistics);
        statistics.map_or((0, 0), |statistics| (statistics.value_files, statistics.relocations))
    }

    fn step(&mut self, step: Step) -> Result<(), Error> {
        let batch = self.model.write(step);
        let batches = self.model.batches();
        self.recorder.log.lock().promise.invoked = batches;
        let engine = self.engine.as_ref().ok_or(Error::Closed)?;
        match (step, batch) {
            (_, Some(batch)) => {
                engine.write(batch)?;
                let mut log = self.recorder.log.lock();
                log.promise.acknowledged = batches;
                if self.workload.acknowledges_durably() {
                    log.promise.durable = batches;
                }
            }
            (Step::Settle, _) => {
                let mut units = 0;
                while units < UNITS_MAX && engine.maintain(Budget { bytes: 1 })? != Maintained::Idle
                {
                    units += 1;
                }
                assert!(units < UNITS_MAX, "maintenance comes to an end");
            }
            (Step::Sync, _) => {
                engine.sync()?;
                self.recorder.log.lock().promise.durable = batches;
            }
            (Step::Reopen, _) => {
                engine.close()?;
                self.recorder.log.lock().promise.durable = batches;
                self.engine = None;
                self.open()?;
            }
            (Step::Restart, _) => {
                self.engine = None;
                self.open()?;
            }
            (Step::Maintain | Step::Put | Step::Merge | Step::Delete | Step::Pair, None) => {
                engine.maintain(Budget { bytes: 1 })?;
            }
        }
        Ok(())
    }
}

/// A disk that keeps the volume before each call.
#[derive(Clone)]
struct Recorder {
    disk: SimDisk,
    under: Arc<dyn Disk>,
    log: Arc<Mutex<Log>>,
}

#[derive(Default)]
struct Log {
    is_recording: bool,
    promise: Promise,
    points: Vec<Point>,
}

impl Recorder {
    fn begin(&self) {
        self.log.lock().is_recording = true;
    }

    fn take_points(&self) -> Vec<Point> {
        std::mem::take(&mut self.log.lock().points)
    }

    /// Keeps the moment before `call`.
    fn keep(&self, call: &str) {
        let mut log = self.log.lock();
        if log.is_recording {
            let words = format!("after {} calls, before {call}", self.disk.calls());
            let promise = log.promise;
            log.points.push(Point { volume: self.disk.volume(), promise, words });
        }
    }

    fn before(&self, call: &str, path: &str) {
        if self.log.lock().is_recording {
            self.keep(&format!("{call} {path}"));
        }
    }
}

impl Disk for Recorder {
    fn open(&self, path: &str, how: OpenHow) -> io::Result<Box<dyn DiskFile>> {
        match how {
            OpenHow::Read => {}
            OpenHow::Create => self.before("create", path),
            OpenHow::Replace => self.before("replace", path),
        }
        let file = self.under.open(path, how)?;
        Ok(Box::new(RecordedFile { file, path: path.to_owned(), recorder: self.clone() }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.before("rename to", to);
        self.under.rename(from, to)
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        self.before("remove", path);
        self.under.remove(path)
    }

    fn list(&self, dir: &str) -> io::Result<Vec<String>> {
        self.under.list(dir)
    }

    fn create_dir(&self, path: &str) -> io::Result<()> {
        self.under.create_dir(path)
    }

    fn sync_dir(&self, dir: &str) -> Result<(), SyncError> {
        self.before("sync directory", dir);
        self.under.sync_dir(dir)
    }

    fn free_bytes(&self) -> io::Result<u64> {
        self.under.free_bytes()
    }

    fn allocate(&self, path: &str, bytes: u64) -> io::Result<()> {
        self.under.allocate(path, bytes)
    }

    fn lock_exclusive(&self, path: &str) -> Result<Box<dyn Lock>, LockError> {
        self.before("lock", path);
        self.under.lock_exclusive(path)
    }
}

struct RecordedFile {
    file: Box<dyn DiskFile>,
    path: String,
    recorder: Recorder,
}

impl DiskFile for RecordedFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.file.read_at(offset, buffer)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        self.recorder.before("write", &self.path);
        self.file.write_at(offset, bytes)
    }

    fn sync_data(&self) -> Result<(), SyncError> {
        self.recorder.before("sync", &self.path);
        self.file.sync_data()
    }

    fn sync_all(&self) -> Result<(), SyncError> {
        self.recorder.before("sync", &self.path);
        self.file.sync_all()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.recorder.before("set length of", &self.path);
        self.file.set_len(len)
    }

    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }
}
