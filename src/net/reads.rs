//! Reads of peers: calls that are timed, counted while they are under way, and called off on the wire.
//!
//! 1. [`Peers::begin_read`] sends the request. Whoever receives the answer hands it on at once.
//! 2. How long the answer took goes to the peer's statistics (`latency.rs`); so does how long a read had taken when it
//!    was called off or its deadline passed.
//! 3. [`ReadCall::call_off`] forgets the call and sends a cancel frame, which may overtake the request.
//!
//! Invariants
//! - A read is under way exactly while it is among the calls: it is answered, or its link breaks, or its [`ReadCall`] is
//!   dropped or called off. Dropping sends nothing.
//! - The answer is handed on at most once, and never after the `ReadCall` was dropped.

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use atoll_protocol::frame::Frame;
use atoll_protocol::ids::NodeIndex;
use atoll_protocol::time::MonoTime;
use atoll_protocol::wire::{self, Envelope, PeerNotice, PeerReply, PeerRequest};
use bytes::Bytes;

use super::Link;
use super::calls::CallError;
use super::peers::Peers;

/// A read under way. It is forgotten when this is dropped.
pub struct ReadCall {
    peers: Arc<Peers>,
    to: NodeIndex,
    id: u64,
    began: MonoTime,
    deadline: MonoTime,
    link: Arc<dyn Link>,
}

/// What came of a read: the answer and its payload, or [`CallError::Lost`] or [`CallError::Malformed`].
pub type ReadAnswer = Result<(PeerReply, Bytes), CallError>;

impl Peers {
    /// Sends a read; `then` is called with the answer, by whoever receives it, and must not wait. It is called past the deadline
    /// as well: whoever reads has a timer already, and drops the call.
    ///
    /// # Errors
    /// [`CallError::NotSent`].
    pub fn begin_read(
        self: &Arc<Self>,
        to: NodeIndex,
        request: &PeerRequest,
        deadline: MonoTime,
        then: impl FnOnce(ReadAnswer) + Send + 'static,
    ) -> Result<ReadCall, CallError> {
        let open = self.newest(to).ok_or(CallError::NotSent)?;
        let reads = self.reads_of(to).ok_or(CallError::NotSent)?;
        let began = self.env.mono();
        let peers = self.clone();
        reads.begin();
        let id = self
            .calls
            .register(open.id, Box::new(move |frame| then(peers.read_over((to, began), frame))));
        // From here on dropping `call` undoes both.
        let call = ReadCall { peers: self.clone(), to, id, began, deadline, link: open.link };
        let envelope =
            Envelope { request: id, epoch: self.epoch, budget: Some(deadline.since(began)) };
        let frame =
            wire::to_frame(request, Bytes::new(), envelope).map_err(|_| CallError::NotSent)?;
        call.link.send(frame).map_err(|_| CallError::NotSent)?;
        Ok(call)
    }

    /// The read of `to` is over that was sent at `began`.
    fn read_over(&self, (to, began): (NodeIndex, MonoTime), frame: Option<Frame>) -> ReadAnswer {
        if let Some(reads) = self.reads_of(to) {
            reads.end();
        }
        let frame = frame.ok_or(CallError::Lost)?;
        self.note_read(to, began);
        let reply = wire::from_frame(&frame).map_err(|_| CallError::Malformed)?;
        Ok((reply, frame.payload))
    }

    /// Time within which 99 of 100 reads of `peer` are answered, once enough are known.
    pub fn read_p99(&self, peer: NodeIndex) -> Option<Duration> {
        self.reads_of(peer)?.p99()
    }

    /// What another read of `peer` would cost; to be compared among peers of one datacenter.
    pub fn read_cost(&self, peer: NodeIndex) -> Duration {
        let rtt = self.rtt(peer).unwrap_or(Duration::MAX);
        match self.reads_of(peer) {
            Some(reads) => reads.cost(rtt, self.env.mono()),
            None => Duration::MAX,
        }
    }
}

impl ReadCall {
    /// Tells the peer that nobody waits for the answer any more, unless it has come.
    pub fn call_off(self) {
        let peers = &self.peers;
        if !self.forget() {
            return;
        }
        peers.note_read(self.to, self.began);
        let notice = PeerNotice::Cancel { request: self.id };
        let envelope = Envelope { request: 0, epoch: peers.epoch, budget: None };
        let Ok(frame) = wire::to_frame(&notice, Bytes::new(), envelope) else { return };
        if let Err(error) = self.link.send(frame) {
            // The peer answers for nothing.
            tracing::debug!(peer = ?self.to, %error, "cancel not sent");
        }
    }

    /// Ends the read; false if it was over.
    fn forget(&self) -> bool {
        let was_under_way = self.peers.calls.forget(self.id);
        if was_under_way && let Some(reads) = self.peers.reads_of(self.to) {
            reads.end();
        }
        was_under_way
    }
}

impl Drop for ReadCall {
    fn drop(&mut self) {
        if self.forget() && self.peers.env.mono() >= self.deadline {
            self.peers.note_read(self.to, self.began);
        }
    }
}
