//! Where and when trouble may strike in one run, and how much of it.

use crate::plan::{Fault, FaultKind, Plan, Tier};
use crate::prng::Prng;

/// How likely a kind of trouble is in a run, of 1 000, by how stormy the run is; and the weight of each.
const STORMS: [(u32, u32); 5] = [(0, 1), (80, 4), (150, 6), (250, 4), (450, 2)];

/// Runs of 1 000 that may exceed the budget.
const EXCESS_PER_MILLE: u32 = 100;

/// Replicas of a key from which on one of them is a minority.
const REPLICAS_MIN: u32 = 3;

/// Where and when trouble may strike.
#[derive(Debug)]
pub(super) struct Scene<'a> {
    pub(super) plan: &'a Plan,
    /// How many of 1 000 kinds the run takes part in.
    pub(super) kinds_per_mille: u32,
    /// Nodes whose disks may forget.
    forgetful: Vec<u16>,
    /// Nodes whose disks may fail.
    ailing: Vec<u16>,
}

impl<'a> Scene<'a> {
    pub(super) fn draw(prng: &mut Prng, plan: &'a Plan) -> Self {
        let weights = STORMS.map(|(_, weight)| weight);
        let kinds_per_mille =
            STORMS.get(prng.weighted(&weights)).map_or(0, |&(per_mille, _)| per_mille);
        let nodes = plan.shape.nodes();
        let one = u16::try_from(prng.below(u64::from(nodes))).unwrap_or(0);
        let replicas: u32 = plan.shape.replicas().into_iter().map(u32::from).sum();
        let (forgetful, ailing) = if prng.per_mille(EXCESS_PER_MILLE) {
            ((0..nodes).collect(), (0..nodes).collect())
        } else if replicas >= REPLICAS_MIN {
            (vec![one], vec![one])
        } else {
            (Vec::new(), vec![one])
        };
        Self { plan, kinds_per_mille, forgetful, ailing }
    }

    pub(super) fn nodes(&self) -> u16 {
        self.plan.shape.nodes()
    }

    /// Most frames or datagrams of 1 000 that may be lost.
    pub(super) fn loss_per_mille_max(&self) -> u64 {
        match self.plan.tier {
            Tier::Messages => 300,
            Tier::Quic => 100,
        }
    }

    /// Any node.
    pub(super) fn node(&self, prng: &mut Prng) -> u16 {
        u16::try_from(prng.below(u64::from(self.nodes()))).unwrap_or(0)
    }

    /// A node whose disk may forget.
    pub(super) fn forgetful(&self, prng: &mut Prng) -> Option<u16> {
        prng.pick(&self.forgetful).copied()
    }

    /// A node whose disk may fail.
    pub(super) fn ailing(&self, prng: &mut Prng) -> Option<u16> {
        prng.pick(&self.ailing).copied()
    }

    /// Every node but `node`.
    pub(super) fn others(&self, node: u16) -> Vec<u16> {
        (0..self.nodes()).filter(|&other| other != node).collect()
    }

    /// Any two nodes; `None` where there is only one.
    pub(super) fn pair(&self, prng: &mut Prng) -> Option<(u16, u16)> {
        let one = self.node(prng);
        let other = prng.pick(&self.others(one)).copied()?;
        Some((one, other))
    }

    /// Nodes in random order.
    pub(super) fn shuffled(&self, prng: &mut Prng) -> Vec<u16> {
        let mut nodes: Vec<u16> = (0..self.nodes()).collect();
        for end in (1..nodes.len()).rev() {
            nodes.swap(end, prng.index(end + 1));
        }
        nodes
    }

    /// When trouble begins: at any time but the very end.
    pub(super) fn begin(&self, prng: &mut Prng) -> u64 {
        prng.between(0, self.plan.safety_ms * 9 / 10)
    }

    /// A fault of `kind` at `at_ms`, cut off where the safety phase ends; `None` if it would begin later than that.
    pub(super) fn fault(&self, at_ms: u64, for_ms: u64, kind: FaultKind) -> Option<Fault> {
        let left = self.plan.safety_ms.checked_sub(at_ms)?;
        Some(Fault { at_ms, for_ms: for_ms.min(left), kind })
    }
}

/// A number of `low..=high`; smaller ones are likelier, by orders of magnitude.
pub(super) fn skewed(prng: &mut Prng, low: u64, high: u64) -> u64 {
    let most = prng.between(low, high);
    let most = prng.between(low, most);
    prng.between(low, most)
}
