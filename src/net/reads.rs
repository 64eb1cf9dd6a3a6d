//! Reads of peers: calls that are timed, counted while they are under way, and called off on the wire.
//!
//! 1. [`Peers::begin_read`] sends the request and hands out two ends: one to wait with, one to call it off with.
//! 2. How long the answer took goes to the peer's statistics (`latency.rs`); so does how long a read had taken when it
//!    was called off or its deadline passed.
//! 3. [`CallOff::now`] forgets the call and sends a cancel frame, which may overtake the request.
//!
//! Invariants
//! - A read is under way until its waiting end is dropped. Dropping sends nothing.

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use atoll_protocol::frame::Frame;
use atoll_protocol::ids::NodeIndex;
use atoll_protocol::time::MonoTime;
use atoll_protocol::wire::{self, Envelope, PeerNotice, PeerReply, PeerRequest};
use bytes::Bytes;
use tokio::sync::oneshot;

use super::Link;
use super::calls::CallError;
use super::peers::Peers;

/// A read that waits for its answer.
pub struct ReadCall {
    peers: Arc<Peers>,
    to: NodeIndex,
    id: u64,
    began: MonoTime,
    deadline: MonoTime,
    reply: oneshot::Receiver<Frame>,
    timed: Timed,
}

/// Whether it is known how long a read took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Timed {
    NotYet,
    /// Noted, or there is nothing to note: the link broke, or the read was called off, which notes it.
    Over,
}

/// Calls a read off.
pub struct CallOff {
    to: NodeIndex,
    id: u64,
    began: MonoTime,
    link: Arc<dyn Link>,
}

impl Peers {
    /// Sends a read.
    ///
    /// # Errors
    /// [`CallError::NotSent`].
    pub fn begin_read(
        self: &Arc<Self>,
        to: NodeIndex,
        request: &PeerRequest,
        deadline: MonoTime,
    ) -> Result<(ReadCall, CallOff), CallError> {
        let open = self.newest(to).ok_or(CallError::NotSent)?;
        let reads = self.reads_of(to).ok_or(CallError::NotSent)?;
        let began = self.env.mono();
        let (id, reply) = self.calls.register(open.id);
        reads.begin();
        // From here on dropping `call` undoes both.
        let call =
            ReadCall { peers: self.clone(), to, id, began, deadline, reply, timed: Timed::NotYet };
        let envelope =
            Envelope { request: id, epoch: self.epoch, budget: Some(deadline.since(began)) };
        let frame =
            wire::to_frame(request, Bytes::new(), envelope).map_err(|_| CallError::NotSent)?;
        open.link.send(frame).map_err(|_| CallError::NotSent)?;
        Ok((call, CallOff { to, id, began, link: open.link }))
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
    /// Waits for the answer and its payload, past the deadline if need be: whoever reads has a timer already, and drops this.
    ///
    /// # Errors
    /// [`CallError::Lost`] and [`CallError::Malformed`].
    pub async fn answer(mut self) -> Result<(PeerReply, Bytes), CallError> {
        let frame = (&mut self.reply).await;
        self.timed = Timed::Over;
        let frame = frame.map_err(|_| CallError::Lost)?;
        self.peers.note_read(self.to, self.began);
        let reply = wire::from_frame(&frame).map_err(|_| CallError::Malformed)?;
        Ok((reply, frame.payload))
    }
}

impl Drop for ReadCall {
    fn drop(&mut self) {
        self.peers.calls.forget(self.id);
        if let Some(reads) = self.peers.reads_of(self.to) {
            reads.end();
        }
        if self.timed == Timed::NotYet && self.peers.env.mono() >= self.deadline {
            self.peers.note_read(self.to, self.began);
        }
    }
}

impl CallOff {
    /// Tells the peer that nobody waits for the answer any more. The waiting end sees the call as lost.
    pub fn now(self, peers: &Peers) {
        peers.calls.forget(self.id);
        peers.note_read(self.to, self.began);
        let notice = PeerNotice::Cancel { request: self.id };
        let envelope = Envelope { request: 0, epoch: peers.epoch, budget: None };
        let Ok(frame) = wire::to_frame(&notice, Bytes::new(), envelope) else { return };
        if let Err(error) = self.link.send(frame) {
            // The peer answers for nothing.
            tracing::debug!(peer = ?self.to, %error, "cancel not sent");
        }
    }
}
