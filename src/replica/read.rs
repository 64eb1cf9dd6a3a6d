//! Reads of the replica: with the disk, and without.

use std::sync::atomic::Ordering;

use atoll_protocol::record::Record;
use atoll_seeded_bug::{Mutant, seeded_bug};
use bytes::Bytes;

use super::{Replica, ReplicaError, Shared, StoredKey};

/// How far a read goes for a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// To memtables and cache, at once: for who cannot wait.
    Memory,
    /// To the disk: one block read per candidate table, on the caller's thread, for what is not in memory.
    Disk,
}

impl Replica {
    /// The record of a key; `None` if there is none.
    ///
    /// # Errors
    /// [`ReplicaError::Damaged`] or [`ReplicaError::Storage`] when it cannot be read: damage is never "absent".
    /// [`ReplicaError::NotInMemory`] when that would take the disk, which is out of `reach`.
    pub fn read(&self, key: &StoredKey, reach: Reach) -> Result<Option<Record>, ReplicaError> {
        self.shared.read(key, reach)
    }

    /// The encoded record of a key; `None` if there is none.
    ///
    /// # Errors
    /// As [`read`](Replica::read).
    ///
    /// Cost: as [`read`](Replica::read); the record is not decoded.
    pub fn read_encoded(
        &self,
        key: &StoredKey,
        reach: Reach,
    ) -> Result<Option<Bytes>, ReplicaError> {
        self.shared.read_encoded(key, reach)
    }
}

impl Shared {
    /// Why something could not be read; a damaged file is suspected from now on.
    pub(super) fn unread(&self, error: &atoll_storage::Error) -> ReplicaError {
        match error {
            atoll_storage::Error::Corrupt { file, .. } => {
                self.suspects.note(file);
                ReplicaError::Damaged(error.to_string())
            }
            atoll_storage::Error::NotInMemory => ReplicaError::NotInMemory,
            error => ReplicaError::Storage(error.to_string()),
        }
    }

    pub(super) fn read(
        &self,
        key: &StoredKey,
        reach: Reach,
    ) -> Result<Option<Record>, ReplicaError> {
        let Some(bytes) = self.read_encoded(key, reach)? else { return Ok(None) };
        let record =
            Record::decode(bytes).map_err(|error| ReplicaError::Storage(error.to_string()))?;
        if !record.duplicate_dots().is_empty() {
            self.counters.alarms.fetch_add(1, Ordering::Relaxed);
            tracing::error!(dots = ?record.duplicate_dots(), "ALARM: a dot was minted twice; both cells are kept");
        }
        Ok(Some(record))
    }

    fn read_encoded(&self, key: &StoredKey, reach: Reach) -> Result<Option<Bytes>, ReplicaError> {
        let stored = match reach {
            Reach::Memory => self.engine.get_in_memory(key.as_bytes()),
            Reach::Disk => self.engine.get(key.as_bytes()),
        };
        let stored = stored.or_else(|error| match error {
            atoll_storage::Error::Corrupt { .. } if seeded_bug(Mutant::CorruptReadsAsAbsent) => {
                Ok(None)
            }
            error => Err(error),
        });
        stored.map_err(|error| self.unread(&error))
    }
}
