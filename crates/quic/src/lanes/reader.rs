//! The reading half: whoever receives reads the peer's lanes, with no task and no queue in between.
//!
//! 1. Accept lanes as the peer opens them, and read the version byte of each.
//! 2. Read the lanes that have something ([`Bell`] knows which), and cut frames out of their chunks (`assemble.rs`).
//! 3. Between a header and its body, obtain room: only then is the body allocated.
//! 4. Hand the frames over. While nobody receives, QUIC's window closes and the peer's writers wait.
//!
//! Invariants
//! - Frames that are being collected take at most [`COLLECTED_BYTES_MAX`]. A lane waits for the whole room of a frame before
//!   it takes any of it, so every frame that was begun can be finished.
//! - A lane ends at a frame boundary or the connection is closed with [`CloseCode::Frame`].
//! - What a lane has given and nobody has taken yet stays with the lane: giving up waiting loses nothing.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Wake, Waker, ready};

use atoll_protocol::frame::{Frame, FrameError, HEADER_BYTES};
use bytes::{Buf, Bytes};
use futures_util::task::AtomicWaker;
use quinn::{ConnectionError, ReadError, RecvStream};

use crate::close::CloseCode;
use crate::lanes::assemble::{Assembler, Progress};
use crate::lanes::{COLLECTED_BYTES_MAX, LANE_VERSION, Link};
use crate::transport::LANES_MAX;

/// Chunks that one read takes at most, one per packet: an idle lane keeps their places.
const READ_CHUNKS: usize = 8;

/// Reads between two looks at the round trip, which take the lock of the connection once more.
const READS_PER_LOOK: u32 = 8;

/// Lanes that are read at once: QUIC lets a peer have no more open, its own and those that replace them.
const LANES_READ_MAX: usize = 2 * LANES_MAX as usize;

/// The bit of [`Bell::rung`] that says that the peer has opened a lane; those below are lanes.
const OPENED: u32 = 1 << 31;

const _: () = assert!(LANES_READ_MAX < 31);

/// Whether the version byte of a lane is still to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Preamble {
    Expected,
    Consumed,
}

/// Why a lane cannot be read any further.
#[derive(Debug, thiserror::Error)]
enum ReadEnd {
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error("lane version {got} is not supported (this side speaks {LANE_VERSION})")]
    Version { got: u8 },
    #[error("a lane ended within a frame")]
    Truncated,
    #[error("a lane was reset")]
    Reset,
    #[error("more than {LANES_READ_MAX} lanes are open")]
    TooMany,
    #[error("the connection is gone")]
    Gone,
}

/// The peer's lanes, and what has been read of them.
pub(crate) struct Inbound {
    bell: Arc<Bell>,
    /// What is to be looked at: bits of the bell that have not been seen to yet.
    due: u32,
    /// Lanes that have no room for their next frame.
    without_room: u32,
    /// Where to look first, so that no lane waits for ever for others.
    turn: u32,
    /// The next lane that the peer opens; `None` once the connection has ended.
    opening: Option<Opening>,
    lanes: Vec<Option<Lane>>,
    room: usize,
    reads: u32,
}

/// A lane that the peer will open, some time.
struct Opening {
    lane: Pin<Box<dyn Future<Output = Result<RecvStream, ConnectionError>> + Send>>,
    waker: Waker,
}

/// Which lanes have something, and whom to tell: a wake-up names its lane, so that the others are not asked.
#[derive(Default)]
struct Bell {
    rung: AtomicU32,
    receiver: AtomicWaker,
}

/// Rings the bell for one lane.
struct Cord {
    bell: Arc<Bell>,
    bit: u32,
}

/// One lane of the peer.
struct Lane {
    stream: RecvStream,
    waker: Waker,
    preamble: Preamble,
    assembler: Assembler,
    /// What was read; of these, `at..filled` are not used up.
    chunks: [Bytes; READ_CHUNKS],
    at: usize,
    filled: usize,
    /// Room that the announced frame needs and has not got.
    wanted: Option<usize>,
    /// Room that the frame in collection has.
    taken: usize,
}

/// Why a lane stopped cutting frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cut {
    /// All that was read is used up.
    Hungry,
    /// There are as many frames as were asked for.
    Enough,
    /// The next frame does not fit.
    NoRoom,
}

impl Inbound {
    /// Reads what the peer sends on `quinn`; its first lane, if that is open, whose version byte has been read.
    pub(crate) fn new(quinn: &quinn::Connection, first: Option<RecvStream>) -> Self {
        let bell = Arc::new(Bell::default());
        let waker = cord(&bell, OPENED);
        let mut inbound = Self {
            opening: Some(Opening { lane: opening(quinn.clone()), waker }),
            bell,
            due: OPENED,
            without_room: 0,
            turn: 0,
            lanes: Vec::with_capacity(1),
            room: COLLECTED_BYTES_MAX,
            reads: 0,
        };
        if let Some(stream) = first {
            let added = inbound.add(stream, Preamble::Consumed);
            debug_assert!(added.is_ok(), "it is the first");
        }
        inbound
    }

    /// Appends the frames that have come to `frames`, at most `limit` and at least one; how many. 0 once the connection has
    /// ended and all were taken.
    pub(crate) fn poll_frames(
        &mut self,
        context: &mut Context<'_>,
        link: &Link,
        (frames, limit): (&mut Vec<Frame>, usize),
    ) -> Poll<usize> {
        let turn_taken = ready!(tokio::task::coop::poll_proceed(context));
        self.bell.receiver.register(context.waker());
        self.due |= self.bell.rung.swap(0, Ordering::Acquire);
        let before = frames.len();
        let until = before + limit.max(1);
        if let Err(broken) = self.fill(link, frames, until) {
            link.close(CloseCode::Frame, &broken.to_string());
            self.opening = None;
            self.lanes.clear();
        }
        let count = frames.len() - before;
        let is_over = self.opening.is_none() && self.lanes.iter().all(Option::is_none);
        if count == 0 && !is_over {
            return Poll::Pending;
        }
        turn_taken.made_progress();
        Poll::Ready(count)
    }

    /// Reads whatever is due until nothing is, or there are `until` frames.
    fn fill(&mut self, link: &Link, frames: &mut Vec<Frame>, until: usize) -> Result<(), ReadEnd> {
        if self.due & OPENED != 0 {
            self.due &= !OPENED;
            self.accept(link)?;
        }
        while self.due != 0 && frames.len() < until {
            let at = (self.due.rotate_right(self.turn).trailing_zeros() + self.turn) % 32;
            self.turn = (at + 1) % 32;
            self.read(at, link, frames, until)?;
        }
        Ok(())
    }

    /// Takes the lanes that the peer has opened.
    fn accept(&mut self, link: &Link) -> Result<(), ReadEnd> {
        while let Some(Opening { lane, waker }) = &mut self.opening {
            match lane.as_mut().poll(&mut Context::from_waker(waker)) {
                Poll::Pending => break,
                Poll::Ready(Err(_)) => self.opening = None,
                Poll::Ready(Ok(stream)) => {
                    *lane = opening(link.quinn.clone());
                    self.add(stream, Preamble::Expected)?;
                }
            }
        }
        Ok(())
    }

    fn add(&mut self, stream: RecvStream, preamble: Preamble) -> Result<(), ReadEnd> {
        let free = self.lanes.iter().position(Option::is_none).unwrap_or(self.lanes.len());
        if free >= LANES_READ_MAX {
            return Err(ReadEnd::TooMany);
        }
        let bit = 1 << free;
        let lane = Some(Lane::new(stream, preamble, cord(&self.bell, bit)));
        match self.lanes.get_mut(free) {
            Some(place) => *place = lane,
            None => self.lanes.push(lane),
        }
        self.due |= bit;
        Ok(())
    }

    /// Cuts frames out of what lane `at` holds, then reads it once.
    fn read(
        &mut self,
        at: u32,
        link: &Link,
        frames: &mut Vec<Frame>,
        until: usize,
    ) -> Result<(), ReadEnd> {
        let bit = 1 << at;
        let place = self.lanes.get_mut(at as usize);
        let Some(place @ Some(_)) = place else {
            // Its last wake-up came after its end.
            self.due &= !bit;
            return Ok(());
        };
        let lane = place.as_mut().ok_or(ReadEnd::Gone)?;
        let before = frames.len();
        let cut = lane.cut(&mut self.room, frames, until)?;
        if frames.len() > before {
            // Each of them has given its room back.
            self.due |= std::mem::take(&mut self.without_room);
        }
        match cut {
            Cut::Enough => return Ok(()),
            Cut::NoRoom => {
                self.due &= !bit;
                self.without_room |= bit;
                return Ok(());
            }
            Cut::Hungry => {}
        }
        match lane.read() {
            Poll::Pending => self.due &= !bit,
            Poll::Ready(Ok(true)) => {
                if self.reads.is_multiple_of(READS_PER_LOOK) {
                    link.look_at_rtt();
                }
                self.reads = self.reads.wrapping_add(1);
            }
            Poll::Ready(Ok(false)) if !lane.is_between_frames() => return Err(ReadEnd::Truncated),
            Poll::Ready(Ok(false) | Err(ReadEnd::Gone)) => {
                self.room += lane.taken;
                *place = None;
                self.due &= !bit;
                self.due |= std::mem::take(&mut self.without_room);
            }
            Poll::Ready(Err(broken)) => return Err(broken),
        }
        Ok(())
    }
}

impl Lane {
    fn new(stream: RecvStream, preamble: Preamble, waker: Waker) -> Self {
        Self {
            stream,
            waker,
            preamble,
            assembler: Assembler::default(),
            chunks: std::array::from_fn(|_| Bytes::new()),
            at: 0,
            filled: 0,
            wanted: None,
            taken: 0,
        }
    }

    /// Fills the chunks, all of which are used up; false at the end of the lane.
    fn read(&mut self) -> Poll<Result<bool, ReadEnd>> {
        debug_assert!(self.at == self.filled, "what was read is used up");
        let read = pin!(self.stream.read_chunks(&mut self.chunks));
        let filled = ready!(read.poll(&mut Context::from_waker(&self.waker)))?;
        (self.at, self.filled) = (0, filled.unwrap_or(0));
        Poll::Ready(Ok(filled.is_some()))
    }

    /// Cuts frames out of the chunks.
    fn cut(
        &mut self,
        room: &mut usize,
        frames: &mut Vec<Frame>,
        until: usize,
    ) -> Result<Cut, ReadEnd> {
        let held = self.chunks.get_mut(..self.filled).unwrap_or_default();
        while let Some(chunk) = held.get_mut(self.at) {
            if self.preamble == Preamble::Expected && chunk.has_remaining() {
                check_version(chunk.get_u8())?;
                self.preamble = Preamble::Consumed;
            }
            loop {
                if frames.len() >= until {
                    return Ok(Cut::Enough);
                }
                if let Some(wanted) = self.wanted {
                    let Some(left) = room.checked_sub(wanted) else { return Ok(Cut::NoRoom) };
                    *room = left;
                    (self.wanted, self.taken) = (None, wanted);
                }
                match self.assembler.advance(chunk)? {
                    Progress::Hungry => break,
                    Progress::Announced(body) => self.wanted = Some(HEADER_BYTES + body),
                    Progress::Complete(frame) => {
                        *room += std::mem::take(&mut self.taken);
                        frames.push(frame);
                    }
                }
            }
            *chunk = Bytes::new();
            self.at += 1;
        }
        Ok(Cut::Hungry)
    }

    /// Whether the lane may end here.
    fn is_between_frames(&self) -> bool {
        self.preamble == Preamble::Consumed
            && self.wanted.is_none()
            && self.assembler.is_between_frames()
    }
}

impl Wake for Cord {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.bell.rung.fetch_or(self.bit, Ordering::Release);
        self.bell.receiver.wake();
    }
}

/// A waker that rings `bell` for `bit`.
fn cord(bell: &Arc<Bell>, bit: u32) -> Waker {
    Waker::from(Arc::new(Cord { bell: Arc::clone(bell), bit }))
}

fn opening(
    quinn: quinn::Connection,
) -> Pin<Box<dyn Future<Output = Result<RecvStream, ConnectionError>> + Send>> {
    Box::pin(async move { quinn.accept_uni().await })
}

/// Reads the version byte of a lane; `None` when the lane or the connection ends before it.
pub(crate) async fn read_preamble(stream: &mut RecvStream) -> Option<u8> {
    let mut version = [0];
    stream.read_exact(&mut version).await.ok()?;
    let [version] = version;
    Some(version)
}

fn check_version(got: u8) -> Result<(), ReadEnd> {
    if got == LANE_VERSION { Ok(()) } else { Err(ReadEnd::Version { got }) }
}

impl From<ReadError> for ReadEnd {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Reset(_) => Self::Reset,
            ReadError::ConnectionLost(_)
            | ReadError::ClosedStream
            | ReadError::IllegalOrderedRead
            | ReadError::ZeroRttRejected => Self::Gone,
        }
    }
}
