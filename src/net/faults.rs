//! Emulated links: the WAN's delays, and the faults that an operator asks for.
//!
//! The node's QUIC socket delays and drops datagrams per remote address (`atoll_quic::LinkEmulator`). This module
//! knows which node has which address, keeps the delays of `--wan` apart from the faults of `atoll fault`, and puts
//! both together into one rule per link.
//!
//! Invariants
//! - Without `--allow-faults` every command but `Show` is refused.
//! - `Heal` takes back faults only; the WAN's delays stay.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use atoll_protocol::ids::Name;
use atoll_protocol::wire::{FaultCommand, LinkFault};
use atoll_quic::{Blocked, LinkEmulator, LinkRule};
use parking_lot::Mutex;

/// Carries out fault commands.
pub trait Faults: Send + Sync + 'static {
    /// Carries out `command`; lines for people.
    ///
    /// # Errors
    /// Why it cannot be done.
    fn command(&self, command: &FaultCommand) -> Result<Vec<String>, String>;
}

/// Whether a node accepts fault commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultPolicy {
    /// Started with `--allow-faults`.
    Allowed,
    /// The default.
    Refused,
}

/// The links of one node.
pub struct EmulatedLinks {
    policy: FaultPolicy,
    emulator: Arc<LinkEmulator>,
    peers: BTreeMap<Name, Peer>,
    faults: Mutex<BTreeMap<Name, LinkRule>>,
}

/// A peer, as the emulator sees it.
#[derive(Clone, Copy, Debug)]
pub struct Peer {
    /// Its address.
    pub address: SocketAddr,
    /// One-way delay of the WAN to it.
    pub wan_delay: Duration,
}

impl EmulatedLinks {
    /// Links to `peers`, with the WAN's delays in force.
    pub fn new(
        policy: FaultPolicy,
        emulator: Arc<LinkEmulator>,
        peers: BTreeMap<Name, Peer>,
    ) -> Self {
        let links = Self { policy, emulator, peers, faults: Mutex::new(BTreeMap::new()) };
        for name in links.peers.keys() {
            links.put_in_force(name, LinkRule::default());
        }
        links
    }

    fn set(&self, name: &Name, fault: LinkFault) -> Result<(), String> {
        if !self.peers.contains_key(name) {
            return Err(format!(
                "`{name}` is not another node of this cluster; see `atoll status`"
            ));
        }
        let mut faults = self.faults.lock();
        let rule = faults.entry(name.clone()).or_default();
        match fault {
            LinkFault::Block => rule.blocked = Blocked::Yes,
            LinkFault::Delay(delay) => rule.delay = delay,
            LinkFault::LossPerMille(loss) => rule.loss_per_mille = loss,
        }
        let rule = *rule;
        drop(faults);
        self.put_in_force(name, rule);
        Ok(())
    }

    fn heal(&self) {
        let healed = std::mem::take(&mut *self.faults.lock());
        for name in healed.keys() {
            self.put_in_force(name, LinkRule::default());
        }
    }

    /// Hands the emulator the fault on top of the WAN's delay.
    fn put_in_force(&self, name: &Name, fault: LinkRule) {
        let Some(peer) = self.peers.get(name) else {
            return;
        };
        let rule = LinkRule { delay: peer.wan_delay + fault.delay, ..fault };
        if rule == LinkRule::default() {
            self.emulator.clear_rule(peer.address);
        } else {
            self.emulator.set_rule(peer.address, rule);
        }
    }

    fn show(&self) -> Vec<String> {
        let faults = self.faults.lock();
        let mut lines = Vec::new();
        for (name, peer) in &self.peers {
            let fault = faults.get(name).copied().unwrap_or_default();
            let mut parts = Vec::new();
            if !peer.wan_delay.is_zero() {
                parts.push(format!("wan {:?}", peer.wan_delay));
            }
            if fault.blocked == Blocked::Yes {
                parts.push("blocked".to_owned());
            }
            if !fault.delay.is_zero() {
                parts.push(format!("delay {:?}", fault.delay));
            }
            if fault.loss_per_mille > 0 {
                parts.push(format!("loss {}‰", fault.loss_per_mille));
            }
            if !parts.is_empty() {
                lines.push(format!("→ {name}: {}", parts.join(", ")));
            }
        }
        lines
    }
}

impl Faults for EmulatedLinks {
    fn command(&self, command: &FaultCommand) -> Result<Vec<String>, String> {
        if self.policy == FaultPolicy::Refused && *command != FaultCommand::Show {
            return Err("this node was not started with --allow-faults".to_owned());
        }
        match command {
            FaultCommand::Show => {}
            FaultCommand::Heal => self.heal(),
            FaultCommand::Set { nodes, fault } => {
                for name in nodes {
                    self.set(name, *fault)?;
                }
            }
        }
        Ok(self.show())
    }
}
