//! Bisecting sorted keys by their first eight bytes.
//!
//! Shared by index blocks and by the restart points of data blocks. Both keep the beginnings of their keys together, as
//! big-endian numbers, apart from the keys.
//!
//! 1. Integers are bisected: one or two cache lines instead of one for each key compared.
//! 2. Only keys that begin alike are compared as a whole. Stored keys begin with their token, a hash of 64 bits, so
//!    that this is nearly always one key, the wanted one.
//!
//! Invariant: beginnings order like their keys. Short keys are padded with zeroes: equal beginnings decide nothing.

use crate::codec::key_prefix;

/// Length of the comparable beginning of a key, in bytes: a 64-bit number.
pub(super) const PREFIX_BYTES: usize = 8;

/// The first bytes of a key; as a big-endian number they order like the key.
pub(super) fn prefix(key: &[u8]) -> [u8; PREFIX_BYTES] {
    key_prefix(key).to_be_bytes()
}

/// How many of the sorted keys with these `prefixes` are below `key`; `key_at` gives a whole key, or `None` where the
/// bytes are malformed.
pub(super) fn count_below<'a>(
    prefixes: &[[u8; PREFIX_BYTES]],
    key: &[u8],
    key_at: impl Fn(usize) -> Option<&'a [u8]>,
) -> Option<usize> {
    let number = |prefix: &[u8; PREFIX_BYTES]| u64::from_be_bytes(*prefix);
    let wanted = key_prefix(key);
    let mut low = prefixes.partition_point(|prefix| number(prefix) < wanted);
    let ties = prefixes.get(low..)?;
    let mut high = match ties {
        [tie, ..] if number(tie) == wanted => {
            low + ties.partition_point(|prefix| number(prefix) == wanted)
        }
        _ => low,
    };
    while low < high {
        let middle = low + (high - low) / 2;
        if key_at(middle)? < key { low = middle + 1 } else { high = middle }
    }
    debug_assert!(low <= prefixes.len());
    Some(low)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{count_below, prefix};

    proptest! {
        #[test]
        fn bisecting_counts_what_walking_counts(
            mut keys in prop::collection::vec(prop::collection::vec(0u8..2, 0..14), 0..40),
            probes in prop::collection::vec(prop::collection::vec(0u8..2, 0..14), 1..20),
        ) {
            keys.sort();
            let prefixes: Vec<_> = keys.iter().map(|key| prefix(key)).collect();
            for probe in probes.iter().chain(&keys) {
                let counted = count_below(&prefixes, probe, |at| keys.get(at).map(Vec::as_slice));
                prop_assert_eq!(counted, Some(keys.iter().filter(|key| *key < probe).count()));
            }
        }
    }
}
