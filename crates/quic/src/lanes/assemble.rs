//! Cuts a stream of bytes into frames.
//!
//! Pure: it is fed the chunks of one lane as they come, in any sizes, and owns no stream. `reader.rs` drives it:
//!
//! 1. Collect the 32 bytes of a header and decode it, which checks version, flags and lengths.
//! 2. Stop at [`Progress::Announced`]: the caller obtains room for the body before anything is allocated.
//! 3. Collect exactly the announced bytes into one allocation of exactly that size, and give out the frame.
//!
//! Invariants
//! - No allocation before its length was checked against the caps of `limits` and the caller made room.
//! - A frame owns its bytes: it never keeps the (larger) packets alive from which it was cut.
//! - Never panics, whatever the bytes are.

use atoll_protocol::frame::{Frame, FrameError, FrameHeader, HEADER_BYTES};
use bytes::{Buf, Bytes};

/// What the bytes so far amount to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// The chunk is used up.
    Hungry,
    /// A header came with this many bytes to follow; call again once there is room for them.
    Announced(usize),
    /// A whole frame.
    Complete(Frame),
}

/// The state between chunks of one lane.
#[derive(Debug, Default)]
pub(crate) struct Assembler {
    state: State,
}

#[derive(Debug)]
enum State {
    /// Fewer than [`HEADER_BYTES`] bytes of a header.
    Header(Vec<u8>),
    /// A header whose body has no room yet.
    Announced(FrameHeader),
    /// A header and the beginning of its body.
    Body(FrameHeader, Vec<u8>),
}

impl Assembler {
    /// Consumes bytes from the front of `chunk` until it is empty or something is to be reported.
    ///
    /// # Errors
    /// [`FrameError`] when a header is not acceptable; the lane cannot be read any further.
    pub(crate) fn advance(&mut self, chunk: &mut Bytes) -> Result<Progress, FrameError> {
        match std::mem::take(&mut self.state) {
            State::Header(begun) => self.advance_header(begun, chunk),
            State::Announced(header) => {
                let body = Vec::with_capacity(header.body_length());
                Ok(self.advance_body(header, body, chunk))
            }
            State::Body(header, body) => Ok(self.advance_body(header, body, chunk)),
        }
    }

    /// True at a frame boundary, where a lane may end.
    pub(crate) fn is_between_frames(&self) -> bool {
        matches!(&self.state, State::Header(begun) if begun.is_empty())
    }

    fn advance_header(
        &mut self,
        mut begun: Vec<u8>,
        chunk: &mut Bytes,
    ) -> Result<Progress, FrameError> {
        let header = match chunk.first_chunk::<HEADER_BYTES>() {
            Some(whole) if begun.is_empty() => {
                let header = FrameHeader::decode(whole)?;
                chunk.advance(HEADER_BYTES);
                header
            }
            Some(_) | None => {
                let missing = HEADER_BYTES - begun.len();
                begun.extend_from_slice(&chunk.split_to(missing.min(chunk.len())));
                let Some(whole) = begun.first_chunk::<HEADER_BYTES>() else {
                    self.state = State::Header(begun);
                    return Ok(Progress::Hungry);
                };
                FrameHeader::decode(whole)?
            }
        };
        self.state = State::Announced(header);
        Ok(Progress::Announced(header.body_length()))
    }

    fn advance_body(
        &mut self,
        header: FrameHeader,
        mut body: Vec<u8>,
        chunk: &mut Bytes,
    ) -> Progress {
        let missing = header.body_length() - body.len();
        body.extend_from_slice(&chunk.split_to(missing.min(chunk.len())));
        if body.len() < header.body_length() {
            self.state = State::Body(header, body);
            return Progress::Hungry;
        }
        Progress::Complete(Frame::from_parts(header, Bytes::from(body)))
    }
}

impl Default for State {
    fn default() -> Self {
        Self::Header(Vec::new())
    }
}
