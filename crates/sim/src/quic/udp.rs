//! UDP without a kernel: a switchboard of bound addresses, and sockets on it.
//!
//! 1. A sent datagram is handed to the [`Wire`] with its length and a call to make when it arrives: never, once, or
//!    several times, now or later.
//! 2. On arrival it is put into the receive buffer of whoever has the address by then; a full buffer drops it.
//! 3. Receiving takes a batch of random size. Now and then a socket that still has datagrams says that it has none and
//!    asks to be polled again: with time standing still during a poll, quinn would never see the end of its own patience.
//!
//! Invariants
//! - Sending never blocks and never fails: what cannot be delivered is lost.
//! - An unbound socket sends nothing and receives nothing, whoever still holds it.
//! - No lock is held while the wire is called, a waker is called or dropped, or anything else is dropped that is not ours.
//!
//! Segmentation offload is off: one datagram per call, so that the wire decides about each.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use parking_lot::Mutex;
use quinn::udp::{EcnCodepoint, RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, UdpPoller};

use crate::prng::Prng;

/// Bytes that wait in the receive buffer of a socket: what Linux grants unless told otherwise (`net.core.rmem_max`).
const BUFFER_BYTES_MAX: usize = 212_992;

/// How often a socket with datagrams claims to have none, of 1 000 polls.
const PAUSE_PER_MILLE: u32 = 200;

/// What carries datagrams: the simulator's network.
pub trait Wire: Send + Sync + 'static {
    /// Decides about one datagram of `length` bytes and calls `arrive` each time that it arrives: never, once or several
    /// times, at once or later. May be called within a poll; must not poll anything itself.
    fn carry(
        &self,
        from: SocketAddr,
        to: SocketAddr,
        length: usize,
        arrive: Arc<dyn Fn() + Send + Sync>,
    );
}

/// What became of datagrams so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UdpCounts {
    /// Handed to the wire.
    pub sent: u64,
    /// Taken out of a receive buffer.
    pub received: u64,
    /// Dropped at a full receive buffer.
    pub overflowed: u64,
    /// Arrived where nobody has the address.
    pub unheard: u64,
}

/// The switchboard. Cheap to clone; all clones are the same network.
#[derive(Clone)]
pub struct UdpNet {
    board: Arc<Board>,
}

struct Board {
    wire: Arc<dyn Wire>,
    seed: u64,
    ports: Mutex<Ports>,
    sent: AtomicU64,
    received: AtomicU64,
    overflowed: AtomicU64,
    unheard: AtomicU64,
}

#[derive(Default)]
struct Ports {
    bound: BTreeMap<SocketAddr, Arc<Port>>,
    /// How many were bound so far: makes the chance of each life its own.
    count: u64,
}

/// One bound address.
struct Port {
    address: SocketAddr,
    inbox: Mutex<Inbox>,
}

struct Inbox {
    state: PortState,
    waiting: VecDeque<Datagram>,
    bytes: usize,
    reader: Option<Waker>,
    chance: Prng,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PortState {
    Bound,
    Unbound,
}

#[derive(Clone)]
struct Datagram {
    from: SocketAddr,
    ecn: Option<EcnCodepoint>,
    contents: Bytes,
}

/// A socket on a [`UdpNet`]. Dropping it frees its address.
pub struct SimUdp {
    board: Arc<Board>,
    port: Arc<Port>,
}

impl UdpNet {
    /// A network on `wire`; batch sizes follow from `seed`.
    pub fn new(wire: Arc<dyn Wire>, seed: u64) -> Self {
        let board = Board {
            wire,
            seed,
            ports: Mutex::default(),
            sent: AtomicU64::new(0),
            received: AtomicU64::new(0),
            overflowed: AtomicU64::new(0),
            unheard: AtomicU64::new(0),
        };
        Self { board: Arc::new(board) }
    }

    /// Binds a socket to `address`.
    ///
    /// # Errors
    /// [`io::ErrorKind::AddrInUse`] while another socket has it.
    pub fn bind(&self, address: SocketAddr) -> io::Result<Arc<SimUdp>> {
        let mut ports = self.board.ports.lock();
        if ports.bound.contains_key(&address) {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        ports.count += 1;
        let label = format!("udp/{address}/{}", ports.count);
        let inbox = Inbox {
            state: PortState::Bound,
            waiting: VecDeque::new(),
            bytes: 0,
            reader: None,
            chance: Prng::stream(self.board.seed, &label),
        };
        let port = Arc::new(Port { address, inbox: Mutex::new(inbox) });
        ports.bound.insert(address, Arc::clone(&port));
        Ok(Arc::new(SimUdp { board: Arc::clone(&self.board), port }))
    }

    /// Takes the address from its socket, as a kernel does when a process dies: what waits is lost, and the socket is
    /// dead. Does nothing if nobody has it.
    pub fn unbind(&self, address: SocketAddr) {
        let port = self.board.ports.lock().bound.remove(&address);
        if let Some(port) = port {
            port.close();
        }
    }

    /// What became of datagrams so far.
    pub fn counts(&self) -> UdpCounts {
        UdpCounts {
            sent: self.board.sent.load(Ordering::Relaxed),
            received: self.board.received.load(Ordering::Relaxed),
            overflowed: self.board.overflowed.load(Ordering::Relaxed),
            unheard: self.board.unheard.load(Ordering::Relaxed),
        }
    }
}

impl Board {
    fn send(self: &Arc<Self>, to: SocketAddr, datagram: Datagram) {
        self.sent.fetch_add(1, Ordering::Relaxed);
        let (from, length) = (datagram.from, datagram.contents.len());
        // Weak: what is still on its way does not keep the network alive.
        let board = Arc::downgrade(self);
        self.wire.carry(from, to, length, Arc::new(move || arrive(&board, to, &datagram)));
    }
}

/// Gives `datagram` to whoever has `to` now.
fn arrive(board: &Weak<Board>, to: SocketAddr, datagram: &Datagram) {
    let Some(board) = board.upgrade() else { return };
    let port = board.ports.lock().bound.get(&to).cloned();
    let counter = match port.map(|port| port.take_in(datagram)) {
        Some(Taken::In) => return,
        Some(Taken::Overflow) => &board.overflowed,
        None => &board.unheard,
    };
    counter.fetch_add(1, Ordering::Relaxed);
}

/// Whether there was room.
enum Taken {
    In,
    Overflow,
}

impl Port {
    fn take_in(&self, datagram: &Datagram) -> Taken {
        let mut inbox = self.inbox.lock();
        let bytes = inbox.bytes + datagram.contents.len();
        if bytes > BUFFER_BYTES_MAX {
            return Taken::Overflow;
        }
        inbox.bytes = bytes;
        inbox.waiting.push_back(datagram.clone());
        let reader = inbox.reader.take();
        drop(inbox);
        if let Some(reader) = reader {
            reader.wake();
        }
        Taken::In
    }

    fn close(&self) {
        let mut inbox = self.inbox.lock();
        inbox.state = PortState::Unbound;
        let lost = (std::mem::take(&mut inbox.waiting), inbox.reader.take());
        inbox.bytes = 0;
        drop(inbox);
        drop(lost);
    }

    /// Copies a datagram; a buffer that is too short cuts it, as a kernel does.
    fn hand_out(&self, datagram: &Datagram, buf: &mut [u8]) -> RecvMeta {
        let length = datagram.contents.len().min(buf.len());
        if let (Some(to), Some(from)) = (buf.get_mut(..length), datagram.contents.get(..length)) {
            to.copy_from_slice(from);
        }
        RecvMeta {
            addr: datagram.from,
            len: length,
            stride: length,
            ecn: datagram.ecn,
            dst_ip: Some(self.address.ip()),
        }
    }

    fn is_bound(&self) -> bool {
        self.inbox.lock().state == PortState::Bound
    }
}

/// What a receive buffer has for a reader.
enum Offer {
    Nothing,
    /// Something, but not now.
    AskAgain,
    Batch(VecDeque<Datagram>),
}

impl Inbox {
    /// Something for a reader with room for `room` datagrams.
    fn offer(&mut self, room: usize) -> Offer {
        if self.waiting.is_empty() {
            return Offer::Nothing;
        }
        if self.chance.per_mille(PAUSE_PER_MILLE) {
            return Offer::AskAgain;
        }
        let most = room.min(self.waiting.len()).max(1);
        let rest = self.waiting.split_off(1 + self.chance.index(most));
        let batch = std::mem::replace(&mut self.waiting, rest);
        self.bytes -= batch.iter().map(|datagram| datagram.contents.len()).sum::<usize>();
        Offer::Batch(batch)
    }
}

impl AsyncUdpSocket for SimUdp {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Box::pin(AlwaysWritable)
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        if !self.port.is_bound() {
            return Ok(());
        }
        let segment = transmit.segment_size.unwrap_or(transmit.contents.len()).max(1);
        for contents in transmit.contents.chunks(segment) {
            let contents = Bytes::copy_from_slice(contents);
            let datagram = Datagram { from: self.port.address, ecn: transmit.ecn, contents };
            self.board.send(transmit.destination, datagram);
        }
        Ok(())
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let reader = cx.waker().clone();
        let mut inbox = self.port.inbox.lock();
        let offer = inbox.offer(bufs.len().min(meta.len()));
        let former = match offer {
            Offer::Nothing => inbox.reader.replace(reader),
            Offer::AskAgain | Offer::Batch(_) => Some(reader),
        };
        drop(inbox);
        drop(former);
        let batch = match offer {
            Offer::Nothing => return Poll::Pending,
            Offer::AskAgain => {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            Offer::Batch(batch) => batch,
        };
        for ((datagram, buf), meta) in batch.iter().zip(bufs).zip(meta) {
            *meta = self.port.hand_out(datagram, buf);
        }
        self.board.received.fetch_add(batch.len() as u64, Ordering::Relaxed);
        Poll::Ready(Ok(batch.len()))
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.port.address)
    }

    /// As on Linux: quinn looks for the largest datagram that the path takes.
    fn may_fragment(&self) -> bool {
        false
    }
}

impl Drop for SimUdp {
    fn drop(&mut self) {
        let mut ports = self.board.ports.lock();
        // The address may be another life's by now.
        let is_ours =
            ports.bound.get(&self.port.address).is_some_and(|port| Arc::ptr_eq(port, &self.port));
        let ours = if is_ours { ports.bound.remove(&self.port.address) } else { None };
        drop(ports);
        drop(ours);
        self.port.close();
    }
}

/// A socket whose sends never wait.
#[derive(Debug)]
struct AlwaysWritable;

impl UdpPoller for AlwaysWritable {
    fn poll_writable(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl fmt::Debug for SimUdp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimUdp").field("address", &self.port.address).finish_non_exhaustive()
    }
}

impl fmt::Debug for UdpNet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UdpNet").field("counts", &self.counts()).finish_non_exhaustive()
    }
}
