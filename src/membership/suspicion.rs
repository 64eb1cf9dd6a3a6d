//! What failure detection makes of the cluster, as one immutable snapshot.
//!
//! Published whenever it changes; whoever reads it takes it once and waits for nobody.

use atoll_protocol::ids::NodeIndex;
use atoll_protocol::time::MonoTime;
use atoll_protocol::wire::SuspicionState;

/// Everybody who is not believed to be alive.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Suspicions {
    /// By node.
    pub suspicions: Vec<Suspicion>,
    /// Nodes that this one has not heard of for too long: its testimony.
    pub silent: Vec<NodeIndex>,
    /// Nodes that are not members of a pool in which they belong, or were never met in it; as soon as they can be reached
    /// they are asked to join.
    pub absent: Vec<NodeIndex>,
}

/// One node that is not believed to be alive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suspicion {
    /// The node.
    pub node: NodeIndex,
    /// How far it has come.
    pub state: SuspicionState,
    /// Since when it has been there.
    pub since: MonoTime,
    /// Who does not hear the node, this one included.
    pub observers: Vec<NodeIndex>,
}

impl Suspicions {
    /// The suspicion of `node`; `None` if it is believed to be alive.
    pub fn of(&self, node: NodeIndex) -> Option<&Suspicion> {
        self.suspicions.iter().find(|suspicion| suspicion.node == node)
    }
}
