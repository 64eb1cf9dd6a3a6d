//! The delay line: datagrams that wait until they are due, in order per link.
//!
//! A pure structure; `socket.rs` owns it behind a lock, feeds it and empties it in time.
//!
//! 1. Each link has a first-in-first-out queue. A batch is due after the link's delay, but never before the batch
//!    ahead of it, so that a rule that gets shorter does not reorder.
//! 2. A full queue drops the newcomer, like a router with a drop-tail queue.
//! 3. The next batch is the earliest head of all links.
//!
//! Invariants
//! - Order per link is the order of pushes.
//! - A link never holds more than [`LINK_BYTES_MAX`] bytes or [`LINK_BATCHES_MAX`] batches.
//!
//! A batch is what one `sendmsg` carries: one datagram, or several of equal size (segmentation offload), of which
//! losses have already been cut out. Keeping batches whole saves one system call per datagram.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use quinn::udp::{EcnCodepoint, Transmit};

/// Most bytes that wait on one link: 1 Gbit/s × 100 ms = 12.5 MB.
pub(crate) const LINK_BYTES_MAX: usize = 16 * 1_024 * 1_024;

/// Most batches that wait on one link: 16 MiB of packets of 1 KiB.
pub(crate) const LINK_BATCHES_MAX: usize = 16 * 1_024;

/// Datagrams to one destination that are sent in one call.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) destination: SocketAddr,
    pub(crate) ecn: Option<EcnCodepoint>,
    pub(crate) contents: Vec<u8>,
    pub(crate) segment_size: Option<usize>,
    pub(crate) source: Option<IpAddr>,
    pub(crate) datagrams: u64,
}

/// What became of a pushed batch.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Pushed {
    /// It waits; its link was empty before, so a timer may have to be set earlier.
    First,
    /// It waits behind others of its link.
    Behind,
    /// Its link is full; it was dropped.
    Overflow,
}

/// What to do next.
#[derive(Debug)]
pub(crate) enum Next {
    /// Send this now.
    Send(Batch),
    /// Wait until then.
    WaitUntil(Instant),
    /// Nothing waits.
    Empty,
}

/// The queues of all links.
#[derive(Debug, Default)]
pub(crate) struct DelayLine {
    links: BTreeMap<SocketAddr, Link>,
}

#[derive(Debug, Default)]
struct Link {
    batches: VecDeque<(Instant, Batch)>,
    bytes: usize,
}

impl Batch {
    /// The batch as quinn's sockets take it.
    pub(crate) fn as_transmit(&self) -> Transmit<'_> {
        Transmit {
            destination: self.destination,
            ecn: self.ecn,
            contents: &self.contents,
            segment_size: self.segment_size,
            src_ip: self.source,
        }
    }
}

impl DelayLine {
    /// Puts `batch` behind the others of its link, to be sent at `due` or when the one ahead of it was, if later.
    pub(crate) fn push(&mut self, due: Instant, batch: Batch) -> Pushed {
        let link = self.links.entry(batch.destination).or_default();
        let bytes = link.bytes + batch.contents.len();
        if bytes > LINK_BYTES_MAX || link.batches.len() >= LINK_BATCHES_MAX {
            return Pushed::Overflow;
        }
        let ahead = link.batches.back().map(|(due, _)| *due);
        link.bytes = bytes;
        link.batches.push_back((ahead.map_or(due, |ahead| ahead.max(due)), batch));
        if ahead.is_none() { Pushed::First } else { Pushed::Behind }
    }

    /// Takes the earliest batch if it is due at `now`.
    pub(crate) fn next(&mut self, now: Instant) -> Next {
        let heads = self
            .links
            .iter()
            .filter_map(|(remote, link)| link.batches.front().map(|(due, _)| (*due, *remote)));
        match heads.min() {
            None => Next::Empty,
            Some((due, _)) if due > now => Next::WaitUntil(due),
            Some((_, remote)) => self.pop(remote).map_or(Next::Empty, Next::Send),
        }
    }

    /// True when batches to `remote` wait.
    pub(crate) fn holds(&self, remote: SocketAddr) -> bool {
        self.links.contains_key(&remote)
    }

    fn pop(&mut self, remote: SocketAddr) -> Option<Batch> {
        let link = self.links.get_mut(&remote)?;
        let (_, batch) = link.batches.pop_front()?;
        link.bytes -= batch.contents.len();
        if link.batches.is_empty() {
            self.links.remove(&remote);
        }
        Some(batch)
    }
}
