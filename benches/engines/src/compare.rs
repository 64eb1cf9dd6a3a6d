//! The parent: runs children in turn and gathers what they report.
//!
//! 1. For each value size and scenario, [`Plan`] lists the runs: round by round, every engine once per round.
//! 2. Each run is a fresh process of this binary; its report is the last line that it prints.
//! 3. After each run everything so far is written to the JSON file, so that an interrupted comparison is not lost.
//!
//! A child that fails leaves a gap and a line below the tables; the others go on.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::Outcome;
use crate::args::{CompareArgs, ReportArgs};
use crate::engine::EngineName;
use crate::phase::{Phase, Scenario};
use crate::report::RunReport;
use crate::tables;
use crate::warm;

/// The size whose cached and durable phases are compared.
const VALUE_BYTES_USUAL: usize = 1_024;

/// One child to be run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    engine: EngineName,
    scenario: Scenario,
    value_bytes: usize,
    round: u32,
}

/// Runs everything and returns the tables.
///
/// # Errors
/// When no child could report anything, or the results cannot be written.
pub(crate) fn compare(args: &CompareArgs) -> Outcome<String> {
    let runs = plan(args);
    let (mut reports, mut failures) = (Vec::new(), Vec::new());
    for (number, run) in runs.iter().enumerate() {
        let Run { engine, scenario, value_bytes, round } = run;
        let count = runs.len();
        eprintln!("[{}/{count}] {engine} {scenario} {value_bytes} B, round {round}", number + 1);
        warm::refill(&args.knobs.dir)?;
        match run_child(args, *run) {
            Ok(report) => reports.push(report),
            Err(error) => {
                eprintln!("  failed: {error}");
                failures
                    .push(format!("{engine} {scenario} {value_bytes} B, round {round}: {error}"));
            }
        }
        if let Some(path) = &args.json {
            serde_json::to_writer(File::create(path)?, &reports)?;
        }
    }
    if reports.is_empty() {
        return Err(format!("nothing was measured: {}", failures.join("; ")).into());
    }
    let failures: String = failures.iter().map(|failure| format!("\nFAILED: {failure}")).collect();
    Ok(tables::render(&reports) + &failures)
}

/// Prints earlier results again.
pub(crate) fn report(args: &ReportArgs) -> Outcome<String> {
    let mut reports: Vec<RunReport> = Vec::new();
    for path in &args.files {
        let more: Vec<RunReport> = serde_json::from_reader(BufReader::new(File::open(path)?))?;
        // Rounds of different files are different rounds: ratios are taken within one.
        let first = reports.iter().map(|report| report.round + 1).max().unwrap_or(0);
        let renumbered =
            more.into_iter().map(|report| RunReport { round: first + report.round, ..report });
        reports.extend(renumbered);
    }
    Ok(tables::render(&reports))
}

/// All runs, in order.
fn plan(args: &CompareArgs) -> Vec<Run> {
    let usual = match args.values.contains(&VALUE_BYTES_USUAL) {
        true => Some(VALUE_BYTES_USUAL),
        false => args.values.first().copied(),
    };
    let mut runs = Vec::new();
    for value_bytes in args.values.iter().copied() {
        for scenario in Scenario::all() {
            let everywhere = scenario == Scenario::Bulk;
            let wanted = Phase::of(scenario).any(|phase| args.knobs.wants(phase));
            if !wanted || !(everywhere || usual == Some(value_bytes)) {
                continue;
            }
            for round in 0..args.runs {
                let fits =
                    |engine: &EngineName| !engine.is_ceiling() || scenario == Scenario::Durable;
                let engines = args.engines.iter().copied().filter(fits);
                runs.extend(engines.map(|engine| Run { engine, scenario, value_bytes, round }));
            }
        }
    }
    runs
}

fn run_child(args: &CompareArgs, run: Run) -> Outcome<RunReport> {
    let wanted = |phase: &Phase| args.knobs.wants(*phase);
    let phases: Vec<Phase> = Phase::of(run.scenario).filter(wanted).collect();
    let child = Command::new(executable()?)
        .arg("run-one")
        .arg("--json")
        .arg(format!("--engine={}", run.engine))
        .arg(format!("--scenario={}", run.scenario))
        .arg(format!("--value={}", run.value_bytes))
        .arg(format!("--round={}", run.round))
        .args(args.knobs.words(&phases))
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()?;
    if !child.status.success() {
        return Err(format!("the child ended with {}", child.status).into());
    }
    let output = String::from_utf8(child.stdout)?;
    let line = output.lines().last().ok_or("the child printed nothing")?;
    Ok(serde_json::from_str(line)?)
}

/// This very binary, even if it was rebuilt meanwhile.
fn executable() -> Outcome<&'static Path> {
    Ok(Path::new("/proc/self/exe"))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::{Run, plan};
    use crate::args::{Cli, Command};
    use crate::engine::EngineName;
    use crate::phase::Scenario;

    fn planned(words: &[&str]) -> Vec<Run> {
        let words = ["engines", "compare"].iter().chain(words);
        let Command::Compare(args) = Cli::parse_from(words).command else { panic!() };
        plan(&args)
    }

    #[test]
    fn engines_take_turns() {
        let runs =
            planned(&["--engines=atoll,fjall", "--phases=fill", "--values=1024", "--runs=2"]);
        let order: Vec<_> = runs.iter().map(|run| (run.engine, run.round)).collect();
        let (a, b) = (EngineName::Atoll, EngineName::Fjall);
        assert_eq!(order, [(a, 0), (b, 0), (a, 1), (b, 1)]);
    }

    #[test]
    fn ceilings_run_only_where_they_can() {
        let runs = planned(&["--runs=1"]);
        assert!(runs.iter().all(|run| !run.engine.is_ceiling()
            || (run.scenario == Scenario::Durable && run.value_bytes == 1_024)));
        assert_eq!(runs.len(), 3 * 5 + 5 + 7);
    }
}
