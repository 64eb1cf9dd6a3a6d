//! Who takes part in a pool: a node of the topology, in one of its generations.
//!
//! SWIM never forgives a conviction: whoever comes back does so under a greater generation, which wins over what is
//! said of the lesser one. A process begins with the wall clock, and goes on one above whatever it hears that others know
//! of it, so that a clock that was set back does no harm.

use atoll_protocol::ids::NodeIndex;
use atoll_protocol::time::WallTime;
use atoll_seeded_bug::{Mutant, seeded_bug};
use foca::Identity;
use serde::{Deserialize, Serialize};

/// A node in one of its generations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Member {
    /// The node.
    pub(super) node: NodeIndex,
    /// Grows with every return; 0 stands for a node of the topology that was never met.
    pub(super) generation: u64,
}

impl Member {
    /// The first generation of a process that starts now.
    pub(super) fn starting(node: NodeIndex, now: WallTime) -> Self {
        Self { node, generation: now.as_micros().max(1) }
    }

    /// A node that was never met.
    pub(super) fn unmet(node: NodeIndex) -> Self {
        Self { node, generation: 0 }
    }

    /// The same node, one generation on.
    pub(super) fn next(&self) -> Option<Self> {
        Some(Self { generation: self.generation.checked_add(1)?, ..*self })
    }
}

impl Identity for Member {
    type Addr = NodeIndex;

    fn renew(&self) -> Option<Self> {
        if seeded_bug(Mutant::ConvictionStays) {
            return None;
        }
        self.next()
    }

    fn addr(&self) -> NodeIndex {
        self.node
    }

    fn win_addr_conflict(&self, other: &Self) -> bool {
        self.generation > other.generation
    }
}
