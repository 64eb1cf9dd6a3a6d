//! [`SimDisk`]: a disk in memory that loses, tears, damages and refuses what a real one may.
//!
//! The node under simulation opens its storage engine and its redb file on it; the world crashes it and builds the next
//! process on the image that is left.
//!
//! 1. A file is a list of sectors and, for those not synced, what the platter still holds (`inode.rs`).
//! 2. A directory is a map of names and a list of changes that are not synced (`names.rs`).
//! 3. [`SimDisk::crash`] draws which of the unsynced items survive and builds the image (`volume.rs`, `survival.rs`).
//! 4. Every call passes one gate, which counts it, hashes it into the trace and asks for faults (`state.rs`).
//!
//! Invariants
//! - What was synced without an error survives every crash, until [`SimDisk::rot`] or a misdirected write damages it.
//! - A file's sync makes its bytes and its length durable, never its name.
//! - A rename is atomic: after a crash its target is the old file or the new one.
//! - Equal seeds and equal calls give equal outcomes, images and trace hashes. No clock, thread or hash map is used.
//! - A handle of a crashed disk fails every call, whatever the image does.
//!
//! Cost: pages are shared between a disk and its images and copied on write; an image costs microseconds.
//!
//! Source: Pillai et al., "All File Systems Are Not Created Equal", OSDI 2014, for what a crash may leave; Rebello et
//! al., ATC 2020, for failing syncs.

mod calls;

mod backend;

mod damage;

mod state;

mod survival;

mod volume;

mod names;

mod inode;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use atoll_storage::Lock;
use parking_lot::Mutex;

use crate::prng::Prng;

pub use backend::DiskBackend;
pub use state::{DiskFaults, Space};
pub(crate) use survival::Survival;
pub(crate) use volume::{Unsynced, Volume};

use state::{Life, State, Watch};

/// A simulated disk. Cheap to clone; clones are the same disk.
#[derive(Clone)]
pub struct SimDisk {
    state: Arc<Mutex<State>>,
}

/// How a process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// The process died; the page cache survives, and what was not synced is still not synced.
    ProcessKilled,
    /// The machine lost power: a legal image, drawn from the disk's own chance.
    PowerLost,
}

impl SimDisk {
    /// An empty disk of `capacity_bytes`.
    pub fn new(prng: Prng, capacity_bytes: u64) -> Self {
        Self::of(State::new(Volume::default(), prng, capacity_bytes))
    }

    /// A disk that holds `volume`, without limits, faults and short transfers.
    pub(crate) fn holding(volume: Volume, prng: Prng) -> Self {
        let mut state = State::new(volume, prng, u64::MAX);
        state.short_per_mille = 0;
        Self::of(state)
    }

    /// The disk as the next process finds it. Every handle, lock and backend of this one is dead from now on.
    ///
    /// Locks are free on the new disk and faults are cleared; capacity, counters and trace go on.
    pub fn crash(&self, loss: Loss) -> Self {
        let mut state = self.state.lock();
        state.life = Life::Crashed;
        let mut prng = state.prng.fork("next life");
        let volume = match loss {
            Loss::ProcessKilled => state.volume.without_orphans(),
            Loss::PowerLost => {
                let unsynced = state.volume.unsynced();
                let survival = Survival::draw(&unsynced, &mut prng);
                for fault in unsynced.lost(&survival) {
                    state.ledger.count(fault);
                }
                state.volume.image(&unsynced, &survival)
            }
        };
        let mut next = State::new(volume, prng, state.capacity_bytes);
        next.ledger = state.ledger.clone();
        next.short_per_mille = state.short_per_mille;
        Self::of(next)
    }

    /// From now on every call fails: the process is dead, its image is not made yet.
    pub fn halt(&self) {
        let mut state = self.state.lock();
        if state.life == Life::Running {
            state.life = Life::Halted;
        }
    }

    /// Lets `calls` more calls work, then halts.
    pub fn halt_after(&self, calls: u64) {
        self.state.lock().calls_left = Some(calls);
    }

    /// Whether calls fail because of [`halt`](Self::halt), [`halt_after`](Self::halt_after) or
    /// [`crash`](Self::crash).
    pub fn is_halted(&self) -> bool {
        let state = self.state.lock();
        state.life != Life::Running || state.calls_left == Some(0)
    }

    /// Makes calls fail by chance from now on.
    pub fn set_faults(&self, faults: DiskFaults) {
        self.state.lock().faults = faults;
    }

    /// Calls to the disk within `look` are an observer's: they meet no fault, are not counted, and leave no trace.
    pub fn observe<T>(&self, look: impl FnOnce() -> T) -> T {
        self.state.lock().watch = Watch::Observer;
        let seen = look();
        self.state.lock().watch = Watch::Process;
        seen
    }

    /// The bytes of the next write land elsewhere; the intended place keeps its old content.
    pub fn misdirect_next_write(&self) {
        self.state.lock().misdirect_armed = true;
    }

    /// Flips up to `bits` bits of synced data; returns in words where.
    pub fn rot(&self, bits: u32) -> Vec<String> {
        self.state.lock().rot(bits)
    }

    /// How often each fault took effect, since the disk was new, crashes included.
    pub fn injected(&self) -> BTreeMap<&'static str, u64> {
        self.state.lock().ledger.injected.clone()
    }

    /// Calls answered since the disk was new, crashes included.
    pub fn calls(&self) -> u64 {
        self.state.lock().ledger.calls
    }

    /// Hash of every call so far and its outcome.
    pub fn trace_hash(&self) -> u64 {
        self.state.lock().ledger.trace
    }

    /// Paths of all files, in order. Not a call: works on a dead disk too.
    pub fn names(&self) -> Vec<String> {
        let state = self.state.lock();
        state.volume.names.cached().keys().map(|name| name.to_string()).collect()
    }

    /// A backend for redb on the file `path`, created if missing.
    ///
    /// As with a real file, a new name is not durable before its directory is synced.
    ///
    /// # Errors
    /// What opening the file says.
    pub fn backend(&self, path: &str) -> io::Result<DiskBackend> {
        DiskBackend::open(self, path)
    }

    /// The content as it is now, with what is not synced. Not a call.
    pub(crate) fn volume(&self) -> Volume {
        self.state.lock().volume.clone()
    }

    /// Never makes a transfer short: for tests that count calls.
    #[cfg(test)]
    fn transfer_whole(&self) {
        self.state.lock().short_per_mille = 0;
    }

    fn of(state: State) -> Self {
        Self { state: Arc::new(Mutex::new(state)) }
    }
}

impl std::fmt::Debug for SimDisk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SimDisk").field("names", &self.names()).finish_non_exhaustive()
    }
}

/// Held until dropped, or until the disk crashes.
struct SimLock {
    disk: SimDisk,
    path: String,
}

impl Lock for SimLock {}

impl Drop for SimLock {
    fn drop(&mut self) {
        self.disk.state.lock().locks.remove(&self.path);
    }
}
