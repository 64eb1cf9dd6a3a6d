use std::time::Duration;

use super::{Candidate, Hunt, Hunter, Row, median, table};
use crate::batch::{Job, Outcome, Told, Verdict, Worker};
use crate::plan::Tier;

/// Fails on every seed from `bad` on.
struct Armed {
    bad: u64,
}

impl Worker for Armed {
    fn carry_out(&mut self, job: &Job) -> Verdict {
        let told =
            Told { invariant: "I1/P1".into(), detail: String::new(), account: String::new() };
        let violations = if job.plan().seed >= self.bad { vec![told] } else { Vec::new() };
        Ok(Outcome { violations, mutant_reached: 2, ..Outcome::default() })
    }

    fn process(&self) -> u64 {
        1
    }

    fn renew(&mut self) {}
}

fn hunted(name: &str, bad: u64, workers: usize) -> Row {
    let hunt = Hunt { seeds: 40, time: None, tier: Tier::Messages };
    let candidate = Candidate {
        name: name.into(),
        description: String::new(),
        source: "peer#1".into(),
        hunter: Hunter::Clusters,
    };
    let workers = (0..workers).map(|_| Armed { bad }).collect();
    hunt.run(candidate, (workers, vec![Armed { bad: OWN_BUG }]), || Duration::ZERO)
}

/// From this seed on, runs fail without any mutant.
const OWN_BUG: u64 = 30;

#[test]
fn a_seed_that_fails_without_the_mutant_finds_none() {
    let row = hunted("harmless", 33, 2);
    assert_eq!((row.found, row.own_bug), (None, Some((33, "I1/P1".to_owned()))));
    assert_eq!(hunted("skip_sync", 29, 2).own_bug, None);
}

#[test]
fn the_lowest_failing_seed_counts_however_many_workers_there_are() {
    for workers in [1, 4] {
        let row = hunted("skip_sync", 12, workers);
        assert_eq!(row.found, Some((13, "I1/P1".to_owned())));
        assert!(row.seeds < 40 && row.reached == 2 * row.seeds);
    }
    let row = hunted("harmless", 99, 2);
    assert_eq!((row.found, row.seeds, row.reached), (None, 40, 80));
}

#[test]
fn the_table_tells_found_from_missed() {
    let text = table(&[hunted("skip_sync", 12, 1), hunted("harmless", 99, 1)]);
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[1].starts_with("skip_sync  peer#1  yes    13"), "{text}");
    assert!(lines[2].starts_with("harmless   peer#1  NO     40"), "{text}");
    assert_eq!(lines[3], "1 of 2 found; median of seeds: 13");
    assert_eq!(
        (median(vec![]), median(vec![9, 1, 5]), median(vec![4, 2])),
        (None, Some(5), Some(2))
    );
}
