//! Puts under way: each an entry that whoever brings news moves on, not a task.
//!
//! ```text
//! begin ─▶ stripe of the own replica ─ minted ─▶ take(Minted) ─effects─▶ peers, answer
//!                      └─ settled ─▶ take(Acked | Failed)  ▲
//! Applied notice of a peer, its lost connection ───────────┤
//! moment (`wakes.rs`) ─────────────────────────────────────┘
//! ```
//!
//! Invariants
//! - News are taken one at a time, in the order in which they came. Nothing waits while one is being taken.
//! - Nobody is sent the record, and no news of peers reach the machine, before the own replica has minted it.
//! - Whoever missed the record is made good for once the own replica's fate is known, and the machine is closed.

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};

use atoll_protocol::ids::{NodeIndex, OperationId};
use atoll_protocol::limits::Limit;
use atoll_protocol::put::{Miss, PutEffect, PutError, PutInput, PutMachine, PutOutcome};
use atoll_protocol::quorum::{Level, Shortfall};
use atoll_protocol::record::Record;
use atoll_protocol::wire::{Acknowledged, Failure, Invalid, PeerNotice};
use atoll_seeded_bug::{Mutant, seeded_bug};
use parking_lot::Mutex;

use super::operations::{Place, PutNews};
use super::wakes::{Moments, Woken};
use super::{Answer, Coordinator, Target, overloaded, unavailable};
use crate::replica::{Fate, MintError, MintRequest, Minted, Minter};

/// One put.
pub(super) struct RunningPut {
    coordinator: Coordinator,
    operation: OperationId,
    target: Target,
    level: Level,
    /// The record, once there is one. Set with `run` locked.
    minted: OnceLock<Minted>,
    run: Mutex<Run>,
    _place: Place,
}

/// What changes as a put goes on.
struct Run {
    machine: PutMachine,
    inputs: VecDeque<PutInput>,
    effects: Vec<PutEffect>,
    moments: Moments,
    /// What became of the record at the own replica, once that is known.
    own: Option<Fate>,
    /// Replicas that lack the record.
    missed: Vec<(NodeIndex, Miss)>,
    answer: Option<Answer<Acknowledged>>,
}

impl RunningPut {
    /// Has the own replica mint the record of a put that was admitted; everything else follows from that.
    pub(super) fn begin(
        coordinator: Coordinator,
        place: Place,
        (target, level, machine): (Target, Level, PutMachine),
        request: MintRequest,
        answer: Answer<Acknowledged>,
    ) {
        let (stored, deadline) = (target.stored.clone(), request.deadline);
        let mut run = Run {
            machine,
            inputs: VecDeque::new(),
            effects: Vec::new(),
            moments: Moments::default(),
            own: None,
            missed: Vec::new(),
            answer: Some(answer),
        };
        run.moments.ask(deadline);
        let operation = coordinator.parts.operations.next_id();
        let (minted, run) = (OnceLock::new(), Mutex::new(run));
        let put = Self { coordinator, operation, target, level, minted, run, _place: place };
        let put = Arc::new(put);
        put.run.lock().moments.set(&put.coordinator.parts.wakes, &put);
        if let Err(limit) = put.coordinator.parts.replica.mint(stored, request, put.clone()) {
            put.end_unminted(&mut put.run.lock(), overloaded(limit));
        }
    }

    /// Answers a put that has not been minted; should it be after all, nobody is sent it.
    fn end_unminted(&self, run: &mut Run, failure: Failure) {
        debug_assert!(self.minted.get().is_none(), "what was sent is waited for");
        run.moments.clear(&self.coordinator.parts.wakes);
        if let Some(answer) = run.answer.take() {
            answer(Err(failure));
        }
    }

    /// Takes news, and what follows from them; none that come before there is a record.
    fn take(self: &Arc<Self>, run: &mut Run, input: PutInput) {
        let Some(minted) = self.minted.get() else { return };
        run.inputs.push_back(input);
        let mut effects = std::mem::take(&mut run.effects);
        while let Some(input) = run.inputs.pop_front() {
            let now = self.coordinator.parts.env.mono();
            run.moments.pass(now);
            run.machine.handle(now, input, &mut effects);
            for effect in effects.drain(..) {
                self.carry_out(effect, minted, run);
            }
        }
        run.effects = effects;
        if run.machine.is_closed() {
            run.moments.clear(&self.coordinator.parts.wakes);
            self.coordinator.parts.operations.unregister(self.operation);
            self.make_good(run);
        } else {
            run.moments.set(&self.coordinator.parts.wakes, self);
        }
    }

    fn carry_out(&self, effect: PutEffect, minted: &Minted, run: &mut Run) {
        let coordinator = self.coordinator.parts.cluster.own();
        let (operation, keyspace) = (self.operation, self.target.keyspace.id);
        match effect {
            PutEffect::Send { to, relay_to } => {
                let key = self.target.key.clone();
                let notice = PeerNotice::Apply { operation, coordinator, keyspace, key, relay_to };
                self.send(to, &notice, minted, run);
            }
            PutEffect::Hold { to, owner } => {
                let key = self.target.key.clone();
                let notice = PeerNotice::Hold { operation, coordinator, owner, keyspace, key };
                self.send(to, &notice, minted, run);
            }
            PutEffect::Missed { owner, miss } => {
                Coordinator::count(&self.coordinator.parts.counters.missed);
                run.missed.push((owner, miss));
                let partition = self.target.partition.0;
                tracing::debug!(?owner, partition, "replica missed a put");
            }
            PutEffect::WakeAt(at) => run.moments.ask(at),
            PutEffect::Finish(result) => {
                if let Some(answer) = run.answer.take() {
                    answer(self.result(result, &minted.record));
                }
            }
        }
    }

    fn send(&self, to: NodeIndex, notice: &PeerNotice, minted: &Minted, run: &mut Run) {
        if self.coordinator.parts.peers.notify(to, notice, minted.bytes.clone()).is_err() {
            run.inputs.push_back(PutInput::Failed { from: to });
        }
    }

    /// Has those who missed the record get it. A hint stands for the record here, so it must be here: readable, and on disk.
    fn make_good(&self, run: &mut Run) {
        let Some(own) = run.own else { return };
        let handoff = &self.coordinator.parts.handoff;
        for (owner, miss) in run.missed.drain(..) {
            if own == Fate::Durable && miss == Miss::Unheard {
                handoff.miss(owner, &self.target.stored);
            } else {
                handoff.owe(owner, &self.target.stored);
            }
        }
    }

    fn result(
        &self,
        result: Result<PutOutcome, PutError>,
        record: &Record,
    ) -> Result<Acknowledged, Failure> {
        match result {
            Ok(PutOutcome { acked, held }) => Ok(Acknowledged {
                context: record.context(self.target.stored.token().0).encode(),
                siblings: u16::try_from(record.sibling_count()).unwrap_or(u16::MAX),
                acked,
                held,
            }),
            Err(PutError::Unavailable(short)) => {
                Err(unavailable(&self.target.view, self.level, short))
            }
            Err(PutError::Unknown(short)) if seeded_bug(Mutant::UnknownSaidUnavailable) => {
                Err(unavailable(&self.target.view, self.level, short))
            }
            Err(PutError::Unknown(short)) => Err(unknown(&self.target, self.level, short)),
        }
    }

    /// The failure of a put that ended before it was minted.
    fn unminted(&self, error: MintError) -> Failure {
        match error {
            MintError::TooManySiblings { siblings } => {
                Invalid::TooManySiblings { got: siblings }.into()
            }
            MintError::Context { detail } => Invalid::Context { detail }.into(),
            MintError::Expired => self.nothing_acked(),
            MintError::Storage { detail } => Failure::Storage { detail },
        }
    }

    /// The failure of a put whose deadline passed while it waited for the own replica.
    fn nothing_acked(&self) -> Failure {
        Failure::Unknown { level: self.level, dc: None, needed: 1, acked: 0 }
    }
}

impl Minter for RunningPut {
    fn minted(self: Arc<Self>, minted: Result<Minted, MintError>) {
        let mut run = self.run.lock();
        let minted = match minted {
            Ok(minted) => minted,
            Err(error) => return self.end_unminted(&mut run, self.unminted(error)),
        };
        // Its deadline has passed, and whoever put was told so.
        if run.answer.is_none() {
            return;
        }
        self.minted.get_or_init(|| minted);
        self.coordinator.parts.operations.register(self.operation, self.clone());
        if seeded_bug(Mutant::CoordinatorAcksAtMint) {
            run.inputs.push_back(PutInput::Minted);
            self.take(&mut run, PutInput::Acked { from: self.coordinator.parts.cluster.own() });
        } else {
            self.take(&mut run, PutInput::Minted);
        }
    }

    fn settled(self: Arc<Self>, fate: Fate) {
        let mut run = self.run.lock();
        run.own = Some(fate);
        let from = self.coordinator.parts.cluster.own();
        let input = match fate {
            Fate::Durable => PutInput::Acked { from },
            Fate::Refused => PutInput::Failed { from },
        };
        self.take(&mut run, input);
    }
}

impl PutNews for RunningPut {
    fn tell(self: Arc<Self>, input: PutInput) {
        let mut run = self.run.lock();
        self.take(&mut run, input);
    }
}

impl Woken for RunningPut {
    fn wake(self: Arc<Self>) {
        let mut run = self.run.lock();
        run.moments.has_come();
        if self.minted.get().is_some() {
            return self.take(&mut run, PutInput::Tick);
        }
        let failure = if seeded_bug(Mutant::ExpiredPutApplied) {
            overloaded(Limit::StripeQueue)
        } else {
            self.nothing_acked()
        };
        self.end_unminted(&mut run, failure);
    }
}

impl Drop for RunningPut {
    /// Whoever put is answered also when the node stops before its stripe came to it.
    fn drop(&mut self) {
        if let Some(answer) = self.run.get_mut().answer.take() {
            answer(Err(self.coordinator.stopping()));
        }
    }
}

pub(super) fn unknown(target: &Target, level: Level, short: Shortfall) -> Failure {
    Failure::Unknown {
        level,
        dc: short.dc.and_then(|dc| target.view.dc_name(dc).cloned()),
        needed: short.needed,
        acked: short.have,
    }
}
