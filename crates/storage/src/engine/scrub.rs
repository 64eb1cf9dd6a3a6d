//! The scrub: finds rot in files that nobody reads.
//!
//! To be called from a thread of its own, one file at a time, cycle after cycle; the caller decides what becomes of what is
//! found (`salvage.rs`).
//!
//! 1. Live files are visited in the order of their ids, which never change and are never reused, so that a position says
//!    what was checked, whatever was compacted meanwhile.
//! 2. A table is checked by `Table::verify`: checksums, order, index, filters, counts, references, pointers.
//! 3. A value file is checked record by record: checksums, operations, and that they tile the file.
//! 4. Its name must still be in the directory: an open file stays readable without it, until the next start.
//!
//! Invariants
//! - Nothing is written, cached or remembered, and nothing found here poisons the engine.
//! - A step holds the tree that it began with: its file is not unlinked under it.
//!
//! Source: Bairavasundaram et al., "An Analysis of Latent Sector Errors in Disk Drives", SIGMETRICS 2007: most are found
//! by scrubbing.

use std::io::ErrorKind;
use std::sync::Arc;

use crate::disk::OpenHow;
use crate::error::Error;
use crate::files::FileKind;
use crate::finding::Damage;
use crate::sstable::Table;
use crate::value_log::ValueFile;

use super::Engine;
use super::view::Tree;

/// Where in a cycle a scrub is: the lowest file id that was not checked. The default is the beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct ScrubPosition(pub u64);

/// What one [`Engine::scrub`] came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScrubStep {
    /// The file that was checked; `None` if there was none left.
    pub file: Option<String>,
    /// Bytes of it that were checked.
    pub bytes: u64,
    /// What is wrong with it.
    pub damages: Vec<Damage>,
    /// Where to go on; `None` at the end of the cycle.
    pub next: Option<ScrubPosition>,
}

/// A live file.
enum Live {
    Table(Arc<Table>),
    Values(Arc<ValueFile>),
}

impl Engine {
    pub(super) fn scrub_file(
        &self,
        from: ScrubPosition,
        on_read: &mut dyn FnMut(u64),
    ) -> Result<ScrubStep, Error> {
        self.health.check_readable()?;
        let tree = self.current_tree();
        let Some((file_id, live)) = first_live(&tree, from.0) else {
            return Ok(ScrubStep { file: None, bytes: 0, damages: Vec::new(), next: None });
        };
        assert!(file_id >= from.0, "a cycle goes on");
        let next = file_id.checked_add(1).map(ScrubPosition);
        let next = next.filter(|next| first_live(&tree, next.0).is_some());
        let name = live.name();
        let mut damages = Vec::new();
        let bytes = live.verify(on_read, &mut damages)?;
        let opened = self.disk.open(&name, OpenHow::Read);
        if opened.is_err_and(|error| error.kind() == ErrorKind::NotFound) {
            damages.push(Damage::new(&name, 0, "the file is no longer in the directory"));
        }
        debug_assert!(damages.iter().all(|damage| damage.file == name));
        Ok(ScrubStep { file: Some(name), bytes, damages, next })
    }
}

impl Live {
    fn name(&self) -> String {
        match self {
            Live::Table(table) => FileKind::Table.name(table.meta().file_id),
            Live::Values(file) => file.name(),
        }
    }

    /// Appends what is wrong to `damages`; returns how much was read.
    fn verify(
        &self,
        on_read: &mut dyn FnMut(u64),
        damages: &mut Vec<Damage>,
    ) -> Result<u64, Error> {
        let verified = match self {
            Live::Table(table) => table.verify(&mut |block| on_read(u64::from(block.bytes))),
            Live::Values(file) => file.verify(on_read, damages).map(|tally| tally.bytes),
        };
        verified.or_else(|error| {
            damages.push(Damage::of(error)?);
            Ok(0)
        })
    }
}

/// The live file with the lowest id from `file_id` on.
fn first_live(tree: &Tree, file_id: u64) -> Option<(u64, Live)> {
    let values = tree.version.values().range(file_id..).next();
    let values = values.map(|(id, live)| (*id, Live::Values(Arc::clone(&live.file))));
    let tables = tree.version.tables().map(|(_, live)| live);
    let table = tables.filter(|live| live.file_id() >= file_id).min_by_key(|live| live.file_id());
    let table = table.map(|live| (live.file_id(), Live::Table(Arc::clone(&live.table))));
    table.into_iter().chain(values).min_by_key(|(id, _)| *id)
}
