//! Batches: many seeds in several processes, a summary, and the proof that runs are deterministic.
//!
//! ```text
//! command ─▶ batch ─▶ agenda (which seed next?)
//!              │  ▲
//!          job │  │ verdict            one thread for each worker,
//!              ▼  │                    one process for each thread
//!            worker ─ one JSON line each way ─▶ process ─▶ run
//! ```
//!
//! 1. `agenda.rs` hands out the seeds in order, and some of them a second time, always to another process.
//! 2. `worker.rs` carries a job out in a process of its own: a panic, an abort or a run without end costs that process
//!    and names its seed.
//! 3. [`batch`] counts what comes back (`summary.rs`) and tells of each failure at once (`tell.rs`).
//! 4. `mutants.rs` is the same with a bug armed in every worker: how many seeds until it is found?
//!
//! Invariants
//! - Every seed that was handed out is accounted for: clean, violated, died or hung.
//! - A second run never happens in the process of the first one.
//! - Batches that stop at the first failure still finish every lower seed, so that the lowest failing one is known.

mod agenda;
mod job;
pub mod mutants;
mod situations;
mod summary;
mod tell;
mod worker;

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use crate::plan::Tier;

use agenda::{Agenda, Turn};

pub use agenda::Repeat;
pub use job::{Broken, Job, Outcome, Told, Verdict, carry_out};
pub use situations::{KNOWN, KNOWN_FAULTS};
pub use summary::Summary;
pub use tell::{describe_failure, describe_outcome, invariants, invariants_of_failure};
pub use worker::{Launch, Process, Worker};

/// What a batch runs.
#[derive(Clone, Debug)]
pub struct Options {
    /// The first seed.
    pub from: u64,
    /// How many; `None` is until the time is over.
    pub seeds: Option<u64>,
    /// No seed is begun after this; `None` is until all seeds are done.
    pub time: Option<Duration>,
    /// What the network is made of.
    pub tier: Tier,
    /// Which seeds run twice.
    pub repeat: Repeat,
    /// Whether the batch goes on after a failure.
    pub stop: Stop,
}

/// Whether a batch goes on after a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// It does.
    AtTheEnd,
    /// It ends with it.
    AtFirstFailure,
}

/// A seed that failed.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The seed.
    pub seed: u64,
    /// How.
    pub defect: Defect,
}

/// How a seed failed.
#[derive(Clone, Debug)]
pub enum Defect {
    /// It broke promises.
    Violated(Outcome),
    /// It did not come to its end.
    Broken(Broken),
    /// It ran twice and differed.
    Unequal {
        /// Digest of the first run.
        first: u64,
        /// Digest of the second one, in another process.
        second: u64,
    },
}

impl Failure {
    /// The violations in words, one each.
    pub fn violations(&self) -> Vec<String> {
        match &self.defect {
            Defect::Violated(outcome) => outcome.violations.iter().map(Told::to_string).collect(),
            Defect::Broken(broken) => vec![broken.to_string()],
            Defect::Unequal { first, second } => {
                vec![format!("determinism: {first:016x} and {second:016x}")]
            }
        }
    }
}

/// What a batch tells while it runs.
#[derive(Debug)]
pub enum Event<'a> {
    /// A seed failed.
    Failed(&'a Failure),
    /// One more run is done.
    Progress(&'a Summary),
}

/// What came of a turn.
#[derive(Debug)]
struct Done {
    worker: usize,
    process: u64,
    turn: Turn,
    verdict: Verdict,
    took: Duration,
}

/// Runs the seeds on `workers`; `elapsed` is the time since the batch began.
///
/// The failures are in order of their seeds.
pub fn batch<W: Worker + Send>(
    options: &Options,
    workers: Vec<W>,
    elapsed: impl Fn() -> Duration + Sync,
    mut tell: impl FnMut(Event<'_>),
) -> (Summary, Vec<Failure>) {
    let mut state = Batch::new(options, workers.len());
    let elapsed = &elapsed;
    std::thread::scope(|scope| {
        // Each worker has at most one job and one verdict under way.
        let (results, inbox) = sync_channel(workers.len().max(1));
        let mut desks = Vec::new();
        for (index, worker) in workers.into_iter().enumerate() {
            let (turns, jobs) = sync_channel(1);
            let results = results.clone();
            let tier = options.tier;
            scope.spawn(move || attend(Desk { index, tier, worker }, &jobs, &results, elapsed));
            desks.push(turns);
        }
        drop(results);
        loop {
            state.close_when_over(options, elapsed());
            state.hand_out(&desks);
            if state.idle.len() < desks.len() {
                let Ok(done) = inbox.recv() else { break };
                state.note(done, options.stop, &mut tell);
                state.summary.took = elapsed();
                tell(Event::Progress(&state.summary));
            } else if !state.agenda.top_up() {
                break;
            }
        }
    });
    state.failures.sort_by_key(|failure| failure.seed);
    (state.summary, state.failures)
}

/// A worker's thread: where it sits.
struct Desk<W> {
    index: usize,
    tier: Tier,
    worker: W,
}

/// Carries out turns until there are no more.
fn attend<W: Worker>(
    mut desk: Desk<W>,
    turns: &Receiver<Turn>,
    results: &SyncSender<Done>,
    elapsed: &(impl Fn() -> Duration + Sync),
) {
    while let Ok(turn) = turns.recv() {
        if turn.avoid.is_some_and(|process| process == desk.worker.process()) {
            desk.worker.renew();
        }
        let began = elapsed();
        let verdict = desk.worker.carry_out(&Job::Seed { seed: turn.seed, tier: desk.tier });
        let took = elapsed().saturating_sub(began);
        let process = desk.worker.process();
        debug_assert_ne!(turn.avoid, Some(process), "a second run needs another process");
        if results.send(Done { worker: desk.index, process, turn, verdict, took }).is_err() {
            return;
        }
    }
}

/// The batch as it stands.
#[derive(Debug)]
struct Batch {
    agenda: Agenda,
    summary: Summary,
    failures: Vec<Failure>,
    /// Workers without a job, and the process that each had last.
    idle: Vec<(usize, u64)>,
}

impl Batch {
    fn new(options: &Options, workers: usize) -> Self {
        Self {
            agenda: Agenda::new(options.from, options.seeds, options.repeat),
            summary: Summary::new(options.from, workers),
            failures: Vec::new(),
            idle: (0..workers).map(|worker| (worker, 0)).collect(),
        }
    }

    fn close_when_over(&mut self, options: &Options, elapsed: Duration) {
        if options.time.is_some_and(|time| elapsed >= time) {
            self.agenda.close();
        }
    }

    fn hand_out(&mut self, desks: &[SyncSender<Turn>]) {
        let agenda = &mut self.agenda;
        self.idle.retain(|&(worker, process)| {
            let Some(desk) = desks.get(worker) else { return false };
            match agenda.next(process) {
                Some(turn) => desk.send(turn).is_err(),
                None => true,
            }
        });
    }

    fn note(&mut self, done: Done, stop: Stop, tell: &mut impl FnMut(Event<'_>)) {
        let Done { worker, process, turn, verdict, took } = done;
        self.idle.push((worker, process));
        self.summary.busy += took;
        let seed = turn.seed;
        let defect = match (turn.avoid, verdict) {
            (None, Ok(outcome)) => {
                self.summary.add(&outcome);
                self.agenda.on_first(seed, process, outcome.trace_hash);
                (!outcome.violations.is_empty()).then_some(Defect::Violated(outcome))
            }
            (None, Err(broken)) => {
                self.summary.seeds += 1;
                Some(Defect::Broken(broken))
            }
            (Some(_), verdict) => self.compare(seed, verdict),
        };
        let Some(defect) = defect else { return };
        let failure = Failure { seed, defect };
        self.summary.add_failure(&failure);
        tell(Event::Failed(&failure));
        self.failures.push(failure);
        if stop == Stop::AtFirstFailure {
            self.agenda.close();
            self.agenda.forget_repeats();
        }
    }

    /// The second run of a seed against its first one.
    fn compare(&mut self, seed: u64, verdict: Verdict) -> Option<Defect> {
        self.summary.compared += 1;
        let first = self.agenda.first_hash(seed)?;
        match verdict {
            Ok(outcome) if outcome.trace_hash == first => {
                self.summary.equal += 1;
                None
            }
            Ok(outcome) => Some(Defect::Unequal { first, second: outcome.trace_hash }),
            Err(broken) => Some(Defect::Broken(broken)),
        }
    }
}

#[cfg(test)]
mod tests;
