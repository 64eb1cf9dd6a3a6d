//! The prefix filter: which first two bytes the keys of a table have.
//!
//! Filled by the table writer; asked by scans before a table is opened for them. Keys begin with what they are
//! partitioned by, so that a scan of one partition skips the tables without it.
//!
//! 1. A prefix is the first two bytes of a key, big endian; shorter keys are padded with zeroes.
//! 2. The set is written as runs of adjacent prefixes: the gap since the last one, and the length.
//!
//! Invariant: never a false "absent". The set is exact, but of prefixes: a range inside one prefix may still be empty.

use crate::codec::{Reader, put_varint};

/// First byte of an encoded filter; another layout gets another number.
const VERSION: u8 = 1;

/// How many prefixes there are: two bytes of eight bits.
const PREFIXES: u32 = 1 << 16;

/// Adjacent prefixes that are all present.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct PrefixRun {
    first: u16,
    last: u16,
}

/// The set of prefixes of a table's keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PrefixFilter {
    /// Ascending, and never adjacent.
    runs: Vec<PrefixRun>,
}

impl PrefixFilter {
    /// Adds the prefix of a key that is not below the last one.
    pub(super) fn add(&mut self, key: &[u8]) {
        let prefix = prefix(key);
        match self.runs.last_mut() {
            Some(run) if prefix <= run.last => debug_assert!(prefix == run.last, "keys ascend"),
            Some(run) if prefix - run.last == 1 => run.last = prefix,
            _ => self.runs.push(PrefixRun { first: prefix, last: prefix }),
        }
    }

    /// The filter's bytes.
    pub(super) fn encode(&self) -> Vec<u8> {
        debug_assert!(self.runs.is_sorted_by(|left, right| left.last < right.first));
        let mut out = vec![VERSION];
        let mut next = 0;
        for run in &self.runs {
            put_varint(&mut out, u64::from(run.first) - next);
            put_varint(&mut out, u64::from(run.last - run.first) + 1);
            next = u64::from(run.last) + 1;
        }
        out
    }

    /// The filter in `bytes`; `None` if they are not one.
    pub(crate) fn decode(bytes: &[u8]) -> Option<PrefixFilter> {
        let mut reader = Reader::new(bytes);
        if reader.u8()? != VERSION {
            return None;
        }
        let mut runs = Vec::new();
        let mut next = 0u32;
        while reader.remaining() > 0 {
            let gap = u32::try_from(reader.varint()?).ok()?;
            let length = u32::try_from(reader.varint()?).ok()?;
            let first = next.checked_add(gap)?;
            next = first.checked_add(length).filter(|next| *next <= PREFIXES)?;
            if length == 0 || (gap == 0 && !runs.is_empty()) {
                return None;
            }
            runs.push(PrefixRun {
                first: u16::try_from(first).ok()?,
                last: u16::try_from(next - 1).ok()?,
            });
        }
        (!runs.is_empty()).then_some(PrefixFilter { runs })
    }

    /// Whether the table may hold keys from `start` on, before `end`.
    pub(crate) fn may_contain_range(&self, start: &[u8], end: Option<&[u8]>) -> bool {
        let at = self.runs.partition_point(|run| run.last < prefix(start));
        let Some(run) = self.runs.get(at) else {
            return false;
        };
        let first = run.first.max(prefix(start));
        match end {
            None => true,
            // All keys of its prefix are at or above such an end. (Below one that ends with 0 is its own beginning, which
            // padding gives the same prefix.)
            Some(end) if end.len() <= 2 && end.last() != Some(&0) => first < prefix(end),
            Some(end) => first <= prefix(end),
        }
    }
}

/// The first two bytes of a key as a number that orders like them.
fn prefix(key: &[u8]) -> u16 {
    match key {
        [] => 0,
        [first] => u16::from_be_bytes([*first, 0]),
        [first, second, ..] => u16::from_be_bytes([*first, *second]),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::PrefixFilter;

    fn filter(keys: &[&[u8]]) -> PrefixFilter {
        let mut filter = PrefixFilter::default();
        keys.iter().for_each(|key| filter.add(key));
        filter
    }

    #[test]
    fn golden_bytes() {
        let filter = filter(&[b"", b"\0\0a", b"\x01", b"\x01\x01xy", b"\x01\x02", b"\xff\xffz"]);
        assert_eq!(filter.encode(), [1, 0, 1, 0xff, 1, 3, 0xfc, 0xfd, 3, 1]);
        assert_eq!(PrefixFilter::decode(&filter.encode()), Some(filter));
    }

    #[test]
    fn malformed_bytes_are_refused() {
        let overlong = [1, 0xff, 0xff, 3, 2];
        for bytes in [&[][..], &[1], &[2, 0, 1], &[1, 0], &[1, 0, 0], &[1, 0, 1, 0, 1], &overlong] {
            assert_eq!(PrefixFilter::decode(bytes), None, "{bytes:?}");
        }
    }

    #[test]
    fn ends_of_two_bytes_exclude_their_prefix() {
        let filter = filter(&[b"ab1", b"ad1"]);
        assert!(filter.may_contain_range(b"ab", Some(b"ac")));
        assert!(!filter.may_contain_range(b"ac", Some(b"ad")));
        assert!(filter.may_contain_range(b"ac", Some(b"ad\0")), "cannot be told apart");
        assert!(!filter.may_contain_range(b"ae", None));
        assert!(!filter.may_contain_range(b"", Some(b"a")));
        assert!(!filter.may_contain_range(b"", Some(b"")));
    }

    proptest! {
        #[test]
        fn no_range_with_a_key_is_excluded(
            mut keys in prop::collection::vec(prop::collection::vec(0u8..4, 0..4), 1..30),
            start in prop::collection::vec(0u8..4, 0..4),
            end in prop::collection::vec(0u8..4, 0..4),
        ) {
            keys.sort();
            let filter = filter(&keys.iter().map(Vec::as_slice).collect::<Vec<_>>());
            prop_assert_eq!(PrefixFilter::decode(&filter.encode()), Some(filter.clone()));
            if keys.iter().any(|key| *key >= start) {
                prop_assert!(filter.may_contain_range(&start, None));
            }
            if keys.iter().any(|key| (&start..&end).contains(&key)) {
                prop_assert!(filter.may_contain_range(&start, Some(&end)));
            }
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
            let _ = PrefixFilter::decode(&bytes);
            let mut versioned = vec![1];
            versioned.extend(bytes);
            if let Some(filter) = PrefixFilter::decode(&versioned) {
                let _ = filter.may_contain_range(b"a", Some(b"zz"));
            }
        }
    }
}
