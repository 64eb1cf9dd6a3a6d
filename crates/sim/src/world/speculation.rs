//! What the lives of nodes say about their speculative reads: within the budget or not (I13/P9).
//!
//! A node is asked when its life ends, and everybody at the end of the run.

use std::sync::atomic::{AtomicU64, Ordering};

use atolldb::coordinator::{GETS_PER_READ, IN_ADVANCE};
use atolldb::node::Node;

use super::World;

impl World {
    /// Looks at the counters of every running node.
    pub fn judge_speculation(&self) {
        for number in 0..self.nodes.len() {
            self.judge_speculation_of(number);
        }
    }

    /// Looks at the counters of one node, if it is running.
    pub(super) fn judge_speculation_of(&self, number: usize) {
        let life = self.nodes.get(number).and_then(|member| member.life.as_ref());
        if let Some((_, node)) = life {
            self.judge_counters(number, node);
        }
    }

    fn judge_counters(&self, number: usize, node: &Node) {
        let counters = node.coordinator().counters();
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let (sent, gets) = (read(&counters.speculated), read(&counters.gets));
        let situations = [
            (sent, "speculative read sent"),
            (read(&counters.replaced), "read beside a silent replica"),
            (read(&counters.won), "speculative read won"),
            (read(&counters.refused), "speculative read refused by the budget"),
        ];
        for (count, situation) in situations {
            if count > 0 {
                self.recorder.reach(situation);
            }
        }
        let allowed = IN_ADVANCE + gets / GETS_PER_READ;
        if sent > allowed {
            self.recorder.find(
                "I13/P9 speculation keeps its budget",
                format!("node {number} sent {sent} speculative reads for {gets} gets"),
            );
        }
    }
}
