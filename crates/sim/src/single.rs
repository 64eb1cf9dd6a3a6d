//! Commands about one plan: a seed, a replay, shrinking; and the images of a crashed disk.

use std::path::Path;

use atoll_sim::batch::{Job, Outcome, Process, Worker, carry_out, describe_outcome, invariants};
use atoll_sim::enumerate;
use atoll_sim::plan::{FailureFile, Plan, Tier};
use atoll_sim::run::Trace;
use atoll_sim::shrink::{Progress, shrink as shrink_plan};

use crate::{EnumerateArgs, Error, ShrinkArgs, Verdict, commands, say};

/// One seed in this process.
pub(crate) fn run_seed(seed: u64, tier: Tier, trace: Trace) -> Verdict {
    let plan = Plan::draw(seed, tier);
    eprintln!("seed {seed}: {}", plan.summary());
    run_plan(plan, trace)
}

/// The plan of a file in this process.
pub(crate) fn replay(path: &Path, trace: Trace) -> Result<Verdict, Error> {
    let file = FailureFile::load(path)?;
    eprintln!("{}: {}", path.display(), file.plan.summary());
    Ok(run_plan(file.plan, trace))
}

fn run_plan(plan: Plan, trace: Trace) -> Verdict {
    for line in plan.schedule() {
        eprintln!("  {line}");
    }
    let outcome = carry_out(&Job::Plan(Box::new(plan)), trace);
    say(&describe_outcome(&outcome));
    judge(&outcome)
}

fn judge(outcome: &Outcome) -> Verdict {
    if outcome.violations.is_empty() { Verdict::Kept } else { Verdict::Violated }
}

/// Shrinks the plan of a file, in processes that may die or hang, and writes the result beside it.
pub(crate) fn shrink(arguments: &ShrinkArgs, mutant: Option<&str>) -> Result<Verdict, Error> {
    let file = FailureFile::load(&arguments.file)?;
    let mut worker = Process::new(commands::launch(arguments.limit, mutant)?);
    let mut violated =
        |plan: &Plan| invariants(&worker.carry_out(&Job::Plan(Box::new(plan.clone()))));
    let Some(target) = violated(&file.plan).into_iter().next() else {
        let path = arguments.file.display();
        return Err(Error::Internal(format!("{path} violates nothing here: nothing to shrink")));
    };
    eprintln!("violates {target}: {}", file.plan.summary());
    let fails = |plan: &Plan| violated(plan).contains(&target);
    let shrunk = shrink_plan(&file.plan, arguments.runs, fails, |progress: &Progress<'_>| {
        if let Some(kept) = progress.kept {
            let best = progress.best;
            eprintln!(
                "run {}: {kept}; {} faults, {}",
                progress.runs,
                best.faults.len(),
                best.summary()
            );
        }
    });
    let path = arguments.file.with_extension("min.json");
    let told = vec![target];
    FailureFile::new(shrunk.plan.clone(), commands::commit(), told).save(&path)?;
    let rest = if shrunk.complete { "" } else { "; more runs may make it smaller" };
    say(&format!("{}\n", shrunk.plan.summary()));
    for line in shrunk.plan.schedule() {
        say(&format!("  {line}\n"));
    }
    say(&format!("wrote {} after {} runs{rest}\n", path.display(), shrunk.runs));
    Ok(Verdict::Kept)
}

/// Crash images of the storage engine.
pub(crate) fn enumerate(arguments: &EnumerateArgs) -> Result<Verdict, Error> {
    let EnumerateArgs { images, seed, first_workload } = *arguments;
    let options = enumerate::Options { images, seed, first_workload };
    let summary = enumerate::enumerate(&options);
    say(&format!("{summary}\n"));
    Ok(if summary.violations_found == 0 { Verdict::Kept } else { Verdict::Violated })
}
