//! Gets: what memory can answer at once, and the admission of the others, which `running_get.rs` drives.

use atoll_protocol::get::{GetError, GetMachine, GetPlan};
use atoll_protocol::ids::DcIndex;
use atoll_protocol::quorum::{Level, Shortfall};
use atoll_protocol::record::Record;
use atoll_protocol::time::MonoTime;
use atoll_protocol::version::Context;
use atoll_protocol::wire::Failure;

use super::running_get::RunningGet;
use super::{Answer, Coordinator, Target, overloaded, quorum_spec, unavailable};
use crate::replica::{Reach, ReplicaError};

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

impl Coordinator {
    /// Begins a get: what memory and the peers' connections take at once is done when this returns, everything else as
    /// answers come ([`RunningGet`]). The answer may have been given by then. Nothing here waits for the disk.
    pub fn get(&self, get: Get, answer: impl FnOnce(Result<GetAnswer, Failure>) + Send + 'static) {
        if let Some(record) = self.read_alone(&get) {
            Self::count(&self.parts.counters.gets);
            self.parts.hedges.earn();
            return answer(Ok(GetAnswer { record, answered: 1 }));
        }
        let answer = Box::new(answer);
        if get.at_least.is_none() {
            return self.begin_get(get, answer);
        }
        // What a session has seen may be gone by a purge; whether the own record stands in for it, the disk may have to tell.
        let coordinator = self.clone();
        self.parts.tasks.spawn("session-get", async move { coordinator.begin_get(get, answer) });
    }

    fn begin_get(&self, get: Get, answer: Answer<GetAnswer>) {
        let place = match self.parts.operations.enter() {
            Ok(place) => place,
            Err(limit) => return answer(Err(overloaded(limit))),
        };
        Self::count(&self.parts.counters.gets);
        match self.admit_get(&get) {
            Ok(machine) => RunningGet::begin(self.clone(), place, (get, machine), answer),
            Err(failure) => answer(Err(failure)),
        }
    }

    /// The own record, if it is all that the level asks for and in memory: what the machine would come to, at a third of the
    /// cost.
    fn read_alone(&self, get: &Get) -> Option<Record> {
        let own = (self.parts.cluster.own(), self.parts.cluster.own_dc());
        let is_enough = match get.level {
            Level::One => true,
            Level::LocalOne => get.local == own.1,
            _ => false,
        };
        if !is_enough || get.at_least.is_some() || !get.target.replicas.nodes.contains(&own) {
            return None;
        }
        let record = self.own_record(&get.target, Reach::Memory).ok()?;
        (record.conflict() == get.target.keyspace.conflict).then_some(record)
    }

    /// The own record; the empty one, if there is none.
    pub(super) fn own_record(&self, target: &Target, reach: Reach) -> Result<Record, ReplicaError> {
        let stored = self.parts.replica.read(&target.stored, reach)?;
        Ok(stored.unwrap_or_else(|| Record::empty(target.keyspace.conflict)))
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
}

pub(super) fn get_failure(error: GetError, get: &Get) -> Failure {
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
