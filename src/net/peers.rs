//! The peers of a node: who is connected, and how to send to them.
//!
//! One slot per node of the topology. A slot usually has one link; it has two for a while when both ends dialled at
//! once, and the newest is used for sending.
//!
//! 1. `links.rs` adopts links as they are made and drops them as they break.
//! 2. [`Peers::send`] queues a notice, [`Peers::call`] a request whose reply it waits for.
//! 3. A peer that shows a new boot id was restarted: its older links are closed at once instead of timing out.
//!
//! Invariants
//! - A peer is alive exactly while it has an open link and is not convicted; losing the last one is reported once.
//! - The first word on a new link ends a conviction: whoever speaks is alive.
//! - No lock is held across an await.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use atoll_protocol::frame::{Frame, HEADER_BYTES};
use atoll_protocol::ids::{Epoch, NodeIndex};
use atoll_protocol::put::Liveness;
use atoll_protocol::time::MonoTime;
use atoll_protocol::wire::{self, Envelope, PeerNotice, PeerReply, PeerRequest, cut_reason};
use atoll_quic::PathStatistics;
use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::calls::{CallError, Calls, LinkId};
use super::latency::ReadLatency;
use super::standing::{AtomicJudgement, Judgement, Word};
use super::{Link, LinkClose, SendFailure};
use crate::env::Env;

/// All peers of one node.
pub struct Peers {
    pub(super) env: Env,
    pub(super) epoch: Epoch,
    pub(super) calls: Calls,
    pub(super) slots: Vec<Slot>,
}

pub(super) struct Slot {
    state: Mutex<SlotState>,
    /// Told whenever a link is adopted or dropped.
    changed: Notify,
    /// When the last frame or datagram came, in nanoseconds of `MonoTime`.
    pub(super) heard_nanos: AtomicU64,
    reads: ReadLatency,
    /// What failure detection makes of it.
    pub(super) judgement: AtomicJudgement,
}

struct SlotState {
    /// Open links, the newest last.
    links: Vec<OpenLink>,
    next_id: u64,
    since: MonoTime,
    was_connected: WasConnected,
    trouble: String,
}

#[derive(Clone)]
pub(super) struct OpenLink {
    pub(super) id: LinkId,
    pub(super) link: Arc<dyn Link>,
    boot: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WasConnected {
    Never,
    Once,
}

/// A peer's connection, for `atoll status`.
#[derive(Clone, Debug)]
pub struct PeerState {
    /// Whether it can be asked.
    pub liveness: Liveness,
    /// Smoothed round-trip time while connected.
    pub rtt: Option<Duration>,
    /// What went over its links, and what the path did to our packets, while connected.
    pub path: Option<PathStatistics>,
    /// Time since it was last heard.
    pub silent_for: Duration,
    /// How long it has been connected, or not.
    pub since: Duration,
    /// Whether it ever was connected.
    pub ever_connected: bool,
    /// The last thing that went wrong.
    pub trouble: String,
}

/// A peer's answer.
#[derive(Clone, Debug)]
pub struct Answered {
    /// What it says.
    pub reply: PeerReply,
    /// What came with it.
    pub payload: Bytes,
    /// Bytes of both frames.
    pub wire_bytes: usize,
}

/// What is left of a peer's links after one was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterDrop {
    /// Another link is open.
    StillConnected,
    /// That was the last one.
    Disconnected,
}

impl Peers {
    /// Slots for `count` nodes, nobody connected.
    pub fn new(env: Env, epoch: Epoch, count: usize) -> Self {
        let slot = |_| Slot {
            state: Mutex::new(SlotState {
                links: Vec::new(),
                next_id: 0,
                since: env.mono(),
                was_connected: WasConnected::Never,
                trouble: "not connected yet".to_owned(),
            }),
            changed: Notify::new(),
            heard_nanos: AtomicU64::new(0),
            reads: ReadLatency::new(),
            judgement: AtomicJudgement::default(),
        };
        let slots = (0..count).map(slot).collect();
        Self { env, epoch, calls: Calls::default(), slots }
    }

    /// Smoothed round-trip time to `peer`, if it is connected.
    pub fn rtt(&self, peer: NodeIndex) -> Option<Duration> {
        self.newest(peer).map(|open| open.link.rtt())
    }

    /// The state of `peer`'s connection.
    pub fn state(&self, peer: NodeIndex) -> Option<PeerState> {
        let (liveness, newest) = (self.liveness(peer), self.newest(peer));
        let state = self.slots.get(usize::from(peer.0))?.state.lock();
        // Of two links each end may send on another one.
        let paths = state.links.iter().filter(|open| !open.link.is_closed());
        Some(PeerState {
            liveness,
            rtt: newest.as_ref().map(|open| open.link.rtt()),
            path: paths.map(|open| open.link.path()).reduce(|all, path| all + path),
            silent_for: self.env.mono().since(self.last_heard(peer)),
            since: self.env.mono().since(state.since),
            ever_connected: state.was_connected == WasConnected::Once,
            trouble: state.trouble.clone(),
        })
    }

    /// Queues a notice.
    ///
    /// # Errors
    /// [`SendFailure`]; nothing was sent.
    pub fn notify(
        &self,
        to: NodeIndex,
        notice: &PeerNotice,
        payload: Bytes,
    ) -> Result<(), SendFailure> {
        let open = self.newest(to).ok_or(SendFailure::Closed)?;
        let envelope = Envelope { request: 0, epoch: self.epoch, budget: None };
        let frame = wire::to_frame(notice, payload, envelope).map_err(|_| SendFailure::TooLarge)?;
        open.link.send(frame)
    }

    /// Sends a datagram on the newest link; lost if there is none.
    pub fn send_datagram(&self, to: NodeIndex, datagram: Bytes) {
        if let Some(open) = self.newest(to) {
            // It may be lost on the way as well.
            let _ = open.link.send_datagram(datagram);
        }
    }

    /// Sends a request and waits for its reply and the reply's payload.
    ///
    /// # Errors
    /// [`CallError`]; only `NotSent` says that the peer did nothing.
    ///
    /// # Cancellation
    /// Dropping the future forgets the call; the peer may still carry it out.
    pub async fn call(
        &self,
        to: NodeIndex,
        request: &PeerRequest,
        payload: Bytes,
        deadline: MonoTime,
    ) -> Result<(PeerReply, Bytes), CallError> {
        let answered = self.call_counted(to, request, payload, deadline).await?;
        Ok((answered.reply, answered.payload))
    }

    /// What a peer answers to `request`, as `read` understands it, or in words why it does not; these are within the bound of the
    /// wire.
    pub async fn told<T>(
        &self,
        to: NodeIndex,
        request: &PeerRequest,
        deadline: MonoTime,
        read: impl FnOnce(PeerReply) -> Option<T>,
    ) -> Result<T, String> {
        let told = match self.call(to, request, Bytes::new(), deadline).await {
            Ok((PeerReply::Failed(failure), _)) => Err(failure.to_string()),
            Ok((reply, _)) => read(reply).ok_or_else(|| "it answered something else".to_owned()),
            Err(error) => Err(error.to_string()),
        };
        told.map_err(cut_reason)
    }

    /// The same as [`call`](Peers::call), and tells how many bytes went over the wire.
    ///
    /// # Errors
    /// As [`call`](Peers::call).
    ///
    /// # Cancellation
    /// As [`call`](Peers::call).
    pub async fn call_counted(
        &self,
        to: NodeIndex,
        request: &PeerRequest,
        payload: Bytes,
        deadline: MonoTime,
    ) -> Result<Answered, CallError> {
        let open = self.newest(to).ok_or(CallError::NotSent)?;
        let (id, reply) = self.calls.register_waiting(open.id);
        let _forget = Forget { calls: &self.calls, id };
        let budget = Some(deadline.since(self.env.mono()));
        let envelope = Envelope { request: id, epoch: self.epoch, budget };
        let frame = wire::to_frame(request, payload, envelope).map_err(|_| CallError::NotSent)?;
        let sent_bytes = bytes_of(&frame);
        open.link.send(frame).map_err(|_| CallError::NotSent)?;
        let frame = match self.env.until(deadline, reply).await {
            None => return Err(CallError::Deadline),
            Some(Err(_)) => return Err(CallError::Lost),
            Some(Ok(frame)) => frame,
        };
        let reply = wire::from_frame(&frame).map_err(|_| CallError::Malformed)?;
        let wire_bytes = sent_bytes + bytes_of(&frame);
        Ok(Answered { reply, payload: frame.payload, wire_bytes })
    }

    /// Gives a reply to the call that waits for it.
    pub fn complete(&self, reply: Frame) {
        self.calls.complete(reply);
    }

    /// Takes a new link to `peer` into use.
    pub fn adopt(&self, peer: NodeIndex, link: Arc<dyn Link>) -> Option<LinkId> {
        let slot = self.slots.get(usize::from(peer.0))?;
        let mut state = slot.state.lock();
        state.next_id += 1;
        // Ids are unique among all slots: the node index is their low half.
        let id = LinkId((state.next_id << 16) | u64::from(peer.0));
        if state.links.is_empty() {
            state.since = self.env.mono();
            state.was_connected = WasConnected::Once;
        }
        state.links.push(OpenLink { id, link, boot: None });
        drop(state);
        slot.changed.notify_waiters();
        Some(id)
    }

    /// Notes which boot of `peer` is at the other end of `link`, and closes links to other boots. Its first word there
    /// ends a conviction.
    pub fn learn_boot(&self, peer: NodeIndex, link: LinkId, boot: u64) -> Word {
        let Some(slot) = self.slots.get(usize::from(peer.0)) else {
            return Word::Another;
        };
        let mut state = slot.state.lock();
        let mut word = Word::Another;
        if let Some(open) = state.links.iter_mut().find(|open| open.id == link)
            && open.boot.replace(boot).is_none()
        {
            slot.judgement.store(Judgement::Trusted);
            word = Word::First;
        }
        let outdated: Vec<Arc<dyn Link>> = state
            .links
            .iter()
            .filter(|open| open.id < link && open.boot.is_some_and(|other| other != boot))
            .map(|open| open.link.clone())
            .collect();
        drop(state);
        for link in outdated {
            link.close(LinkClose::Replaced);
        }
        word
    }

    /// Forgets a broken link and fails the calls on it.
    pub fn drop_link(&self, peer: NodeIndex, id: LinkId, why: &str) -> AfterDrop {
        self.calls.fail_link(id);
        let Some(slot) = self.slots.get(usize::from(peer.0)) else {
            return AfterDrop::Disconnected;
        };
        let mut state = slot.state.lock();
        state.links.retain(|open| open.id != id);
        why.clone_into(&mut state.trouble);
        let after = if state.links.is_empty() {
            state.since = self.env.mono();
            AfterDrop::Disconnected
        } else {
            AfterDrop::StillConnected
        };
        drop(state);
        slot.changed.notify_waiters();
        after
    }

    /// Notes why connecting to `peer` failed; true if that is news.
    pub fn note_trouble(&self, peer: NodeIndex, detail: &str) -> bool {
        let Some(slot) = self.slots.get(usize::from(peer.0)) else {
            return false;
        };
        let mut state = slot.state.lock();
        let is_news = state.trouble != detail;
        detail.clone_into(&mut state.trouble);
        is_news
    }

    /// Resolves when a link of `peer` is adopted or dropped after this call.
    pub async fn changed(&self, peer: NodeIndex) {
        if let Some(slot) = self.slots.get(usize::from(peer.0)) {
            slot.changed.notified().await;
        }
    }

    /// Closes every link.
    pub fn close_all(&self) {
        for slot in &self.slots {
            let links: Vec<_> = slot.state.lock().links.clone();
            for open in links {
                open.link.close(LinkClose::Shutdown);
            }
        }
    }

    pub(super) fn reads_of(&self, peer: NodeIndex) -> Option<&ReadLatency> {
        Some(&self.slots.get(usize::from(peer.0))?.reads)
    }

    /// A read of `peer` that was sent at `began` is over.
    pub(super) fn note_read(&self, peer: NodeIndex, began: MonoTime) {
        let now = self.env.mono();
        if let Some(reads) = self.reads_of(peer) {
            reads.took(now.since(began), now);
        }
    }

    pub(super) fn newest(&self, peer: NodeIndex) -> Option<OpenLink> {
        let state = self.slots.get(usize::from(peer.0))?.state.lock();
        state.links.iter().rev().find(|open| !open.link.is_closed()).cloned()
    }
}

/// Bytes of a frame on the wire, without those of QUIC.
fn bytes_of(frame: &Frame) -> usize {
    HEADER_BYTES + frame.meta.len() + frame.payload.len()
}

/// Forgets a call when its caller stops waiting, for whatever reason.
struct Forget<'a> {
    calls: &'a Calls,
    id: u64,
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        self.calls.forget(self.id);
    }
}
