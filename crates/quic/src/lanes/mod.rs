//! Lanes: long-lived one-way streams that carry frames back to back.
//!
//! Each side opens its own lanes and reads the peer's; a lost packet holds up one lane, not all. A stream per frame
//! would cost 3.3 µs of CPU a side more than a frame on a lane.
//!
//! ```text
//! offset size field
//!      0    1 version   LANE_VERSION
//!      1    … frames, back to back (frame.rs)
//! ```
//!
//! `writer.rs` has the tasks that empty our outboxes into our lanes, `reader.rs` reads the peer's lanes for whoever
//! receives, and `assemble.rs` cuts bytes into frames. Here is what they share.
//!
//! Invariants
//! - Frames that are being collected take at most [`COLLECTED_BYTES_MAX`], outboxes at most [`OUTBOX_BYTES_MAX`]; what is
//!   not collected stays in QUIC's window.
//! - Any malformed byte closes the connection with [`CloseCode::Frame`] and the reason, and no other connection.
//! - Frames keep no order: bursts take turns on the lanes.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use atoll_protocol::frame::HEADER_BYTES;
use atoll_protocol::limits::{META_BYTES_MAX, PAYLOAD_BYTES_MAX};
use quinn::{SendStream, WriteError};
use tokio::sync::Semaphore;

use crate::close::{CloseCode, CloseReason, clip};

mod assemble;
pub(crate) mod reader;
pub(crate) mod writer;

#[cfg(test)]
mod tests;

/// First byte of every lane.
pub(crate) const LANE_VERSION: u8 = 1;

/// Most bytes of frames that are being collected on one connection: one frame of the largest size, and 15 MiB beside it.
pub(crate) const COLLECTED_BYTES_MAX: usize = 32 * 1_024 * 1_024;

/// Most bytes that wait to be sent on one connection, over all lanes.
pub const OUTBOX_BYTES_MAX: usize = 32 * 1_024 * 1_024;

/// Payloads from this length on have lanes of their own: 45 packets, behind which nothing small should wait.
pub(crate) const LARGE_PAYLOAD_BYTES: usize = 64 * 1_024;

const _: () = assert!(HEADER_BYTES + META_BYTES_MAX + PAYLOAD_BYTES_MAX <= COLLECTED_BYTES_MAX);

/// What the handle and the tasks of one connection share.
#[derive(Debug)]
pub(crate) struct Link {
    /// quinn's side of it.
    pub(crate) quinn: quinn::Connection,
    /// Why this side closed it, if it did.
    pub(crate) local: OnceLock<CloseReason>,
    /// Bytes that still fit in the outboxes.
    pub(crate) outbox_room: Semaphore,
    /// What QUIC last said of the round trip.
    rtt_nanos: AtomicU64,
}

impl Link {
    pub(crate) fn new(quinn: quinn::Connection) -> Self {
        let rtt_nanos = AtomicU64::new(nanos(quinn.rtt()));
        Self {
            quinn,
            rtt_nanos,
            local: OnceLock::new(),
            outbox_room: Semaphore::new(OUTBOX_BYTES_MAX),
        }
    }

    /// Asks QUIC for the round trip.
    fn look_at_rtt(&self) {
        self.rtt_nanos.store(nanos(self.quinn.rtt()), Ordering::Relaxed);
    }

    /// What it was when somebody looked.
    pub(crate) fn rtt(&self) -> Duration {
        Duration::from_nanos(self.rtt_nanos.load(Ordering::Relaxed))
    }

    /// Closes the connection; the first call decides the code and the reason.
    pub(crate) fn close(&self, code: CloseCode, reason: &str) {
        if self.local.set(CloseReason::local(code, reason)).is_ok() {
            self.quinn.close(code.to_varint(), clip(reason).as_bytes());
        }
        self.outbox_room.close();
    }
}

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

/// Opens a lane and says its version.
pub(crate) async fn open_lane(quinn: &quinn::Connection) -> Result<SendStream, WriteError> {
    let mut stream = quinn.open_uni().await?;
    stream.write_all(&[LANE_VERSION]).await?;
    Ok(stream)
}
