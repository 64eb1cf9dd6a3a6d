//! The network seam: connections that carry frames, and who is at their other end.
//!
//! [`Transport`] and [`Link`] are what the node knows of a network; `quic.rs` is the real one, the simulator brings
//! its own. A link is symmetric: either side sends frames at any time, replies repeat the request's id.
//!
//! ```text
//! transport ──accept/connect──▶ link ──recv──▶ peers.rs (replies) or Handler (everything else, and datagrams)
//! ```
//!
//! Invariants
//! - The identity of a link comes from its certificate ([`Link::identity`]), never from a frame.
//! - Sending never blocks: a full outbox is an error with a name.

mod faults;
mod links;
mod reads;
mod judged;
mod peers;
mod latency;
mod standing;
mod calls;
mod quic;

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use atoll_protocol::frame::Frame;
use atoll_protocol::identity::Identity;
use atoll_protocol::ids::NodeIndex;
use atoll_quic::PathStatistics;
use bytes::Bytes;

use crate::env::BoxFuture;

pub use calls::{CallError, LinkId};
pub use faults::{EmulatedLinks, FaultPolicy, Faults, Peer as EmulatedPeer};
pub use judged::QUIET_AFTER;
pub use links::{LinkServer, serve_links};
pub use peers::{Answered, PeerState, Peers};
pub use quic::QuicTransport;
pub use reads::{ReadAnswer, ReadCall};
pub use standing::{Judgement, Sense, Word};

/// A network that nodes and clients are on.
pub trait Transport: Send + Sync + 'static {
    /// Connects to a node and checks that it is the one that is expected.
    fn connect(&self, to: PeerAddress) -> BoxFuture<'_, Result<Arc<dyn Link>, ConnectFailure>>;
    /// The next connection that somebody made to us; `None` once the transport is closed.
    fn accept(&self) -> BoxFuture<'_, Option<Arc<dyn Link>>>;
    /// Closes every link and stops accepting.
    fn close(&self) -> BoxFuture<'_, ()>;
}

/// One connection.
pub trait Link: Send + Sync + 'static {
    /// Who is at the other end, by certificate.
    fn identity(&self) -> &Identity;
    /// Which protocol the link speaks.
    fn protocol(&self) -> Protocol;
    /// Address of the other end, for logs.
    fn remote(&self) -> String;
    /// Queues a frame. Frames keep no order.
    ///
    /// # Errors
    /// [`SendFailure`]; the frame was not sent.
    fn send(&self, frame: Frame) -> Result<(), SendFailure>;
    /// The next frame; `None` once the link is closed.
    fn recv(&self) -> BoxFuture<'_, Option<Frame>>;
    /// Appends the frames that have come to `frames`, at most `limit`; waits for the first. How many: 0 once the link is
    /// closed. One wake-up, one lock and one allocation for all of them.
    fn recv_many<'a>(
        &'a self,
        frames: &'a mut Vec<Frame>,
        _limit: NonZeroUsize,
    ) -> BoxFuture<'a, usize> {
        // A link that knows no better gives out one at a time.
        Box::pin(async move {
            let received = self.recv().await;
            let count = usize::from(received.is_some());
            frames.extend(received);
            count
        })
    }
    /// Sends a few bytes at most once: they may be lost, and nobody tells.
    ///
    /// # Errors
    /// [`SendFailure`]; they were not sent.
    fn send_datagram(&self, datagram: Bytes) -> Result<(), SendFailure>;
    /// The next datagram; `None` once the link is closed.
    fn recv_datagram(&self) -> BoxFuture<'_, Option<Bytes>>;
    /// Smoothed round-trip time.
    fn rtt(&self) -> Duration;
    /// What the path did to our packets.
    fn path(&self) -> PathStatistics;
    /// True once the link is closed.
    fn is_closed(&self) -> bool;
    /// Closes the link and tells the other end why.
    fn close(&self, reason: LinkClose);
    /// Why the link was closed, for logs; waits until it is.
    fn closed(&self) -> BoxFuture<'_, String>;
}

/// The protocol of a link, as negotiated by ALPN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// `atoll-client/1`.
    Client,
    /// `atoll-peer/1`.
    Peer,
}

/// A node to connect to, and who it must turn out to be.
#[derive(Clone, Debug)]
pub struct PeerAddress {
    /// `host:port`.
    pub address: String,
    /// The identity that its certificate must show.
    pub identity: Identity,
}

/// Why no connection was made; words for logs and `atoll status`.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{detail}")]
pub struct ConnectFailure {
    /// What happened.
    pub detail: String,
}

/// Why a frame was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendFailure {
    /// The outbox is full.
    #[error("the outbox is full")]
    Full,
    /// The message does not fit a frame.
    #[error("the message does not fit a frame")]
    TooLarge,
    /// The link is closed, or there is none.
    #[error("not connected")]
    Closed,
}

/// Why we close a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkClose {
    /// The node is shutting down.
    Shutdown,
    /// A newer link to the same peer took its place.
    Replaced,
    /// The other end broke the protocol.
    Protocol(String),
    /// The other end is not who it may be.
    Denied(String),
}

/// What a node does with what arrives. Implemented by `service`.
pub trait Handler: Send + Sync + 'static {
    /// A frame of a client.
    fn on_client_frame(&self, link: &Arc<dyn Link>, frame: Frame);
    /// A request or notice of a peer; replies are matched before.
    fn on_peer_frame(&self, from: &PeerLink, frame: Frame);
    /// A datagram of a peer.
    fn on_peer_datagram(&self, from: &PeerLink, datagram: Bytes);
    /// A link to this peer was taken into use.
    fn on_peer_link(&self, to: &PeerLink);
    /// A link to this peer broke: what was under way on it is lost.
    fn on_peer_lost(&self, peer: NodeIndex);
    /// The index of the peer that this identity names, if it is a member.
    ///
    /// # Errors
    /// Why it is not, for the close reason.
    fn admit_peer(&self, identity: &Identity) -> Result<NodeIndex, String>;
    /// A client's link was opened or closed.
    fn on_client_link(&self, change: LinkChange);
}

/// A peer's link in use.
#[derive(Clone)]
pub struct PeerLink {
    /// The peer.
    pub peer: NodeIndex,
    /// The link's number within this process.
    pub id: LinkId,
    /// The link.
    pub link: Arc<dyn Link>,
}

/// Whether a link came or went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkChange {
    /// It was opened.
    Opened,
    /// It was closed.
    Closed,
}
