//! Takes a job from node to node until it is answered, hopeless or late.
//!
//! 1. Choose the best node that was not asked yet, get its link, attempt.
//! 2. A node that cannot be connected costs nothing: nothing was sent, the next one is asked.
//! 3. Any other trouble goes to [`retry::decide`]; a retry needs an attempt and a token of the budget.
//! 4. When everybody was asked and a retry is still due, pause (as long as an overloaded node asks for) and begin anew.
//!
//! Invariants
//! - A write that may have been applied ends the run.
//! - Every pass over the nodes makes an attempt or ends the run, so the run ends even before its deadline.
//!
//! # Cancellation
//! Dropping the future forgets the request; a node that has it finishes it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use atoll_protocol::ids::{DcIndex, Epoch, Name, NodeIndex};
use atoll_protocol::wire::Failure;

use super::attempt::{Attempt, attempt};
use super::{Aim, Answer, Dispatcher, Job};
use crate::cluster::Snapshot;
use crate::error::{Error, Operation, Outcome};
use crate::link::{Condition, Link};
use crate::retry::{self, KeyspaceHere, Trouble, Verdict};
use crate::routing::{self, Candidate, Reach};
use crate::runtime;

/// Pause before everybody is asked again; doubles each time.
const PAUSE_FIRST: Duration = Duration::from_millis(10);

/// Where a job stands.
struct Run<'a> {
    dispatcher: &'a Dispatcher,
    job: &'a Job,
    /// Nodes asked in this pass.
    asked: Vec<Name>,
    /// Datacenters that cannot serve it.
    avoided: Vec<DcIndex>,
    /// Dials that failed in this pass.
    dials: Vec<Error>,
    attempts: u32,
    /// Attempts when this pass began.
    attempts_before: u32,
    passes: u32,
    last: Option<Error>,
}

impl Dispatcher {
    /// Runs `job` to its answer.
    pub(crate) async fn run(&self, job: &Job) -> Result<Answer, Error> {
        self.budget.earn();
        self.counts.requests.fetch_add(1, Ordering::Relaxed);
        let mut run = Run {
            dispatcher: self,
            job,
            asked: Vec::new(),
            avoided: Vec::new(),
            dials: Vec::new(),
            attempts: 0,
            attempts_before: 0,
            passes: 0,
            last: None,
        };
        loop {
            if self.is_closed() {
                return Err(Error::Closed);
            }
            if let Some(end) = run.step().await {
                return end;
            }
        }
    }
}

impl Run<'_> {
    /// Asks one more node; `None` to go on.
    async fn step(&mut self) -> Option<Result<Answer, Error>> {
        let job = self.job;
        if job.limits.left().is_zero() {
            return Some(Err(self.late(Outcome::NotApplied)));
        }
        let snapshot = self.dispatcher.snapshot();
        let Some(node) = self.choose(&snapshot) else { return self.next_pass().await };
        let link = self.link_to(&snapshot, node).await?;
        self.attempts += 1;
        if self.attempts > 1 {
            self.dispatcher.counts.retries.fetch_add(1, Ordering::Relaxed);
        }
        let until = self.attempt_until();
        let (verdict, error) = match attempt(&link, job, snapshot.epoch(), until).await {
            Attempt::Answered(answer, epoch) => {
                self.compare(&snapshot, epoch);
                return Some(Ok(answer));
            }
            Attempt::Hopeless(error) => return Some(Err(error)),
            Attempt::TimedOut => return self.time_out(&link),
            Attempt::NotSent(reason) => {
                let error = Error::Backlog { node: link.node().clone(), reason };
                (self.decide(&snapshot, Trouble::NotSent), error)
            }
            Attempt::Lost(reason) => {
                let (node, operation) = (link.node().clone(), job.operation);
                let reason = format!("the connection broke, {reason}");
                let error = Error::Lost { node, operation, reason };
                (self.decide(&snapshot, Trouble::NoAnswer), error)
            }
            Attempt::Failed(failure, epoch) => {
                self.compare(&snapshot, epoch);
                let verdict = self.judge(&snapshot, &failure);
                let (node, operation) = (link.node().clone(), job.operation);
                (verdict, Error::Failed { node, operation, failure })
            }
        };
        self.follow(verdict, &snapshot, node, error)
    }

    /// Ends with `error`, or notes it and goes on as `verdict` says.
    fn follow(
        &mut self,
        verdict: Verdict,
        snapshot: &Snapshot,
        node: NodeIndex,
        error: Error,
    ) -> Option<Result<Answer, Error>> {
        if verdict == Verdict::Stop || !self.may_retry() {
            return Some(Err(error));
        }
        if verdict == Verdict::OtherDc {
            self.avoided.extend(snapshot.dc_of(node));
            if self.choose(snapshot).is_none() {
                return Some(Err(error));
            }
        }
        if !self.dispatcher.budget.spend() {
            return Some(Err(error));
        }
        tracing::debug!(%error, attempts = self.attempts, "asking another node");
        self.last = Some(error);
        None
    }

    /// The best node that was not asked yet.
    fn choose(&self, snapshot: &Snapshot) -> Option<NodeIndex> {
        let now = runtime::now();
        if let Aim::Node(name) = &self.job.aim {
            let (node, _) = snapshot.peer_by_name(name)?;
            return (!self.was_asked(snapshot, node)).then_some(node);
        }
        let chance = self.dispatcher.chance.draw();
        let key = self.job.aim.key();
        if let Some(key) = key {
            let mut near = routing::own_replicas(snapshot, key, now);
            self.warm(snapshot, &near);
            near.retain(|candidate| !self.is_excluded(snapshot, candidate.node));
            if routing::has_healthy(&near) {
                return routing::choose(&near, chance);
            }
        }
        let mut all = routing::everyone(snapshot, key, self.job.aim.reach(), now);
        all.retain(|candidate| !self.is_excluded(snapshot, candidate.node));
        routing::choose(&all, chance)
    }

    /// Begins to connect to replicas that nobody asked for yet, so that load can spread to them.
    fn warm(&self, snapshot: &Snapshot, replicas: &[Candidate]) {
        for candidate in replicas.iter().filter(|c| c.condition == Condition::Idle) {
            if let Some(peer) = snapshot.peer(candidate.node) {
                peer.warm(&self.dispatcher.dialer);
            }
        }
    }

    /// The link to a chosen node; `None` when there is none in time, which is noted.
    async fn link_to(&mut self, snapshot: &Snapshot, node: NodeIndex) -> Option<Arc<Link>> {
        let peer = snapshot.peer(node)?;
        let name = peer.target().node.clone();
        let limits = &self.job.limits;
        let until = match &self.job.aim {
            Aim::Node(_) => limits.deadline,
            Aim::Key { .. } | Aim::Anyone => {
                limits.deadline.min(runtime::now() + limits.dial_timeout)
            }
        };
        let dialed =
            tokio::time::timeout_at(until.into(), peer.link(&self.dispatcher.dialer)).await;
        let error = match dialed {
            Ok(Ok(link)) => {
                self.asked.push(name);
                return Some(link);
            }
            Ok(Err(error)) => error,
            Err(_) => Error::unreachable(name.as_str(), &"still connecting when time ran out"),
        };
        self.asked.push(name);
        self.dials.push(error);
        None
    }

    /// Everybody was asked: ends, or pauses and begins anew.
    async fn next_pass(&mut self) -> Option<Result<Answer, Error>> {
        if self.attempts == self.attempts_before {
            let last = self.last.take();
            return Some(Err(last.unwrap_or_else(|| self.nobody())));
        }
        let pause = PAUSE_FIRST * 2u32.pow(self.passes.min(16));
        let wanted = self.last.as_ref().and_then(Error::retry_after).unwrap_or(pause);
        if wanted >= self.job.limits.left() {
            let last = self.last.take();
            return Some(Err(last.unwrap_or_else(|| self.late(Outcome::NotApplied))));
        }
        tokio::time::sleep(wanted).await;
        self.passes += 1;
        self.attempts_before = self.attempts;
        self.asked.clear();
        self.dials.clear();
        None
    }

    /// No answer in time: a write's fate is unknown; a read may ask another node if there is time.
    fn time_out(&mut self, link: &Link) -> Option<Result<Answer, Error>> {
        if self.job.operation == Operation::Write {
            return Some(Err(self.late(Outcome::Unknown)));
        }
        let reason = "it took too long".to_owned();
        let (node, operation) = (link.node().clone(), self.job.operation);
        let error = Error::Lost { node, operation, reason };
        let is_late = self.job.limits.left().is_zero();
        self.last = Some(error);
        if is_late || !self.may_retry() || !self.dispatcher.budget.spend() {
            return Some(Err(self.late(Outcome::NotApplied)));
        }
        None
    }

    /// When the attempt that begins now ends. The last one gets all the time there is.
    fn attempt_until(&self) -> Instant {
        let limits = &self.job.limits;
        let is_last = !self.may_retry() || !self.dispatcher.budget.can_spend();
        match self.job.operation {
            Operation::Read if !is_last => {
                limits.deadline.min(runtime::now() + limits.attempt_timeout)
            }
            Operation::Read | Operation::Write => limits.deadline,
        }
    }

    fn may_retry(&self) -> bool {
        self.attempts < self.job.limits.attempts_max
    }

    fn judge(&self, snapshot: &Snapshot, failure: &Failure) -> Verdict {
        if retry::shows_old_view(failure) {
            self.dispatcher.stale.notify_one();
        }
        self.decide(snapshot, Trouble::Failed(failure))
    }

    fn decide(&self, snapshot: &Snapshot, trouble: Trouble<'_>) -> Verdict {
        let known = self.job.aim.key().and_then(|key| snapshot.conflict(key.keyspace));
        let keyspace = known.map_or(KeyspaceHere::Unknown, |_| KeyspaceHere::Known);
        retry::decide(trouble, self.job.operation, keyspace)
    }

    /// Asks for a refresh when a node is ahead of `snapshot`.
    fn compare(&self, snapshot: &Snapshot, epoch: Epoch) {
        if epoch > snapshot.epoch() {
            self.dispatcher.stale.notify_one();
        }
    }

    fn is_excluded(&self, snapshot: &Snapshot, node: NodeIndex) -> bool {
        let avoided = snapshot.dc_of(node).is_some_and(|dc| self.avoided.contains(&dc));
        avoided || self.was_asked(snapshot, node)
    }

    fn was_asked(&self, snapshot: &Snapshot, node: NodeIndex) -> bool {
        snapshot.topology().node(node).is_some_and(|node| self.asked.contains(&node.name))
    }

    /// The error for a deadline that passed; a node's own refusal, or that nobody could even be reached, says more.
    fn late(&mut self, outcome: Outcome) -> Error {
        if outcome == Outcome::NotApplied && matches!(self.last, Some(Error::Failed { .. })) {
            return self.last.take().unwrap_or(Error::Closed);
        }
        if self.attempts == 0 && !self.dials.is_empty() {
            return self.nobody();
        }
        let last = self.last.take().map(Box::new);
        let (allowed, attempts) = (self.job.limits.allowed, self.attempts);
        Error::Deadline { allowed, attempts, outcome, last }
    }

    /// The error for a pass in which no node could be reached; says why no other was asked.
    fn nobody(&mut self) -> Error {
        if self.job.aim.key().is_some() {
            // Perhaps everybody has moved; the refresher asks the seeds.
            self.dispatcher.stale.notify_one();
        }
        let hint = (self.job.aim.reach() == Reach::OwnDc).then(|| {
            let dc = &self.dispatcher.own_dc;
            format!(" in dc \"{dc}\", and a LOCAL level stays there (DcFailover::Never)")
        });
        Error::from_dials(std::mem::take(&mut self.dials), hint)
    }
}
