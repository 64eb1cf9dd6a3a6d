use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::{
    Broken, Defect, Event, Job, Options, Outcome, Repeat, Stop, Told, Verdict, Worker, batch,
};
use crate::plan::Tier;

/// A worker whose runs are a function of its process and the seed.
struct Fake<F> {
    run: F,
    process: u64,
}

static PROCESSES: AtomicU64 = AtomicU64::new(1);

impl<F: FnMut(u64, u64) -> Verdict> Worker for Fake<F> {
    fn carry_out(&mut self, job: &Job) -> Verdict {
        if self.process == 0 {
            self.process = PROCESSES.fetch_add(1, Ordering::Relaxed);
        }
        (self.run)(self.process, job.plan().seed)
    }

    fn process(&self) -> u64 {
        self.process
    }

    fn renew(&mut self) {
        self.process = 0;
    }
}

fn workers<F: Fn(u64, u64) -> Verdict + Clone>(count: usize, run: F) -> Vec<Fake<F>> {
    (0..count).map(|_| Fake { run: run.clone(), process: 0 }).collect()
}

fn options(seeds: u64) -> Options {
    Options {
        from: 10,
        seeds: Some(seeds),
        time: None,
        tier: Tier::Messages,
        repeat: Repeat::Sample,
        stop: Stop::AtTheEnd,
    }
}

fn clean(seed: u64) -> Outcome {
    Outcome {
        trace_hash: seed * 3,
        simulated: Duration::from_secs(2),
        operations: BTreeMap::from([("put acked".to_owned(), 5)]),
        situations: BTreeMap::from([("read repair".to_owned(), 4)]),
        ..Outcome::default()
    }
}

fn violated(seed: u64) -> Outcome {
    let told = Told { invariant: "I1/P1".into(), detail: String::new(), account: String::new() };
    Outcome { violations: vec![told], ..clean(seed) }
}

#[test]
fn a_clean_batch_counts_and_proves_determinism() {
    let run = |_, seed| Ok(clean(seed));
    let (summary, failures) = batch(&options(30), workers(2, run), || Duration::ZERO, |_| ());
    assert!(failures.is_empty());
    assert_eq!((summary.seeds, summary.operations["put acked"]), (30, 150));
    assert_eq!((summary.situations["read repair"], summary.simulated.as_secs()), (30, 60));
    assert!(summary.compared >= 2 && summary.equal == summary.compared);
    let text = summary.text();
    assert!(text.contains("30 (10 to 39)") && text.contains("2 of 2 equal"), "{text}");
}

#[test]
fn failing_seeds_are_known_however_they_fail() {
    let run = |_, seed| match seed {
        12 => Ok(violated(seed)),
        15 => Err(Broken::Died { how: "signal 6".into(), said: "panicked".into() }),
        17 => Err(Broken::Hung { limit: Duration::from_secs(1), said: String::new() }),
        _ => Ok(clean(seed)),
    };
    let mut told = Vec::new();
    let tell = |event: Event<'_>| {
        if let Event::Failed(failure) = event {
            told.push(failure.seed);
        }
    };
    let (summary, failures) = batch(&options(10), workers(2, run), || Duration::ZERO, tell);
    told.sort_unstable();
    assert_eq!(told, [12, 15, 17]);
    assert_eq!(failures.iter().map(|failure| failure.seed).collect::<Vec<_>>(), told);
    assert_eq!((summary.seeds, summary.failures), (10, 3));
    assert!(matches!(failures[2].defect, Defect::Broken(Broken::Hung { .. })));
    assert_eq!(summary.violations["run died"], 1);
}

#[test]
fn runs_that_differ_between_processes_fail_the_batch() {
    let run = |process, seed| Ok(Outcome { trace_hash: process, ..clean(seed) });
    for count in [1, 2, 3] {
        let (summary, failures) =
            batch(&options(8), workers(count, run), || Duration::ZERO, |_| ());
        assert_eq!((summary.compared, summary.equal), (2, 0), "{count} workers");
        assert!(failures.iter().all(|failure| matches!(failure.defect, Defect::Unequal { .. })));
    }
}

#[test]
fn every_seed_runs_twice_where_all_are_verified() {
    let run = |_, seed| Ok(clean(seed));
    let all = Options { repeat: Repeat::All, ..options(20) };
    for count in [1, 2] {
        let (summary, failures) = batch(&all, workers(count, run), || Duration::ZERO, |_| ());
        assert_eq!((summary.seeds, summary.compared, summary.equal), (20, 20, 20));
        assert!(failures.is_empty());
    }
}

#[test]
fn the_time_ends_a_batch_without_end() {
    let clock = AtomicU64::new(0);
    let elapsed = || Duration::from_secs(clock.fetch_add(1, Ordering::Relaxed));
    let run = |_, seed| Ok(clean(seed));
    let endless = Options { seeds: None, time: Some(Duration::from_secs(100)), ..options(0) };
    let (summary, failures) = batch(&endless, workers(2, run), elapsed, |_| ());
    assert!(summary.seeds > 5 && summary.seeds < 100, "{}", summary.seeds);
    assert!(failures.is_empty() && summary.compared >= 2);
}
