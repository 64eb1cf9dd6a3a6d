//! [`ValueFiles`]: finds or opens the value file behind a reference.
//!
//! Owned by the engine; asked when a table is opened, never by a read.
//!
//! Invariant: at most one [`ValueFile`] per id is open, so that the count of its holders says whether it is in use.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use crate::disk::Disk;
use crate::error::Error;

use super::file::{ValueFile, ValueKind};

/// The open value files of a store.
#[derive(Default)]
pub(crate) struct ValueFiles {
    open: Mutex<BTreeMap<u64, Weak<ValueFile>>>,
}

impl ValueFiles {
    /// The file, opened if nobody has it open.
    pub(crate) fn open(
        &self,
        disk: &dyn Disk,
        kind: ValueKind,
        file_id: u64,
    ) -> Result<Arc<ValueFile>, Error> {
        let mut open = self.open.lock();
        if let Some(file) = open.get(&file_id).and_then(Weak::upgrade) {
            assert!(file.kind() == kind, "ids are unique across kinds");
            return Ok(file);
        }
        let file = ValueFile::open(disk, kind, file_id)?;
        assert!(file.file_id() == file_id);
        if open.len().is_power_of_two() {
            // Now and then, so that opening a store with many files is not quadratic.
            open.retain(|_, file| file.strong_count() > 0);
        }
        open.insert(file_id, Arc::downgrade(&file));
        Ok(file)
    }
}
