//! Links: one connection per node, dialled on demand and shared by all requests.
//!
//! `peer.rs` holds the state of one node's link, `dial.rs` makes connections, `pending.rs` matches replies to requests.
//! Here is the link itself.
//!
//! 1. [`Link::call`] registers the request, queues its frame and waits for the reply.
//! 2. One reader task per link gives each reply to its request; when the connection ends it fails the rest.
//!
//! Invariants
//! - `NotSent` means that no byte of the request has left or will leave this process.
//! - Dropping the last handle of a link closes its connection, which ends its reader.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use atoll_protocol::frame::Frame;
use atoll_protocol::identity::Role;
use atoll_protocol::ids::Name;
use atoll_quic::{CloseCode, Connection, IDLE_TIMEOUT, SendError};
use parking_lot::Mutex;

use crate::runtime;
use pending::Pending;

mod dial;
mod peer;
mod pending;

pub(crate) use dial::{Dialer, Target};
pub(crate) use peer::{Condition, Peer};

/// Replies that the reader takes at once: one wake-up for a burst, and less than a millisecond of work.
const BATCH_FRAMES: usize = 64;

/// Longest time for which a link that let a request time out is avoided; the next reply ends it. A second beyond QUIC's
/// idle time-out, so that a dead link has closed before anybody relies on it again.
const SUSPICION: Duration = IDLE_TIMEOUT.saturating_add(Duration::from_secs(1));

/// A connection to one node. The last handle closes it.
#[derive(Debug)]
pub(crate) struct Link {
    node: Name,
    dc: Name,
    connection: Connection,
    shared: Arc<Shared>,
    /// When a request timed out, and how much had been heard by then.
    timed_out: Mutex<Option<(Instant, u64)>>,
}

/// What the link and its reader share.
#[derive(Debug)]
struct Shared {
    pending: Arc<Pending>,
    /// Why it ended, once it has.
    ended: OnceLock<String>,
    /// Batches of replies that have come.
    heard: AtomicU64,
}

/// Why a call has no reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CallError {
    /// The request was not and will not be sent.
    NotSent(String),
    /// The connection ended after the request was queued.
    Lost(String),
}

impl Link {
    /// Starts reading from `connection`. Who the node is stands in its certificate; `None` if it is no node.
    pub(crate) fn start(connection: Connection) -> Option<Arc<Self>> {
        let Role::Node { dc, node, .. } = &connection.identity().role else { return None };
        let (dc, node) = (dc.clone(), node.clone());
        let shared = Arc::new(Shared {
            pending: Arc::new(Pending::new()),
            ended: OnceLock::new(),
            heard: AtomicU64::new(0),
        });
        runtime::spawn(read_replies(connection.clone(), Arc::clone(&shared)));
        Some(Arc::new(Self { node, dc, connection, shared, timed_out: Mutex::new(None) }))
    }

    /// Sends `frame` under an id of this link and waits for its reply.
    ///
    /// # Cancellation
    /// Dropping the future forgets the request; the node may still carry it out.
    pub(crate) async fn call(&self, mut frame: Frame) -> Result<Frame, CallError> {
        let Some(mut ticket) = self.shared.pending.register() else {
            return Err(CallError::NotSent(self.end_reason()));
        };
        frame.request = ticket.id();
        match self.connection.send(frame) {
            Ok(()) => {}
            Err(SendError::Closed) => return Err(CallError::NotSent(self.end_reason())),
            Err(full) => return Err(CallError::NotSent(full.to_string())),
        }
        ticket.reply().await.ok_or_else(|| CallError::Lost(self.end_reason()))
    }

    /// The node at the other end.
    pub(crate) fn node(&self) -> &Name {
        &self.node
    }

    /// The datacenter of the node at the other end.
    pub(crate) fn dc(&self) -> &Name {
        &self.dc
    }

    /// QUIC's estimate of the round trip.
    pub(crate) fn rtt(&self) -> Duration {
        self.connection.rtt()
    }

    /// Requests that wait for their replies.
    pub(crate) fn inflight(&self) -> usize {
        self.shared.pending.count()
    }

    /// True once the connection has ended.
    pub(crate) fn is_closed(&self) -> bool {
        self.connection.is_closed()
    }

    /// True if the node has ever replied on it.
    pub(super) fn was_heard(&self) -> bool {
        self.heard() > 0
    }

    /// Notes that a request timed out here.
    pub(crate) fn suspect(&self, now: Instant) {
        *self.timed_out.lock() = Some((now, self.heard()));
    }

    /// True if a request timed out here a moment ago and nothing was heard since.
    pub(super) fn is_suspect(&self, now: Instant) -> bool {
        self.timed_out.lock().is_some_and(|(at, heard)| {
            heard == self.heard() && now.saturating_duration_since(at) < SUSPICION
        })
    }

    fn heard(&self) -> u64 {
        self.shared.heard.load(Ordering::Relaxed)
    }

    fn end_reason(&self) -> String {
        self.shared.ended.get().cloned().unwrap_or_else(|| "the connection is closed".to_owned())
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.connection.close(CloseCode::Done, "");
    }
}

async fn read_replies(connection: Connection, shared: Arc<Shared>) {
    let mut frames = Vec::with_capacity(BATCH_FRAMES);
    while connection.recv_many(&mut frames, BATCH_FRAMES).await > 0 {
        shared.heard.fetch_add(1, Ordering::Relaxed);
        for frame in frames.drain(..) {
            shared.pending.complete(frame);
        }
    }
    // Only this task sets it, and before it fails those who will read it.
    let _ = shared.ended.set(connection.closed().await.to_string());
    shared.pending.end();
}
