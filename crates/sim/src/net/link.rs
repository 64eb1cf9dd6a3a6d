//! One end of a link, as the node sees it.

use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::Duration;

use atoll_protocol::frame::Frame;
use atoll_protocol::identity::Identity;
use atoll_protocol::wire::{self, Kind, PeerRequest};
use atoll_quic::PathStatistics;
use atolldb::env::BoxFuture;
use atolldb::net::{Link, LinkClose, Protocol, SendFailure};
use bytes::Bytes;

use super::Net;
use super::conditions::Fate;
use super::pair::{End, Pair};
use crate::exec::ProcessId;

/// Frames that may be under way in one direction of a link: the shipped outboxes' size.
const FLYING_MAX: usize = atoll_quic::OUTBOX_FRAMES;

pub(super) struct SimLink {
    net: Net,
    /// The pair, and which of its ends this is.
    end: (u64, usize),
    /// Who is at the other end.
    identity: Identity,
    other: ProcessId,
    protocol: Protocol,
}

impl SimLink {
    pub(super) fn new(
        net: Net,
        end: (u64, usize),
        (identity, other): (Identity, ProcessId),
        protocol: Protocol,
    ) -> Self {
        Self { net, end, identity, other, protocol }
    }
}

impl Net {
    /// Sends a frame from one end on its way.
    pub(super) fn transmit(&self, (id, side): (u64, usize), frame: Frame) {
        let now = self.shared.exec.now().as_nanos();
        let mut state = self.shared.state.lock();
        let Some(pair) = state.pairs.get_mut(&id) else { return };
        let (here, there) = pair.ends_from(side);
        let (from, to) = (here.owner.process, there.owner.process);
        let bytes = frame.encoded_len();
        let fate = self.shared.conditions.lock().fate(from, to, bytes, now);
        match fate {
            Fate::Cut => pair.hold(side, frame),
            Fate::Lost => pair.lose(side),
            Fate::Arrives(delays) => {
                let copies = if may_arrive_twice(&frame) { delays.len() } else { 1 };
                for (copy, delay) in delays.into_iter().take(copies).enumerate() {
                    if copy > 0 {
                        here_flies(pair, side);
                    }
                    let (net, frame) = (self.clone(), frame.clone());
                    self.shared.exec.after(delay, None, move || {
                        net.deliver((id, 1 - side), frame);
                    });
                }
            }
        }
    }

    /// Sends a datagram from one end on its way: nothing keeps it in order, and nothing holds it.
    fn transmit_datagram(&self, (id, side): (u64, usize), datagram: Bytes) {
        let mut state = self.shared.state.lock();
        let Some(pair) = state.pairs.get_mut(&id) else { return };
        let (here, there) = pair.ends_from(side);
        let direction = (here.owner.process, there.owner.process);
        drop(state);
        let net = self.clone();
        let bytes = datagram.len();
        let arrive = move || net.deliver_datagram((id, 1 - side), datagram.clone());
        self.carry(direction, bytes, Arc::new(arrive));
    }

    fn deliver_datagram(&self, (id, side): (u64, usize), datagram: Bytes) {
        let now = self.shared.exec.now();
        let numbers = [id, side as u64, 0, datagram.len() as u64];
        let mut state = self.shared.state.lock();
        let Some(pair) = state.pairs.get_mut(&id) else { return };
        let (here, there) = pair.ends_from(side);
        let direction = (there.owner.process.0, here.owner.process.0);
        self.shared
            .exec
            .notes()
            .note("datagram", numbers, || format!("{} → {}", direction.0, direction.1));
        let waker = pair.arrive_datagram(side, datagram, now);
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Closes one end, and tells the other one if that can be told.
    pub(super) fn close_end(&self, (id, side): (u64, usize), why: &str) {
        let mut state = self.shared.state.lock();
        let Some(pair) = state.pairs.get_mut(&id) else { return };
        let Some(wakers) = pair.close(side, why) else { return };
        let (here, there) = pair.ends_from(side);
        let direction = (here.owner.process, there.owner.process);
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
        let (net, why) = (self.clone(), format!("closed by the peer: {why}"));
        self.travel(direction, move || net.close_end((id, 1 - side), &why));
    }

    fn deliver(&self, (id, side): (u64, usize), frame: Frame) {
        let now = self.shared.exec.now();
        let numbers = [id, side as u64, u64::from(frame.kind), frame.encoded_len() as u64];
        let mut state = self.shared.state.lock();
        let Some(pair) = state.pairs.get_mut(&id) else { return };
        let (here, there) = pair.ends_from(side);
        let direction = (there.owner.process.0, here.owner.process.0);
        self.shared.exec.notes().note("deliver", numbers, || {
            format!("{} → {}: {}", direction.0, direction.1, describe(&frame))
        });
        let wakers = pair.arrive(side, frame, now);
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
    }
}

fn here_flies(pair: &mut Pair, side: usize) {
    pair.ends_from(side).0.flying += 1;
}

/// A frame in words.
pub(crate) fn describe(frame: &Frame) -> String {
    let message = match Kind::from_byte(frame.kind) {
        Some(Kind::Request) => wire::from_frame::<wire::Request>(frame).map(|m| format!("{m:?}")),
        Some(Kind::Reply) => wire::from_frame::<wire::Reply>(frame).map(|m| format!("{m:?}")),
        Some(Kind::PeerRequest) => wire::from_frame::<PeerRequest>(frame).map(|m| format!("{m:?}")),
        Some(Kind::PeerReply) => {
            wire::from_frame::<wire::PeerReply>(frame).map(|m| format!("{m:?}"))
        }
        Some(Kind::PeerNotice) => {
            wire::from_frame::<wire::PeerNotice>(frame).map(|m| format!("{m:?}"))
        }
        None => Ok(format!("kind {}", frame.kind)),
    };
    let text = message.unwrap_or_else(|error| error.to_string());
    let short: String = text.chars().take(200).collect();
    format!("#{} {short}", frame.request)
}

/// Streams of QUIC never deliver twice; notices, replies and reads must survive it all the same, because relays and
/// repairs repeat them. A put must not: it would be a second put.
fn may_arrive_twice(frame: &Frame) -> bool {
    match Kind::from_byte(frame.kind) {
        Some(Kind::PeerNotice | Kind::PeerReply) => true,
        Some(Kind::PeerRequest) => {
            !matches!(wire::from_frame::<PeerRequest>(frame), Ok(PeerRequest::Forward { .. }))
        }
        Some(Kind::Request | Kind::Reply) | None => false,
    }
}

impl SimLink {
    /// Does `act` with this end, if it can still say something.
    fn speak(
        &self,
        act: impl FnOnce(&mut End) -> Result<(), SendFailure>,
    ) -> Result<(), SendFailure> {
        let mut state = self.net.shared.state.lock();
        let Some(pair) = state.pairs.get_mut(&self.end.0) else {
            return Err(SendFailure::Closed);
        };
        let (here, _) = pair.ends_from(self.end.1);
        if !here.speaks() || !self.net.shared.exec.is_alive(here.owner) {
            return Err(SendFailure::Closed);
        }
        act(here)
    }

    /// What `take` finds next at this end; it keeps the waker where there is nothing yet.
    fn receive<T: 'static>(
        &self,
        take: fn(&mut Pair, usize, &Waker) -> Option<Option<T>>,
    ) -> BoxFuture<'_, Option<T>> {
        Box::pin(std::future::poll_fn(move |context| {
            let mut state = self.net.shared.state.lock();
            let Some(pair) = state.pairs.get_mut(&self.end.0) else {
                return Poll::Ready(None);
            };
            match take(pair, self.end.1, context.waker()) {
                Some(taken) => Poll::Ready(taken),
                None => Poll::Pending,
            }
        }))
    }
}

impl Link for SimLink {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn protocol(&self) -> Protocol {
        self.protocol
    }

    fn remote(&self) -> String {
        Net::address(self.other)
    }

    fn send(&self, frame: Frame) -> Result<(), SendFailure> {
        self.speak(|here| {
            if here.flying >= FLYING_MAX {
                return Err(SendFailure::Full);
            }
            here.flying += 1;
            Ok(())
        })?;
        self.net.transmit(self.end, frame);
        Ok(())
    }

    fn recv(&self) -> BoxFuture<'_, Option<Frame>> {
        self.receive(Pair::receive)
    }

    fn send_datagram(&self, datagram: Bytes) -> Result<(), SendFailure> {
        self.speak(|_| Ok(()))?;
        self.net.transmit_datagram(self.end, datagram);
        Ok(())
    }

    fn recv_datagram(&self) -> BoxFuture<'_, Option<Bytes>> {
        self.receive(Pair::receive_datagram)
    }

    fn path(&self) -> PathStatistics {
        PathStatistics::default()
    }

    fn rtt(&self) -> Duration {
        let mut state = self.net.shared.state.lock();
        let Some(pair) = state.pairs.get_mut(&self.end.0) else { return Duration::ZERO };
        let (here, there) = pair.ends_from(self.end.1);
        let (here, there) = (here.owner.process, there.owner.process);
        drop(state);
        self.net.shared.conditions.lock().rtt(here, there)
    }

    fn is_closed(&self) -> bool {
        let mut state = self.net.shared.state.lock();
        let pair = state.pairs.get_mut(&self.end.0);
        pair.is_none_or(|pair| pair.closed(self.end.1, None).is_some())
    }

    fn close(&self, reason: LinkClose) {
        let why = match reason {
            LinkClose::Shutdown => "the node is shutting down".to_owned(),
            LinkClose::Replaced => "a newer connection took its place".to_owned(),
            LinkClose::Protocol(text) | LinkClose::Denied(text) => text,
        };
        self.net.close_end(self.end, &why);
    }

    fn closed(&self) -> BoxFuture<'_, String> {
        Box::pin(std::future::poll_fn(|context| {
            let mut state = self.net.shared.state.lock();
            let Some(pair) = state.pairs.get_mut(&self.end.0) else {
                return Poll::Ready("over".to_owned());
            };
            match pair.closed(self.end.1, Some(context.waker())) {
                Some(why) => Poll::Ready(why),
                None => Poll::Pending,
            }
        }))
    }
}

impl Drop for SimLink {
    fn drop(&mut self) {
        self.net.close_end(self.end, "dropped");
        let mut state = self.net.shared.state.lock();
        let Some(pair) = state.pairs.get_mut(&self.end.0) else { return };
        pair.abandon(self.end.1);
        let over = if pair.is_over() { state.pairs.remove(&self.end.0) } else { None };
        drop(state);
        drop(over);
    }
}
