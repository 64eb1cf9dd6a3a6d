//! The writing half: one task for small frames, and one for large ones once there are any.
//!
//! 1. Once a frame waits in the outbox, let whatever else is ready run once, and take everything that waits then.
//! 2. Encode it into as few chunks as possible: small payloads are copied together, large ones go as they are.
//! 3. Write the chunks to one lane in one call, give their room back, and look again: the next burst takes the next lane.
//!
//! A burst that shares a lane costs the peer one wake-up, and a lost packet holds up the bursts of one lane. Large frames
//! have lanes of their own, so that no small one waits until a large one has been read.
//!
//! While a write waits for the peer's window the outbox fills, and `Connection::send` says so. Batches form by
//! themselves: the busier the connection, the more frames share a write, and the fewer packets and wake-ups they cost.
//!
//! Invariants
//! - Room is given back only for frames that QUIC has taken; once the connection has ended nobody waits for room.
//! - A lane is opened with its first frame.

use std::sync::Arc;

use atoll_protocol::frame::{Frame, HEADER_BYTES};
use bytes::{BufMut, Bytes, BytesMut};
use quinn::{SendStream, WriteError};
use tokio::sync::mpsc;

use crate::close::CloseCode;
use crate::lanes::{Link, open_lane};

/// Payloads up to this many bytes are copied together with their neighbours: below, a copy (about 0.1 µs per KiB) is
/// cheaper than a chunk of its own in quinn's send buffer.
const COALESCE_BYTES_MAX: usize = 4 * 1_024;

/// The writer of some lanes: sends what waits in `outbox`, burst by burst, until the connection ends.
pub(crate) async fn write_lanes(
    link: Arc<Link>,
    mut lanes: Vec<Option<SendStream>>,
    mut outbox: mpsc::Receiver<Box<Frame>>,
) {
    let closed = link.quinn.closed();
    tokio::pin!(closed);
    let mut frames = Vec::new();
    let mut chunks = Vec::new();
    let mut turn = 0;
    loop {
        tokio::select! {
            biased;
            taken = outbox.recv_many(&mut frames, usize::MAX) => if taken == 0 { return },
            _ = &mut closed => break,
        }
        // Whoever is ready may have a frame, too: one packet, one call to the system for all of them.
        tokio::task::yield_now().await;
        while let Ok(frame) = outbox.try_recv() {
            frames.push(frame);
        }
        let room: usize = frames.iter().map(|frame| frame.encoded_len()).sum();
        encode(&mut frames, &mut chunks);
        let Some(lane) = lanes.get_mut(turn) else { break };
        if let Err(problem) = write_chunks(&link.quinn, lane, &mut chunks).await {
            if matches!(problem, WriteError::Stopped(_)) {
                link.close(CloseCode::Frame, "a lane was stopped by its reader");
            }
            break;
        }
        turn = (turn + 1) % lanes.len();
        chunks.clear();
        link.outbox_room.add_permits(room);
    }
    link.outbox_room.close();
}

async fn write_chunks(
    quinn: &quinn::Connection,
    lane: &mut Option<SendStream>,
    chunks: &mut [Bytes],
) -> Result<(), WriteError> {
    let stream = match lane {
        Some(stream) => stream,
        None => lane.insert(open_lane(quinn).await?),
    };
    stream.write_all_chunks(chunks).await
}

/// Encodes `frames` in order, appending to `chunks`; neighbours that are small share a chunk.
#[expect(clippy::vec_box, reason = "an outbox holds boxes, so that an idle one is small")]
pub(crate) fn encode(frames: &mut Vec<Box<Frame>>, chunks: &mut Vec<Bytes>) {
    let copied = |frame: &Frame| match frame.payload.len() {
        large if large > COALESCE_BYTES_MAX => HEADER_BYTES + frame.meta.len(),
        _ => frame.encoded_len(),
    };
    let mut together = BytesMut::with_capacity(frames.iter().map(|frame| copied(frame)).sum());
    for frame in frames.drain(..) {
        together.put_slice(&frame.encode_header());
        together.put_slice(&frame.meta);
        if frame.payload.len() > COALESCE_BYTES_MAX {
            chunks.push(together.split().freeze());
            chunks.push(frame.payload);
        } else {
            together.put_slice(&frame.payload);
        }
    }
    if !together.is_empty() {
        chunks.push(together.freeze());
    }
}
