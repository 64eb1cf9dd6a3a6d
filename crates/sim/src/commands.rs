//! Commands about many runs: batches, mutants, and the worker that both start.

use std::ffi::OsString;
use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use atoll_sim::batch::{
    Event, Failure, Job, Launch, Options, Process, Repeat, Stop, Summary, batch, carry_out,
    describe_failure, invariants_of_failure, mutants as hunt,
};
use atoll_sim::plan::{FailureFile, Plan, Tier};
use atoll_sim::run::Trace;

use crate::{Crew, Error, MutantsArgs, RunArgs, Verdict, say};

/// Seeds of a batch that names neither their number nor a time.
const SEEDS_DEFAULT: u64 = 100;

/// Failures that are told in full; of more only the seed and the invariant, since one bug fails many seeds.
const TOLD_IN_FULL: usize = 5;

/// Failures that get a file.
const FILES_MAX: usize = 100;

/// Pause between two lines of progress.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(10);

/// Where failure files go, below the current folder.
const FAILURE_FOLDER: &str = "target/sim";

/// A batch of seeds.
pub(crate) fn run(arguments: &RunArgs, mutant: Option<&str>) -> Result<Verdict, Error> {
    let unbounded = arguments.time.is_some() && arguments.seeds.is_none();
    let options = Options {
        from: arguments.from,
        seeds: (!unbounded).then(|| arguments.seeds.unwrap_or(SEEDS_DEFAULT)),
        time: arguments.time,
        tier: arguments.tier.into(),
        repeat: if arguments.verify_all { Repeat::All } else { Repeat::Sample },
        stop: Stop::AtTheEnd,
    };
    let workers = crew(arguments.crew, mutant)?;
    let mut reporter = Reporter::new(options.tier);
    let (summary, _) = batch(&options, workers, stopwatch(), |event| reporter.on_event(event));
    say(&summary.text());
    if let Some(error) = reporter.error {
        return Err(Error::File(error));
    }
    Ok(if summary.failures == 0 { Verdict::Kept } else { Verdict::Violated })
}

/// Tells of a batch while it runs.
struct Reporter {
    tier: Tier,
    commit: String,
    failures: usize,
    told: Duration,
    /// The first failure file that could not be written.
    error: Option<atoll_sim::plan::FileError>,
}

impl Reporter {
    fn new(tier: Tier) -> Self {
        Self { tier, commit: commit(), failures: 0, told: Duration::ZERO, error: None }
    }

    fn on_event(&mut self, event: Event<'_>) {
        match event {
            Event::Failed(failure) => self.on_failure(failure),
            Event::Progress(summary) => self.on_progress(summary),
        }
    }

    fn on_failure(&mut self, failure: &Failure) {
        self.failures += 1;
        let plan = Plan::draw(failure.seed, self.tier);
        let path = failure_path(failure.seed);
        let broken = invariants_of_failure(failure);
        if self.failures <= TOLD_IN_FULL {
            say(&format!("{}\n", describe_failure(failure, &plan, &path)));
        } else {
            say(&format!("seed {}: {}\n", failure.seed, broken.join(", ")));
        }
        if self.failures <= FILES_MAX {
            let file = FailureFile::new(plan, self.commit.clone(), failure.violations());
            if let Err(error) = file.save(&path) {
                self.error.get_or_insert(error);
            }
        }
    }

    fn on_progress(&mut self, summary: &Summary) {
        if summary.took.saturating_sub(self.told) >= PROGRESS_INTERVAL {
            self.told = summary.took;
            let took = summary.took.as_secs();
            eprintln!("{took} s: {} seeds, {} failures", summary.seeds, summary.failures);
        }
    }
}

fn failure_path(seed: u64) -> PathBuf {
    Path::new(FAILURE_FOLDER).join(format!("seed-{seed}.json"))
}

/// Hunts every mutant, or the one that was asked for.
pub(crate) fn mutants(arguments: &MutantsArgs) -> Result<Verdict, Error> {
    let mut candidates = hunt::candidates().map_err(Error::Usage)?;
    if let Some(only) = &arguments.only {
        candidates.retain(|candidate| candidate.name == *only);
        if candidates.is_empty() {
            return Err(Error::Usage(format!("there is no mutant `{only}`")));
        }
    }
    let method = hunt::Hunt {
        seeds: arguments.seeds,
        time: Some(arguments.time_per),
        tier: arguments.tier.into(),
    };
    let (mut rows, mut elsewhere) = (Vec::new(), Vec::new());
    for candidate in candidates {
        eprintln!("{}: {}", candidate.name, candidate.description);
        let row = match candidate.hunter {
            hunt::Hunter::Clusters => {
                let workers = (
                    crew(arguments.crew, Some(&candidate.name))?,
                    crew(Crew { jobs: 1, ..arguments.crew }, None)?,
                );
                method.run(candidate, workers, stopwatch())
            }
            hunt::Hunter::Enumerator => {
                hunt::arm(&candidate.name).map_err(Error::Usage)?;
                hunt::enumerate(candidate, arguments.seeds)
            }
            hunt::Hunter::OwnTests => {
                eprintln!("  not hunted here");
                elsewhere.push(candidate.name);
                continue;
            }
        };
        match &row.found {
            Some((seeds, invariant)) => eprintln!("  found after {seeds} seeds: {invariant}"),
            None => eprintln!("  NOT found in {} seeds", row.seeds),
        }
        if let Some((seed, invariants)) = &row.own_bug {
            eprintln!("  seed {seed} fails without it, too: a bug of our own ({invariants})");
        }
        rows.push(row);
    }
    say(&hunt::table(&rows));
    if !elsewhere.is_empty() {
        say(&format!(
            "not hunted here, noticed by the storage crate's own tests: {}\n",
            elsewhere.join(", ")
        ));
    }
    let all_found = rows.iter().all(|row| row.found.is_some());
    Ok(if all_found { Verdict::Kept } else { Verdict::Violated })
}

/// Carries out jobs until standard input ends.
pub(crate) fn work() -> Result<Verdict, Error> {
    let failed = |error: &dyn std::fmt::Display| Error::Internal(format!("worker: {error}"));
    for line in std::io::stdin().lock().lines() {
        let line = line.map_err(|error| failed(&error))?;
        let job: Job = serde_json::from_str(&line).map_err(|error| failed(&error))?;
        let outcome = carry_out(&job, Trace::Hash);
        let mut answer = serde_json::to_string(&outcome).map_err(|error| failed(&error))?;
        answer.push('\n');
        let mut out = std::io::stdout().lock();
        out.write_all(answer.as_bytes())
            .and_then(|()| out.flush())
            .map_err(|error| failed(&error))?;
    }
    Ok(Verdict::Kept)
}

fn crew(crew: Crew, mutant: Option<&str>) -> Result<Vec<Process>, Error> {
    let launch = launch(crew.limit, mutant)?;
    Ok((0..crew.jobs).map(|_| Process::new(launch.clone())).collect())
}

/// How to start this program as a worker.
pub(crate) fn launch(limit: Duration, mutant: Option<&str>) -> Result<Launch, Error> {
    let program = std::env::current_exe()
        .map_err(|error| Error::Internal(format!("cannot find this program: {error}")))?;
    let mut arguments = vec![OsString::from("worker")];
    if let Some(name) = mutant {
        arguments.extend(["--mutant".into(), name.into()]);
    }
    Ok(Launch { program, arguments, limit })
}

/// The commit that is checked out; empty where there is none.
pub(crate) fn commit() -> String {
    let mut git = Command::new("git");
    git.args(["describe", "--always", "--dirty", "--abbrev=12", "--exclude", "*"]);
    let output = git.stdin(Stdio::null()).stderr(Stdio::null()).output();
    let text = output.ok().filter(|output| output.status.success());
    text.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
}

/// The time since this call.
#[expect(
    clippy::disallowed_methods,
    reason = "a batch has a budget of real time; runs never see it"
)]
fn stopwatch() -> impl Fn() -> Duration + Sync {
    let began = Instant::now();
    move || began.elapsed()
}
