//! The reading half: one task that accepts the peer's lanes, and one per lane.
//!
//! 1. Read the version byte of the lane.
//! 2. Read chunks as they come, and cut frames out of them (`assemble.rs`).
//! 3. Between a header and its body, obtain room in the inbox: only then is the body allocated.
//! 4. Hand the frame over. While there is no room, QUIC's window closes and the peer's writer waits.
//!
//! Invariants
//! - Readers wait for the whole room of a frame before they take any of it, so every frame that was begun can be
//!   finished and readers never wait for each other.
//! - A lane ends at a frame boundary or the connection is closed with [`CloseCode::Frame`].
//! - When the last handle of the connection is dropped, no reader waits any more.

use std::sync::Arc;

use atoll_protocol::frame::{FrameError, HEADER_BYTES};
use bytes::Bytes;
use quinn::{ReadError, ReadExactError, RecvStream};
use tokio::sync::mpsc;

use crate::close::CloseCode;
use crate::lanes::assemble::{Assembler, Progress};
use crate::lanes::{Delivery, LANE_VERSION, Link};

/// Chunks that one read takes at most, one per packet: the reader of an idle lane keeps their places.
const READ_CHUNKS: usize = 8;

/// Reads between two looks at the round trip, which take the lock of the connection once more.
const READS_PER_LOOK: u32 = 8;

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
    #[error("the connection or its last handle is gone")]
    Gone,
}

/// Accepts the peer's lanes until the connection ends, starting a reader for each through `start_reader`.
pub(crate) async fn accept_lanes(link: Arc<Link>, start_reader: impl Fn(RecvStream, Preamble)) {
    while let Ok(stream) = link.quinn.accept_uni().await {
        start_reader(stream, Preamble::Expected);
    }
}

/// Reads the version byte of a lane; `None` when the lane or the connection ends before it.
pub(crate) async fn read_preamble(stream: &mut RecvStream) -> Option<u8> {
    let mut version = [0];
    stream.read_exact(&mut version).await.ok()?;
    let [version] = version;
    Some(version)
}

/// The reader of one lane: delivers its frames until it or the connection ends.
pub(crate) async fn read_lane(
    link: Arc<Link>,
    mut stream: RecvStream,
    preamble: Preamble,
    inbox: mpsc::Sender<Delivery>,
) {
    match read_frames(&link, &mut stream, preamble, &inbox).await {
        Ok(()) | Err(ReadEnd::Gone) => {}
        Err(broken) => link.close(CloseCode::Frame, &broken.to_string()),
    }
}

async fn read_frames(
    link: &Link,
    stream: &mut RecvStream,
    preamble: Preamble,
    inbox: &mpsc::Sender<Delivery>,
) -> Result<(), ReadEnd> {
    if preamble == Preamble::Expected {
        let mut version = [0];
        stream.read_exact(&mut version).await?;
        check_version(version)?;
    }
    let mut assembler = Assembler::default();
    let mut chunks: [Bytes; READ_CHUNKS] = std::array::from_fn(|_| Bytes::new());
    let mut room = 0;
    let mut reads = 0u32;
    while let Some(filled) = stream.read_chunks(&mut chunks).await? {
        if reads.is_multiple_of(READS_PER_LOOK) {
            link.look_at_rtt();
        }
        reads = reads.wrapping_add(1);
        for chunk in chunks.iter_mut().take(filled) {
            let mut chunk = std::mem::take(chunk);
            loop {
                match assembler.advance(&mut chunk)? {
                    Progress::Hungry => break,
                    Progress::Announced(body) => room = take_room(link, body).await?,
                    Progress::Complete(frame) => {
                        let delivery = Delivery { frame: Box::new(frame), room };
                        inbox.send(delivery).await.map_err(|_| ReadEnd::Gone)?;
                    }
                }
            }
        }
    }
    if assembler.is_between_frames() { Ok(()) } else { Err(ReadEnd::Truncated) }
}

fn check_version([got]: [u8; 1]) -> Result<(), ReadEnd> {
    if got == LANE_VERSION { Ok(()) } else { Err(ReadEnd::Version { got }) }
}

/// Waits until `body` bytes and a header fit in the inbox. The room is given back when the frame is handed out.
async fn take_room(link: &Link, body: usize) -> Result<usize, ReadEnd> {
    let room = HEADER_BYTES + body;
    let permits = u32::try_from(room).map_err(|_| ReadEnd::Gone)?;
    link.inbox_room.acquire_many(permits).await.map_err(|_| ReadEnd::Gone)?.forget();
    Ok(room)
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

impl From<ReadExactError> for ReadEnd {
    fn from(error: ReadExactError) -> Self {
        match error {
            ReadExactError::FinishedEarly(_) => Self::Truncated,
            ReadExactError::ReadError(error) => error.into(),
        }
    }
}
