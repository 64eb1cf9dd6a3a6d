//! A link's two ends: what is on its way, what waits, and who has heard whom.

use std::collections::VecDeque;
use std::task::Waker;
use std::time::Duration;

use atoll_protocol::frame::Frame;
use atoll_protocol::time::MonoTime;
use bytes::Bytes;

use crate::exec::{Owner, ProcessId};

/// Whether keep-alives of the other end arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hearing {
    Clear,
    Silence,
}

/// Datagrams that wait at one end: the shipped transport's, of the longest ones.
const DATAGRAMS_MAX: usize = atoll_quic::DATAGRAM_BUFFER_BYTES / atoll_quic::DATAGRAM_BYTES_MAX;

pub(super) struct Pair {
    ends: [End; 2],
}

/// One end of a link.
pub(super) struct End {
    pub(super) owner: Owner,
    inbox: VecDeque<Frame>,
    datagrams: VecDeque<Bytes>,
    /// Whoever waits for a datagram.
    datagram_waker: Option<Waker>,
    /// Whoever waits for a frame, or for the end.
    wakers: Vec<Waker>,
    closed: Option<String>,
    /// Its process is dead or has dropped the link: nobody will ever look here again.
    is_gone: bool,
    heard: MonoTime,
    /// Frames sent from here that have not arrived.
    pub(super) flying: usize,
    /// Frames that wait for a cut to end.
    held: VecDeque<Frame>,
}

impl End {
    pub(super) fn new(owner: Owner, now: MonoTime) -> Self {
        Self {
            owner,
            inbox: VecDeque::new(),
            datagrams: VecDeque::new(),
            datagram_waker: None,
            wakers: Vec::new(),
            closed: None,
            is_gone: false,
            heard: now,
            flying: 0,
            held: VecDeque::new(),
        }
    }

    /// Whether keep-alives still come from here.
    pub(super) fn speaks(&self) -> bool {
        self.closed.is_none() && !self.is_gone
    }
}

impl Pair {
    pub(super) fn new(ends: [End; 2]) -> Self {
        Self { ends }
    }

    /// The end of a side, and the other one.
    pub(super) fn ends_from(&mut self, side: usize) -> (&mut End, &mut End) {
        let [first, second] = &mut self.ends;
        if side == 0 { (first, second) } else { (second, first) }
    }

    /// Both ends are closed or dead.
    pub(super) fn is_silent(&self) -> bool {
        self.ends.iter().all(|end| !end.speaks())
    }

    /// Nobody can look at it any more.
    pub(super) fn is_over(&self) -> bool {
        self.ends.iter().all(|end| end.is_gone)
    }

    /// The link of a side was dropped.
    pub(super) fn abandon(&mut self, side: usize) {
        let (here, _) = self.ends_from(side);
        here.is_gone = true;
        here.inbox.clear();
    }

    /// The sides that this life holds open.
    pub(super) fn sides_of(&self, owner: Owner) -> impl Iterator<Item = usize> + '_ {
        let open = move |(_, end): &(usize, &End)| end.owner == owner && end.speaks();
        self.ends.iter().enumerate().filter(open).map(|(side, _)| side)
    }

    /// Who is at the other end of this process's, if both ends are open.
    pub(super) fn other_of(&self, process: ProcessId) -> Option<ProcessId> {
        let [first, second] = &self.ends;
        if !first.speaks() || !second.speaks() {
            return None;
        }
        match (first.owner.process == process, second.owner.process == process) {
            (true, _) => Some(second.owner.process),
            (_, true) => Some(first.owner.process),
            (false, false) => None,
        }
    }

    /// The process is dead; what its ends held is handed out to be dropped.
    pub(super) fn vanish(&mut self, process: ProcessId) -> Vec<Waker> {
        let mut wakers = Vec::new();
        for end in self.ends.iter_mut().filter(|end| end.owner.process == process) {
            end.is_gone = true;
            end.inbox.clear();
            end.datagrams.clear();
            end.held.clear();
            wakers.append(&mut end.wakers);
            wakers.extend(end.datagram_waker.take());
        }
        wakers
    }

    /// A frame arrives at a side; whom to wake.
    pub(super) fn arrive(&mut self, side: usize, frame: Frame, now: MonoTime) -> Vec<Waker> {
        let (here, there) = self.ends_from(side);
        there.flying = there.flying.saturating_sub(1);
        if !here.speaks() {
            return Vec::new();
        }
        here.heard = now;
        here.inbox.push_back(frame);
        std::mem::take(&mut here.wakers)
    }

    /// A datagram arrives at a side; whom to wake.
    pub(super) fn arrive_datagram(
        &mut self,
        side: usize,
        datagram: Bytes,
        now: MonoTime,
    ) -> Option<Waker> {
        let (here, _) = self.ends_from(side);
        if !here.speaks() {
            return None;
        }
        here.heard = now;
        if here.datagrams.len() >= DATAGRAMS_MAX {
            here.datagrams.pop_front();
        }
        here.datagrams.push_back(datagram);
        here.datagram_waker.take()
    }

    /// The next datagram at a side, `None` once it is closed; or the waker is kept.
    pub(super) fn receive_datagram(&mut self, side: usize, waker: &Waker) -> Option<Option<Bytes>> {
        let (here, _) = self.ends_from(side);
        if let Some(datagram) = here.datagrams.pop_front() {
            return Some(Some(datagram));
        }
        if !here.speaks() {
            return Some(None);
        }
        here.datagram_waker = Some(waker.clone());
        None
    }

    /// A frame from a side will never arrive.
    pub(super) fn lose(&mut self, side: usize) {
        let (here, _) = self.ends_from(side);
        here.flying = here.flying.saturating_sub(1);
    }

    /// A frame from a side waits for a cut to end.
    pub(super) fn hold(&mut self, side: usize, held: Frame) {
        let (here, _) = self.ends_from(side);
        here.held.push_back(held);
    }

    /// What waited at a side.
    pub(super) fn take_held(&mut self, side: usize) -> VecDeque<Frame> {
        let (here, _) = self.ends_from(side);
        std::mem::take(&mut here.held)
    }

    /// The next frame at a side, `None` once it is closed; or the waker is kept.
    pub(super) fn receive(&mut self, side: usize, waker: &Waker) -> Option<Option<Frame>> {
        let (here, _) = self.ends_from(side);
        if let Some(frame) = here.inbox.pop_front() {
            return Some(Some(frame));
        }
        if !here.speaks() {
            return Some(None);
        }
        here.wakers.push(waker.clone());
        None
    }

    /// Why a side is closed; or the waker is kept.
    pub(super) fn closed(&mut self, side: usize, waker: Option<&Waker>) -> Option<String> {
        let (here, _) = self.ends_from(side);
        if here.closed.is_none() && !here.is_gone {
            here.wakers.extend(waker.cloned());
            return None;
        }
        Some(here.closed.clone().unwrap_or_else(|| "gone".to_owned()))
    }

    /// Closes a side; whom to wake. `None` if it was closed already.
    pub(super) fn close(&mut self, side: usize, why: &str) -> Option<Vec<Waker>> {
        let (here, _) = self.ends_from(side);
        if !here.speaks() {
            return None;
        }
        here.closed = Some(why.to_owned());
        here.held.clear();
        here.wakers.extend(here.datagram_waker.take());
        Some(std::mem::take(&mut here.wakers))
    }

    /// Notes whether a side hears the other one; closes it after too long a silence. Whom to wake.
    pub(super) fn hear(
        &mut self,
        side: usize,
        hearing: Hearing,
        now: MonoTime,
        patience: Duration,
    ) -> Vec<Waker> {
        let (here, _) = self.ends_from(side);
        if hearing == Hearing::Clear {
            here.heard = now;
        } else if now.since(here.heard) > patience {
            return self.close(side, "timed out").unwrap_or_default();
        }
        Vec::new()
    }
}
