//! Failures in words: what was run, what was promised, how it was broken, and what to type next.

use std::path::Path;

use crate::plan::Plan;

use super::{Broken, Defect, Failure, Outcome, Told, Verdict};

/// What the project promises; invariants name the promise behind them.
const PROMISES: [(&str, &str); 10] = [
    ("P1", "OK at level X means that at least X distinct replicas hold the record in a synced log"),
    (
        "P2",
        "a write disappears only if a later write carried it in its context; `lww` counts what it drops",
    ),
    (
        "P3",
        "strict quorum reads see every write acknowledged before, and never less than an earlier read",
    ),
    ("P4", "a session reads its writes, and never goes backwards"),
    ("P6", "no value that an acknowledged quorum delete covers comes back"),
    (
        "P7",
        "when faults have healed and writes have stopped, all replicas of a key hold the same bytes",
    ),
    ("P8", "a damaged block is an error from that replica, never an answer"),
    ("P9", "every queue, buffer and store has a limit, and reaching it has a name"),
    ("P10", "only certified peers are heard, and only in their role"),
    ("P11", "a write error says whether the write was not applied or is unknown"),
];

/// The invariants that a verdict violates; a run that did not come to its end violates one of its own.
pub fn invariants(verdict: &Verdict) -> Vec<String> {
    match verdict {
        Ok(outcome) => distinct(&outcome.violations),
        Err(broken) => vec![broken_name(broken)],
    }
}

/// The same of a failure; runs that differ violate determinism.
pub fn invariants_of_failure(failure: &Failure) -> Vec<String> {
    match &failure.defect {
        Defect::Violated(outcome) => distinct(&outcome.violations),
        Defect::Broken(broken) => vec![broken_name(broken)],
        Defect::Unequal { .. } => vec!["determinism".to_owned()],
    }
}

fn broken_name(broken: &Broken) -> String {
    match broken {
        Broken::Died { .. } => "run died".to_owned(),
        Broken::Hung { .. } => "run without end".to_owned(),
    }
}

fn distinct(violations: &[Told]) -> Vec<String> {
    let mut names: Vec<String> = violations.iter().map(|told| told.invariant.clone()).collect();
    names.sort();
    names.dedup();
    names
}

/// A failure in full, with the commands for its file.
pub fn describe_failure(failure: &Failure, plan: &Plan, file: &Path) -> String {
    let mut text = format!("seed {}: {}\n", failure.seed, plan.summary());
    for line in plan.schedule() {
        text += &format!("  {line}\n");
    }
    match &failure.defect {
        Defect::Violated(outcome) => text += &describe_violations(&outcome.violations),
        Defect::Broken(broken) => {
            let (Broken::Died { said, .. } | Broken::Hung { said, .. }) = broken;
            text += &format!("VIOLATION {broken}\n{}", indented(said));
        }
        Defect::Unequal { first, second } => {
            text += &format!(
                "VIOLATION determinism: trace {first:016x} in one process, {second:016x} in another\n"
            );
        }
    }
    text + &next_step(failure, file)
}

/// What to type next.
fn next_step(failure: &Failure, file: &Path) -> String {
    let (seed, file) = (failure.seed, file.display());
    match failure.defect {
        Defect::Violated(_) | Defect::Broken(_) => format!(
            "replay with `cargo xtask sim replay {file}`, shrink with `cargo xtask sim shrink {file}`\n"
        ),
        Defect::Unequal { .. } => {
            format!("run `cargo xtask sim --seed {seed} --trace` twice and compare the traces\n")
        }
    }
}

/// What came of a single run.
pub fn describe_outcome(outcome: &Outcome) -> String {
    let operations: u64 = outcome.operations.values().sum();
    let faults: u64 = outcome.faults.values().sum();
    format!(
        "trace {:016x}: {operations} operations, {faults} faults, {:.1} s simulated, {} violations\n{}",
        outcome.trace_hash,
        outcome.simulated.as_secs_f64(),
        outcome.violations.len(),
        describe_violations(&outcome.violations)
    )
}

fn describe_violations(violations: &[Told]) -> String {
    let mut text = String::new();
    for told in violations {
        text += &format!("VIOLATION {told}\n");
        if let Some((name, promise)) = promise_of(&told.invariant) {
            text += &format!("  promised ({name}): {promise}\n");
        }
        text += &indented(&told.account);
    }
    text
}

/// The promise that an invariant such as `I1/P1 no lost acked write` names.
fn promise_of(invariant: &str) -> Option<(&'static str, &'static str)> {
    let words = || invariant.split(|c: char| !c.is_ascii_alphanumeric());
    PROMISES.into_iter().find(|(name, _)| words().any(|word| word == *name))
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{describe_failure, promise_of};
    use crate::batch::{Defect, Failure, Outcome, Told};
    use crate::plan::{Plan, Tier};

    #[test]
    fn an_invariant_names_its_promise() {
        assert_eq!(promise_of("I1/P1 no lost acked write").unwrap().0, "P1");
        assert_eq!(promise_of("I15/P11 honest errors").unwrap().0, "P11");
        assert_eq!(promise_of("I7 dots are unique"), None);
    }

    #[test]
    fn a_failure_says_all_that_is_needed() {
        let told = Told {
            invariant: "I1/P1 no lost acked write".into(),
            detail: "v17 is gone".into(),
            account: "first\nsecond\n".into(),
        };
        let outcome = Outcome { violations: vec![told], ..Outcome::default() };
        let failure = Failure { seed: 4, defect: Defect::Violated(outcome) };
        let plan = Plan::draw(4, Tier::Messages);
        let text = describe_failure(&failure, &plan, Path::new("seed-4.json"));
        for part in
            ["seed 4: ", "v17 is gone", "promised (P1)", "  second", "sim shrink seed-4.json"]
        {
            assert!(text.contains(part), "{part} in\n{text}");
        }
        assert!(plan.schedule().iter().all(|line| text.contains(line)));
    }
}
