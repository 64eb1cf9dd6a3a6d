//! Who has not been heard, by whom: what a conviction rests on besides unanswered probes.
//!
//! 1. Each node notes which others it has not heard of for [`QUIET_AFTER`], over whatever link. Gossip comes once a second
//!    and probes more often, so that a live node is heard all the time.
//! 2. It tells everybody in its gossip (its *testimony*). A testimony counts while its witness is heard itself.
//! 3. A node is convicted only by [`observers_needed`] observers or more: one that hears nobody convicts nobody, since it is
//!    as likely as not the one that is cut off.

use std::collections::BTreeSet;

use atoll_protocol::ids::NodeIndex;
use atoll_protocol::time::MonoTime;

use crate::net::{QUIET_AFTER, Sense};

/// Observers of a node's silence before it may be convicted, where there are so many.
const OBSERVERS_NEEDED: usize = 2;

/// Observers that a conviction needs in a cluster of `nodes`: of two nodes, the other one has to do.
pub(super) fn observers_needed(nodes: usize) -> usize {
    OBSERVERS_NEEDED.min(nodes.saturating_sub(1))
}

/// What this node has against each other one.
#[derive(Debug)]
pub(super) struct Evidence {
    own: NodeIndex,
    /// Silence is counted from here: what was not heard while this process stood still says nothing.
    counted_from: MonoTime,
    /// By node.
    subjects: Vec<Subject>,
}

#[derive(Clone, Debug, Default)]
struct Subject {
    is_silent: bool,
    /// Who testifies that it does not hear the node.
    witnesses: BTreeSet<NodeIndex>,
}

impl Evidence {
    /// Nothing against `nodes` nodes.
    pub(super) fn new(own: NodeIndex, nodes: usize, now: MonoTime) -> Self {
        Self { own, counted_from: now, subjects: vec![Subject::default(); nodes] }
    }

    /// Forgets what this node has observed itself, and counts silence anew from `from`.
    pub(super) fn absolve(&mut self, from: MonoTime) {
        self.counted_from = from;
        self.subjects.iter_mut().for_each(|subject| subject.is_silent = false);
    }

    /// Looks whether `node` has fallen silent.
    pub(super) fn listen(&mut self, node: NodeIndex, sense: Sense, now: MonoTime) {
        let counted_from = self.counted_from;
        if let Some(subject) = self.subjects.get_mut(usize::from(node.0)) {
            subject.is_silent = now.since(sense.heard.max(counted_from)) > QUIET_AFTER;
        }
    }

    /// `node` has said something.
    pub(super) fn hear(&mut self, node: NodeIndex) {
        if let Some(subject) = self.subjects.get_mut(usize::from(node.0)) {
            subject.is_silent = false;
        }
    }

    /// Takes the testimony of `witness`: all whom it does not hear.
    pub(super) fn testify(&mut self, witness: NodeIndex, silent: &[NodeIndex]) {
        for (node, subject) in (0..=u16::MAX).map(NodeIndex).zip(&mut self.subjects) {
            if node != witness && silent.contains(&node) {
                subject.witnesses.insert(witness);
            } else {
                subject.witnesses.remove(&witness);
            }
        }
    }

    /// Whether this node itself does not hear `node`.
    pub(super) fn is_silent(&self, node: NodeIndex) -> bool {
        self.subjects.get(usize::from(node.0)).is_some_and(|subject| subject.is_silent)
    }

    /// Everybody whom this node does not hear.
    pub(super) fn silent(&self) -> Vec<NodeIndex> {
        let all = (0..=u16::MAX).map(NodeIndex).zip(&self.subjects);
        all.filter(|(_, subject)| subject.is_silent).map(|(node, _)| node).collect()
    }

    /// Who does not hear `node`: this node, and those of whom it is known and who are heard themselves.
    pub(super) fn observers(&self, node: NodeIndex) -> Vec<NodeIndex> {
        let Some(subject) = self.subjects.get(usize::from(node.0)) else { return Vec::new() };
        let mut observers: BTreeSet<NodeIndex> =
            subject.witnesses.iter().copied().filter(|&witness| !self.is_silent(witness)).collect();
        if subject.is_silent {
            observers.insert(self.own);
        }
        observers.into_iter().collect()
    }
}
