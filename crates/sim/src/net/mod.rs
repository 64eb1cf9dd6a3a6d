//! The network of the first tier: connections that carry frames, as the node's own traits describe them.
//!
//! A link is a pair of ends. What is sent at one end arrives at the other after the latency of its direction
//! (`conditions.rs`), in no order: all that [`Link`] promises, and no more.
//! Harsher than QUIC: a frame may be lost or arrive twice while its link lives.
//!
//! 1. [`NodeTransport::connect`] sends a greeting; the listener that hears it has the link in its accept queue.
//! 2. A frame into a cut waits; it is delivered some time after the cut ends, if the link has lived so long.
//! 3. A link whose other end has not been heard for [`IDLE_TIMEOUT`] closes: the other process is dead, standing
//!    still, or cut off.
//!
//! Invariants
//! - Only frames that a node must be able to take twice are delivered twice: never a client's, never a forwarded put.
//! - A dead process says nothing: its links just fall silent.

mod conditions;
mod link;
mod pair;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::Duration;

use atoll_protocol::identity::Identity;
use atolldb::env::BoxFuture;
use atolldb::net::{ConnectFailure, Link, PeerAddress, Protocol, Transport};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::exec::{Exec, Owner, ProcessId};

pub use conditions::{Effect, FaultId, Trouble};

use conditions::{Conditions, Fate};
use link::SimLink;
use pair::{End, Hearing, Pair};

/// Silence after which a link closes: the shipped transport's.
const IDLE_TIMEOUT: Duration = atoll_quic::IDLE_TIMEOUT;

/// How often a link looks whether the other end is still there: the shipped transport's keep-alive.
const KEEP_ALIVE: Duration = atoll_quic::KEEP_ALIVE;

/// The network. Cheap to clone.
#[derive(Clone)]
pub struct Net {
    shared: Arc<Shared>,
}

struct Shared {
    exec: Exec,
    conditions: Mutex<Conditions>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    next: u64,
    pairs: BTreeMap<u64, Pair>,
    listeners: BTreeMap<ProcessId, Listener>,
}

/// A process that accepts connections.
struct Listener {
    owner: Owner,
    identity: Identity,
    queue: VecDeque<Arc<dyn Link>>,
    waker: Option<Waker>,
    is_closed: bool,
}

/// Connects a client to a node.
pub trait Dial: Send + Sync + 'static {
    /// A link to the node of this number; pending for ever if it does not answer.
    fn dial(&self, to: ProcessId) -> BoxFuture<'static, Option<Arc<dyn Link>>>;
}

/// One process's access to the network, as a node sees it.
pub struct NodeTransport {
    net: Net,
    owner: Owner,
    identity: Identity,
}

impl Net {
    /// A network between processes of which the datacenter is known, `rtt` apart.
    pub fn new(exec: Exec, seed: u64, dcs: Vec<usize>, rtt: Duration) -> Self {
        let conditions = Mutex::new(Conditions::new(seed, dcs, rtt));
        Self { shared: Arc::new(Shared { exec, conditions, state: Mutex::default() }) }
    }

    /// The address of a process.
    pub fn address(process: ProcessId) -> String {
        format!("10.0.0.{}:7400", process.0 + 1)
    }

    /// The process at an address.
    pub fn process_at(address: &str) -> Option<ProcessId> {
        let host = address.split(':').next()?;
        let last: usize = host.rsplit('.').next()?.parse().ok()?;
        last.checked_sub(1).map(ProcessId)
    }

    /// Access for a process that also accepts connections.
    pub fn listen(&self, owner: Owner, identity: Identity) -> NodeTransport {
        let listener = Listener {
            owner,
            identity: identity.clone(),
            queue: VecDeque::new(),
            waker: None,
            is_closed: false,
        };
        self.shared.state.lock().listeners.insert(owner.process, listener);
        NodeTransport { net: self.clone(), owner, identity }
    }

    /// Puts a fault in force.
    pub fn set(&self, id: FaultId, trouble: Trouble) {
        self.shared.conditions.lock().set(id, trouble);
    }

    /// Ends a fault; what waited for a cut is on its way again.
    pub fn clear(&self, id: FaultId) {
        self.shared.conditions.lock().clear(id);
        self.release();
    }

    /// Ends every fault.
    pub fn heal(&self) {
        self.shared.conditions.lock().heal();
        self.release();
    }

    /// A process died: its ends fall silent.
    pub fn forget(&self, process: ProcessId) {
        let mut state = self.shared.state.lock();
        let listener = state.listeners.remove(&process);
        let mut dropped = Vec::new();
        for pair in state.pairs.values_mut() {
            dropped.extend(pair.vanish(process));
        }
        let over: Vec<u64> =
            state.pairs.iter().filter(|(_, pair)| pair.is_over()).map(|(id, _)| *id).collect();
        let over: Vec<_> = over.into_iter().map(|id| state.pairs.remove(&id)).collect();
        drop(state);
        drop((listener, over, dropped));
    }

    /// Other processes of which an open link to this one's listener or from its dialler stands, clients left out.
    pub fn peers_of(&self, process: ProcessId) -> usize {
        let state = self.shared.state.lock();
        let others = state.pairs.values().filter_map(|pair| pair.other_of(process));
        let peers: std::collections::BTreeSet<ProcessId> =
            others.filter(|other| state.listeners.contains_key(other)).collect();
        peers.len()
    }

    /// Whether hardly anything gets through between two processes, one way or the other, or only late.
    pub fn is_troubled(&self, a: ProcessId, b: ProcessId) -> bool {
        let conditions = self.shared.conditions.lock();
        conditions.is_troubled(a, b) || conditions.is_troubled(b, a)
    }

    /// What the network did to frames, by kind.
    pub fn injected(&self) -> BTreeMap<&'static str, u64> {
        self.shared.conditions.lock().injected.clone()
    }

    /// Decides what becomes of a datagram and has `arrive` called each time that it arrives.
    pub fn carry(
        &self,
        (from, to): (ProcessId, ProcessId),
        bytes: usize,
        arrive: Arc<dyn Fn() + Send + Sync>,
    ) {
        let now = self.shared.exec.now().as_nanos();
        let fate = self.shared.conditions.lock().fate(from, to, bytes, now);
        if let Fate::Arrives(delays) = fate {
            for delay in delays {
                let arrive = Arc::clone(&arrive);
                self.shared.exec.after(delay, None, move || arrive());
            }
        }
    }

    /// Connects `owner` to the listener at `to`; never resolves if nobody answers.
    pub fn dial(
        &self,
        (owner, identity): (Owner, Identity),
        to: ProcessId,
        protocol: Protocol,
    ) -> BoxFuture<'static, Arc<dyn Link>> {
        let (answer, answered) = oneshot::channel();
        let net = self.clone();
        self.shared.exec.notes().note(
            "dial",
            [owner.process.0 as u64, to.0 as u64, 0, 0],
            String::new,
        );
        self.travel((owner.process, to), move || {
            let Some((theirs, ours)) = net.open((owner, identity), to, protocol) else { return };
            let back = net.clone();
            net.travel((to, owner.process), move || {
                back.enqueue(to, theirs);
                // Whoever dialled may have given up; then the link is dropped, and closes.
                let _ = answer.send(ours);
            });
        });
        Box::pin(async move {
            match answered.await {
                Ok(link) => link as Arc<dyn Link>,
                Err(_) => std::future::pending().await,
            }
        })
    }

    /// Carries out `then` when a packet has gone this way; never if it does not arrive.
    fn travel(&self, (from, to): (ProcessId, ProcessId), then: impl FnOnce() + Send + 'static) {
        let now = self.shared.exec.now().as_nanos();
        let fate = self.shared.conditions.lock().fate(from, to, 1_200, now);
        if let Fate::Arrives(delays) = fate
            && let Some(first) = delays.first()
        {
            self.shared.exec.after(*first, None, then);
        }
    }

    /// Makes a pair between a dialler and a listener: the listener's end, and the dialler's.
    fn open(
        &self,
        (owner, identity): (Owner, Identity),
        to: ProcessId,
        protocol: Protocol,
    ) -> Option<(Arc<SimLink>, Arc<SimLink>)> {
        let now = self.shared.exec.now();
        let mut state = self.shared.state.lock();
        let listener = state.listeners.get(&to).filter(|listener| !listener.is_closed)?;
        let (their_owner, their_identity) = (listener.owner, listener.identity.clone());
        if !self.shared.exec.is_alive(owner) || !self.shared.exec.is_alive(their_owner) {
            return None;
        }
        state.next += 1;
        let id = state.next;
        state.pairs.insert(id, Pair::new([End::new(owner, now), End::new(their_owner, now)]));
        drop(state);
        self.watch(id);
        let link = |side, identity, other| {
            Arc::new(SimLink::new(self.clone(), (id, side), (identity, other), protocol))
        };
        Some((link(1, identity, owner.process), link(0, their_identity, to)))
    }

    fn enqueue(&self, to: ProcessId, link: Arc<SimLink>) {
        let mut state = self.shared.state.lock();
        let waker = match state.listeners.get_mut(&to) {
            Some(listener) if !listener.is_closed => {
                listener.queue.push_back(link);
                listener.waker.take()
            }
            _ => None,
        };
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Looks at a pair every [`KEEP_ALIVE`] until it is over.
    fn watch(&self, id: u64) {
        let net = self.clone();
        self.shared.exec.after(KEEP_ALIVE, None, move || {
            if net.look(id) {
                net.watch(id);
            }
        });
    }

    /// Notes which end was heard, closes the one that has heard nothing for too long; false if both are closed.
    fn look(&self, id: u64) -> bool {
        let now = self.shared.exec.now();
        let mut state = self.shared.state.lock();
        let Some(pair) = state.pairs.get_mut(&id) else { return false };
        let mut wakers = Vec::new();
        for side in 0..2 {
            let (here, there) = pair.ends_from(side);
            let (own, other) = (here.owner, there.owner);
            let can_hear = there.speaks()
                && self.shared.exec.is_alive(other)
                && !self.shared.exec.is_paused(other.process)
                && !self.shared.conditions.lock().is_cut(other.process, own.process);
            let hearing = if can_hear { Hearing::Clear } else { Hearing::Silence };
            wakers.extend(pair.hear(side, hearing, now, IDLE_TIMEOUT));
        }
        let is_silent = pair.is_silent();
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
        !is_silent
    }

    /// Sends on what waited for cuts that are over.
    fn release(&self) {
        let mut freed = Vec::new();
        {
            let mut state = self.shared.state.lock();
            let conditions = self.shared.conditions.lock();
            for (id, pair) in &mut state.pairs {
                for side in 0..2 {
                    let (here, there) = pair.ends_from(side);
                    if !conditions.is_cut(here.owner.process, there.owner.process) {
                        freed
                            .extend(pair.take_held(side).into_iter().map(|held| (*id, side, held)));
                    }
                }
            }
        }
        for (id, side, frame) in freed {
            self.transmit((id, side), frame);
        }
    }
}

impl Transport for NodeTransport {
    fn connect(&self, to: PeerAddress) -> BoxFuture<'_, Result<Arc<dyn Link>, ConnectFailure>> {
        let Some(process) = Net::process_at(&to.address) else {
            let detail = format!("{} is no address of this world", to.address);
            return Box::pin(async { Err(ConnectFailure { detail }) });
        };
        let link = self.net.dial((self.owner, self.identity.clone()), process, Protocol::Peer);
        Box::pin(async move {
            let link = link.await;
            if *link.identity() == to.identity {
                return Ok(link);
            }
            Err(ConnectFailure {
                detail: format!("{} answered, not {}", link.identity(), to.identity),
            })
        })
    }

    fn accept(&self) -> BoxFuture<'_, Option<Arc<dyn Link>>> {
        Box::pin(std::future::poll_fn(|context| {
            let mut state = self.net.shared.state.lock();
            let Some(listener) = state.listeners.get_mut(&self.owner.process) else {
                return Poll::Ready(None);
            };
            if listener.owner != self.owner || listener.is_closed {
                return Poll::Ready(None);
            }
            match listener.queue.pop_front() {
                Some(link) => Poll::Ready(Some(link)),
                None => {
                    listener.waker = Some(context.waker().clone());
                    Poll::Pending
                }
            }
        }))
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        let mut state = self.net.shared.state.lock();
        let mut woken = None;
        if let Some(listener) = state.listeners.get_mut(&self.owner.process) {
            listener.is_closed = true;
            woken = listener.waker.take();
        }
        let ends: Vec<(u64, usize)> = state
            .pairs
            .iter()
            .flat_map(|(id, pair)| pair.sides_of(self.owner).map(|side| (*id, side)))
            .collect();
        drop(state);
        if let Some(waker) = woken {
            waker.wake();
        }
        for end in ends {
            self.net.close_end(end, "the endpoint was closed");
        }
        Box::pin(std::future::ready(()))
    }
}

#[cfg(test)]
mod tests;
