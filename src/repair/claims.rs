//! Who mends which partition with whom: one exchange per partition at a time, so that a replica that lost much is not
//! sent the same records by two peers.
//!
//! A claim ends when its exchange says so, or when nothing was heard of it for a while: then its peer is gone.
//!
//! Invariant: a claim keeps nobody from writing or reading; without claims repair would only cost more.

use std::collections::BTreeMap;
use std::time::Duration;

use atoll_protocol::ids::NodeIndex;
use atoll_protocol::time::MonoTime;
use atoll_protocol::token::Partition;
use parking_lot::Mutex;

/// Silence after which a claim is void: twice the longest call.
const LEASE: Duration = Duration::from_secs(10);

/// The claims of one node.
#[derive(Default)]
pub(super) struct Claims {
    held: Mutex<BTreeMap<Partition, Claim>>,
}

/// Whose idea an exchange was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// Ours.
    Initiator,
    /// The peer's.
    Responder,
}

#[derive(Clone, Copy, Debug)]
struct Claim {
    peer: NodeIndex,
    side: Side,
    until: MonoTime,
}

impl Claims {
    /// Claims `partition` for an exchange with `peer`, or renews the claim; false if it is taken.
    pub(super) fn claim(
        &self,
        partition: Partition,
        (peer, side): (NodeIndex, Side),
        now: MonoTime,
    ) -> bool {
        let mut held = self.held.lock();
        let is_free = held
            .get(&partition)
            .is_none_or(|claim| claim.until <= now || (claim.peer, claim.side) == (peer, side));
        if is_free {
            held.insert(partition, Claim { peer, side, until: now.after(LEASE) });
        }
        is_free
    }

    /// Ends a claim; those of others stay.
    pub(super) fn release(&self, partition: Partition, (peer, side): (NodeIndex, Side)) {
        let mut held = self.held.lock();
        if held.get(&partition).is_some_and(|claim| (claim.peer, claim.side) == (peer, side)) {
            held.remove(&partition);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: (NodeIndex, Side) = (NodeIndex(1), Side::Initiator);
    const B: (NodeIndex, Side) = (NodeIndex(2), Side::Responder);

    #[test]
    fn one_claim_at_a_time_until_released_or_void() {
        let claims = Claims::default();
        let (start, partition) = (MonoTime::from_nanos(0), Partition(3));
        assert!(claims.claim(partition, A, start));
        assert!(claims.claim(partition, A, start), "renewed");
        assert!(!claims.claim(partition, B, start));
        assert!(!claims.claim(partition, (A.0, Side::Responder), start), "both began it");
        assert!(claims.claim(Partition(4), B, start));
        claims.release(partition, B);
        assert!(!claims.claim(partition, B, start), "not his to release");
        claims.release(partition, A);
        assert!(claims.claim(partition, B, start));
        assert!(!claims.claim(partition, A, start.after(LEASE / 2)));
        assert!(claims.claim(partition, A, start.after(LEASE)));
    }
}
