//! Pages: how scans are cut into bounded pieces.
//!
//! Filled by `view.rs`, handed to the caller.
//!
//! Invariant: a page ends at whichever of its bounds is reached first, and then says where to go on.

use bytes::Bytes;

/// Keys a page may look at per entry it may return, so that a page over deleted keys ends.
const KEYS_EXAMINED_PER_ENTRY: usize = 16;

/// Entries that a page makes room for ahead: more grow it as they come.
const ENTRIES_AHEAD_MAX: usize = 1_024;

/// Bounds of one [`ScanPage`] or [`DigestPage`]; it ends at whichever is reached first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScanLimit {
    /// Most entries; 0 counts as 1.
    pub entries_max: usize,
    /// Bytes of keys and values (or digests) after which the page ends; the entry that reaches it is the last.
    pub bytes_max: usize,
}

/// Some entries of a range, in key order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScanPage {
    /// Keys and values. May be fewer than the limit, even none, although `next` is set: deleted keys cost work too.
    pub entries: Vec<(Bytes, Bytes)>,
    /// Start of the next page; `None` when the range is exhausted.
    pub next: Option<Vec<u8>>,
}

/// Keys of a range with the digests of their values, in key order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DigestPage {
    /// Keys, and the XXH3-64 of the value that a get would return. May be fewer than the limit, even none, although
    /// `next` is set.
    pub entries: Vec<(Bytes, u64)>,
    /// Start of the next page; `None` when the range is exhausted.
    pub next: Option<Vec<u8>>,
}

/// A page being filled.
pub(super) struct Page<T> {
    limit: ScanLimit,
    /// All keys behind each other: one allocation for many.
    keys: Vec<u8>,
    /// End of each key, and what was kept of it.
    kept: Vec<(usize, T)>,
    bytes: usize,
    examined: usize,
    next: Option<Vec<u8>>,
}

impl<T> Page<T> {
    pub(super) fn new(limit: ScanLimit) -> Page<T> {
        let limit = ScanLimit { entries_max: limit.entries_max.max(1), ..limit };
        let kept = Vec::with_capacity(limit.entries_max.min(ENTRIES_AHEAD_MAX));
        Page { limit, keys: Vec::new(), kept, bytes: 0, examined: 0, next: None }
    }

    /// `key` was looked at; `found` is what to keep of it, with its bytes.
    pub(super) fn examine(&mut self, key: &[u8], found: Option<(usize, T)>) {
        self.examined += 1;
        if let Some((bytes, value)) = found {
            self.bytes += key.len() + bytes;
            self.keys.extend_from_slice(key);
            self.kept.push((self.keys.len(), value));
        }
        assert!(self.kept.len() <= self.limit.entries_max);
    }

    pub(super) fn is_full(&self) -> bool {
        let examined_max = self.limit.entries_max.saturating_mul(KEYS_EXAMINED_PER_ENTRY);
        self.kept.len() >= self.limit.entries_max
            || self.bytes >= self.limit.bytes_max
            || self.examined >= examined_max
    }

    /// The next page starts at `next`.
    pub(super) fn end_before(&mut self, next: Option<&[u8]>) {
        self.next = next.map(<[u8]>::to_vec);
    }

    /// The entries, and the start of the next page.
    pub(super) fn into_entries(self) -> (Vec<(Bytes, T)>, Option<Vec<u8>>) {
        let keys = Bytes::from(self.keys);
        let mut begin = 0;
        let entries = self.kept.into_iter().map(|(end, value)| {
            let key = keys.slice(begin..end);
            begin = end;
            (key, value)
        });
        (entries.collect(), self.next)
    }
}
