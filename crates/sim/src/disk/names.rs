//! [`Names`]: which file each path means, and which changes of that are not durable.
//!
//! Used by `volume.rs` only.
//!
//! 1. `cached` is what the process sees, `durable` what was synced, `pending` leads from the one to the other.
//! 2. A sync of a directory applies the pending changes of that directory to `durable`, in order.
//! 3. After a crash any subset of the pending changes may have been applied, as long as each name's changes are a
//!    prefix: a change survives only if every earlier one of the same name does.
//!
//! A rename between directories becomes durable with a sync of the target's directory.
//!
//! Invariant: `durable` plus all of `pending` is `cached`.

use std::collections::BTreeMap;
use std::sync::Arc;

/// Identity of a file, whatever its name.
pub(super) type FileNumber = u64;

pub(super) type NameMap = BTreeMap<Arc<str>, FileNumber>;

/// A change of one or two names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NameChange {
    /// A new file.
    Create(Arc<str>, FileNumber),
    /// The name is gone.
    Remove(Arc<str>),
    /// The second name means what the first one did.
    Rename(Arc<str>, Arc<str>),
}

/// The names of a disk.
#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    cached: NameMap,
    durable: NameMap,
    pending: Vec<NameChange>,
}

impl Names {
    /// What the process sees.
    pub(super) fn cached(&self) -> &NameMap {
        &self.cached
    }

    /// What is not durable, oldest first.
    pub(super) fn pending(&self) -> &[NameChange] {
        &self.pending
    }

    /// Makes a change, not durably.
    pub(super) fn change(&mut self, change: NameChange) {
        change.apply(&mut self.cached);
        self.pending.push(change);
    }

    /// Makes every change in `dir` durable, and those of other directories that they build on.
    pub(super) fn sync_dir(&mut self, dir: &str) {
        let mut due: Vec<bool> =
            self.pending.iter().map(|change| parent(change.place()) == dir).collect();
        for (earlier, later) in self.dependencies().into_iter().rev() {
            if due.get(later) == Some(&true)
                && let Some(due) = due.get_mut(earlier)
            {
                *due = true;
            }
        }
        let mut due = due.into_iter();
        for change in std::mem::take(&mut self.pending) {
            if due.next() == Some(true) {
                change.apply(&mut self.durable);
            } else {
                self.pending.push(change);
            }
        }
        debug_assert!(self.with_pending(|_| true) == self.cached);
    }

    /// The names after a crash in which the pending changes survive that `keep` says.
    pub(super) fn with_pending(&self, keep: impl Fn(usize) -> bool) -> NameMap {
        let mut names = self.durable.clone();
        for (index, change) in self.pending.iter().enumerate() {
            if keep(index) {
                change.apply(&mut names);
            }
        }
        names
    }

    /// Names that are all durable.
    pub(super) fn synced(names: NameMap) -> Self {
        Self { cached: names.clone(), durable: names, pending: Vec::new() }
    }

    /// Pairs of pending changes (earlier, later) of which the later one survives only with the earlier one; the later
    /// ones ascend.
    pub(super) fn dependencies(&self) -> Vec<(usize, usize)> {
        let mut pairs = Vec::new();
        for (later, change) in self.pending.iter().enumerate() {
            let before = self.pending.iter().take(later).enumerate();
            let needed = before.filter(|(_, earlier)| earlier.touches(change));
            pairs.extend(needed.map(|(earlier, _)| (earlier, later)));
        }
        pairs
    }

    /// Files that a name means, or may mean after a crash.
    pub(super) fn files(&self) -> impl Iterator<Item = FileNumber> {
        let created = self.pending.iter().filter_map(|change| match change {
            NameChange::Create(_, file) => Some(*file),
            NameChange::Remove(_) | NameChange::Rename(..) => None,
        });
        self.cached.values().chain(self.durable.values()).copied().chain(created)
    }

    /// A name of `file`, for people.
    pub(super) fn name_of(&self, file: FileNumber) -> &str {
        let named = self.cached.iter().chain(&self.durable).find(|(_, meant)| **meant == file);
        named.map_or("a file without a name", |(name, _)| name)
    }
}

impl NameChange {
    fn apply(&self, names: &mut NameMap) {
        match self {
            Self::Create(name, file) => {
                names.insert(Arc::clone(name), *file);
            }
            Self::Remove(name) => {
                names.remove(name);
            }
            Self::Rename(from, to) => {
                if let Some(file) = names.remove(from) {
                    names.insert(Arc::clone(to), file);
                }
            }
        }
    }

    fn touched(&self) -> [&Arc<str>; 2] {
        match self {
            Self::Create(name, _) | Self::Remove(name) => [name, name],
            Self::Rename(from, to) => [from, to],
        }
    }

    fn touches(&self, other: &Self) -> bool {
        self.touched().iter().any(|name| other.touched().contains(name))
    }

    /// The name whose directory makes this durable.
    fn place(&self) -> &str {
        match self {
            Self::Create(name, _) | Self::Remove(name) | Self::Rename(_, name) => name,
        }
    }
}

impl std::fmt::Display for NameChange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Create(name, _) => write!(f, "create {name}"),
            Self::Remove(name) => write!(f, "remove {name}"),
            Self::Rename(from, to) => write!(f, "rename {from} to {to}"),
        }
    }
}

/// The directory that holds `path`.
pub(super) fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(dir, _)| dir)
}
