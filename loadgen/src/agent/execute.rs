//! Sends one request, and notes everything about its answer.
//!
//! 1. Note how late it begins.
//! 2. A put whose context is not known reads the key first. That read is load, and counted, but its time is not the put's.
//! 3. Send it, check what comes back, remember context and sequence.
//! 4. Latency = (first poll − due) + (answer − begin of the operation itself); service time is the second part alone.
//!
//! Invariants
//! - A sequence number is given after the context is known: who supersedes a write has a higher one.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use atoll_client::{Deleted, Error, Keyspace, Updated, Value, Versions, Written};
use bytes::Bytes;

use super::insertions::Insertions;
use super::memory::{Known, Memory};
use super::timeline::Timeline;
use crate::draws::Request;
use crate::measure::{Done, Facts, Precedence, Shards, Wait};
use crate::plan::{Answers, Check, Plan, Writes};
use crate::workload::keys;
use crate::workload::mix::Op;
use crate::workload::staleness::{Sight, judge};
use crate::workload::value::{self, Origin, Values, Writer};

/// How much later than due a request may begin before it is late: a tenth of what a person notices, and ten times what
/// a busy scheduler takes.
pub(crate) const TOLERANCE_NS: u64 = 10_000_000;

/// Sends the requests of one process.
#[derive(Debug)]
pub(crate) struct Executor {
    spaces: Vec<Keyspace>,
    values: Values,
    answers: Answers,
    pub(super) memory: Memory,
    pub(crate) shards: Shards,
    pub(crate) insertions: Insertions,
    pub(crate) timeline: Timeline,
    /// How the kernel ranks the thread that begins requests, if there is one.
    pub(crate) pacer: OnceLock<Precedence>,
    pub(super) sequence: AtomicU64,
    writer: Writer,
    check: Check,
    pub(super) writes: Writes,
    /// Whether a missing value proves anything.
    staleness: Staleness,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Staleness {
    Watched,
    Unknowable,
}

/// What is known of a request while it is under way.
pub(super) struct Course {
    pub(super) request: Request,
    pub(super) key: String,
    /// When the operation itself began, in nanoseconds.
    pub(super) begun: u64,
    pub(super) facts: Facts,
}

impl Executor {
    /// Sends the requests that process `agent` of `plan` makes, through `spaces`, one of each client; none where nobody
    /// answers.
    pub(crate) fn new(plan: &Plan, agent: u64, spaces: Vec<Keyspace>, timeline: Timeline) -> Self {
        let watched = plan.workload.check == Check::Values && !plan.deletes();
        let process = u16::try_from(agent).unwrap_or(u16::MAX);
        Self {
            spaces,
            values: crate::draws::values(plan, agent),
            answers: plan.target.answers,
            memory: Memory::default(),
            shards: Shards::new(plan.series()),
            insertions: Insertions::default(),
            timeline,
            pacer: OnceLock::new(),
            sequence: AtomicU64::new(1),
            writer: Writer { run: plan.run, process },
            check: plan.workload.check,
            writes: plan.workload.writes,
            staleness: if watched { Staleness::Watched } else { Staleness::Unknowable },
        }
    }

    /// Sends `request`, which was due at `due` nanoseconds.
    pub(crate) async fn run(self: &Arc<Self>, request: Request, (due, wait): (u64, Wait)) {
        let phase = self.timeline.phase(due);
        let begun = self.timeline.now();
        let waited = begun.saturating_sub(due);
        self.shards.begun(phase, (waited, wait), TOLERANCE_NS);
        let mut course =
            Course { request, key: keys::text(request.key), begun, facts: Facts::default() };
        let outcome = match (self.spaces.get(usize::from(request.client)), request.op) {
            (None, _) if self.answers == Answers::Nobody => {
                self.rehearse(&mut course).await;
                Ok(())
            }
            (None, _) => Err(Error::Closed),
            (Some(space), Op::Get) => self.get(space, &mut course).await,
            (Some(space), Op::Put | Op::Insert) => self.put(space, &mut course).await,
            (Some(space), Op::Update) => self.update(space, &mut course).await,
            (Some(space), Op::Delete) => self.delete(space, &mut course).await,
        };
        let service = self.timeline.now().saturating_sub(course.begun);
        if let Some(insertion) = request.insertion {
            self.insertions.note_end(insertion);
        }
        let failure = outcome.err().map(|error| (format!("{:?}", error.kind()), error.to_string()));
        let latency = waited + service;
        let (series, facts) = (request.series, course.facts);
        self.shards.done(Done { series, phase, latency, service, failure, facts });
    }

    async fn get(&self, space: &Keyspace, course: &mut Course) -> Result<(), Error> {
        let request = course.request;
        let at = (request.level, request.client);
        let is_watched = self.staleness == Staleness::Watched;
        let to_see = is_watched.then(|| self.memory.to_see(request.key, at));
        let writes = self.memory.writes(request.key);
        let found = space.get(&course.key).level(request.level).await?;
        self.note_read(course, found.values());
        self.note_seen(request.key, &found, writes);
        if found.is_none() {
            course.facts.missing = 1;
        }
        if self.check == Check::Nothing {
            return Ok(());
        }
        let origins: Option<Vec<Origin>> =
            found.values().iter().map(|value| value::check(value.bytes(), request.key)).collect();
        let Some(origins) = origins else {
            course.facts.corrupt = 1;
            return Ok(());
        };
        let is_missed = |sequence: Option<u64>| {
            sequence.is_some_and(|s| judge(&origins, self.writer, s) == Sight::Stale)
        };
        if let Some((bound, any)) = to_see {
            course.facts.stale = u64::from(is_missed(bound));
            course.facts.behind = u64::from(!is_missed(bound) && is_missed(any));
        }
        Ok(())
    }

    async fn put(&self, space: &Keyspace, course: &mut Course) -> Result<(), Error> {
        let request = course.request;
        let is_blind = self.writes == Writes::Blind || request.op == Op::Insert;
        let known = if is_blind { None } else { Some(self.memory.known(request.key)) };
        let context = match known {
            None => None,
            Some(Known::Context(context)) => Some(context),
            Some(Known::Nothing | Known::Siblings) => {
                course.facts.context_reads = 1;
                let writes = self.memory.writes(request.key);
                let found = space.get(&course.key).level(request.level).await?;
                self.note_seen(request.key, &found, writes);
                Some(found.context().clone())
            }
        };
        course.begun = self.timeline.now();
        let sequence = self.sequence.fetch_add(1, Ordering::Relaxed);
        let value = self.value(request, sequence);
        course.facts.bytes_written = (course.key.len() + value.len()) as u64;
        let mut put = space.put(&course.key, value).level(request.level);
        if let Some(context) = &context {
            put = put.after(context);
        }
        let written = put.await?;
        self.note_written(course, &written);
        self.note_acknowledged(request, sequence);
        Ok(())
    }

    async fn update(self: &Arc<Self>, space: &Keyspace, course: &mut Course) -> Result<(), Error> {
        let request = course.request;
        let (executor, last) = (Arc::clone(self), Arc::new(AtomicU64::new(0)));
        let (given, read) = (Arc::clone(&last), Arc::new(AtomicU64::new(0)));
        let seen = Arc::clone(&read);
        let resolve = move |values: &[Value]| {
            let bytes: usize = values.iter().map(|value| value.bytes().len()).sum();
            seen.fetch_add(bytes as u64, Ordering::Relaxed);
            let sequence = executor.sequence.fetch_add(1, Ordering::Relaxed);
            given.store(sequence, Ordering::Relaxed);
            executor.value(request, sequence)
        };
        let updated: Updated = space.update(&course.key, resolve).level(request.level).await?;
        course.facts.bytes_read = read.load(Ordering::Relaxed);
        let length = course.key.len() as u64 + u64::from(request.length);
        course.facts.bytes_written = length * u64::from(updated.rounds());
        course.facts.siblings = u64::from(updated.rounds() > 1);
        self.remember(|memory| memory.note_written(request.key, updated.context()));
        self.note_acknowledged(request, last.load(Ordering::Relaxed));
        Ok(())
    }

    async fn delete(&self, space: &Keyspace, course: &mut Course) -> Result<(), Error> {
        let request = course.request;
        let mut delete = space.delete(&course.key).level(request.level);
        if self.writes == Writes::Informed
            && let Known::Context(context) = self.memory.known(request.key)
        {
            delete = delete.after(&context);
        }
        match delete.await? {
            Deleted::Nothing { .. } => course.facts.missing = 1,
            Deleted::Marked(written) => {
                course.facts.bytes_written = course.key.len() as u64;
                self.note_written(course, &written);
            }
        }
        Ok(())
    }

    pub(super) fn value(&self, request: Request, sequence: u64) -> Bytes {
        match self.check {
            Check::Nothing => self.values.random(request.length, request.salt),
            Check::Values => {
                let origin = Origin { writer: self.writer, key: request.key, sequence };
                self.values.signed(request.length, origin)
            }
        }
    }

    fn note_read(&self, course: &mut Course, values: &[Value]) {
        course.facts.bytes_read = values.iter().map(|value| value.bytes().len() as u64).sum();
        course.facts.siblings = u64::from(values.len() > 1);
    }

    fn note_seen(&self, key: u64, found: &Versions, writes: u64) {
        self.remember(|memory| memory.note_seen(key, found.context(), writes));
    }

    fn note_written(&self, course: &mut Course, written: &Written) {
        let key = course.request.key;
        let has_siblings = written.siblings() > 1;
        course.facts.siblings = u64::from(has_siblings);
        self.remember(|memory| {
            memory.note_written(key, written.context());
            if has_siblings {
                memory.note_siblings(key);
            }
        });
    }

    fn note_acknowledged(&self, request: Request, sequence: u64) {
        if self.staleness == Staleness::Watched {
            let at = (request.level, request.client);
            self.memory.note_acknowledged(request.key, at, sequence);
        }
    }

    /// Contexts are kept only where they are used.
    pub(super) fn remember(&self, note: impl FnOnce(&Memory)) {
        if self.writes == Writes::Informed {
            note(&self.memory);
        }
    }
}

/// How long after its last request a process waits for answers, given the time that a request may take: a put with its
/// read takes two of them, and a busy machine some more.
pub(crate) fn patience(deadline: Duration) -> Duration {
    deadline.saturating_mul(3).saturating_add(Duration::from_secs(5))
}
