//! [`State`]: what stands behind the handles of one simulated disk, and the gate that every call passes.
//!
//! Locked by `calls.rs` for the time of one call.
//!
//! 1. [`State::answer`] refuses if the process is dead, runs the call, counts it and adds it to the trace hash.
//! 2. The verbs (`read`, `write`, `sync`, …) ask for an injected fault before they do their work.
//!
//! Invariants
//! - A refused call changes nothing and is not counted.
//! - The order of draws depends on the calls alone.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::prng::Prng;

use super::names::FileNumber;
use super::volume::Volume;

/// Transfers that are made short, in 1 000: enough for every loop to be exercised, rare enough to cost nothing.
const SHORT_PER_MILLE: u32 = 16;

/// Writes to a disk that is full by surprise that fit in part, in 1 000.
const PART_PER_MILLE: u32 = 400;

/// Writes of which the places are remembered, for writes that miss theirs.
const PLACES_MAX: usize = 64;

/// Faults that calls meet by chance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DiskFaults {
    /// Reads that fail, in 1 000.
    pub read_per_mille: u32,
    /// Writes and changes of lengths and names that fail, in 1 000; a failed write may have written a part.
    pub write_per_mille: u32,
    /// File syncs that fail, in 1 000; pages are then clean, and on the platter or not.
    pub sync_per_mille: u32,
    /// Directory syncs that fail, in 1 000.
    pub sync_dir_per_mille: u32,
    /// Whether there is room for writes, extensions and new files.
    pub space: Space,
}

/// Whether a disk has room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Space {
    /// As much as its capacity says.
    #[default]
    Room,
    /// None, and it says so.
    Full,
    /// None, but its free bytes do not show it, and a write may fit in part: somebody else fills it.
    FullBySurprise,
}

/// Whether the process that uses the disk is alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Life {
    Running,
    /// Dead, and the image is not made yet.
    Halted,
    /// Dead, and the next process works on the image.
    Crashed,
}

/// Who calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Watch {
    /// The process that lives on the disk.
    Process,
    /// Somebody who only looks: not counted, not traced, and never refused.
    Observer,
}

/// What is counted, and carried over to the next life.
#[derive(Clone, Debug, Default)]
pub(super) struct Ledger {
    pub(super) injected: BTreeMap<&'static str, u64>,
    pub(super) calls: u64,
    pub(super) trace: u64,
}

impl Ledger {
    pub(super) fn count(&mut self, fault: &'static str) {
        *self.injected.entry(fault).or_default() += 1;
    }
}

/// A call as the trace sees it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call<'a> {
    pub(super) kind: &'static str,
    pub(super) path: &'a str,
    pub(super) offset: u64,
    pub(super) length: u64,
}

impl<'a> Call<'a> {
    pub(super) fn of(kind: &'static str, path: &'a str) -> Self {
        Self { kind, path, offset: 0, length: 0 }
    }

    pub(super) fn at(self, offset: u64, length: usize) -> Self {
        Self { offset, length: length as u64, ..self }
    }
}

pub(super) struct State {
    pub(super) volume: Volume,
    /// Handles per file.
    pub(super) open: BTreeMap<FileNumber, u32>,
    pub(super) locks: BTreeSet<String>,
    pub(super) capacity_bytes: u64,
    pub(super) faults: DiskFaults,
    pub(super) misdirect_armed: bool,
    /// Where the last writes began.
    pub(super) places: VecDeque<(FileNumber, u64)>,
    pub(super) short_per_mille: u32,
    pub(super) life: Life,
    pub(super) watch: Watch,
    pub(super) calls_left: Option<u64>,
    pub(super) prng: Prng,
    pub(super) ledger: Ledger,
}

impl State {
    pub(super) fn new(volume: Volume, prng: Prng, capacity_bytes: u64) -> Self {
        Self {
            volume,
            open: BTreeMap::new(),
            locks: BTreeSet::new(),
            capacity_bytes,
            faults: DiskFaults::default(),
            misdirect_armed: false,
            places: VecDeque::new(),
            short_per_mille: SHORT_PER_MILLE,
            life: Life::Running,
            watch: Watch::Process,
            calls_left: None,
            prng,
            ledger: Ledger::default(),
        }
    }

    /// Runs one call through the gate.
    pub(super) fn answer(
        &mut self,
        call: Call<'_>,
        act: impl FnOnce(&mut Self) -> io::Result<u64>,
    ) -> io::Result<u64> {
        if self.watch == Watch::Observer {
            let faults = std::mem::take(&mut self.faults);
            let short_per_mille = std::mem::take(&mut self.short_per_mille);
            let outcome = act(self);
            (self.faults, self.short_per_mille) = (faults, short_per_mille);
            return outcome;
        }
        match &mut self.calls_left {
            Some(0) => self.life = self.life.max_dead(),
            Some(left) => *left -= 1,
            None => {}
        }
        if self.life != Life::Running {
            let text = format!("crashed: cannot {} {}", call.kind, call.path);
            return Err(io::Error::other(text));
        }
        let outcome = act(self);
        self.trace(call, &outcome);
        outcome
    }

    /// Free bytes as an unprivileged process sees them.
    pub(super) fn free_bytes(&self) -> u64 {
        if self.faults.space == Space::Full {
            return 0;
        }
        self.capacity_bytes.saturating_sub(self.volume.used_bytes())
    }

    pub(super) fn read(
        &mut self,
        file: FileNumber,
        offset: u64,
        out: &mut [u8],
    ) -> io::Result<u64> {
        self.may_fail(self.faults.read_per_mille, "disk read error")?;
        let count = self.transfer(out.len(), "short read");
        let inode = self.volume.files.get(&file).ok_or(io::ErrorKind::NotFound)?;
        let wanted = out.get_mut(..count).unwrap_or_default();
        Ok(inode.read(offset, wanted) as u64)
    }

    pub(super) fn write(&mut self, file: FileNumber, offset: u64, bytes: &[u8]) -> io::Result<u64> {
        if let Err(error) = self.may_fail(self.faults.write_per_mille, "disk write error") {
            let part = bytes.get(..self.prng.index(bytes.len() + 1)).unwrap_or_default();
            let fits = part.len() as u64 <= self.free_bytes();
            if fits && !part.is_empty() && self.prng.per_mille(500) {
                self.store(file, offset, part);
            }
            return Err(error);
        }
        let room = self.room(file, offset, bytes.len())?;
        let count = self.transfer(room, "short write");
        let piece = bytes.get(..count).unwrap_or_default();
        if !(self.misdirect_armed && self.misdirect(file, offset, piece)) {
            self.store(file, offset, piece);
        }
        Ok(count as u64)
    }

    pub(super) fn set_len(&mut self, file: FileNumber, len: u64) -> io::Result<u64> {
        self.may_fail(self.faults.write_per_mille, "disk write error")?;
        let now = self.length(file);
        if len > now && (self.faults.space != Space::Room || len - now > self.free_bytes()) {
            return Err(self.full());
        }
        if let Some(inode) = self.volume.file_mut(file) {
            inode.set_len(len);
        }
        Ok(len)
    }

    pub(super) fn sync(&mut self, file: FileNumber) -> io::Result<u64> {
        let failed = self.may_fail(self.faults.sync_per_mille, "disk sync error");
        if let (Err(_), Some(inode)) = (&failed, self.volume.file_mut(file)) {
            // All of it, none of it, or any part may have reached the platter before the error.
            let per_mille = [0, 1_000, 500].get(self.prng.index(3)).copied().unwrap_or(0);
            let prng = &mut self.prng;
            inode.fail_sync(|| prng.per_mille(per_mille));
        }
        failed?;
        if self.volume.files.get(&file).is_some_and(|inode| !inode.is_durable())
            && let Some(inode) = self.volume.file_mut(file)
        {
            inode.sync();
        }
        Ok(0)
    }

    pub(super) fn sync_dir(&mut self, dir: &str) -> io::Result<u64> {
        let failed = self.may_fail(self.faults.sync_dir_per_mille, "disk directory sync error");
        if failed.is_ok() || self.prng.per_mille(500) {
            self.volume.names.sync_dir(dir);
        }
        failed?;
        let open = &self.open;
        self.volume.collect(|file| open.contains_key(&file));
        Ok(0)
    }

    pub(super) fn length(&self, file: FileNumber) -> u64 {
        self.volume.files.get(&file).map_or(0, |inode| inode.len())
    }

    /// Fails by chance.
    pub(super) fn may_fail(&mut self, per_mille: u32, fault: &'static str) -> io::Result<()> {
        if per_mille > 0 && self.prng.per_mille(per_mille) {
            self.ledger.count(fault);
            return Err(io::Error::other(format!("injected: {fault}")));
        }
        Ok(())
    }

    /// The error of a full disk, counted.
    pub(super) fn full(&mut self) -> io::Error {
        self.ledger.count("disk full");
        io::ErrorKind::StorageFull.into()
    }

    /// Bytes of a write of `length` that fit.
    fn room(&mut self, file: FileNumber, offset: u64, length: usize) -> io::Result<usize> {
        if self.faults.space == Space::FullBySurprise
            && length > 1
            && self.prng.per_mille(PART_PER_MILLE)
        {
            return Ok(1 + self.prng.index(length - 1));
        }
        if self.faults.space != Space::Room {
            return Err(self.full());
        }
        let limit = self.length(file).saturating_add(self.free_bytes());
        let room = usize::try_from(limit.saturating_sub(offset)).unwrap_or(usize::MAX);
        if length > 0 && room == 0 {
            return Err(self.full());
        }
        Ok(length.min(room))
    }

    /// Bytes to transfer of `length`: fewer now and then, but never none.
    fn transfer(&mut self, length: usize, fault: &'static str) -> usize {
        if length < 2 || self.short_per_mille == 0 || !self.prng.per_mille(self.short_per_mille) {
            return length;
        }
        self.ledger.count(fault);
        1 + self.prng.index(length - 1)
    }

    fn store(&mut self, file: FileNumber, offset: u64, bytes: &[u8]) {
        self.places.push_back((file, offset));
        if self.places.len() > PLACES_MAX {
            self.places.pop_front();
        }
        if let Some(inode) = self.volume.file_mut(file) {
            inode.write(offset, bytes);
        }
    }

    fn trace(&mut self, call: Call<'_>, outcome: &io::Result<u64>) {
        self.ledger.calls += 1;
        let mut seen = Vec::with_capacity(64);
        seen.extend_from_slice(call.kind.as_bytes());
        seen.push(0);
        seen.extend_from_slice(call.path.as_bytes());
        seen.push(0);
        seen.extend_from_slice(&call.offset.to_le_bytes());
        seen.extend_from_slice(&call.length.to_le_bytes());
        match outcome {
            Ok(number) => seen.extend_from_slice(&number.to_le_bytes()),
            Err(error) => seen.extend_from_slice(error.to_string().as_bytes()),
        }
        self.ledger.trace = xxh3_64_with_seed(&seen, self.ledger.trace);
    }
}

impl Life {
    /// Dead, one way or the other.
    fn max_dead(self) -> Self {
        if self == Self::Crashed { Self::Crashed } else { Self::Halted }
    }
}
