//! [`Volume`]: everything on a disk, and the images that a crash may leave of it.
//!
//! A disk in use owns one; the crash enumerator keeps one per call and builds thousands of images from it.
//!
//! 1. [`Volume::unsynced`] lists the items whose fate a crash decides: sectors, lengths, changes of names.
//! 2. A [`Survival`] says which of them are kept, and may end a file at a length that it had in between.
//! 3. [`Volume::image`] builds what is left, with nothing unsynced in it.
//!
//! Invariants
//! - An image that keeps every item holds what the process last saw; one that keeps none holds what was synced.
//! - A volume is cloned in the time of its names; pages are shared.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use xxhash_rust::xxh3::Xxh3;

use super::inode::{Inode, Length, Span};
use super::names::{FileNumber, NameChange, NameMap, Names};
use super::survival::Survival;

/// The content of a disk.
#[derive(Clone, Debug, Default)]
pub(crate) struct Volume {
    pub(super) files: BTreeMap<FileNumber, Arc<Inode>>,
    pub(super) names: Names,
    pub(super) directories: BTreeSet<Arc<str>>,
    next_file: FileNumber,
}

/// Something that is not synced, and that a crash keeps or loses as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Item {
    /// A sector of a file.
    Sector(FileNumber, u64),
    /// The length of a file.
    Length(FileNumber),
    /// The pending change of names with this index.
    Name(usize),
}

/// The items of a volume at one moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Unsynced {
    /// By file, sectors in order before the length; then the changes of names, oldest first.
    pub(super) items: Vec<Item>,
    /// What each item is, in words.
    words: Vec<String>,
    /// Pairs of items of which the second survives only with the first.
    dependencies: Vec<(usize, usize)>,
    /// Lengths at which a file may end.
    pub(super) lengths: BTreeMap<FileNumber, Lengths>,
}

/// The lengths that a crash may choose from, and the file's name for people.
#[derive(Clone, Debug)]
pub(super) struct Lengths {
    pub(super) spans: Vec<Span>,
    name: String,
}

impl Volume {
    /// A new file called `name`.
    pub(super) fn create(&mut self, name: Arc<str>) -> FileNumber {
        self.next_file += 1;
        self.files.insert(self.next_file, Arc::default());
        self.names.change(NameChange::Create(name, self.next_file));
        self.next_file
    }

    /// The file for a change, unshared from images.
    pub(super) fn file_mut(&mut self, file: FileNumber) -> Option<&mut Inode> {
        self.files.get_mut(&file).map(Arc::make_mut)
    }

    /// Bytes of all files.
    pub(super) fn used_bytes(&self) -> u64 {
        self.files.values().map(|file| file.len()).sum()
    }

    /// Forgets files without a name that nobody has open.
    pub(super) fn collect(&mut self, is_open: impl Fn(FileNumber) -> bool) {
        let named: BTreeSet<FileNumber> = self.names.files().collect();
        self.files.retain(|file, _| named.contains(file) || is_open(*file));
    }

    /// The volume after its process died: no file is open any more.
    pub(crate) fn without_orphans(&self) -> Self {
        let mut volume = self.clone();
        volume.collect(|_| false);
        volume
    }

    /// What a crash now may lose.
    pub(crate) fn unsynced(&self) -> Unsynced {
        let mut unsynced = Unsynced::default();
        let named: BTreeSet<FileNumber> = self.names.files().collect();
        for file in named {
            let Some(inode) = self.files.get(&file) else {
                continue;
            };
            let name = self.names.name_of(file);
            for sector in inode.unsynced_sectors() {
                unsynced.items.push(Item::Sector(file, sector));
                unsynced.words.push(format!("sector {sector} of {name}"));
            }
            let spans = inode.unsynced_lengths().to_vec();
            if !spans.is_empty() {
                unsynced.items.push(Item::Length(file));
                unsynced.words.push(format!("length {} of {name}", inode.len()));
                unsynced.lengths.insert(file, Lengths { spans, name: name.to_owned() });
            }
        }
        let offset = unsynced.items.len();
        for (index, change) in self.names.pending().iter().enumerate() {
            unsynced.items.push(Item::Name(index));
            unsynced.words.push(change.to_string());
        }
        let dependencies = self.names.dependencies().into_iter();
        unsynced.dependencies.extend(dependencies.map(|(a, b)| (a + offset, b + offset)));
        unsynced
    }

    /// What is left after a crash that keeps what `survival` says.
    pub(crate) fn image(&self, unsynced: &Unsynced, survival: &Survival) -> Self {
        let first_name = unsynced.items.len() - self.names.pending().len();
        let names = self.names.with_pending(|index| survival.keeps(first_name + index));
        let files = self.surviving_files(&names, unsynced, survival);
        Self {
            files,
            names: Names::synced(names),
            directories: self.directories.clone(),
            next_file: self.next_file,
        }
    }

    /// A hash of all names and bytes that the next process can read.
    pub(crate) fn hash(&self) -> u128 {
        let mut hash = Xxh3::new();
        for (name, file) in self.names.cached() {
            hash.update(name.as_bytes());
            if let Some(inode) = self.files.get(file) {
                hash.update(&[0xff]);
                hash.update(&inode.len().to_le_bytes());
                inode.feed(|bytes| hash.update(bytes));
            }
        }
        hash.digest128()
    }

    fn surviving_files(
        &self,
        names: &NameMap,
        unsynced: &Unsynced,
        survival: &Survival,
    ) -> BTreeMap<FileNumber, Arc<Inode>> {
        let mut files = BTreeMap::new();
        for file in names.values() {
            let Some(inode) = self.files.get(file) else {
                continue;
            };
            if inode.is_durable() {
                files.insert(*file, Arc::clone(inode));
                continue;
            }
            let mut lost = Vec::new();
            let mut length = Length::New;
            for (index, item) in unsynced.of_file(*file) {
                match item {
                    Item::Sector(_, sector) if !survival.keeps(index) => lost.push(*sector),
                    Item::Length(_) if !survival.keeps(index) => length = Length::Reached,
                    Item::Sector(..) | Item::Length(_) | Item::Name(_) => {}
                }
            }
            if let Some(cut) = survival.cut_of(*file) {
                length = Length::At(cut);
            }
            files.insert(*file, Arc::new(inode.image(&lost, length)));
        }
        files
    }
}

impl Unsynced {
    /// Number of items.
    pub(crate) fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether no change of a name survives without one that it builds on.
    pub(crate) fn is_legal(&self, keeps: impl Fn(usize) -> bool) -> bool {
        self.dependencies.iter().all(|(first, second)| keeps(*first) || !keeps(*second))
    }

    /// Whether some file may end at a length that it had in between.
    pub(crate) fn has_lengths(&self) -> bool {
        !self.lengths.is_empty()
    }

    /// Pairs of items of which the second survives only with the first; the second ones ascend.
    pub(super) fn dependencies(&self) -> &[(usize, usize)] {
        &self.dependencies
    }

    /// The surviving items in words.
    pub(crate) fn words(&self, survival: &Survival) -> Vec<String> {
        let kept = self.words.iter().enumerate().filter(|(index, _)| survival.keeps(*index));
        let cuts = survival.cuts().filter_map(|(file, len)| Some((self.lengths.get(&file)?, len)));
        let cuts = cuts.map(|(lengths, len)| format!("{} up to byte {len} only", lengths.name));
        kept.map(|(_, words)| words.clone()).chain(cuts).collect()
    }

    /// One name of a fault for each item that `survival` loses.
    pub(super) fn lost(&self, survival: &Survival) -> Vec<&'static str> {
        let lost = self.items.iter().zip(&self.words).enumerate();
        let lost = lost.filter(|(index, _)| !survival.keeps(*index));
        lost.map(|(_, (item, words))| match item {
            Item::Sector(..) => "torn sector",
            Item::Length(_) => "lost length",
            Item::Name(_) if words.starts_with("rename") => "lost rename",
            Item::Name(_) if words.starts_with("create") => "lost create",
            Item::Name(_) => "lost unlink",
        })
        .collect()
    }

    /// The items of one file, with their indices.
    fn of_file(&self, file: FileNumber) -> impl Iterator<Item = (usize, &Item)> {
        let start = self.items.partition_point(|item| item.file() < Some(file) && !item.is_name());
        let rest = self.items.iter().enumerate().skip(start);
        rest.take_while(move |(_, item)| item.file() == Some(file))
    }
}

impl Item {
    fn file(&self) -> Option<FileNumber> {
        match self {
            Self::Sector(file, _) | Self::Length(file) => Some(*file),
            Self::Name(_) => None,
        }
    }

    fn is_name(&self) -> bool {
        self.file().is_none()
    }
}
