//! Emulated links: delay, loss and partitions per remote address.
//!
//! Used by `atoll dev` (datacenters on one machine), `atoll demo` and the fault tests of real processes. An endpoint
//! that is given a [`LinkEmulator`] passes every datagram by it (`socket.rs`); an endpoint without one has the plain
//! socket and pays nothing. This module decides, `socket.rs` acts.
//!
//! 1. The table maps a remote address to a [`LinkRule`]; an address without a rule is not touched.
//! 2. On send the socket asks [`LinkEmulator::rule`], and for each datagram of a lossy link [`LinkEmulator::loses`].
//! 3. On receive it asks the same table, so that a block cuts both directions from one side.
//!
//! Invariants
//! - Chance comes from the seed: the same seed and the same order of questions give the same losses.
//! - A rule may change at any time; the next datagram sees it. A blocked link also drops what is still delayed.
//! - Delay is one way and applies to what this endpoint sends: both sides need a rule for a full round trip.
//!
//! The table holds one entry per address that an operator or a test named; nothing that a peer sends makes it grow.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::RwLock;

use crate::chance::Chance;

mod delay;
pub(crate) mod socket;

#[cfg(test)]
mod tests;

/// What happens to datagrams of one link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkRule {
    /// One-way delay of what we send.
    pub delay: Duration,
    /// Share of sent datagrams that are lost, in thousandths; 1 000 and more lose all.
    pub loss_per_mille: u16,
    /// Whether nothing passes in either direction.
    pub blocked: Blocked,
}

/// Whether a link is cut.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Blocked {
    /// Datagrams pass, as delay and loss allow.
    #[default]
    No,
    /// Nothing passes.
    Yes,
}

/// What an emulator did so far, in datagrams.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkCounts {
    /// Sent after a delay.
    pub delayed: u64,
    /// Lost by chance.
    pub lost: u64,
    /// Dropped at a blocked link, in either direction.
    pub blocked: u64,
    /// Dropped because a delay line was full.
    pub overflowed: u64,
}

/// The table of rules, shared by the endpoint and whoever changes it.
#[derive(Debug)]
pub struct LinkEmulator {
    rules: RwLock<BTreeMap<SocketAddr, LinkRule>>,
    chance: Chance,
    delayed: AtomicU64,
    lost: AtomicU64,
    blocked: AtomicU64,
    overflowed: AtomicU64,
}

impl LinkRule {
    /// A link with a one-way delay.
    pub const fn delayed(delay: Duration) -> Self {
        Self { delay, loss_per_mille: 0, blocked: Blocked::No }
    }

    /// A link that is cut.
    pub const fn blocked() -> Self {
        Self { delay: Duration::ZERO, loss_per_mille: 0, blocked: Blocked::Yes }
    }
}

impl LinkEmulator {
    /// An emulator without rules whose losses follow from `seed`.
    pub fn new(seed: u64) -> Self {
        Self {
            rules: RwLock::default(),
            chance: Chance::new(seed),
            delayed: AtomicU64::new(0),
            lost: AtomicU64::new(0),
            blocked: AtomicU64::new(0),
            overflowed: AtomicU64::new(0),
        }
    }

    /// Sets the rule of the link to `remote`, replacing the one it had.
    pub fn set_rule(&self, remote: SocketAddr, rule: LinkRule) {
        self.rules.write().insert(canonical(remote), rule);
    }

    /// Removes the rule of the link to `remote`.
    pub fn clear_rule(&self, remote: SocketAddr) {
        self.rules.write().remove(&canonical(remote));
    }

    /// Removes all rules.
    pub fn clear(&self) {
        self.rules.write().clear();
    }

    /// All rules, ordered by address.
    pub fn rules(&self) -> Vec<(SocketAddr, LinkRule)> {
        self.rules.read().iter().map(|(remote, rule)| (*remote, *rule)).collect()
    }

    /// What happened so far.
    pub fn counts(&self) -> LinkCounts {
        LinkCounts {
            delayed: self.delayed.load(Ordering::Relaxed),
            lost: self.lost.load(Ordering::Relaxed),
            blocked: self.blocked.load(Ordering::Relaxed),
            overflowed: self.overflowed.load(Ordering::Relaxed),
        }
    }

    /// The rule of the link to `remote`, if it has one.
    pub(crate) fn rule(&self, remote: SocketAddr) -> Option<LinkRule> {
        let rules = self.rules.read();
        if rules.is_empty() { None } else { rules.get(&canonical(remote)).copied() }
    }

    /// True when the link to `remote` is cut.
    pub(crate) fn is_blocked(&self, remote: SocketAddr) -> bool {
        self.rule(remote).is_some_and(|rule| rule.blocked == Blocked::Yes)
    }

    /// Draws whether the next datagram of a link with `rule` is lost, and counts it.
    pub(crate) fn loses(&self, rule: &LinkRule) -> bool {
        if rule.loss_per_mille == 0 {
            return false;
        }
        let lost = self.chance.draw() % 1_000 < u64::from(rule.loss_per_mille);
        if lost {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
        lost
    }

    pub(crate) fn on_delayed(&self, datagrams: u64) {
        self.delayed.fetch_add(datagrams, Ordering::Relaxed);
    }

    pub(crate) fn on_blocked(&self, datagrams: u64) {
        self.blocked.fetch_add(datagrams, Ordering::Relaxed);
    }

    pub(crate) fn on_overflowed(&self, datagrams: u64) {
        self.overflowed.fetch_add(datagrams, Ordering::Relaxed);
    }
}

/// One spelling per address: an IPv4 address that a dual-stack socket shows as IPv6 is that IPv4 address.
pub(crate) fn canonical(remote: SocketAddr) -> SocketAddr {
    SocketAddr::new(remote.ip().to_canonical(), remote.port())
}
