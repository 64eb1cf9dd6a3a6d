//! The frame: fixed header, meta part, payload part.
//!
//! Everything that crosses a connection is a frame. The meta part is a message in the control-plane codec
//! (`codec.rs`); the payload part is raw bytes (a value or an encoded record), so that values are never copied
//! through a serializer.
//!
//! ```text
//! offset size field            all integers little-endian
//!      0    1 version          FRAME_VERSION
//!      1    1 kind             message kind, see `wire`
//!      2    2 flags            reserved, 0
//!      4    4 meta_length      bytes, at most META_BYTES_MAX
//!      8    4 payload_length   bytes, at most PAYLOAD_BYTES_MAX
//!     12    4 budget           remaining time of the request in microseconds; 0 = none
//!     16    8 request          id chosen by the sender of the request; the reply repeats it
//!     24    8 epoch            topology epoch of the sender
//!     32    … meta, then payload
//! ```
//!
//! Invariants
//! - A length is checked against its cap before anything is allocated.
//! - The decoder never panics and never reads past the bytes that the header announces.
//!
//! QUIC authenticates every packet, so the frame has no checksum of its own.

use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::ids::Epoch;
use crate::limits::{META_BYTES_MAX, PAYLOAD_BYTES_MAX};

/// Version of the frame layout.
pub const FRAME_VERSION: u8 = 1;

/// Length of the fixed header, in bytes.
pub const HEADER_BYTES: usize = 32;

// One copy of the layout above; lengths fit their fields.
const _: () = assert!(HEADER_BYTES == 1 + 1 + 2 + 4 + 4 + 4 + 8 + 8);
const _: () = assert!(META_BYTES_MAX <= u32::MAX as usize);
const _: () = assert!(PAYLOAD_BYTES_MAX <= u32::MAX as usize);

/// The fixed header of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHeader {
    /// Message kind; `wire` gives the numbers their meaning.
    pub kind: u8,
    /// Length of the meta part in bytes.
    pub meta_length: u32,
    /// Length of the payload part in bytes.
    pub payload_length: u32,
    /// Remaining time of the request; `None` when it has no deadline.
    pub budget: Option<Duration>,
    /// Request id; replies repeat it.
    pub request: u64,
    /// Topology epoch of the sender.
    pub epoch: Epoch,
}

/// One message on a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Message kind.
    pub kind: u8,
    /// Remaining time of the request.
    pub budget: Option<Duration>,
    /// Request id; replies repeat it.
    pub request: u64,
    /// Topology epoch of the sender.
    pub epoch: Epoch,
    /// Encoded message.
    pub meta: Bytes,
    /// Raw bytes that belong to the message.
    pub payload: Bytes,
}

/// Why bytes are not a frame. The connection that sent them is closed with this text as the reason.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Another version of the layout.
    #[error("frame version {got} is not supported (this side speaks {FRAME_VERSION})")]
    Version {
        /// The version byte that was received.
        got: u8,
    },
    /// Reserved flags are set.
    #[error("frame flags {got:#06x} are reserved and must be 0")]
    Flags {
        /// The flags that were received.
        got: u16,
    },
    /// A part is longer than its cap.
    #[error("frame {part} of {got} bytes exceeds the limit of {limit}")]
    TooLarge {
        /// `meta` or `payload`.
        part: &'static str,
        /// The announced length in bytes.
        got: usize,
        /// The cap in bytes.
        limit: usize,
    },
}

impl FrameHeader {
    /// Reads a header and checks its version, flags and lengths.
    ///
    /// # Errors
    /// [`FrameError`] names the first field that is not acceptable.
    pub fn decode(bytes: &[u8; HEADER_BYTES]) -> Result<Self, FrameError> {
        let mut buf = &bytes[..];
        let version = buf.get_u8();
        if version != FRAME_VERSION {
            return Err(FrameError::Version { got: version });
        }
        let kind = buf.get_u8();
        let flags = buf.get_u16_le();
        if flags != 0 {
            return Err(FrameError::Flags { got: flags });
        }
        let meta_length = checked_length("meta", buf.get_u32_le(), META_BYTES_MAX)?;
        let payload_length = checked_length("payload", buf.get_u32_le(), PAYLOAD_BYTES_MAX)?;
        let budget_micros = buf.get_u32_le();
        let request = buf.get_u64_le();
        let epoch = Epoch(buf.get_u64_le());
        debug_assert!(buf.is_empty(), "the fields fill the header");
        let budget = (budget_micros != 0).then(|| Duration::from_micros(u64::from(budget_micros)));
        Ok(Self { kind, meta_length, payload_length, budget, request, epoch })
    }

    /// Bytes that follow the header.
    pub fn body_length(&self) -> usize {
        self.meta_length as usize + self.payload_length as usize
    }
}

fn checked_length(part: &'static str, got: u32, limit: usize) -> Result<u32, FrameError> {
    if got as usize > limit {
        return Err(FrameError::TooLarge { part, got: got as usize, limit });
    }
    Ok(got)
}

impl Frame {
    /// Puts the parts that followed `header` together.
    ///
    /// # Panics
    /// If `body` is not exactly [`FrameHeader::body_length`] bytes long: the reader's mistake.
    pub fn from_parts(header: FrameHeader, mut body: Bytes) -> Self {
        assert_eq!(body.len(), header.body_length(), "the reader cuts bodies by the header");
        let meta = body.split_to(header.meta_length as usize);
        Self {
            kind: header.kind,
            budget: header.budget,
            request: header.request,
            epoch: header.epoch,
            meta,
            payload: body,
        }
    }

    /// Encodes the header alone; meta and payload follow it on the wire.
    ///
    /// # Panics
    /// If a part is longer than its cap: messages are bounded before they are framed.
    pub fn encode_header(&self) -> [u8; HEADER_BYTES] {
        assert!(self.meta.len() <= META_BYTES_MAX, "meta is bounded before it is framed");
        assert!(self.payload.len() <= PAYLOAD_BYTES_MAX, "payload is bounded before it is framed");
        debug_assert_eq!(self.budget.is_none(), self.budget_micros() == 0, "0 means no budget");
        let mut bytes = [0u8; HEADER_BYTES];
        let mut buf = &mut bytes[..];
        buf.put_u8(FRAME_VERSION);
        buf.put_u8(self.kind);
        buf.put_u16_le(0);
        buf.put_u32_le(u32::try_from(self.meta.len()).unwrap_or(u32::MAX));
        buf.put_u32_le(u32::try_from(self.payload.len()).unwrap_or(u32::MAX));
        buf.put_u32_le(self.budget_micros());
        buf.put_u64_le(self.request);
        buf.put_u64_le(self.epoch.0);
        debug_assert!(buf.is_empty(), "the fields fill the header");
        bytes
    }

    /// Appends the whole frame to `out`.
    pub fn encode_into(&self, out: &mut BytesMut) {
        out.reserve(self.encoded_len());
        out.put_slice(&self.encode_header());
        out.put_slice(&self.meta);
        out.put_slice(&self.payload);
    }

    /// Length on the wire in bytes.
    pub fn encoded_len(&self) -> usize {
        HEADER_BYTES + self.meta.len() + self.payload.len()
    }

    /// The budget as the header carries it: a budget below a microsecond still counts as one, because 0 means none.
    fn budget_micros(&self) -> u32 {
        match self.budget {
            None => 0,
            Some(left) => u32::try_from(left.as_micros()).unwrap_or(u32::MAX).max(1),
        }
    }
}

#[cfg(test)]
mod tests;
