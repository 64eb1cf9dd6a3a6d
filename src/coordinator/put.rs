//! Drives one put: mints at the own replica, sends what the machine says, tells it what comes back.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use atoll_protocol::ids::{DcIndex, NodeIndex};
use atoll_protocol::limits::Limit;
use atoll_protocol::put::{
    Liveness, Miss, PutEffect, PutError, PutInput, PutMachine, PutOutcome, PutPlan,
    Replica as ReplicaSlot,
};
use atoll_protocol::quorum::Level;
use atoll_protocol::record::CellBody;
use atoll_protocol::time::MonoTime;
use atoll_protocol::version::Context;
use atoll_protocol::wire::{Acknowledged, Failure, Invalid, PeerNotice, QuorumKind};
use atoll_seeded_bug::{Mutant, seeded_bug};
use tokio::sync::oneshot;

use super::operations::Registered;
use super::{Answer, Coordinator, Target, overloaded, quorum_spec, unavailable};
use crate::env::Alarm;
use crate::replica::{MintError, MintRequest, Minted, StoredKey};

/// A put or delete of a key that this node replicates.
pub struct Put {
    /// The key.
    pub target: Target,
    /// How many replicas must acknowledge.
    pub level: Level,
    /// The datacenter that `LOCAL` means.
    pub local: DcIndex,
    /// Who may acknowledge.
    pub quorum: QuorumKind,
    /// Value or tombstone.
    pub body: CellBody,
    /// What the client has seen.
    pub context: Context,
    /// What this replica must have seen at least before it writes.
    pub at_least: Option<Context>,
    /// Time until the value expires.
    pub ttl: Option<Duration>,
    /// When the client's patience ends.
    pub deadline: MonoTime,
}

/// What the driver's loop holds besides the machine.
struct Run<'a> {
    target: &'a Target,
    minted: Minted,
    level: Level,
    registered: Registered<'a>,
    wakes: BTreeSet<MonoTime>,
    /// Completions that came up while effects were carried out.
    inputs: VecDeque<PutInput>,
    /// Replicas that lack the record.
    missed: Vec<(NodeIndex, Miss)>,
    answer: Option<Answer<Acknowledged>>,
}

/// What has become of the record at the own replica.
enum Own {
    Settled { is_durable: bool },
    Unsettled(oneshot::Receiver<()>),
}

impl Coordinator {
    /// Runs a put to its very end, which is later than its answer: until every replica's fate is known.
    ///
    /// # Panics
    /// If this node is not a replica of the key: the service forwards such puts.
    pub async fn put(&self, put: Put, answer: Answer<Acknowledged>) {
        let _place = match self.parts.operations.enter() {
            Ok(place) => place,
            Err(limit) => return answer(Err(overloaded(limit))),
        };
        Self::count(&self.parts.counters.puts);
        let mut machine = match self.admit_put(&put) {
            Ok(machine) => machine,
            Err(failure) => return answer(Err(failure)),
        };
        if let Some(session) = &put.at_least {
            let caught_up = self.catch_up(&put.target, session, (put.local, put.deadline)).await;
            if let Err(failure) = caught_up {
                return answer(Err(failure));
            }
        }
        let (minted, durable) = match self.mint(&put).await {
            Ok(minted) => minted,
            Err(failure) => return answer(Err(failure)),
        };
        let mut run = Run {
            target: &put.target,
            minted,
            level: put.level,
            registered: self.parts.operations.register(),
            wakes: BTreeSet::new(),
            inputs: VecDeque::from([PutInput::Minted]),
            missed: Vec::new(),
            answer: Some(answer),
        };
        if seeded_bug(Mutant::CoordinatorAcksAtMint) {
            run.inputs.push_back(PutInput::Acked { from: self.parts.cluster.own() });
        }
        let own = self.drive_put(&mut machine, &mut run, Some(durable)).await;
        self.make_good((&put.target.stored, run.missed), own).await;
    }

    fn admit_put(&self, put: &Put) -> Result<PutMachine, Failure> {
        let spec = quorum_spec(&put.target, put.level, put.local)?;
        let (replicas, laggards) = self.preference_list(&put.target);
        let plan = PutPlan {
            spec,
            coordinator: self.parts.cluster.own(),
            rerelay_after: self.patience(&replicas, &laggards, put.deadline),
            replicas,
            fallbacks: self.fallbacks(put),
            deadline: put.deadline,
        };
        PutMachine::admit(plan).map_err(|error| match error {
            PutError::Unavailable(short) => unavailable(&put.target.view, put.level, short),
            PutError::Unknown(short) => unknown(&put.target, put.level, short),
        })
    }

    /// Who may stand in for replicas of a sloppy put, in the partition's own order.
    fn fallbacks(&self, put: &Put) -> Vec<ReplicaSlot> {
        if put.quorum == QuorumKind::Strict {
            return Vec::new();
        }
        // Only datacenters with replicas have something to stand in for.
        let has_replicas = |dc| put.target.replicas.nodes.iter().any(|(_, of)| *of == dc);
        let fallbacks = put.target.fallbacks().filter(|(_, dc)| has_replicas(*dc));
        let slots = fallbacks.map(|(node, dc)| self.slot(node, dc));
        slots.filter(|slot| slot.liveness == Liveness::Alive).collect()
    }

    async fn mint(&self, put: &Put) -> Result<(Minted, oneshot::Receiver<()>), Failure> {
        let request = MintRequest {
            conflict: put.target.keyspace.conflict,
            body: put.body.clone(),
            context: put.context.clone(),
            ttl: put.ttl,
            deadline: put.deadline,
        };
        let minting = self.parts.replica.mint(put.target.stored.clone(), request);
        let minting = minting.map_err(overloaded)?;
        let Some(minted) = self.parts.env.until(put.deadline, minting.minted).await else {
            if seeded_bug(Mutant::ExpiredPutApplied) {
                return Err(overloaded(Limit::StripeQueue));
            }
            return Err(nothing_acked(put));
        };
        match minted {
            Ok(Ok(minted)) => Ok((minted, minting.durable)),
            Ok(Err(MintError::TooManySiblings { siblings })) => {
                Err(Invalid::TooManySiblings { got: siblings }.into())
            }
            Ok(Err(MintError::Context { detail })) => Err(Invalid::Context { detail }.into()),
            Ok(Err(MintError::Expired)) => Err(nothing_acked(put)),
            Ok(Err(MintError::Storage { detail })) => Err(Failure::Storage { detail }),
            Err(_) => Err(self.stopping()),
        }
    }

    /// Runs the machine until it is closed; returns what tells of the own replica, unless that was told.
    async fn drive_put(
        &self,
        machine: &mut PutMachine,
        run: &mut Run<'_>,
        mut durable: Option<oneshot::Receiver<()>>,
    ) -> Own {
        let own = self.parts.cluster.own();
        let mut fate = None;
        let mut effects = Vec::new();
        let mut alarm = Alarm::new(self.parts.env.clone());
        loop {
            let input = match run.inputs.pop_front() {
                Some(input) => input,
                None => {
                    let wake = run.wakes.first().copied();
                    tokio::select! {
                        biased;
                        news = run.registered.news.recv() => news.unwrap_or(PutInput::Tick),
                        synced = settled(&mut durable) => {
                            fate = Some(synced.is_ok());
                            match synced {
                                Ok(()) => PutInput::Acked { from: own },
                                Err(_) => PutInput::Failed { from: own },
                            }
                        }
                        () = alarm.ring(wake) => PutInput::Tick,
                    }
                }
            };
            let now = self.parts.env.mono();
            run.wakes.retain(|at| *at > now);
            machine.handle(now, input, &mut effects);
            for effect in effects.drain(..) {
                self.carry_out_put(effect, run);
            }
            if machine.is_closed() {
                return match (fate, durable) {
                    (None, Some(durable)) => Own::Unsettled(durable),
                    (fate, _) => Own::Settled { is_durable: fate == Some(true) },
                };
            }
        }
    }

    /// Has those who missed the record get it. A hint stands for the record here, so it must be here: readable, and on disk.
    async fn make_good(&self, (key, missed): (&StoredKey, Vec<(NodeIndex, Miss)>), own: Own) {
        if missed.is_empty() {
            return;
        }
        let is_durable = match own {
            Own::Settled { is_durable } => is_durable,
            Own::Unsettled(durable) => durable.await.is_ok(),
        };
        let handoff = &self.parts.handoff;
        for (owner, miss) in missed {
            if is_durable && miss == Miss::Unheard {
                handoff.miss(owner, key);
            } else {
                handoff.owe(owner, key);
            }
        }
    }

    fn carry_out_put(&self, effect: PutEffect, run: &mut Run<'_>) {
        match effect {
            PutEffect::Send { to, relay_to } => {
                let notice = PeerNotice::Apply {
                    operation: run.registered.id,
                    coordinator: self.parts.cluster.own(),
                    keyspace: run.target.keyspace.id,
                    key: run.target.key.clone(),
                    relay_to,
                };
                let sent = self.parts.peers.notify(to, &notice, run.minted.bytes.clone());
                if sent.is_err() {
                    run.inputs.push_back(PutInput::Failed { from: to });
                }
            }
            PutEffect::Hold { to, owner } => {
                let notice = PeerNotice::Hold {
                    operation: run.registered.id,
                    coordinator: self.parts.cluster.own(),
                    owner,
                    keyspace: run.target.keyspace.id,
                    key: run.target.key.clone(),
                };
                let sent = self.parts.peers.notify(to, &notice, run.minted.bytes.clone());
                if sent.is_err() {
                    run.inputs.push_back(PutInput::Failed { from: to });
                }
            }
            PutEffect::Missed { owner, miss } => {
                Self::count(&self.parts.counters.missed);
                run.missed.push((owner, miss));
                tracing::debug!(?owner, partition = run.target.partition.0, "replica missed a put");
            }
            PutEffect::WakeAt(at) => {
                run.wakes.insert(at);
            }
            PutEffect::Finish(result) => {
                if let Some(answer) = run.answer.take() {
                    answer(self.put_result(result, run));
                }
            }
        }
    }

    fn put_result(
        &self,
        result: Result<PutOutcome, PutError>,
        run: &Run<'_>,
    ) -> Result<Acknowledged, Failure> {
        match result {
            Ok(PutOutcome { acked, held }) => {
                let record = &run.minted.record;
                Ok(Acknowledged {
                    context: record.context(run.target.stored.token().0).encode(),
                    siblings: u16::try_from(record.sibling_count()).unwrap_or(u16::MAX),
                    acked,
                    held,
                })
            }
            Err(PutError::Unavailable(short)) => {
                Err(unavailable(&run.target.view, run.level, short))
            }
            Err(PutError::Unknown(short)) if seeded_bug(Mutant::UnknownSaidUnavailable) => {
                Err(unavailable(&run.target.view, run.level, short))
            }
            Err(PutError::Unknown(short)) => Err(unknown(run.target, run.level, short)),
        }
    }

    pub(super) fn stopping(&self) -> Failure {
        let view = self.parts.cluster.view();
        match view.node_name(self.parts.cluster.own()) {
            Some(node) => {
                Failure::NotServing { node: node.clone(), reason: "it is stopping".to_owned() }
            }
            None => Failure::Internal { detail: "this node is not in its own topology".to_owned() },
        }
    }
}

/// The failure of a put whose deadline passed while it waited for the own replica.
fn nothing_acked(put: &Put) -> Failure {
    Failure::Unknown { level: put.level, dc: None, needed: 1, acked: 0 }
}

/// Resolves once, when the own replica's write is settled; never again afterwards.
async fn settled(
    durable: &mut Option<oneshot::Receiver<()>>,
) -> Result<(), oneshot::error::RecvError> {
    match durable {
        Some(receiver) => {
            let result = receiver.await;
            *durable = None;
            result
        }
        None => std::future::pending().await,
    }
}

fn unknown(target: &Target, level: Level, short: atoll_protocol::quorum::Shortfall) -> Failure {
    Failure::Unknown {
        level,
        dc: short.dc.and_then(|dc| target.view.dc_name(dc).cloned()),
        needed: short.needed,
        acked: short.have,
    }
}
