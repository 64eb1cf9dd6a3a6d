//! A connection: frames out, frames in, and a certified peer.
//!
//! Both sides are equal once `connect.rs` or `accept.rs` has established it; the node and the SDK use the same type.
//!
//! 1. [`Connection::send`] puts a frame into an outbox and never waits; a full outbox is an answer.
//! 2. [`Connection::recv_many`] reads the lanes of the peer. What nobody reads stays bounded: the peer waits.
//! 3. [`Connection::send_datagram`] sends a few bytes that may be lost, overtake frames and each other, and never wait
//!    for anything; [`Connection::recv_datagram`] takes the peer's.
//! 4. Either side closes with a code and a reason that the other one sees in [`Connection::closed`].
//!
//! Invariants
//! - The identity comes from the verified certificate and never changes.
//! - Frames keep no order, and none is lost while the connection lasts.
//! - Dropping the last handle closes the connection; what still waits in an outbox is then lost.
//!
//! QUIC's encryption is the only integrity check: a frame that arrives is the frame that was sent.

use std::fmt;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use atoll_protocol::frame::Frame;
use atoll_protocol::identity::Identity;
use atoll_protocol::limits::{META_BYTES_MAX, PAYLOAD_BYTES_MAX};
use bytes::Bytes;
use quinn::{RecvStream, SendStream};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Mutex, TryAcquireError, mpsc};

use crate::alpn::Alpn;
use crate::close::{CloseCode, CloseReason};
use crate::config::LANES_CLIENT;
use crate::emulator::canonical;
use crate::lanes::reader::Inbound;
use crate::lanes::writer::write_lanes;
use crate::lanes::{LARGE_PAYLOAD_BYTES, Link, OUTBOX_BYTES_MAX};
use crate::runtime::Spawner;
use crate::transport::DATAGRAM_BYTES_MAX;

/// A handle to a connection. Cheap to clone; dropping the last one closes the connection.
#[derive(Clone)]
pub struct Connection {
    handle: Arc<Handle>,
}

/// Why a frame was not taken for sending. It will not be sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The outbox holds `limit` frames: the peer or the path is slower than the sender. Try later.
    #[error("{limit} frames wait on the connection already")]
    Full {
        /// The bound, in frames.
        limit: usize,
    },
    /// The outboxes of the connection hold too many bytes for this frame. Try later.
    #[error("frames of {limit} bytes wait on the connection already")]
    FullBytes {
        /// The bound, in bytes.
        limit: usize,
    },
    /// A part of the frame is longer than any peer accepts. Trying again is of no use.
    #[error("a frame may have {limit} bytes of {part}, this one has {got}")]
    TooLarge {
        /// `meta` or `payload`.
        part: &'static str,
        /// Its length in bytes.
        got: usize,
        /// The bound, in bytes.
        limit: usize,
    },
    /// The connection is closed.
    #[error("the connection is closed")]
    Closed,
}

/// What went over a path, and what it did to the packets of this side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PathStatistics {
    /// Packets sent.
    pub sent_packets: u64,
    /// Packets that count as lost.
    pub lost_packets: u64,
    /// Bytes of UDP sent, headers of UDP and IP excluded: all there is of the connection, acknowledgements among it.
    pub sent_bytes: u64,
    /// The same of what was received.
    pub received_bytes: u64,
}

impl std::ops::Add for PathStatistics {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            sent_packets: self.sent_packets + other.sent_packets,
            lost_packets: self.lost_packets + other.lost_packets,
            sent_bytes: self.sent_bytes + other.sent_bytes,
            received_bytes: self.received_bytes + other.received_bytes,
        }
    }
}

/// How many lanes a side opens, and how much each of its outboxes may hold.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LaneOptions {
    pub(crate) lanes: u8,
    pub(crate) outbox_frames: usize,
}

/// A QUIC connection whose peer has been verified and admitted.
pub(crate) struct Established {
    pub(crate) quinn: quinn::Connection,
    pub(crate) alpn: Alpn,
    pub(crate) identity: Identity,
    /// Our first lane, if it is open.
    pub(crate) sending: Option<SendStream>,
    /// The peer's first lane, if its version byte has been read.
    pub(crate) receiving: Option<RecvStream>,
}

struct Handle {
    link: Arc<Link>,
    alpn: Alpn,
    identity: Identity,
    remote: SocketAddr,
    lanes: u8,
    outbox_frames: usize,
    spawner: Spawner,
    small: Outbox,
    /// Started with the first large frame: most connections never see one.
    large: OnceLock<Outbox>,
    inbound: Mutex<Inbound>,
}

/// Where frames wait for a writer of lanes.
type Outbox = mpsc::Sender<Box<Frame>>;

impl Connection {
    /// Starts the tasks of an established connection.
    pub(crate) fn start(parts: Established, options: LaneOptions, spawner: &Spawner) -> Self {
        let remote = canonical(parts.quinn.remote_address());
        let inbound = Mutex::new(Inbound::new(&parts.quinn, parts.receiving));
        let link = Arc::new(Link::new(parts.quinn));
        let lanes = lanes_of(parts.alpn, options);
        let for_small = usize::from(lanes.saturating_sub(1).max(1));
        let mut sending = vec![parts.sending];
        sending.resize_with(for_small, || None);
        let small = start_writer(&link, sending, options.outbox_frames, spawner);
        let handle = Handle {
            link,
            alpn: parts.alpn,
            identity: parts.identity,
            remote,
            lanes,
            outbox_frames: options.outbox_frames,
            spawner: Arc::clone(spawner),
            small,
            large: OnceLock::new(),
            inbound,
        };
        Self { handle: Arc::new(handle) }
    }

    /// Puts `frame` into an outbox. Frames keep no order.
    ///
    /// Cost: one compare-and-swap for the room and one slot of a channel; no system call.
    ///
    /// # Errors
    /// [`SendError`]; whatever it is, the frame has not been and will not be sent.
    pub fn send(&self, frame: Frame) -> Result<(), SendError> {
        let (outbox, room) = self.prepare(&frame)?;
        let permits = match self.handle.link.outbox_room.try_acquire_many(room) {
            Ok(permits) => permits,
            Err(TryAcquireError::Closed) => return Err(SendError::Closed),
            Err(TryAcquireError::NoPermits) => {
                return Err(SendError::FullBytes { limit: OUTBOX_BYTES_MAX });
            }
        };
        match outbox.try_send(Box::new(frame)) {
            Ok(()) => permits.forget(),
            Err(TrySendError::Closed(_)) => return Err(SendError::Closed),
            Err(TrySendError::Full(_)) => {
                return Err(SendError::Full { limit: self.handle.outbox_frames });
            }
        }
        Ok(())
    }

    /// Like [`Self::send`], but waits for room.
    ///
    /// # Errors
    /// [`SendError::TooLarge`] and [`SendError::Closed`], never the full ones.
    ///
    /// # Cancellation
    /// Dropping the future before it resolves leaves the frame unsent and its room free.
    pub async fn send_wait(&self, frame: Frame) -> Result<(), SendError> {
        let (outbox, room) = self.prepare(&frame)?;
        let permits = self.handle.link.outbox_room.acquire_many(room).await;
        let permits = permits.map_err(|_| SendError::Closed)?;
        let slot = outbox.reserve().await.map_err(|_| SendError::Closed)?;
        permits.forget();
        slot.send(Box::new(frame));
        Ok(())
    }

    /// The next frame of any of the peer's lanes; `None` once the connection has ended and all have been taken.
    ///
    /// # Cancellation
    /// Loses nothing. Several callers share the frames among them.
    pub async fn recv(&self) -> Option<Frame> {
        let mut frames = Vec::with_capacity(1);
        self.recv_many(&mut frames, 1).await;
        frames.pop()
    }

    /// Appends what has arrived, at most `limit` frames, to `frames` and returns how many; waits for the first. 0 means
    /// that the connection has ended.
    ///
    /// The caller's task reads the lanes itself: it is woken once per burst, and nothing is queued in between.
    ///
    /// # Cancellation
    /// Loses nothing.
    pub async fn recv_many(&self, frames: &mut Vec<Frame>, limit: usize) -> usize {
        let mut inbound = self.handle.inbound.lock().await;
        poll_fn(|context| inbound.poll_frames(context, &self.handle.link, (&mut *frames, limit)))
            .await
    }

    /// Sends `datagram` at most once: it may be lost, and nobody tells. What waits longer than the buffer lasts is lost.
    ///
    /// # Errors
    /// [`SendError::TooLarge`] beyond [`DATAGRAM_BYTES_MAX`], [`SendError::Closed`].
    pub fn send_datagram(&self, datagram: Bytes) -> Result<(), SendError> {
        check_part("datagram", datagram.len(), DATAGRAM_BYTES_MAX)?;
        // What else can be wrong: the peer takes none, or the path is narrower than QUIC's least. It is lost either way.
        match self.handle.link.quinn.send_datagram(datagram) {
            Ok(()) => Ok(()),
            Err(_) if self.handle.link.quinn.close_reason().is_some() => Err(SendError::Closed),
            Err(error) => {
                tracing::debug!(%error, "datagram lost");
                Ok(())
            }
        }
    }

    /// The next datagram; `None` once the connection has ended.
    ///
    /// # Cancellation
    /// Loses nothing.
    pub async fn recv_datagram(&self) -> Option<Bytes> {
        self.handle.link.quinn.read_datagram().await.ok()
    }

    /// What went over the path so far.
    pub fn path(&self) -> PathStatistics {
        let stats = self.handle.link.quinn.stats();
        PathStatistics {
            sent_packets: stats.path.sent_packets,
            lost_packets: stats.path.lost_packets,
            sent_bytes: stats.udp_tx.bytes,
            received_bytes: stats.udp_rx.bytes,
        }
    }

    /// Whom the peer's certificate names.
    pub fn identity(&self) -> &Identity {
        &self.handle.identity
    }

    /// The peer's address.
    pub fn remote_addr(&self) -> SocketAddr {
        self.handle.remote
    }

    /// The protocol that was negotiated.
    pub fn alpn(&self) -> Alpn {
        self.handle.alpn
    }

    /// QUIC's estimate of the round trip, as of the last frames that came.
    ///
    /// Cost: an atomic read. The estimate itself is behind the lock under which packets are made and read, and routing
    /// asks for it several times per request.
    pub fn rtt(&self) -> Duration {
        self.handle.link.rtt()
    }

    /// True once the connection has ended, and a writer of its lanes has noticed.
    ///
    /// Cost: as [`Self::rtt`].
    pub fn is_closed(&self) -> bool {
        self.handle.link.outbox_room.is_closed()
    }

    /// Waits until the connection has ended and says how.
    ///
    /// # Cancellation
    /// Loses nothing.
    pub async fn closed(&self) -> CloseReason {
        let error = self.handle.link.quinn.closed().await;
        CloseReason::of(&error, self.handle.link.local.get())
    }

    /// Closes the connection at once and tells the peer why; what waits in the outboxes is lost. Only the first call
    /// has an effect.
    pub fn close(&self, code: CloseCode, reason: &str) {
        self.handle.link.close(code, reason);
    }

    fn prepare(&self, frame: &Frame) -> Result<(&Outbox, u32), SendError> {
        check_part("meta", frame.meta.len(), META_BYTES_MAX)?;
        check_part("payload", frame.payload.len(), PAYLOAD_BYTES_MAX)?;
        let room = u32::try_from(frame.encoded_len()).map_err(|_| SendError::Closed)?;
        let handle = &*self.handle;
        let is_apart = frame.payload.len() >= LARGE_PAYLOAD_BYTES && handle.lanes > 1;
        let outbox = if is_apart { handle.large() } else { &handle.small };
        Ok((outbox, room))
    }
}

impl Handle {
    /// The outbox of large frames: they share one lane, so that they do not share the path.
    fn large(&self) -> &Outbox {
        self.large
            .get_or_init(|| start_writer(&self.link, vec![None], self.outbox_frames, &self.spawner))
    }
}

/// Lanes that this side opens: to an application no more than it opens itself, however many this side opens to its peers.
fn lanes_of(alpn: Alpn, options: LaneOptions) -> u8 {
    let lanes = match alpn {
        Alpn::Client => options.lanes.min(LANES_CLIENT),
        Alpn::Peer | Alpn::Bulk => options.lanes,
    };
    lanes.max(1)
}

/// Starts the writer of `lanes`.
fn start_writer(
    link: &Arc<Link>,
    lanes: Vec<Option<SendStream>>,
    outbox_frames: usize,
    spawner: &Spawner,
) -> Outbox {
    let (outbox, waiting) = mpsc::channel(outbox_frames.max(1));
    spawner("quic.writer", Box::pin(write_lanes(Arc::clone(link), lanes, waiting)));
    outbox
}

fn check_part(part: &'static str, got: usize, limit: usize) -> Result<(), SendError> {
    if got <= limit { Ok(()) } else { Err(SendError::TooLarge { part, got, limit }) }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.link.close(CloseCode::Done, "");
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("alpn", &self.handle.alpn)
            .field("identity", &self.handle.identity)
            .field("remote", &self.handle.remote)
            .finish_non_exhaustive()
    }
}
