//! [`Removal`]: a file that has left the store and waits for its last reader.

use std::sync::Arc;

use crate::files::FileKind;
use crate::sstable::Table;
use crate::value_log::ValueFile;

use super::Engine;

/// A file to unlink.
pub(super) struct Removal {
    name: String,
    held: Held,
}

/// What readers may still hold.
enum Held {
    /// Nothing.
    Nothing,
    Table(Arc<Table>),
    Values(Arc<ValueFile>),
}

impl Removal {
    /// A file that nobody reads.
    pub(super) fn unread(name: String) -> Removal {
        Removal { name, held: Held::Nothing }
    }

    /// A table, kept until nobody else holds it.
    pub(super) fn table(table: Arc<Table>) -> Removal {
        Removal { name: FileKind::Table.name(table.meta().file_id), held: Held::Table(table) }
    }

    /// A value file, kept until nobody else holds it.
    pub(super) fn values(file: Arc<ValueFile>) -> Removal {
        Removal { name: file.name(), held: Held::Values(file) }
    }

    fn is_free(&self) -> bool {
        match &self.held {
            Held::Nothing => true,
            Held::Table(table) => Arc::strong_count(table) == 1,
            Held::Values(file) => Arc::strong_count(file) == 1,
        }
    }
}

impl Engine {
    /// Unlinks what nobody needs. A failure is tried again the next time.
    pub(super) fn sweep(&self) {
        let mut removals = self.removals.lock();
        let before = removals.len();
        removals.retain(|removal| !removal.is_free() || !self.unlink(&removal.name));
        if removals.len() < before {
            // A table that went has let go of its value files.
            removals.retain(|removal| !removal.is_free() || !self.unlink(&removal.name));
        }
    }

    /// Whether the file is gone.
    pub(super) fn unlink(&self, name: &str) -> bool {
        match self.disk.remove(name) {
            Ok(()) => true,
            Err(error) => error.kind() == std::io::ErrorKind::NotFound,
        }
    }
}
