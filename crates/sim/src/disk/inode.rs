//! [`Inode`]: the bytes of one file, and what the platter holds where they differ.
//!
//! Used by `volume.rs` only, which maps names to inodes.
//!
//! 1. `pages` is what the process reads: pages of 4 KiB, shared with images, copied on write; a hole is `None`.
//! 2. Before a sector is changed for the first time since the last sync, its old bytes go to `dirty`.
//! 3. A sync forgets `dirty`. A failed sync moves a part of it to `doomed`: clean in the cache, old on the platter.
//! 4. An image is a copy of `pages` with the old bytes put back where the new ones were lost.
//! 5. Every change of the length since the last sync is kept, in order: a crash leaves the old length or one of them. What
//!    a write appends may be there up to any byte; a length that is set is there or not, as journals have it.
//!
//! Invariants
//! - Bytes at or behind `len` are zero.
//! - The last unsynced length ends at `len`.
//! - `dirty` and `doomed` share no sector.

use std::collections::BTreeMap;
use std::sync::Arc;

/// The unit that survives a crash or not, in bytes: what disks write atomically.
pub(super) const SECTOR_BYTES: u64 = 512;

const SECTOR: usize = 512;

/// The unit of sharing, in bytes: eight sectors.
const PAGE: usize = 4_096;

const _: () = assert!(PAGE.is_multiple_of(SECTOR) && SECTOR as u64 == SECTOR_BYTES);

type Page = [u8; PAGE];

/// Bytes of a sector as the platter holds them; `None` is zeroes.
type Old = Option<Arc<[u8; SECTOR]>>;

/// Where an image's file ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Length {
    /// As the process left it.
    New,
    /// As it was last synced, or as far behind that as the surviving sectors and the unsynced lengths allow.
    Reached,
    /// Here.
    At(u64),
}

/// Lengths that one change leads to, or may stop at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) low: u64,
    pub(super) high: u64,
}

/// One file's bytes.
#[derive(Clone, Debug, Default)]
pub(super) struct Inode {
    pages: Vec<Option<Arc<Page>>>,
    len: u64,
    synced_len: u64,
    unsynced_lengths: Vec<Span>,
    dirty: BTreeMap<u64, Old>,
    doomed: BTreeMap<u64, Old>,
}

impl Inode {
    /// Reads from `offset`; returns the count, which is short at the end of the file only.
    pub(super) fn read(&self, offset: u64, out: &mut [u8]) -> usize {
        let available = usize::try_from(self.len.saturating_sub(offset)).unwrap_or(usize::MAX);
        let count = out.len().min(available);
        let (mut rest, _) = out.split_at_mut(count);
        let mut at = offset;
        while !rest.is_empty() {
            let (page, within) = place(at);
            let (piece, tail) = rest.split_at_mut(rest.len().min(PAGE - within));
            let from = self.page(page).and_then(|page| page.get(within..within + piece.len()));
            match from {
                Some(from) => piece.copy_from_slice(from),
                None => piece.fill(0),
            }
            at += piece.len() as u64;
            rest = tail;
        }
        count
    }

    /// Writes all of `bytes` at `offset`, extending the file if need be.
    pub(super) fn write(&mut self, offset: u64, bytes: &[u8]) {
        let end = offset + bytes.len() as u64;
        for sector in offset / SECTOR_BYTES..end.div_ceil(SECTOR_BYTES) {
            self.remember(sector);
        }
        self.put(offset, bytes);
        if end > self.len {
            match self.unsynced_lengths.last_mut() {
                Some(last) => last.high = end,
                None => self.unsynced_lengths.push(Span { low: self.len, high: end }),
            }
            self.len = end;
        }
    }

    /// Writes `bytes` at `offset` within the file as if they had always been on the platter.
    pub(super) fn damage(&mut self, offset: u64, bytes: &[u8]) {
        let len = self.len;
        let room = usize::try_from(len.saturating_sub(offset)).unwrap_or(usize::MAX);
        self.put(offset, bytes.get(..bytes.len().min(room)).unwrap_or_default());
        debug_assert!(self.len == len);
    }

    /// Truncates, or extends with zeroes.
    pub(super) fn set_len(&mut self, len: u64) {
        for sector in len / SECTOR_BYTES..self.len.div_ceil(SECTOR_BYTES) {
            self.remember(sector);
        }
        if len != self.len {
            self.unsynced_lengths.push(Span { low: len, high: len });
        }
        self.cut(len);
    }

    /// Makes bytes and length durable.
    pub(super) fn sync(&mut self) {
        self.dirty.clear();
        self.settle_length();
    }

    /// A sync that failed: everything is clean now, and only what `keep` says has reached the platter.
    pub(super) fn fail_sync(&mut self, mut keep: impl FnMut() -> bool) {
        for (sector, old) in std::mem::take(&mut self.dirty) {
            if !keep() {
                self.doomed.insert(sector, old);
            }
        }
        if keep() {
            self.settle_length();
        }
    }

    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// The changes of the length since the last sync, oldest first.
    pub(super) fn unsynced_lengths(&self) -> &[Span] {
        &self.unsynced_lengths
    }

    /// Sectors that differ from the platter and would be written by a sync.
    pub(super) fn unsynced_sectors(&self) -> impl Iterator<Item = u64> {
        let changed = self.dirty.iter().filter(|(sector, old)| !self.equals(**sector, old));
        changed.map(|(sector, _)| *sector)
    }

    /// Whether a byte range of the file is as on the platter.
    pub(super) fn is_synced(&self, sector: u64) -> bool {
        !self.dirty.contains_key(&sector) && !self.doomed.contains_key(&sector)
    }

    /// Whether a crash leaves this file as it is.
    pub(super) fn is_durable(&self) -> bool {
        self.dirty.is_empty() && self.doomed.is_empty() && self.unsynced_lengths.is_empty()
    }

    /// The file after a crash: `lost` sectors (in order) are old, the others new.
    pub(super) fn image(&self, lost: &[u64], length: Length) -> Inode {
        let mut image = Inode { pages: self.pages.clone(), len: self.len, ..Inode::default() };
        let lost_dirty = lost.iter().filter_map(|sector| Some((sector, self.dirty.get(sector)?)));
        for (sector, old) in self.doomed.iter().chain(lost_dirty) {
            image.restore(*sector, old);
        }
        let len = match length {
            Length::New => self.len,
            Length::At(len) => len,
            Length::Reached => {
                let kept = self.unsynced_sectors().filter(|s| lost.binary_search(s).is_err());
                self.reached(kept.last().map_or(0, |sector| (sector + 1) * SECTOR_BYTES))
            }
        };
        image.cut(len);
        image.synced_len = len;
        image
    }

    /// Feeds the file's content to `feed`, holes as empty slices.
    pub(super) fn feed(&self, mut feed: impl FnMut(&[u8])) {
        let mut rest = self.len;
        for page in &self.pages {
            let count = usize::try_from(rest.min(PAGE as u64)).unwrap_or(PAGE);
            feed(page.as_ref().and_then(|page| page.get(..count)).unwrap_or_default());
            rest -= count as u64;
        }
    }

    /// The greatest legal length up to `end`, but at least the synced one.
    fn reached(&self, end: u64) -> u64 {
        let below = self.unsynced_lengths.iter().filter(|span| span.low <= end);
        below.map(|span| span.high.min(end)).fold(self.synced_len, u64::max)
    }

    fn settle_length(&mut self) {
        self.synced_len = self.len;
        self.unsynced_lengths.clear();
    }

    fn page(&self, index: usize) -> Option<&Arc<Page>> {
        self.pages.get(index).and_then(Option::as_ref)
    }

    /// Keeps the platter's bytes of a sector that is about to change.
    fn remember(&mut self, sector: u64) {
        if self.dirty.contains_key(&sector) {
            return;
        }
        let old = self.doomed.remove(&sector).unwrap_or_else(|| self.sector(sector));
        self.dirty.insert(sector, old);
    }

    fn sector(&self, sector: u64) -> Old {
        let (page, within) = place(sector * SECTOR_BYTES);
        let bytes = self.page(page)?.get(within..)?.first_chunk::<SECTOR>()?;
        Some(Arc::new(*bytes))
    }

    fn equals(&self, sector: u64, old: &Old) -> bool {
        const ZEROES: [u8; SECTOR] = [0; SECTOR];
        let (page, within) = place(sector * SECTOR_BYTES);
        let page = self.page(page).and_then(|page| page.get(within..)?.first_chunk::<SECTOR>());
        page.unwrap_or(&ZEROES) == old.as_deref().unwrap_or(&ZEROES)
    }

    fn restore(&mut self, sector: u64, old: &Old) {
        match old {
            Some(bytes) => self.put(sector * SECTOR_BYTES, bytes.as_slice()),
            None => self.put(sector * SECTOR_BYTES, &[0; SECTOR]),
        }
    }

    /// Copies bytes into the pages; length and bookkeeping are the caller's.
    fn put(&mut self, offset: u64, bytes: &[u8]) {
        let mut rest = bytes;
        let mut at = offset;
        while !rest.is_empty() {
            let (index, within) = place(at);
            if self.pages.len() <= index {
                self.pages.resize(index + 1, None);
            }
            let (piece, tail) = rest.split_at(rest.len().min(PAGE - within));
            let page = self.pages.get_mut(index).expect("the pages were extended above");
            let page = Arc::make_mut(page.get_or_insert_with(|| Arc::new([0; PAGE])));
            let into =
                page.get_mut(within..within + piece.len()).expect("a piece ends in its page");
            into.copy_from_slice(piece);
            at += piece.len() as u64;
            rest = tail;
        }
    }

    /// Sets the length; what lies behind it is zero from now on.
    fn cut(&mut self, len: u64) {
        let pages = usize::try_from(len.div_ceil(PAGE as u64)).unwrap_or(usize::MAX);
        self.pages.resize(pages, None);
        let (index, within) = place(len);
        if let Some(Some(page)) = self.pages.get_mut(index)
            && page.iter().skip(within).any(|byte| *byte != 0)
        {
            Arc::make_mut(page).iter_mut().skip(within).for_each(|byte| *byte = 0);
        }
        self.len = len;
    }
}

/// The page of an offset, and the offset within it.
fn place(offset: u64) -> (usize, usize) {
    let page = usize::try_from(offset / PAGE as u64).expect("a simulated file fits in memory");
    let within = usize::try_from(offset % PAGE as u64).expect("a page fits in memory");
    (page, within)
}
