//! Dots, contexts and hybrid timestamps: who wrote what, and what a writer had seen.
//!
//! A dot names one write event: (incarnation, counter). A context is the causal past that a get hands to the client
//! and a put hands back: per incarnation the greatest counter seen. `record.rs` holds the dotted version vector that
//! both are read from.
//!
//! 1. A get returns the context of the joined record.
//! 2. A put that carries it supersedes every dot that it covers; everything else survives as a sibling.
//! 3. A context is bound to its key by the key's token and carries a checksum, so that a damaged or mixed-up context
//!    is refused instead of discarding a stranger's write.
//!
//! Invariants
//! - A context entry (actor, n) implies that its holder has seen every live dot of that actor up to n.
//! - A timestamp decides only between concurrent writes of an `lww` keyspace; it never discards a sibling.
//!
//! Source: Preguiça et al., "Dotted Version Vectors", 2010; Kulkarni et al., "Logical Physical Clocks", 2014.

use std::collections::BTreeMap;

use atoll_seeded_bug::{Mutant, seeded_bug};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use crate::ids::Incarnation;
use crate::limits::VERSION_ENTRIES_MAX;
use crate::time::WallTime;

/// Version byte of the context encoding.
const CONTEXT_VERSION: u8 = 1;

/// Bytes before the entries: version, token, timestamp, entry count.
const CONTEXT_HEAD_BYTES: usize = 1 + 8 + 8 + 2;

/// Bytes of one entry: incarnation and counter.
const CONTEXT_ENTRY_BYTES: usize = 8 + 8;

/// Bytes of the checksum at the end.
const CONTEXT_CHECKSUM_BYTES: usize = 4;

/// One write event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Dot {
    /// The actor that minted it.
    pub incarnation: Incarnation,
    /// Its number at that actor, monotone per (incarnation, partition), from 1.
    pub counter: u64,
}

impl std::fmt::Display for Dot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.incarnation, self.counter)
    }
}

/// Hybrid-logical timestamp: microseconds since the Unix epoch, pushed forward so that it grows along causality.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// The timestamp of a new event: the clock's, unless something seen is already there.
    #[must_use]
    pub fn next(now: WallTime, seen: Self) -> Self {
        if seen.0 >= now.as_micros() && seeded_bug(Mutant::WallClockOnly) {
            return Self(now.as_micros());
        }
        Self(now.as_micros().max(seen.0.saturating_add(1)))
    }
}

/// What a client has seen of one key. Opaque to clients; see [`Context::encode`] for its bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Context {
    token: u64,
    timestamp: Timestamp,
    entries: BTreeMap<Incarnation, u64>,
}

/// Why bytes are not a context.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ContextError {
    /// Truncated, altered or never a context.
    #[error("the context is damaged ({what}); pass it exactly as a get or put returned it")]
    Damaged {
        /// The first thing that is wrong.
        what: &'static str,
    },
    /// A context of another key.
    #[error(
        "the context belongs to another key; pass the one that a get or put of this key returned"
    )]
    OtherKey,
}

impl Context {
    /// An empty context of the key with `token`: nothing seen.
    pub fn new(token: u64) -> Self {
        Self { token, ..Self::default() }
    }

    /// Notes that every live dot of `incarnation` up to `counter` was seen.
    pub fn observe(&mut self, incarnation: Incarnation, counter: u64) {
        let seen = self.entries.entry(incarnation).or_default();
        *seen = (*seen).max(counter);
    }

    /// Notes that a cell of this timestamp was seen.
    pub fn observe_timestamp(&mut self, timestamp: Timestamp) {
        self.timestamp = self.timestamp.max(timestamp);
    }

    /// True if the holder has seen `dot`.
    pub fn covers(&self, dot: Dot) -> bool {
        self.counter(dot.incarnation).is_some_and(|seen| dot.counter <= seen)
    }

    /// Greatest counter seen of `incarnation`.
    pub fn counter(&self, incarnation: Incarnation) -> Option<u64> {
        self.entries.get(&incarnation).copied()
    }

    /// Greatest timestamp seen.
    pub fn timestamp(&self) -> Timestamp {
        self.timestamp
    }

    /// Incarnations with the greatest counter seen of each, in order.
    pub fn entries(&self) -> impl Iterator<Item = (Incarnation, u64)> + '_ {
        self.entries.iter().map(|(&incarnation, &counter)| (incarnation, counter))
    }

    /// Joins what `other` has seen into this context.
    ///
    /// # Panics
    /// If the contexts are of different keys.
    pub fn join(&mut self, other: &Self) {
        assert_eq!(self.token, other.token, "a context belongs to one key");
        for (incarnation, counter) in other.entries() {
            self.observe(incarnation, counter);
        }
        self.observe_timestamp(other.timestamp);
        debug_assert!(
            other.entries().all(|(incarnation, counter)| self.covers(Dot { incarnation, counter })),
            "a join forgets nothing"
        );
    }

    /// The bytes that travel to clients and back.
    ///
    /// ```text
    /// offset size                all integers little-endian
    ///      0    1 version        1
    ///      1    8 token of the key
    ///      9    8 greatest timestamp
    ///     17    2 entry count n
    ///     19 16·n incarnation (8), counter (8), in order of incarnation
    ///      …    4 low half of xxh3_64 over all bytes before
    /// ```
    pub fn encode(&self) -> Bytes {
        assert!(self.entries.len() <= usize::from(u16::MAX), "context counts fit 16 bits");
        let length =
            CONTEXT_HEAD_BYTES + self.entries.len() * CONTEXT_ENTRY_BYTES + CONTEXT_CHECKSUM_BYTES;
        let mut out = BytesMut::with_capacity(length);
        out.put_u8(CONTEXT_VERSION);
        out.put_u64_le(self.token);
        out.put_u64_le(self.timestamp.0);
        out.put_u16_le(u16::try_from(self.entries.len()).unwrap_or(u16::MAX));
        for (incarnation, counter) in self.entries() {
            out.put_u64_le(incarnation.0);
            out.put_u64_le(counter);
        }
        let sum = checksum(&out);
        out.put_u32_le(sum);
        debug_assert_eq!(out.len(), length);
        out.freeze()
    }

    /// True if both are contexts of one key.
    pub fn is_of_key_of(&self, other: &Self) -> bool {
        self.token == other.token
    }

    /// Reads a context and checks that it belongs to the key with `token`.
    ///
    /// # Errors
    /// [`ContextError::Damaged`] for anything but the exact bytes of [`Context::encode`];
    /// [`ContextError::OtherKey`] when it was returned for another key.
    pub fn decode(bytes: &[u8], token: u64) -> Result<Self, ContextError> {
        let context = Self::decode_any(bytes)?;
        if context.token == token { Ok(context) } else { Err(ContextError::OtherKey) }
    }

    /// Reads a context of whatever key.
    ///
    /// # Errors
    /// [`ContextError::Damaged`] for anything but the exact bytes of [`Context::encode`].
    pub fn decode_any(bytes: &[u8]) -> Result<Self, ContextError> {
        let damaged = |what| ContextError::Damaged { what };
        let split = bytes
            .len()
            .checked_sub(CONTEXT_CHECKSUM_BYTES)
            .filter(|&at| at >= CONTEXT_HEAD_BYTES)
            .ok_or(damaged("it is too short"))?;
        let (body, mut sum) = bytes.split_at(split);
        if checksum(body) != sum.get_u32_le() {
            return Err(damaged("its checksum does not match"));
        }
        let mut body = body;
        if body.get_u8() != CONTEXT_VERSION {
            return Err(damaged("its version is unknown"));
        }
        let mut context = Self::new(body.get_u64_le());
        context.timestamp = Timestamp(body.get_u64_le());
        let count = usize::from(body.get_u16_le());
        if count > VERSION_ENTRIES_MAX || body.len() != count * CONTEXT_ENTRY_BYTES {
            return Err(damaged("its length does not match"));
        }
        let mut previous = None;
        for _ in 0..count {
            let incarnation = Incarnation(body.get_u64_le());
            if previous.is_some_and(|before| before >= incarnation) {
                return Err(damaged("its incarnations are out of order"));
            }
            previous = Some(incarnation);
            context.observe(incarnation, body.get_u64_le());
        }
        debug_assert_eq!(context.entries.len(), count);
        Ok(context)
    }
}

fn checksum(bytes: &[u8]) -> u32 {
    // Truncation is the point: 32 bits of a good 64-bit hash.
    #[expect(clippy::cast_possible_truncation, reason = "the low half is the checksum")]
    let sum = xxh3_64(bytes) as u32;
    sum
}

#[cfg(test)]
mod tests;
