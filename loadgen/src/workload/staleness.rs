//! What a get must not miss: whether the replicas that two levels wait for always meet, and what the values prove.
//!
//! A put of sequence `s` was acknowledged before a get began, and their quorums overlap. The get then sees that value, or
//! one that superseded it. Whoever superseded it knew it, so its sequence was given later: it is another process's of this
//! run, or has a sequence above `s`. An answer with only older values of the same process and values of earlier runs is
//! therefore stale, and that is what is counted. An answer with a value of another process proves nothing, and where keys
//! are deleted nothing can be proved at all: a deletion is not seen.
//!
//! Invariants
//! - No false alarm, as long as earlier runs on the same keys have ended: what is counted breaks the promise. Not everything that breaks it is seen: of siblings, one that is
//!   missing beside a newer one goes unnoticed, and so does what another process wrote.

use atoll_client::Level;

use super::value::{Origin, Writer};

#[cfg(test)]
mod tests;

/// A request's level, and the datacenter that `LOCAL` means to it, as its index.
pub(crate) type At = (Level, u16);

/// True if every answer at `get` must have seen every write acknowledged at `put`.
pub(crate) fn overlap((put, put_dc): At, (get, get_dc): At) -> bool {
    let has_local =
        |level| matches!(level, Level::LocalQuorum | Level::LocalQuorumPlus(_) | Level::EachQuorum);
    match (put, get) {
        (Level::All, _) | (_, Level::All) => true,
        // A majority everywhere is a majority of all, and a local one of everybody.
        (Level::EachQuorum | Level::Quorum, Level::EachQuorum | Level::Quorum) => true,
        (Level::EachQuorum, local) | (local, Level::EachQuorum) => has_local(local),
        (put, get) => has_local(put) && has_local(get) && put_dc == get_dc,
    }
}

/// What an answer shows about a write of `writer` with `sequence` that it had to see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sight {
    /// The write, or something that may have superseded it.
    Fresh,
    /// Only older values, or none at all.
    Stale,
}

/// Judges an answer by the origins of its values.
pub(crate) fn judge(seen: &[Origin], writer: Writer, sequence: u64) -> Sight {
    let may_supersede = |origin: &Origin| {
        let Writer { run, process } = origin.writer;
        let is_own = process == writer.process;
        run > writer.run || run == writer.run && (!is_own || origin.sequence >= sequence)
    };
    if seen.iter().any(may_supersede) { Sight::Fresh } else { Sight::Stale }
}
