//! Watches who suspects whom, against what the world knows of everybody (I9).
//!
//! Looked at every quarter of a second, from outside: what the nodes publish, and whether what they say has a cause.
//!
//! 1. A node is convicted only if it was itself disturbed lately (dead, stopped or paused), or if as many nodes as a
//!    conviction needs had trouble on their path to it.
//! 2. A node that stood still for long suspects nobody as soon as it goes on.
//! 3. When everything has healed, everybody believes in everybody, and all are members of their pools.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use atoll_protocol::ids::NodeIndex;
use atoll_protocol::time::MonoTime;
use atoll_protocol::wire::SuspicionState;
use atolldb::membership::Suspicions;

use super::{Command, Member, Stop, World};
use crate::history::Verdict;

/// Time between two looks.
const LOOK: Duration = Duration::from_millis(250);

/// What may have led to a conviction lies at most this far back: twice the time in which one must be over.
const CAUSE_AGE_MAX: Duration = Duration::from_secs(30);

/// A pause that is sure to be noticed by who was paused: a second, and its own look at the clock twice a second.
const PAUSE_SURE: Duration = Duration::from_secs(2);

/// After a pause: when it has looked at the clock again for sure, and until when it judges nobody.
const AFTER_PAUSE: (Duration, Duration) = (Duration::from_millis(600), Duration::from_secs(3));

/// What is remembered between two looks.
#[derive(Debug, Default)]
pub(super) struct Verdicts {
    /// When each node was last dead, stopped or paused.
    disturbed: BTreeMap<NodeIndex, MonoTime>,
    /// When there was last trouble between two nodes, the lesser one first.
    troubled: BTreeMap<(NodeIndex, NodeIndex), MonoTime>,
    /// Which life of each node was looked at last.
    lives: BTreeMap<NodeIndex, Option<u64>>,
    /// Nodes that have run in their present life: one that begins it paused has nothing to misjudge.
    ran: BTreeSet<NodeIndex>,
    /// Since when each node has been paused.
    paused: BTreeMap<NodeIndex, MonoTime>,
    /// When each node's last long pause ended; gone with its process.
    woken: BTreeMap<NodeIndex, MonoTime>,
    /// What each node last believed of each other one.
    believed: BTreeMap<(NodeIndex, NodeIndex), SuspicionState>,
}

/// How a node is, as the world knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Condition {
    Down,
    Paused,
    Running,
}

impl World {
    /// Begins to look.
    pub(super) fn watch_verdicts(&self) {
        self.later(LOOK, Command::Look);
    }

    /// One look.
    pub(super) fn look(&mut self) {
        let mut verdicts = std::mem::take(&mut self.verdicts);
        self.note_causes(&mut verdicts);
        for member in &self.nodes {
            if let Some(suspicions) = self.suspicions_of(member) {
                self.compare(&mut verdicts, member.own.0, &suspicions);
            } else {
                verdicts.believed.retain(|(observer, _), _| *observer != member.own.0);
            }
        }
        self.verdicts = verdicts;
        self.watch_verdicts();
    }

    /// Who does not believe in whom, in words; nothing if everybody does in everybody.
    pub fn describe_distrust(&self) -> Option<String> {
        let mut distrust = Vec::new();
        for member in &self.nodes {
            let Some(suspicions) = self.suspicions_of(member) else { continue };
            let node = member.own.0.0;
            distrust.extend(
                suspicions.suspicions.iter().map(|suspicion| format!("node {node}: {suspicion:?}")),
            );
            distrust.extend(
                suspicions
                    .absent
                    .iter()
                    .map(|absent| format!("node {node}: {absent:?} is no member")),
            );
        }
        (!distrust.is_empty()).then(|| distrust.join("; "))
    }

    fn suspicions_of(&self, member: &Member) -> Option<std::sync::Arc<Suspicions>> {
        let (_, node) = member.life.as_ref()?;
        let is_running = self.condition(member) == Condition::Running;
        is_running.then(|| node.detection().suspicions())
    }

    fn condition(&self, member: &Member) -> Condition {
        if member.life.is_none() || member.stop != Stop::No {
            Condition::Down
        } else if self.exec.is_paused(member.process) {
            Condition::Paused
        } else {
            Condition::Running
        }
    }

    fn note_causes(&self, verdicts: &mut Verdicts) {
        let now = self.exec.now();
        for (number, member) in self.nodes.iter().enumerate() {
            let node = member.own.0;
            // Between two looks a node may have died and begun another life.
            let life = member.life.as_ref().map(|(owner, _)| owner.life);
            if verdicts.lives.insert(node, life) != Some(life) {
                verdicts.ran.remove(&node);
                verdicts.paused.remove(&node);
                verdicts.woken.remove(&node);
            }
            match self.condition(member) {
                Condition::Down => {
                    verdicts.disturbed.insert(node, now);
                }
                Condition::Paused => {
                    verdicts.disturbed.insert(node, now);
                    if verdicts.ran.contains(&node) {
                        verdicts.paused.entry(node).or_insert(now);
                    }
                }
                Condition::Running => {
                    verdicts.ran.insert(node);
                    let began = verdicts.paused.remove(&node);
                    if began.is_some_and(|began| now.since(began) >= PAUSE_SURE) {
                        verdicts.woken.insert(node, now);
                    }
                }
            }
            for other in self.nodes.iter().skip(number + 1) {
                if self.net.is_troubled(member.process, other.process) {
                    verdicts.troubled.insert(pair(node, other.own.0), now);
                }
            }
        }
    }

    fn compare(&self, verdicts: &mut Verdicts, observer: NodeIndex, seen: &Suspicions) {
        let now = self.exec.now();
        let woken = verdicts.woken.get(&observer).map(|&woken| now.since(woken));
        let is_fresh = woken.is_some_and(|span| span >= AFTER_PAUSE.0 && span < AFTER_PAUSE.1);
        if is_fresh && !seen.silent.is_empty() {
            self.recorder.find(
                "I9 who stood still judges nobody",
                format!(
                    "node {} goes on after a pause and holds {:?} silent",
                    observer.0, seen.silent
                ),
            );
        }
        for (node, _) in self.members() {
            let state = seen.of(node).map(|suspicion| suspicion.state);
            let before = match state {
                Some(state) => verdicts.believed.insert((observer, node), state),
                None => verdicts.believed.remove(&(observer, node)),
            };
            if before == state {
                continue;
            }
            let verdict = Verdict { observer, node, state, at: now };
            self.recorder.state().history.verdicts.push(verdict);
            if state == Some(SuspicionState::Convicted) {
                self.recorder.reach("node convicted");
                self.judge_conviction(verdicts, (observer, node), seen);
            }
        }
    }

    fn judge_conviction(
        &self,
        verdicts: &Verdicts,
        (observer, node): (NodeIndex, NodeIndex),
        seen: &Suspicions,
    ) {
        if !self.has_cause(verdicts, node) {
            self.recorder.find(
                "I9 several observers convict",
                format!(
                    "node {} convicts node {}, which others hear: {seen:?}",
                    observer.0, node.0
                ),
            );
        }
    }

    /// Whether there is a reason to take `node` for dead.
    fn has_cause(&self, verdicts: &Verdicts, node: NodeIndex) -> bool {
        let now = self.exec.now();
        let is_recent =
            |at: Option<&MonoTime>| at.is_some_and(|at| now.since(*at) <= CAUSE_AGE_MAX);
        let others = self.nodes.iter().map(|member| member.own.0).filter(|other| *other != node);
        let troubled = others.filter(|&other| is_recent(verdicts.troubled.get(&pair(node, other))));
        // As the node itself counts, worked out a second time.
        let needed = if self.nodes.len() > 2 { 2 } else { 1 };
        is_recent(verdicts.disturbed.get(&node)) || troubled.count() >= needed
    }
}

fn pair(a: NodeIndex, b: NodeIndex) -> (NodeIndex, NodeIndex) {
    (a.min(b), a.max(b))
}
