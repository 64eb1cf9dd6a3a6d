//! What a stripe is asked, and what a batch of it comes to.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use atoll_protocol::purge::{PurgeFrontier, Trimmed};
use atoll_protocol::time::{MonoTime, WallTime};
use atoll_protocol::token::{Partition, Partitions, Token};
use atoll_protocol::version::Dot;
use bytes::Bytes;
use tokio::sync::oneshot;

use super::super::{MintRequest, Minter, ReplicaError, StoredKey, deletions};
use super::{Applied, Image};

/// Told what became of a record from elsewhere, by the stripe itself: it must not wait for anything.
pub(in crate::replica) type Then = Box<dyn FnOnce(Result<Applied, ReplicaError>) + Send>;

/// One write.
pub(in crate::replica) enum Job {
    /// A put of this node as coordinator.
    Mint {
        key: StoredKey,
        request: MintRequest,
        minter: Arc<dyn Minter>,
        /// When it was queued.
        since: MonoTime,
    },
    /// A record from elsewhere.
    Apply { key: StoredKey, record: Bytes, then: Then },
    /// The last counter minted in a partition, once it is durable.
    Cut { partition: Partition, cut: oneshot::Sender<u64> },
    /// Forget what is dead of the record of a key, as far as the frontier allows.
    Purge {
        key: StoredKey,
        frontier: Arc<PurgeFrontier>,
        /// Only these.
        dots: Option<Vec<Dot>>,
        purged: oneshot::Sender<Trimmed>,
    },
}

impl Job {
    pub(in crate::replica) fn partition(&self, partitions: Partitions) -> Partition {
        match self {
            Self::Mint { key, .. } | Self::Apply { key, .. } | Self::Purge { key, .. } => {
                key.partition(partitions)
            }
            Self::Cut { partition, .. } => *partition,
        }
    }
}

/// What this batch will write.
#[derive(Default)]
pub(super) struct Draft {
    pub(super) writes: BTreeMap<StoredKey, Write>,
    pub(super) waiters: Vec<Waiter>,
    /// Keys with a fresh mint among their writes.
    pub(super) minted: BTreeSet<StoredKey>,
}

pub(super) enum Write {
    /// Replaces what is stored: it was read and joined.
    Whole(Image),
    /// Joins what is stored.
    Operand(Image),
    /// Nothing is left.
    Purge,
}

pub(super) enum Waiter {
    Mint(Arc<dyn Minter>, MonoTime),
    Apply(Applied, Then),
    Cut(Partition, oneshot::Sender<u64>),
    Purge(Trimmed, oneshot::Sender<Trimmed>),
}

impl Write {
    /// Bytes of the value that it writes.
    pub(super) fn encoded_len(&self) -> usize {
        match self {
            Self::Whole(image) | Self::Operand(image) => image.encoded_len(),
            Self::Purge => 0,
        }
    }
}

impl Draft {
    /// When something of it is dead, by key.
    pub(super) fn dead_from(&self) -> Vec<(Token, WallTime)> {
        self.writes.iter().filter_map(dead_from).collect()
    }
}

/// When something of a write is dead, if ever.
fn dead_from((key, write): (&StoredKey, &Write)) -> Option<(Token, WallTime)> {
    match write {
        Write::Whole(image) | Write::Operand(image) => {
            Some((key.token(), deletions::dead_from(image.record())?))
        }
        Write::Purge => None,
    }
}
