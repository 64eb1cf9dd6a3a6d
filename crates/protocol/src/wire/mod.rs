//! The messages: what clients ask of nodes, and nodes of each other.
//!
//! A message is the meta part of a frame; its value or record, if it has one, is the frame's payload. [`Kind`] says
//! which of the five families the meta part belongs to.
//!
//! ```text
//! ALPN atoll-client/1   client → node   Request        client.rs
//!                       node → client   Reply          client.rs
//! ALPN atoll-peer/1     node → node     PeerRequest    peer.rs     answered by
//!                       node → node     PeerReply      peer.rs
//!                       node → node     PeerNotice     peer.rs     one way
//! ```
//!
//! Invariants
//! - Nothing in a message says who its sender is: identity comes from the certificate.
//! - `NodeIndex` travels only beside the epoch in the frame header.

mod client;
mod datagram;
mod failure;
mod handoff;
mod peer;
mod purge;
mod repair;
mod status;
mod storage;

#[cfg(test)]
mod tests;

use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::codec::{self, CodecError};
use crate::frame::Frame;
use crate::ids::Epoch;
use crate::limits::{META_BYTES_MAX, PAYLOAD_BYTES_MAX};

pub use client::{
    Acknowledged, CellMeta, ClusterView, Explanation, GetRequest, KeyspaceRequest, PutBody,
    PutRequest, QuorumKind, ReplicaReport, ReplicaState, Reply, Request, VersionSummary,
};
pub use datagram::{DATAGRAM_HEADER_BYTES, DATAGRAM_VERSION, Datagram, DatagramError, Pool};
pub use failure::{Failure, Invalid};
pub use handoff::{
    HandoffReply, HandoffRequest, HintsCommand, HintsReport, HintsStatus, HintsWaiting,
};
pub use peer::{ApplyOutcome, Gossip, Known, PeerNotice, PeerReply, PeerRequest};
pub use purge::{
    Cut, OBSTACLES_MAX, PURGE_PARTITIONS_MAX, PurgeObstacle, PurgeReply, PurgeRequest,
    TombstonesReport, TombstonesStatus,
};
pub use repair::{
    HOLDINGS_BYTES_MAX, KnownFrontier, Purged, RECORDS_BYTES_MAX, RECORDS_MAX, ROOTS_MAX,
    RepairCommand, RepairReply, RepairReport, RepairRequest, RepairStatus,
};
pub use status::{
    FaultCommand, LinkFault, NodeReport, NodeState, NodeStatus, PathStatus, PeerStatus,
    SpeculationStatus, SuspicionState, SuspicionStatus,
};
pub use storage::{
    CacheUsageStatus, FilesStatus, LEVELS_MAX, REASON_BYTES_MAX, ScrubStatus, StorageReport,
    StorageStatus, SyncKind, SyncSpans, SyncStatus, WorkStatus, cut_reason,
};

/// The family of a message; the `kind` byte of its frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// [`Request`].
    Request,
    /// [`Reply`].
    Reply,
    /// [`PeerRequest`].
    PeerRequest,
    /// [`PeerReply`].
    PeerReply,
    /// [`PeerNotice`].
    PeerNotice,
}

impl Kind {
    /// The byte on the wire.
    pub const fn as_byte(self) -> u8 {
        match self {
            Self::Request => 1,
            Self::Reply => 2,
            Self::PeerRequest => 3,
            Self::PeerReply => 4,
            Self::PeerNotice => 5,
        }
    }

    /// Reads the byte on the wire; `None` for a kind that this version does not know.
    pub const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Self::Request),
            2 => Some(Self::Reply),
            3 => Some(Self::PeerRequest),
            4 => Some(Self::PeerReply),
            5 => Some(Self::PeerNotice),
            _ => None,
        }
    }
}

/// A message that knows its family.
pub trait Message: Serialize + DeserializeOwned {
    /// The family.
    const KIND: Kind;
}

/// What surrounds a message in its frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// Request id; a reply repeats it, a notice has 0.
    pub request: u64,
    /// Topology epoch of the sender.
    pub epoch: Epoch,
    /// Remaining time.
    pub budget: Option<Duration>,
}

/// Frames `message` with its payload.
///
/// # Errors
/// [`CodecError::TooLarge`] if the message or its payload does not fit a frame.
pub fn to_frame<M: Message>(
    message: &M,
    payload: Bytes,
    envelope: Envelope,
) -> Result<Frame, CodecError> {
    if payload.len() > PAYLOAD_BYTES_MAX {
        let (part, got) = ("payload", payload.len());
        return Err(CodecError::TooLarge { part, got, limit: PAYLOAD_BYTES_MAX });
    }
    Ok(Frame {
        kind: M::KIND.as_byte(),
        budget: envelope.budget,
        request: envelope.request,
        epoch: envelope.epoch,
        meta: codec::encode(message)?,
        payload,
    })
}

/// Reads the message of a frame whose kind the caller has checked.
///
/// # Errors
/// [`CodecError`] if the meta part is not such a message.
pub fn from_frame<M: Message>(frame: &Frame) -> Result<M, CodecError> {
    debug_assert_eq!(Kind::from_byte(frame.kind), Some(M::KIND));
    debug_assert!(frame.meta.len() <= META_BYTES_MAX, "the header was checked");
    codec::decode(&frame.meta)
}
