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
    /// The file, opened if nobody has it open. Ids are unique across kinds: a file of another kind is corruption of the table
    /// that says so.
    pub(crate) fn open(
        &self,
        disk: &dyn Disk,
        kind: ValueKind,
        file_id: u64,
    ) -> Result<Arc<ValueFile>, Error> {
        let mut open = self.open.lock();
        if let Some(file) = open.get(&file_id).and_then(Weak::upgrade) {
            if file.kind() != kind {
                let what = "tables disagree about the kind of the value file";
                return Err(Error::corrupt(&kind.file_kind().name(file_id), 0, what));
            }
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

#[cfg(test)]
mod tests {
    use super::{ValueFiles, ValueKind};
    use crate::disk::{Disk, OpenHow, RealDisk};
    use crate::error::Error;

    #[test]
    fn a_file_of_two_kinds_is_corrupt() {
        let dir = tempfile::tempdir().unwrap();
        let disk = RealDisk::new(dir.path());
        for kind in [ValueKind::Segment, ValueKind::Values] {
            disk.open(&kind.file_kind().name(7), OpenHow::Create).unwrap();
        }
        let files = ValueFiles::default();
        let segment = files.open(&disk, ValueKind::Segment, 7).unwrap();
        let other = files.open(&disk, ValueKind::Values, 7);
        assert!(matches!(other, Err(Error::Corrupt { file, .. }) if file == "000007.vlog"));
        assert_eq!(segment.kind(), ValueKind::Segment);
    }
}
