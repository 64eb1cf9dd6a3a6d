//! Keys as the memtable's trees compare them.
//!
//! The first eight bytes stand beside the pointer to the key, as a number: hashed keys differ there, so that a search
//! compares numbers and does not follow pointers.
//!
//! Invariant: the order is that of the keys' bytes.

use std::borrow::Borrow;
use std::cmp::Ordering;

use bytes::Bytes;

use crate::codec::key_prefix;

/// What two keys are compared by.
pub(super) trait KeyView {
    /// The first bytes as a big-endian number (absent ones count as zero), and all bytes.
    fn view(&self) -> (u64, &[u8]);
}

/// A key in a tree.
#[derive(Clone, Debug)]
pub(super) struct MemtableKey {
    prefix: u64,
    bytes: Bytes,
}

impl MemtableKey {
    /// Wraps `bytes`.
    pub(super) fn new(bytes: Bytes) -> MemtableKey {
        MemtableKey { prefix: key_prefix(&bytes), bytes }
    }

    /// The key.
    pub(super) fn bytes(&self) -> &Bytes {
        &self.bytes
    }
}

/// A key that is looked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Probe<'a> {
    prefix: u64,
    bytes: &'a [u8],
}

impl<'a> Probe<'a> {
    /// Looks for `bytes`.
    pub(super) fn new(bytes: &'a [u8]) -> Probe<'a> {
        Probe { prefix: key_prefix(bytes), bytes }
    }

    /// As a tree takes it.
    pub(super) fn view(&self) -> &(dyn KeyView + 'a) {
        self
    }
}

impl KeyView for MemtableKey {
    fn view(&self) -> (u64, &[u8]) {
        (self.prefix, &self.bytes)
    }
}

impl KeyView for Probe<'_> {
    fn view(&self) -> (u64, &[u8]) {
        (self.prefix, self.bytes)
    }
}

impl<'a> Borrow<dyn KeyView + 'a> for MemtableKey {
    fn borrow(&self) -> &(dyn KeyView + 'a) {
        self
    }
}

impl PartialEq for dyn KeyView + '_ {
    fn eq(&self, other: &Self) -> bool {
        self.view() == other.view()
    }
}

impl Eq for dyn KeyView + '_ {}

impl PartialOrd for dyn KeyView + '_ {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for dyn KeyView + '_ {
    fn cmp(&self, other: &Self) -> Ordering {
        // Equal prefixes of keys of different lengths are told apart by the bytes.
        self.view().cmp(&other.view())
    }
}

impl PartialEq for MemtableKey {
    fn eq(&self, other: &MemtableKey) -> bool {
        self.view() == other.view()
    }
}

impl Eq for MemtableKey {}

impl PartialOrd for MemtableKey {
    fn partial_cmp(&self, other: &MemtableKey) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for MemtableKey {
    fn cmp(&self, other: &MemtableKey) -> Ordering {
        self.view().cmp(&other.view())
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::{KeyView, MemtableKey, Probe};

    proptest! {
        #[test]
        fn the_order_is_that_of_the_bytes(
            left in prop::collection::vec(0..3u8, 0..12),
            right in prop::collection::vec(0..3u8, 0..12),
        ) {
            let keys = [&left, &right].map(|key| MemtableKey::new(Bytes::copy_from_slice(key)));
            prop_assert_eq!(keys[0].cmp(&keys[1]), left.cmp(&right));
            prop_assert_eq!(Probe::new(&left).view() == (&keys[1] as &dyn KeyView), left == right);
        }
    }
}
