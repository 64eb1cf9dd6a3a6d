//! The recorder: writes the history while the world goes on.
//!
//! It sees what no client can see: every record on the wire ([`tap`]), and what a replica holds at the moment when it
//! says that it does ([`Recorder::inspect`]).
//!
//! Invariants
//! - It changes nothing: what it reads of a disk is read outside of the node's own calls.
//! - A holder is noted before the acknowledgement that it stands for is on the wire.

mod held;
mod kept;
mod purges;
mod tap;
mod values;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use atoll_protocol::ids::{Incarnation, KeyspaceId, NodeIndex, OperationId};
use atoll_protocol::keyspace::{Conflict, Keyspace};
use atoll_protocol::record::{Cell, CellBody, Record};
use atoll_protocol::time::MonoTime;
use atoll_protocol::token::Partition;
use atoll_protocol::version::Dot;
use atoll_storage::{Engine, Statistics};
use atolldb::meta::BegunLife;
use atolldb::replica::StoredKey;
use bytes::Bytes;
use parking_lot::{Mutex, MutexGuard};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::disk::SimDisk;
use crate::exec::Exec;
use crate::history::{
    DotConflict, History, Key, KeyId, Op, OpId, OpKind, Outcome, Sighting, ValueId, Violation,
};

pub use tap::TapTransport;
pub use values::{name_of, value_bytes};

use held::Held;
use purges::Purges;
use values::NUMBER_BYTES;

/// What the engine says of damage.
const CORRUPT: &str = "corrupt";

/// Writes the history. Cheap to clone.
#[derive(Clone)]
pub struct Recorder {
    exec: Exec,
    state: Arc<Mutex<State>>,
}

/// What the recorder knows.
#[derive(Default)]
pub struct State {
    /// The history so far.
    pub history: History,
    /// Situations that were reached.
    pub situations: BTreeMap<String, u64>,
    /// Keyspaces whose creation was acknowledged, as the node that did so knew them then.
    pub keyspaces_acked: Vec<Arc<Keyspace>>,
    /// The engine of each node that runs.
    engines: BTreeMap<NodeIndex, (Arc<Engine>, SimDisk)>,
    held: Held,
    purges: Purges,
    keys: BTreeMap<(KeyspaceId, Bytes), KeyId>,
    ids: BTreeMap<KeyId, (KeyspaceId, StoredKey, u32)>,
    /// Keys that an operation of a coordinator wrote.
    applies: BTreeMap<(NodeIndex, OperationId), BTreeSet<KeyId>>,
    /// Which key and cell each (partition, dot) was bound to.
    bound: BTreeMap<(u32, Dot), (KeyId, u64)>,
    short_values: BTreeSet<(KeyId, usize)>,
    next_value: u64,
}

impl Recorder {
    /// A recorder with an empty history.
    pub fn new(exec: Exec) -> Self {
        // Above every length of a short value, which is its own number.
        let state = State { next_value: 1_000, ..State::default() };
        Self { exec, state: Arc::new(Mutex::new(state)) }
    }

    /// What it knows.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// Adds a key of the workload in this keyspace and partition.
    pub fn add_key(&self, key: Key, keyspace: KeyspaceId, partition: u32) -> KeyId {
        let mut state = self.state.lock();
        let id = KeyId(state.history.keys.len());
        let stored = StoredKey::new(keyspace, &key.key);
        state.keys.insert((keyspace, key.key.clone()), id);
        state.ids.insert(id, (keyspace, stored, partition));
        state.history.keys.push(key);
        id
    }

    /// A value that nobody has written to this key, of this length if that is possible.
    pub fn fresh_value(&self, key: KeyId, length: usize) -> (ValueId, usize) {
        let mut state = self.state.lock();
        if length < NUMBER_BYTES && state.short_values.insert((key, length)) {
            return (ValueId(length as u64), length);
        }
        state.next_value += 1;
        (ValueId(state.next_value), length.max(NUMBER_BYTES))
    }

    /// Notes an operation that a client begins.
    pub fn invoke(&self, op: Op) -> OpId {
        let mut state = self.state.lock();
        let id = OpId(state.history.ops.len());
        let numbers = [id.0 as u64, op.client as u64, op.key.0 as u64, u64::from(op.node.0)];
        self.exec.notes().note("invoke", numbers, || {
            format!(
                "client {} asks node {}: key {} {} {:?}",
                op.client, op.node.0, op.key.0, op.level, op.kind
            )
        });
        state.history.ops.push(op);
        id
    }

    /// Notes what came of it.
    pub fn complete(&self, id: OpId, outcome: Outcome) {
        let now = self.exec.now();
        let mut state = self.state.lock();
        let Some(op) = state.history.ops.get_mut(id.0) else { return };
        let code = match &outcome {
            Outcome::Pending => 0,
            Outcome::Acked { acked, .. } => 1 << 16 | u64::from(*acked),
            Outcome::Got { cells, .. } => 2 << 16 | cells.len() as u64,
            Outcome::Failed(_) => 3 << 16,
            Outcome::NoAnswer => 4 << 16,
        };
        self.exec.notes().note("complete", [id.0 as u64, code, 0, 0], || format!("{outcome:?}"));
        op.end = Some(now);
        op.outcome = outcome;
    }

    /// Notes that a situation was reached.
    pub fn reach(&self, situation: &str) {
        *self.state.lock().situations.entry(situation.to_owned()).or_default() += 1;
    }

    /// Notes a broken promise that the world itself found.
    pub fn find(&self, invariant: &'static str, detail: String) {
        self.exec.notes().note("finding", [0; 4], || format!("{invariant}: {detail}"));
        let violation = Violation { invariant, key: None, detail, ops: Vec::new() };
        self.state.lock().history.findings.push(violation);
    }

    /// A node runs on this engine now, or does not run any more.
    pub fn set_engine(&self, node: NodeIndex, engine: Option<(Arc<Engine>, SimDisk)>) {
        let mut state = self.state.lock();
        let before = match engine {
            Some(engine) => state.engines.insert(node, engine),
            None => state.engines.remove(&node),
        };
        if let Some((engine, _)) = &before {
            state.reach_by(&engine.statistics());
        }
        drop(state);
        drop(before);
    }

    /// Notes what the engines have come to that still run.
    pub fn note_engines(&self) {
        let state = &mut *self.state.lock();
        let all: Vec<_> = state.engines.values().map(|(engine, _)| engine.statistics()).collect();
        all.iter().for_each(|statistics| state.reach_by(statistics));
    }

    /// Checks that a life which goes on under an old incarnation goes on above every counter that was ever seen of it.
    pub fn check_counters(&self, node: NodeIndex, life: &BegunLife) {
        let is_of = |dot: &Dot| dot.incarnation == life.incarnation;
        let went_on = |partition: u32| life.minted.get(&Partition(partition)).copied().unwrap_or(0);
        let state = self.state.lock();
        let mut seen = state.bound.keys().filter(|(_, dot)| is_of(dot)).copied();
        let exceeded = seen.find(|(partition, dot)| dot.counter > went_on(*partition));
        drop(state);
        if let Some((partition, dot)) = exceeded {
            let detail = format!(
                "node {} goes on at {} in partition {partition}, and {dot} was seen",
                node.0,
                went_on(partition)
            );
            self.find("I7 counters go on where they were", detail);
        }
    }

    fn find_for(&self, key: KeyId, invariant: &'static str, detail: String) {
        self.exec
            .notes()
            .note("finding", [key.0 as u64, 0, 0, 0], || format!("{invariant}: {detail}"));
        let violation = Violation { invariant, key: Some(key), detail, ops: Vec::new() };
        self.state.lock().history.findings.push(violation);
    }

    /// The record of a key at a node that runs: what it holds, or why that cannot be read.
    pub fn read(&self, node: NodeIndex, key: KeyId) -> Option<Result<Option<Record>, String>> {
        let state = self.state.lock();
        let (engine, disk) = state.engines.get(&node)?.clone();
        let (_, stored, _) = state.ids.get(&key)?.clone();
        drop(state);
        let read =
            disk.observe(|| engine.get(stored.as_bytes())).map_err(|error| error.to_string());
        Some(read.and_then(|found| {
            found.map(|bytes| Record::decode(bytes).map_err(|error| error.to_string())).transpose()
        }))
    }

    /// Notes what a node holds of a key, because it is about to say so.
    ///
    /// Where an older part of the record is damaged, it cannot be read although the newest part of it was stored: then
    /// the node is believed.
    pub fn inspect(&self, node: NodeIndex, key: KeyId) {
        let now = self.exec.now();
        match self.read(node, key) {
            Some(Ok(Some(record))) => {
                let mut state = self.state.lock();
                state.sight(key, &record, now);
                state.hold(node, key, &record, now);
            }
            Some(Err(error)) if error.contains(CORRUPT) => {
                self.state.lock().believe(node, key, now);
            }
            Some(Err(_)) => {}
            Some(Ok(None)) | None => {}
        }
    }

    fn key_of(&self, keyspace: KeyspaceId, key: &Bytes) -> Option<KeyId> {
        self.state.lock().keys.get(&(keyspace, key.clone())).copied()
    }

    fn key_named(&self, keyspace: &str, key: &Bytes) -> Option<KeyId> {
        let state = self.state.lock();
        let is_it = |found: &&Key| found.keyspace.as_str() == keyspace && found.key == *key;
        let index = state.history.keys.iter().position(|found| is_it(&found))?;
        Some(KeyId(index))
    }

    fn sight_bytes(&self, keyspace: KeyspaceId, key: &Bytes, bytes: &Bytes) -> Option<KeyId> {
        let id = self.key_of(keyspace, key)?;
        // What does not decode is the receiver's to refuse.
        if let Ok(record) = Record::decode(bytes.clone()) {
            self.state.lock().sight(id, &record, self.exec.now());
        }
        Some(id)
    }
}

impl State {
    /// Notes the situations that an engine has been in.
    fn reach_by(&mut self, statistics: &Statistics) {
        let reached = [
            ("values in files of their own", statistics.value_files),
            ("values relocated", statistics.relocations),
            ("value found in the cache", statistics.cache.values.hits),
        ];
        for (situation, count) in reached.into_iter().filter(|(_, count)| *count > 0) {
            *self.situations.entry(situation.to_owned()).or_default() += count;
        }
    }

    /// Notes every cell of a record, and dots that are bound twice.
    fn sight(&mut self, key: KeyId, record: &Record, now: MonoTime) {
        let partition = self.ids.get(&key).map_or(0, |(_, _, partition)| *partition);
        for (dot, cell) in record.cells() {
            let digest = digest_of(cell);
            let bound = self.bound.entry((partition, dot)).or_insert((key, digest));
            if *bound != (key, digest) {
                let detail = format!(
                    "{dot:?} of partition {partition} names a cell of key {} and another one of key {}",
                    bound.0.0, key.0
                );
                let conflict = DotConflict { key, dot, at: now, detail };
                self.history.dot_conflicts.push(conflict);
            }
            let value = match &cell.body {
                CellBody::Value(bytes) => name_of(bytes),
                CellBody::Tombstone => None,
            };
            let sighting = Sighting { timestamp: cell.timestamp, digest, value, first: now };
            self.history.cells.entry((key, dot)).or_insert(sighting);
        }
    }

    /// Notes that a node holds every cell of a record, or what superseded it.
    fn hold(&mut self, node: NodeIndex, key: KeyId, record: &Record, now: MonoTime) {
        let known: Vec<Dot> = self.known(key).map(|(dot, _)| dot).collect();
        for dot in known {
            if self.is_in(key, record, dot) {
                self.history.hold((key, dot), node, now);
            }
        }
    }

    /// Whether a record holds a cell or what superseded it: what its context covers, and in an `lww` keyspace whatever
    /// its one cell has beaten.
    fn is_in(&self, key: KeyId, record: &Record, dot: Dot) -> bool {
        let Some(of) = self.history.keys.get(key.0) else { return false };
        let Some(cell) = self.history.cells.get(&(key, dot)) else { return false };
        match of.conflict {
            Conflict::Siblings => record.context(of.token).covers(dot),
            Conflict::Lww => {
                let winner = record.cells().map(|(dot, cell)| (cell.timestamp, dot)).max();
                Some((cell.timestamp, dot)) <= winner
            }
        }
    }

    fn known(&self, key: KeyId) -> impl Iterator<Item = (Dot, &Sighting)> {
        let range = (key, Dot { incarnation: Incarnation(0), counter: 0 })..;
        let known = self.history.cells.range(range).take_while(move |((of, _), _)| *of == key);
        known.map(|((_, dot), cell)| (*dot, cell))
    }

    fn conflict_of(&self, key: KeyId) -> Conflict {
        self.history.keys.get(key.0).map_or(Conflict::Siblings, |key| key.conflict)
    }

    fn believe(&mut self, node: NodeIndex, key: KeyId, now: MonoTime) {
        let known: Vec<Dot> = self.known(key).map(|(dot, _)| dot).collect();
        for dot in known {
            self.history.hold((key, dot), node, now);
        }
    }

    /// Counts of operations by kind and outcome.
    pub fn tally(&self) -> BTreeMap<String, u64> {
        let mut tally = BTreeMap::new();
        for op in &self.history.ops {
            let kind = match op.kind {
                OpKind::Get => "get",
                OpKind::Put { .. } => "put",
                OpKind::Delete { .. } => "delete",
            };
            let outcome = match &op.outcome {
                Outcome::Pending | Outcome::NoAnswer => "without answer",
                Outcome::Acked { .. } => "acked",
                Outcome::Got { .. } => "answered",
                Outcome::Failed(failure) if failure.may_have_applied() => "unknown",
                Outcome::Failed(_) => "refused",
            };
            *tally.entry(format!("{kind} {outcome}")).or_default() += 1;
        }
        tally
    }
}

fn digest_of(cell: &Cell) -> u64 {
    let (kind, bytes): (u64, &[u8]) = match &cell.body {
        CellBody::Value(bytes) => (1, bytes),
        CellBody::Tombstone => (2, &[]),
    };
    let expiry = cell.expires_at.map_or(0, |at| at.as_micros());
    xxh3_64_with_seed(bytes, kind ^ cell.timestamp.0.rotate_left(8) ^ expiry.rotate_left(32))
}
