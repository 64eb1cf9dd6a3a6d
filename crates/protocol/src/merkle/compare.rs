//! Compares what two replicas hold of a range, key by key.

use std::cmp::Ordering;

use atoll_seeded_bug::{Mutant, seeded_bug};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// A stored key, and the digest of its record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holding {
    /// The key as it is stored.
    pub key: Bytes,
    /// Digest of the record's bytes.
    pub digest: u64,
}

/// A key that two replicas hold differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Difference<'a> {
    /// Only we have it.
    Ours(&'a Bytes),
    /// Only the peer has it.
    Theirs(&'a Bytes),
    /// Both have it, with different records; neither needs to be the newer one. This is what the peer holds.
    Both(&'a Holding),
}

/// The keys that `ours` and `theirs` hold differently, in key order. Both ascend by key.
pub fn compare<'a>(ours: &'a [Holding], theirs: &'a [Holding]) -> Vec<Difference<'a>> {
    debug_assert!(ours.is_sorted_by(|left, right| left.key < right.key), "keys ascend");
    let mut differences = Vec::new();
    let (mut ours, mut theirs) = (ours.iter().peekable(), theirs.iter().peekable());
    loop {
        let order = match (ours.peek(), theirs.peek()) {
            (None, None) => return differences,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(our), Some(their)) => our.key.cmp(&their.key),
        };
        match order {
            Ordering::Less if seeded_bug(Mutant::AbsentIsEqual) => drop(ours.next()),
            Ordering::Greater if seeded_bug(Mutant::AbsentIsEqual) => drop(theirs.next()),
            Ordering::Less => differences.extend(ours.next().map(|our| Difference::Ours(&our.key))),
            Ordering::Greater => {
                differences.extend(theirs.next().map(|their| Difference::Theirs(&their.key)));
            }
            Ordering::Equal => {
                let both = ours.next().zip(theirs.next());
                let apart = both.filter(|(our, their)| our.digest != their.digest);
                differences.extend(apart.map(|(_, their)| Difference::Both(their)));
            }
        }
    }
}
