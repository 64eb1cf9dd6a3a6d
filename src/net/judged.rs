//! What can be said of a peer: connected, heard, trusted.

use std::sync::atomic::Ordering;
use std::time::Duration;

use atoll_protocol::ids::NodeIndex;
use atoll_protocol::put::Liveness;
use atoll_protocol::time::MonoTime;

use super::peers::Peers;
use super::standing::{Judgement, Sense};

/// Silence after which a connected peer is asked last: it gossips once a second, so that two rounds were lost.
pub const QUIET_AFTER: Duration = Duration::from_millis(2_200);

impl Peers {
    /// Whether `peer` can be asked: it is connected and not convicted.
    pub fn liveness(&self, peer: NodeIndex) -> Liveness {
        let is_convicted = self.judgement(peer) == Judgement::Convicted;
        if !is_convicted && self.is_connected(peer) { Liveness::Alive } else { Liveness::Down }
    }

    /// Whether a link to `peer` is open, whatever failure detection makes of it.
    pub fn is_connected(&self, peer: NodeIndex) -> bool {
        self.newest(peer).is_some()
    }

    fn judgement(&self, peer: NodeIndex) -> Judgement {
        let slot = self.slots.get(usize::from(peer.0));
        slot.map_or(Judgement::Convicted, |slot| slot.judgement.load())
    }

    /// Takes over what failure detection makes of `peer`; the first word on a later link overrules it.
    pub fn judge(&self, peer: NodeIndex, judgement: Judgement) {
        if let Some(slot) = self.slots.get(usize::from(peer.0)) {
            slot.judgement.store(judgement);
        }
    }

    /// What there is to judge `peer` by.
    pub fn sense(&self, peer: NodeIndex) -> Sense {
        Sense { is_linked: self.is_connected(peer), heard: self.last_heard(peer) }
    }

    /// When the last frame or datagram of `peer` came; the beginning of time if none ever did.
    pub fn last_heard(&self, peer: NodeIndex) -> MonoTime {
        let slot = self.slots.get(usize::from(peer.0));
        let nanos = slot.map_or(0, |slot| slot.heard_nanos.load(Ordering::Relaxed));
        MonoTime::from_nanos(nanos)
    }

    /// Notes that a frame or datagram of `peer` came.
    pub(super) fn heard(&self, peer: NodeIndex) {
        if let Some(slot) = self.slots.get(usize::from(peer.0)) {
            slot.heard_nanos.store(self.env.mono().as_nanos(), Ordering::Relaxed);
        }
    }

    /// True if `peer` has not been heard of for [`QUIET_AFTER`], or is suspected: it is asked last, though it may still
    /// be alive.
    pub fn is_quiet(&self, peer: NodeIndex) -> bool {
        let is_silent = self.env.mono().since(self.last_heard(peer)) > QUIET_AFTER;
        is_silent || self.judgement(peer) != Judgement::Trusted
    }
}
