//! Gets under way: each an entry that whoever brings an answer moves on, not a task.
//!
//! ```text
//! begin ──────────────▶ take(Start) ─effects─▶ own replica, peers ([`Peers::begin_read`]), answer
//! answer of a peer ───▶ take(Record, Same, ..)      ▲
//! moment (`wakes.rs`) ▶ take(Tick)                  └── tasks: what needs the disk, and repairs
//! ```
//!
//! Invariants
//! - Inputs are taken one at a time, in the order in which they came. Nothing waits while one is being taken.
//! - Reads that are under way when the machine closes are forgotten, and so is its moment: nothing keeps a closed get
//!   alive.

use std::collections::VecDeque;
use std::sync::Arc;

use atoll_protocol::get::{GetEffect, GetInput, GetMachine, GetOutcome};
use atoll_protocol::ids::NodeIndex;
use atoll_protocol::keyspace::Conflict;
use atoll_protocol::record::Record;
use atoll_protocol::time::MonoTime;
use atoll_protocol::wire::{Known, PeerReply, PeerRequest};
use bytes::Bytes;
use parking_lot::Mutex;

use super::get::{Get, GetAnswer, get_failure};
use super::operations::Place;
use super::wakes::{Moments, Woken};
use super::{Answer, Coordinator};
use crate::net::{ReadAnswer, ReadCall};
use crate::replica::{Reach, ReplicaError};

/// Most incarnations and cells of a record that is told along with a read: some 30 bytes each. Whoever is told nothing
/// sends its record.
const KNOWN_PARTS_MAX: usize = 1_024;

/// One get.
pub(super) struct RunningGet {
    coordinator: Coordinator,
    get: Get,
    run: Mutex<Run>,
    _place: Place,
}

/// What changes as a get goes on.
struct Run {
    machine: GetMachine,
    inputs: VecDeque<GetInput>,
    effects: Vec<GetEffect>,
    moments: Moments,
    asked: Vec<Asked>,
    answer: Option<Answer<GetAnswer>>,
}

/// A peer that was asked.
pub(super) struct Asked {
    pub(super) node: NodeIndex,
    pub(super) since: MonoTime,
    /// `None` once it was called off.
    call: Option<ReadCall>,
}

impl RunningGet {
    /// Begins a get.
    pub(super) fn begin(
        coordinator: Coordinator,
        place: Place,
        (get, machine): (Get, GetMachine),
        answer: Answer<GetAnswer>,
    ) {
        let run = Run {
            machine,
            inputs: VecDeque::new(),
            effects: Vec::new(),
            moments: Moments::default(),
            asked: Vec::new(),
            answer: Some(answer),
        };
        let running = Self { coordinator, get, run: Mutex::new(run), _place: place };
        Arc::new(running).take(GetInput::Start);
    }

    /// Takes a fact, and what follows from it.
    fn take(self: &Arc<Self>, input: GetInput) {
        self.take_in(&mut self.run.lock(), input);
    }

    fn take_in(self: &Arc<Self>, run: &mut Run, input: GetInput) {
        run.inputs.push_back(input);
        let mut effects = std::mem::take(&mut run.effects);
        while let Some(input) = run.inputs.pop_front() {
            if run.machine.is_closed() {
                break;
            }
            let now = self.coordinator.parts.env.mono();
            run.moments.pass(now);
            run.machine.handle(now, input, &mut effects);
            for effect in effects.drain(..) {
                self.carry_out(effect, run);
            }
        }
        run.effects = effects;
        if run.machine.is_closed() {
            run.asked.clear();
            run.moments.clear(&self.coordinator.parts.wakes);
        } else {
            run.moments.set(&self.coordinator.parts.wakes, self);
        }
    }

    fn carry_out(self: &Arc<Self>, effect: GetEffect, run: &mut Run) {
        let coordinator = &self.coordinator;
        match effect {
            GetEffect::Read { to, .. } if to == coordinator.parts.cluster.own() => {
                self.read_own(run);
            }
            GetEffect::Read { to, known, .. } => {
                let joined = run.machine.joined();
                let is_small =
                    joined.incarnation_count() + joined.sibling_count() <= KNOWN_PARTS_MAX;
                let known = known.filter(|_| is_small);
                let known = known.map(|digest| Known { digest, version: joined.version() });
                self.read_peer(to, known, run);
            }
            GetEffect::Speculate { overdue, reads } => {
                run.inputs.extend(coordinator.may_speculate(&overdue, &run.asked, reads));
            }
            GetEffect::Cancel { to } => {
                let asked = run.asked.iter_mut().find(|asked| asked.node == to);
                if let Some(call) = asked.and_then(|asked| asked.call.take()) {
                    call.call_off();
                }
            }
            GetEffect::Repair { to } => {
                Coordinator::count(&coordinator.parts.counters.repaired);
                self.repair(to, run.machine.joined().encode());
            }
            GetEffect::WakeAt(at) => run.moments.ask(at),
            GetEffect::Finish(result) => {
                let result = match result {
                    Ok(GetOutcome { answered, won, .. }) => {
                        Coordinator::add(&coordinator.parts.counters.won, won.into());
                        Ok(GetAnswer { record: run.machine.joined().clone(), answered })
                    }
                    Err(error) => Err(get_failure(error, &self.get)),
                };
                if let Some(answer) = run.answer.take() {
                    answer(result);
                }
            }
        }
    }

    /// Reads the own record: from memory at once, from the disk in a task, so that nobody who brings something waits for it.
    fn read_own(self: &Arc<Self>, run: &mut Run) {
        match self.coordinator.own_record(&self.get.target, Reach::Memory) {
            Err(ReplicaError::NotInMemory) => {
                let this = self.clone();
                self.coordinator.parts.tasks.spawn("get-from-disk", async move {
                    let read = this.coordinator.own_record(&this.get.target, Reach::Disk);
                    this.take(this.own_answer(read));
                });
            }
            read => run.inputs.push_back(self.own_answer(read)),
        }
    }

    fn own_answer(&self, read: Result<Record, ReplicaError>) -> GetInput {
        let from = self.coordinator.parts.cluster.own();
        match read {
            Ok(record) => GetInput::Record { from, record },
            Err(error) => {
                tracing::error!(%error, "own replica cannot read");
                GetInput::Failed { from }
            }
        }
    }

    fn read_peer(self: &Arc<Self>, to: NodeIndex, known: Option<Known>, run: &mut Run) {
        let parts = &self.coordinator.parts;
        let (keyspace, key) = (self.get.target.keyspace.id, self.get.target.key.clone());
        let request = PeerRequest::Read { keyspace, key, known };
        let (this, since) = (self.clone(), parts.env.mono());
        let begun = parts.peers.begin_read(to, &request, self.get.deadline, move |answer| {
            let conflict = this.get.target.keyspace.conflict;
            this.take(peer_answer(to, answer, conflict));
        });
        match begun {
            Ok(call) => run.asked.push(Asked { node: to, since, call: Some(call) }),
            Err(_) => run.inputs.push_back(GetInput::Failed { from: to }),
        }
    }

    fn repair(self: &Arc<Self>, to: NodeIndex, record: Bytes) {
        let this = self.clone();
        self.coordinator.parts.tasks.spawn("read-repair", async move {
            let (parts, target) = (&this.coordinator.parts, &this.get.target);
            let is_repaired = if to == parts.cluster.own() {
                parts.replica.apply(target.stored.clone(), record).await.is_ok()
            } else {
                let (keyspace, key) = (target.keyspace.id, target.key.clone());
                let request = PeerRequest::Repair { keyspace, key };
                let reply = parts.peers.call(to, &request, record, this.get.deadline).await;
                matches!(reply, Ok((PeerReply::Repaired, _)))
            };
            this.take(if is_repaired {
                GetInput::Repaired { from: to }
            } else {
                GetInput::Failed { from: to }
            });
        });
    }
}

impl Woken for RunningGet {
    fn wake(self: Arc<Self>) {
        let mut run = self.run.lock();
        run.moments.has_come();
        self.take_in(&mut run, GetInput::Tick);
    }
}

/// What the answer of `from` says about its record.
fn peer_answer(from: NodeIndex, answer: ReadAnswer, conflict: Conflict) -> GetInput {
    match answer {
        Ok((PeerReply::Same, _)) => GetInput::Same { from },
        Ok((PeerReply::Older { digest }, _)) => GetInput::Older { from, digest },
        Ok((PeerReply::Absent, _)) => GetInput::Record { from, record: Record::empty(conflict) },
        Ok((PeerReply::Record, payload)) => match Record::decode(payload) {
            Ok(record) if record.conflict() == conflict => GetInput::Record { from, record },
            Ok(_) | Err(_) => GetInput::Failed { from },
        },
        Ok(_) | Err(_) => GetInput::Failed { from },
    }
}
