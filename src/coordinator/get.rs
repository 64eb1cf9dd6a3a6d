//! Drives one get: reads the replicas that the machine names, repairs the stale ones, answers.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::task::Poll;

use atoll_protocol::get::{GetEffect, GetError, GetInput, GetMachine, GetOutcome, GetPlan};
use atoll_protocol::ids::{DcIndex, NodeIndex};
use atoll_protocol::keyspace::Conflict;
use atoll_protocol::quorum::{Level, Shortfall};
use atoll_protocol::record::Record;
use atoll_protocol::time::MonoTime;
use atoll_protocol::version::Context;
use atoll_protocol::wire::{Failure, Known, PeerReply, PeerRequest};
use bytes::Bytes;

use super::{Answer, Coordinator, Target, overloaded, quorum_spec, unavailable};
use crate::env::{Alarm, BoxFuture};
use crate::net::{CallOff, ReadCall};
use crate::replica::{Reach, ReplicaError};

/// Most incarnations and cells of a record that is told along with a read: some 30 bytes each. Whoever is told nothing
/// sends its record.
const KNOWN_PARTS_MAX: usize = 1_024;

/// A get of a key.
pub struct Get {
    /// The key.
    pub target: Target,
    /// How many replicas must answer.
    pub level: Level,
    /// The datacenter that `LOCAL` means.
    pub local: DcIndex,
    /// What the answer must have seen at least.
    pub at_least: Option<Context>,
    /// When the client's patience ends.
    pub deadline: MonoTime,
}

/// What a get found.
#[derive(Clone, Debug)]
pub struct GetAnswer {
    /// The join of what the replicas hold.
    pub record: Record,
    /// Replicas that answered.
    pub answered: u16,
}

/// What the driver's loop holds besides the machine.
struct Run {
    get: Get,
    wakes: Vec<MonoTime>,
    inputs: VecDeque<GetInput>,
    under_way: UnderWay,
    asked: Vec<Asked>,
    answer: Option<Answer<GetAnswer>>,
}

/// A peer that was asked.
pub(super) struct Asked {
    pub(super) node: NodeIndex,
    pub(super) since: MonoTime,
    /// Calls the read off, once.
    call_off: Option<CallOff>,
}

/// Reads and repairs that will be over some time: hardly ever more than two.
#[derive(Default)]
struct UnderWay {
    futures: Vec<BoxFuture<'static, GetInput>>,
}

impl UnderWay {
    /// The next that is over; never, if there is none.
    ///
    /// # Cancellation
    /// Loses nothing.
    async fn next(&mut self) -> GetInput {
        poll_fn(|context| {
            for at in 0..self.futures.len() {
                let Some(future) = self.futures.get_mut(at) else { break };
                if let Poll::Ready(input) = future.as_mut().poll(context) {
                    drop(self.futures.swap_remove(at));
                    return Poll::Ready(input);
                }
            }
            Poll::Pending
        })
        .await
    }
}

impl Coordinator {
    /// What a get comes to whose level asks for the own record alone, if that is in memory: the same as [`get`](Self::get), at
    /// once. `None` says nothing, and was not counted.
    pub fn get_at_once(&self, get: &Get) -> Option<GetAnswer> {
        let record = self.read_alone(get, Reach::Memory)?;
        Self::count(&self.parts.counters.gets);
        self.parts.hedges.earn();
        Some(GetAnswer { record, answered: 1 })
    }

    /// Runs a get to its end: the answer, and the repairs behind it.
    pub async fn get(&self, get: Get, answer: Answer<GetAnswer>) {
        let _place = match self.parts.operations.enter() {
            Ok(place) => place,
            Err(limit) => return answer(Err(overloaded(limit))),
        };
        Self::count(&self.parts.counters.gets);
        if let Some(record) = self.read_alone(&get, Reach::Disk) {
            self.parts.hedges.earn();
            return answer(Ok(GetAnswer { record, answered: 1 }));
        }
        let mut machine = match self.admit_get(&get) {
            Ok(machine) => machine,
            Err(failure) => return answer(Err(failure)),
        };
        let mut run = Run {
            get,
            wakes: Vec::new(),
            inputs: VecDeque::from([GetInput::Start]),
            under_way: UnderWay::default(),
            asked: Vec::new(),
            answer: Some(answer),
        };
        self.drive_get(&mut machine, &mut run).await;
    }

    /// The own record, if it is all that the level asks for: what the machine would come to, at a third of the cost. `None`
    /// also if it cannot be read; others are asked then.
    fn read_alone(&self, get: &Get, reach: Reach) -> Option<Record> {
        let own = (self.parts.cluster.own(), self.parts.cluster.own_dc());
        let is_enough = match get.level {
            Level::One => true,
            Level::LocalOne => get.local == own.1,
            _ => false,
        };
        if !is_enough || get.at_least.is_some() || !get.target.replicas.nodes.contains(&own) {
            return None;
        }
        let record = self.own_record(&get.target, reach);
        record.filter(|record| record.conflict() == get.target.keyspace.conflict)
    }

    /// The own record; `None` if it cannot be read, or is out of `reach`.
    fn own_record(&self, target: &Target, reach: Reach) -> Option<Record> {
        match self.parts.replica.read(&target.stored, reach) {
            Ok(record) => Some(record.unwrap_or_else(|| Record::empty(target.keyspace.conflict))),
            Err(ReplicaError::NotInMemory) => None,
            Err(error) => {
                tracing::error!(%error, "own replica cannot read");
                None
            }
        }
    }

    fn admit_get(&self, get: &Get) -> Result<GetMachine, Failure> {
        let spec = quorum_spec(&get.target, get.level, get.local)?;
        let replicas = self.nearest_first(&get.target);
        let plan = GetPlan {
            coordinator: self.parts.cluster.own(),
            hedge_after: self.hedge_after(&spec, &replicas, get.deadline),
            spec,
            replicas,
            empty: Record::empty(get.target.keyspace.conflict),
            at_least: get.at_least.as_ref().map(|seen| self.unpurged(&get.target, seen)),
            deadline: get.deadline,
        };
        let machine = GetMachine::admit(plan).map_err(|error| get_failure(error, get))?;
        self.parts.hedges.earn();
        Ok(machine)
    }

    async fn drive_get(&self, machine: &mut GetMachine, run: &mut Run) {
        let mut effects = Vec::new();
        let mut alarm = Alarm::new(self.parts.env.clone());
        loop {
            let input = match run.inputs.pop_front() {
                Some(input) => input,
                None => {
                    let wake = run.wakes.iter().min().copied();
                    tokio::select! {
                        biased;
                        input = run.under_way.next() => input,
                        () = alarm.ring(wake) => GetInput::Tick,
                    }
                }
            };
            let now = self.parts.env.mono();
            run.wakes.retain(|at| *at > now);
            machine.handle(now, input, &mut effects);
            for effect in effects.drain(..) {
                self.carry_out_get(effect, machine, run);
            }
            if machine.is_closed() || (run.answer.is_none() && now >= run.get.deadline) {
                return;
            }
        }
    }

    fn carry_out_get(&self, effect: GetEffect, machine: &GetMachine, run: &mut Run) {
        match effect {
            GetEffect::Read { to, .. } if to == self.parts.cluster.own() => {
                run.inputs.push_back(self.read_own(&run.get.target));
            }
            GetEffect::Read { to, known, .. } => {
                let joined = machine.joined();
                let is_small =
                    joined.incarnation_count() + joined.sibling_count() <= KNOWN_PARTS_MAX;
                let known = known.filter(|_| is_small);
                let known = known.map(|digest| Known { digest, version: joined.version() });
                self.read_peer(to, known, run);
            }
            GetEffect::Speculate { overdue, reads } => {
                run.inputs.extend(self.may_speculate(&overdue, &run.asked, reads));
            }
            GetEffect::Cancel { to } => {
                let asked = run.asked.iter_mut().find(|asked| asked.node == to);
                if let Some(read) = asked.and_then(|asked| asked.call_off.take()) {
                    read.now(&self.parts.peers);
                }
            }
            GetEffect::Repair { to } => {
                Self::count(&self.parts.counters.repaired);
                let record = machine.joined().encode();
                run.under_way.futures.push(self.repair(to, record, &run.get));
            }
            GetEffect::WakeAt(at) => {
                run.wakes.push(at);
            }
            GetEffect::Finish(result) => {
                let result = match result {
                    Ok(GetOutcome { answered, won, .. }) => {
                        Self::add(&self.parts.counters.won, won.into());
                        Ok(GetAnswer { record: machine.joined().clone(), answered })
                    }
                    Err(error) => Err(get_failure(error, &run.get)),
                };
                if let Some(answer) = run.answer.take() {
                    answer(result);
                }
            }
        }
    }

    fn read_own(&self, target: &Target) -> GetInput {
        let from = self.parts.cluster.own();
        match self.own_record(target, Reach::Disk) {
            Some(record) => GetInput::Record { from, record },
            None => GetInput::Failed { from },
        }
    }

    fn read_peer(&self, to: NodeIndex, known: Option<Known>, run: &mut Run) {
        let (keyspace, key) = (run.get.target.keyspace.id, run.get.target.key.clone());
        let request = PeerRequest::Read { keyspace, key, known };
        let begun = self.parts.peers.begin_read(to, &request, run.get.deadline);
        let Ok((call, call_off)) = begun else {
            return run.inputs.push_back(GetInput::Failed { from: to });
        };
        let since = self.parts.env.mono();
        run.asked.push(Asked { node: to, since, call_off: Some(call_off) });
        let answer = read_answer(to, call, run.get.target.keyspace.conflict);
        run.under_way.futures.push(Box::pin(answer));
    }

    fn repair(&self, to: NodeIndex, record: Bytes, get: &Get) -> BoxFuture<'static, GetInput> {
        let coordinator = self.clone();
        let (stored, deadline) = (get.target.stored.clone(), get.deadline);
        let request =
            PeerRequest::Repair { keyspace: get.target.keyspace.id, key: get.target.key.clone() };
        Box::pin(async move {
            let parts = &coordinator.parts;
            let is_repaired = if to == parts.cluster.own() {
                parts.replica.apply(stored, record).await.is_ok()
            } else {
                let reply = parts.peers.call(to, &request, record, deadline).await;
                matches!(reply, Ok((PeerReply::Repaired, _)))
            };
            if is_repaired {
                GetInput::Repaired { from: to }
            } else {
                GetInput::Failed { from: to }
            }
        })
    }
}

/// What the answer of `to` says about its record.
async fn read_answer(to: NodeIndex, call: ReadCall, conflict: Conflict) -> GetInput {
    let failed = GetInput::Failed { from: to };
    match call.answer().await {
        Ok((PeerReply::Same, _)) => GetInput::Same { from: to },
        Ok((PeerReply::Older { digest }, _)) => GetInput::Older { from: to, digest },
        Ok((PeerReply::Absent, _)) => {
            GetInput::Record { from: to, record: Record::empty(conflict) }
        }
        Ok((PeerReply::Record, payload)) => match Record::decode(payload) {
            Ok(record) if record.conflict() == conflict => GetInput::Record { from: to, record },
            Ok(_) | Err(_) => failed,
        },
        Ok(_) | Err(_) => failed,
    }
}

fn get_failure(error: GetError, get: &Get) -> Failure {
    match error {
        GetError::Behind { answered } => Failure::SessionBehind { answered },
        GetError::Unavailable(short) => unavailable(&get.target.view, get.level, short),
        GetError::Deadline(Shortfall { dc, needed, have }) => Failure::Deadline {
            level: get.level,
            dc: dc.and_then(|dc| get.target.view.dc_name(dc).cloned()),
            needed,
            answered: have,
        },
    }
}
