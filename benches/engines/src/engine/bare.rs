//! The smallest durable log: group commit and nothing else. A ceiling, not a store.
//!
//! 1. A writer adds its record to the batch that is being gathered.
//! 2. If nobody leads, it leads: it takes the batch, writes and syncs it, and completes everybody in it.
//! 3. Otherwise it waits; a new batch gathers meanwhile. No timer: while one sync runs the next batch gathers by itself.
//!
//! Batches alternate between two condition variables, so that completing one wakes its own members and one leader of
//! the next, and nobody else.
//!
//! [`Space::Grows`] makes every sync commit the file's new length; [`Space::Recycled`] overwrites bytes that were
//! written before, as a log of recycled segments does.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;

use parking_lot::{Condvar, Mutex};

use crate::Outcome;

use super::Writes;

/// Bytes of the recycled file: several seconds of writing; it begins again at its start.
const RECYCLED_BYTES: u64 = 256 * 1_024 * 1_024;

/// Where a batch is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Space {
    /// Behind the end of the file.
    Grows,
    /// Into space that was written before.
    Recycled,
}

/// A log that is only written.
pub(super) struct BareLog {
    file: File,
    space: Space,
    state: Mutex<State>,
    /// Members of a batch wait at the one of its parity.
    completed: [Condvar; 2],
}

#[derive(Default)]
struct State {
    gathered: Vec<u8>,
    /// Number of the batch that is being gathered.
    gathering: u64,
    /// Batches before this one are durable.
    durable_before: u64,
    leader: Leader,
    offset: u64,
    failure: Option<String>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Leader {
    #[default]
    Nobody,
    Busy,
}

impl BareLog {
    /// An empty log in `directory`.
    pub(super) fn create(directory: &Path, space: Space) -> Outcome<BareLog> {
        let file =
            OpenOptions::new().create_new(true).write(true).open(directory.join("bare.log"))?;
        if space == Space::Recycled {
            let zeroes = vec![0; 1_024 * 1_024];
            for offset in (0..RECYCLED_BYTES).step_by(zeroes.len()) {
                file.write_all_at(&zeroes, offset)?;
            }
            file.sync_all()?;
        }
        let completed = [Condvar::new(), Condvar::new()];
        Ok(BareLog { file, space, state: Mutex::default(), completed })
    }

    fn condvar(&self, batch: u64) -> &Condvar {
        &self.completed[usize::from(batch % 2 == 1)]
    }

    /// Writes `batch` at the end and syncs it.
    fn append(&self, batch: &[u8], offset: u64) -> Outcome<()> {
        self.file.write_all_at(batch, offset)?;
        Ok(rustix::fs::fdatasync(&self.file)?)
    }

    /// The offset of a batch of `bytes`, and where the next one begins.
    fn place(&self, offset: u64, bytes: u64) -> (u64, u64) {
        let fits = self.space == Space::Grows || offset + bytes <= RECYCLED_BYTES;
        let begin = if fits { offset } else { 0 };
        (begin, begin + bytes)
    }
}

impl Writes for BareLog {
    fn put(&self, key: &[u8], value: &[u8]) -> Outcome<()> {
        let mut state = self.state.lock();
        state.gathered.extend_from_slice(key);
        state.gathered.extend_from_slice(value);
        let mine = state.gathering;
        while state.leader == Leader::Busy && state.durable_before <= mine {
            self.condvar(mine).wait(&mut state);
        }
        if state.durable_before <= mine {
            assert!(state.gathering == mine, "a batch that was taken has a leader");
            state.leader = Leader::Busy;
            let batch = std::mem::take(&mut state.gathered);
            state.gathering += 1;
            let (begin, end) = self.place(state.offset, batch.len() as u64);
            state.offset = end;
            drop(state);
            let result = self.append(&batch, begin);
            state = self.state.lock();
            state.leader = Leader::Nobody;
            state.durable_before = mine + 1;
            state.failure = state.failure.take().or(result.err().map(|error| error.to_string()));
            self.condvar(mine).notify_all();
            self.condvar(mine + 1).notify_one();
        }
        match &state.failure {
            Some(failure) => Err(failure.clone().into()),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{BareLog, Space, Writes};

    #[test]
    fn every_record_of_every_writer_is_in_the_file_once() {
        let directory = tempfile::tempdir().unwrap();
        let log = BareLog::create(directory.path(), Space::Grows).unwrap();
        std::thread::scope(|scope| {
            for writer in 0..8u8 {
                let log = &log;
                scope.spawn(move || {
                    for _ in 0..50 {
                        log.put(&[writer; 16], &[writer; 84]).unwrap();
                    }
                });
            }
        });
        let written = std::fs::read(directory.path().join("bare.log")).unwrap();
        let mut counts = [0; 8];
        for record in written.chunks(100) {
            assert!(record.iter().all(|byte| *byte == record[0]), "a torn record");
            counts[usize::from(record[0])] += 1;
        }
        assert_eq!(counts, [50; 8]);
    }
}
