//! Reads a whole store, closed as it is, and says what is wrong with it.
//!
//! 1. Lock the directory, so that no engine changes it meanwhile.
//! 2. `CURRENT`, the manifest that it names (the youngest one, if it names none), and that its tables can be a version.
//! 3. Every table, past any cache; every value file that a table points into, once.
//! 4. The live log (`log.rs`).
//! 5. What is left over in the directory: noted, because the next open removes it, or because nobody knows it.
//!
//! Invariants
//! - Nothing is changed. A store without a lock file is read without a lock.
//! - One bad file hides no other, except that without a manifest nobody knows what there should be, and without the
//!   references of a table nobody knows which value files are left over.

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::sync::Arc;

use crate::cache::Cache;
use crate::disk::{Disk, Lock, LockError, OpenHow};
use crate::engine::refuse_headless_store;
use crate::error::Error;
use crate::files::{CURRENT, FileKind, LOCK, RESERVE, ROOT, StoreFile, is_temporary};
use crate::finding::{Damage, Note};
use crate::levels::damage_of_levels;
use crate::manifest::{Part, State, is_present, parts, read_current, read_state};
use crate::sstable::{Table, TableContext};
use crate::value_log::{ValueFile, ValueFiles, ValueKind};

use super::InspectError;
use super::log::verify_log;

/// What was checked of one kind of file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// Files that could be read to their end.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Their entries: of tables, operations of value files and log, edits of the manifest.
    pub entries: u64,
}

impl Checked {
    pub(super) fn add(&mut self, other: Checked) {
        self.files += other.files;
        self.bytes += other.bytes;
        self.entries += other.entries;
    }
}

/// What [`verify_store`] found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoreReport {
    /// `CURRENT` and the live manifest.
    pub manifest: Checked,
    /// Live tables.
    pub tables: Checked,
    /// Files that tables point into, among them segments of the log that was flushed.
    pub value_files: Checked,
    /// Segments of the live log.
    pub log: Checked,
    /// Everything that is wrong.
    pub damages: Vec<Damage>,
    /// What is not wrong, but worth a look.
    pub notes: Vec<Note>,
}

/// Checks every file of the store at the root of `disk`, and calls `on_damage` as soon as something is found.
///
/// Cost: reads everything that is alive, the log twice; memory for the live log, a table's index, a block or a record.
///
/// # Errors
/// [`InspectError::NotAStore`]; [`Error::Locked`] while a node has it open; [`Error::Disk`] if the directory cannot be
/// listed or locked.
pub fn verify_store(
    disk: &dyn Disk,
    on_damage: &mut dyn FnMut(&Damage),
) -> Result<StoreReport, InspectError> {
    let _lock = lock(disk, &list(disk)?)?;
    let names = list(disk)?;
    let mut inspection = Inspection {
        disk,
        report: StoreReport::default(),
        on_damage,
        live: BTreeSet::from([LOCK, CURRENT, RESERVE].map(str::to_owned)),
        value_files: BTreeMap::new(),
        unread: Vec::new(),
        names,
    };
    if let Some(state) = inspection.manifest()? {
        inspection.tables(&state)?;
        inspection.value_files()?;
        inspection.log(&state)?;
    }
    inspection.leftovers();
    Ok(inspection.report)
}

/// The files of the directory, among them at least one of a store.
fn list(disk: &dyn Disk) -> Result<Vec<String>, InspectError> {
    let not_a_store = |found: &str| InspectError::NotAStore { found: found.to_owned() };
    let names = disk.list(ROOT).map_err(|error| match error.kind() {
        ErrorKind::NotFound => not_a_store("there is no such directory"),
        ErrorKind::NotADirectory => not_a_store("it is not a directory"),
        _ => Error::disk("list", "the directory", error).into(),
    })?;
    if names.iter().any(|name| name == CURRENT || FileKind::parse(name).is_some()) {
        return Ok(names);
    }
    Err(not_a_store(match names.as_slice() {
        [] => "the directory has no files",
        _ => "the directory has other files only",
    }))
}

/// The lock, if the store has a lock file.
fn lock(disk: &dyn Disk, names: &[String]) -> Result<Option<Box<dyn Lock>>, Error> {
    if !names.iter().any(|name| name == LOCK) {
        // A copy, say. Locking would make the file.
        return Ok(None);
    }
    match disk.lock_exclusive(LOCK) {
        Ok(lock) => Ok(Some(lock)),
        // Nothing changes what is on a read-only file system.
        Err(LockError::Failed { source, .. }) if source.kind() == ErrorKind::ReadOnlyFilesystem => {
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

/// A verification under way.
struct Inspection<'a> {
    disk: &'a dyn Disk,
    names: Vec<String>,
    report: StoreReport,
    on_damage: &'a mut dyn FnMut(&Damage),
    /// Names that are accounted for.
    live: BTreeSet<String>,
    /// What tables point into.
    value_files: BTreeMap<u64, ValueKind>,
    /// Tables whose references are not known.
    unread: Vec<String>,
}

impl Inspection<'_> {
    fn damaged(&mut self, damage: Damage) {
        // Several tables may miss the same value file.
        if !self.report.damages.contains(&damage) {
            (self.on_damage)(&damage);
            self.report.damages.push(damage);
        }
    }

    fn note(&mut self, file: &str, what: &str) {
        self.report.notes.push(Note::new(file, what));
    }

    /// What the manifest says; `None` if there is none to be read.
    fn manifest(&mut self) -> Result<Option<State>, Error> {
        let Some(manifest_id) = self.manifest_id()? else {
            return Ok(None);
        };
        let name = FileKind::Manifest.name(manifest_id);
        self.live.insert(name.clone());
        let state = match read_state(self.disk, manifest_id) {
            Ok(state) => state,
            Err(error) => {
                self.damaged(Damage::of(error)?);
                self.note(&name, "tables, value files and log were not checked without it");
                return Ok(None);
            }
        };
        let bytes = StoreFile::open(self.disk, &name, OpenHow::Read)?.read_all()?;
        let mut checked = Checked { files: 1, bytes: bytes.len() as u64, entries: 0 };
        for part in parts(&bytes, manifest_id) {
            match part {
                Part::Record { .. } => checked.entries += 1,
                Part::Damaged { offset, bytes } => {
                    let what = format!(
                        "torn tail: {bytes} bytes at offset {offset}, of an edit that was never confirmed"
                    );
                    self.note(&name, &what);
                }
            }
        }
        self.report.manifest.add(checked);
        if let Some(what) = damage_of_levels(state.tables.values()) {
            self.damaged(Damage::new(&name, 0, what));
        }
        Ok(Some(state))
    }

    /// The live manifest, or the youngest one if `CURRENT` does not say.
    fn manifest_id(&mut self) -> Result<Option<u64>, Error> {
        let current = if is_present(&self.names) {
            read_current(self.disk)
        } else {
            match refuse_headless_store(self.disk, &self.names) {
                Ok(()) => {
                    self.note(CURRENT, "there is none: the first start never came to its end");
                    return Ok(None);
                }
                Err(error) => Err(error),
            }
        };
        match current {
            Ok(manifest_id) => {
                let bytes = StoreFile::open(self.disk, CURRENT, OpenHow::Read)?.len()?;
                self.report.manifest.add(Checked { files: 1, bytes, entries: 0 });
                return Ok(Some(manifest_id));
            }
            Err(error) => self.damaged(Damage::of(error)?),
        }
        let parsed = self.names.iter().filter_map(|name| FileKind::parse(name));
        let youngest =
            parsed.filter(|(kind, _)| *kind == FileKind::Manifest).map(|(_, id)| id).max();
        match youngest {
            Some(file_id) => self.note(
                &FileKind::Manifest.name(file_id),
                "the youngest manifest; taken in place of the one that CURRENT should name",
            ),
            None => self.note(CURRENT, "nothing else was checked: there is no manifest"),
        }
        Ok(youngest)
    }

    fn tables(&mut self, state: &State) -> Result<(), Error> {
        let (values, cache) = (ValueFiles::default(), Arc::new(Cache::new(0)));
        let context = TableContext { disk: self.disk, values: &values, cache: &cache };
        for record in state.tables.values() {
            let name = FileKind::Table.name(record.meta.file_id);
            self.live.insert(name.clone());
            let table = match Table::open(&context, record.meta.clone()) {
                Ok(table) => table,
                Err(error) => {
                    let damage = Damage::of(error)?;
                    if damage.file != name {
                        self.note(
                            &name,
                            "not checked: a value file that it points into is missing",
                        );
                    }
                    self.damaged(damage);
                    self.unread.push(name);
                    continue;
                }
            };
            let files = table.references().iter().map(|reference| &reference.file);
            self.value_files.extend(files.map(|file| (file.file_id(), file.kind())));
            match table.verify(&mut |_block| {}) {
                Ok(bytes) => {
                    assert!(bytes == record.meta.bytes, "all of the file was read");
                    let entries = record.meta.entries;
                    self.report.tables.add(Checked { files: 1, bytes, entries });
                }
                Err(error) => self.damaged(Damage::of(error)?),
            }
        }
        Ok(())
    }

    fn value_files(&mut self) -> Result<(), Error> {
        for (file_id, kind) in std::mem::take(&mut self.value_files) {
            self.live.insert(kind.file_kind().name(file_id));
            let mut damages = Vec::new();
            let opened = ValueFile::open(self.disk, kind, file_id);
            match opened.and_then(|file| file.verify(&mut |_bytes| {}, &mut damages)) {
                Ok(tally) => {
                    let (bytes, entries) = (tally.bytes, tally.operations);
                    self.report.value_files.add(Checked { files: 1, bytes, entries });
                }
                Err(error) => damages.push(Damage::of(error)?),
            }
            damages.into_iter().for_each(|damage| self.damaged(damage));
        }
        Ok(())
    }

    fn log(&mut self, state: &State) -> Result<(), Error> {
        let log = verify_log(self.disk, state, &self.names)?;
        self.live.extend(log.segments.iter().map(|file_id| FileKind::Segment.name(*file_id)));
        self.report.log = log.checked;
        self.report.notes.extend(log.notes);
        log.damages.into_iter().for_each(|damage| self.damaged(damage));
        Ok(())
    }

    /// Notes what is in the directory and not accounted for.
    fn leftovers(&mut self) {
        let without_manifest = self.report.manifest.entries == 0;
        let leftovers: Vec<String> =
            self.names.iter().filter(|name| !self.live.contains(*name)).cloned().collect();
        for name in leftovers {
            let what = match FileKind::parse(&name).map(|(kind, _)| kind) {
                None if is_temporary(&name) => {
                    "left over from a step that did not end; the next open removes it"
                }
                None => "not a file of a store; it is left alone",
                Some(_) if without_manifest => "not checked",
                Some(FileKind::Segment | FileKind::Values) if !self.unread.is_empty() => {
                    "not checked: nothing that could be read points into it"
                }
                Some(FileKind::Segment) => {
                    "an orphan: neither live log nor pointed into; the next open removes it"
                }
                Some(FileKind::Values) => {
                    "an orphan: no table points into it; the next open removes it"
                }
                Some(FileKind::Table) => {
                    "an orphan: the manifest does not list it; the next open removes it"
                }
                Some(FileKind::Manifest) => {
                    "an orphan: CURRENT names another one; the next open removes it"
                }
            };
            self.note(&name, what);
        }
    }
}
