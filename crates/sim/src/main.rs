//! The command line of the simulator: `run`, `replay`, `shrink`, `enumerate`, `mutants`.
//!
//! Results go to standard output, talk and traces to standard error. Exit codes: 0 all promises kept, 1 a violation or
//! a run that could not be carried out, 2 a command line or a file that makes no sense.

#![forbid(unsafe_code)]

mod commands;
mod single;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, ColorChoice, Parser, Subcommand, ValueEnum};

use atoll_sim::plan::{FileError, Tier};
use atoll_sim::run::Trace;

/// Deterministic simulation of whole clusters: one seed replays one worst day.
#[derive(Debug, Parser)]
#[command(name = "atoll-sim", version, color = ColorChoice::Never, max_term_width = 110)]
#[command(disable_help_subcommand = true)]
#[command(after_help = "Exit codes: 0 all promises kept, 1 a violation, 2 usage.")]
struct Cli {
    /// Arm a seeded bug (only in builds that have them: `cargo xtask sim … --mutant NAME`)
    #[arg(long, value_name = "NAME", global = true)]
    mutant: Option<String>,
    #[command(subcommand)]
    command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
enum Command {
    /// Run many seeds, or one
    Run(RunArgs),
    /// Run the plan of a file
    Replay(ReplayArgs),
    /// Make a failing plan small; writes FILE.min.json
    Shrink(ShrinkArgs),
    /// Open a store from the images that a crash may leave of its disk
    Enumerate(EnumerateArgs),
    /// Count the seeds that it takes to find each seeded bug
    Mutants(MutantsArgs),
    /// Carry out jobs from standard input, for a batch
    #[command(hide = true)]
    Worker,
}

/// Which seeds, and how.
#[derive(Debug, Args)]
struct RunArgs {
    /// Seeds to run; 100, or as many as the time allows
    #[arg(long, value_name = "N")]
    seeds: Option<u64>,
    /// The first seed
    #[arg(long, value_name = "S", default_value_t = 0)]
    from: u64,
    /// Begin no seed after this time, such as `5m`
    #[arg(long, value_name = "SPAN", value_parser = humantime::parse_duration)]
    time: Option<Duration>,
    /// Run every seed twice and compare the traces
    #[arg(long)]
    verify_all: bool,
    /// Run only this seed, here and now
    #[arg(long, value_name = "S", conflicts_with_all = ["seeds", "from", "time", "verify_all"])]
    seed: Option<u64>,
    #[command(flatten)]
    tracing: TraceArgs,
    /// What the network is made of
    #[arg(long, value_enum, default_value_t = TierName::Messages)]
    tier: TierName,
    #[command(flatten)]
    crew: Crew,
}

/// Worker processes.
#[derive(Clone, Copy, Debug, Args)]
struct Crew {
    /// Worker processes
    #[arg(long, value_name = "J", default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=256))]
    jobs: u16,
    /// Wall clock that one run may take
    #[arg(long, value_name = "SPAN", default_value = "2m", value_parser = humantime::parse_duration)]
    limit: Duration,
}

#[derive(Debug, Args)]
struct ReplayArgs {
    /// A failure file or a plan
    file: PathBuf,
    #[command(flatten)]
    tracing: TraceArgs,
}

/// Whether the run is told.
#[derive(Clone, Copy, Debug, Args)]
struct TraceArgs {
    /// Print every event of a single run to standard error
    #[arg(long)]
    trace: bool,
}

impl TraceArgs {
    fn mode(self) -> Trace {
        if self.trace { Trace::Print } else { Trace::Hash }
    }
}

#[derive(Debug, Args)]
struct ShrinkArgs {
    /// A failure file or a plan
    file: PathBuf,
    /// Runs at most
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    runs: u32,
    /// Wall clock that one run may take
    #[arg(long, value_name = "SPAN", default_value = "2m", value_parser = humantime::parse_duration)]
    limit: Duration,
}

#[derive(Debug, Args)]
struct EnumerateArgs {
    /// Stop after the workload that reaches so many images
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    images: u64,
    /// The seed of what is sampled
    #[arg(long, value_name = "S", default_value_t = 0)]
    seed: u64,
    /// Number of the first workload
    #[arg(long, value_name = "W", default_value_t = 0)]
    first_workload: u64,
}

#[derive(Debug, Args)]
struct MutantsArgs {
    /// Only this one
    #[arg(long, value_name = "NAME")]
    only: Option<String>,
    /// Seeds for each mutant at most
    #[arg(long, value_name = "N", default_value_t = 20_000)]
    seeds: u64,
    /// Time for each mutant at most
    #[arg(long, value_name = "SPAN", default_value = "5m", value_parser = humantime::parse_duration)]
    time_per: Duration,
    /// What the network is made of
    #[arg(long, value_enum, default_value_t = TierName::Messages)]
    tier: TierName,
    #[command(flatten)]
    crew: Crew,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum TierName {
    /// Frames, carried by the simulator
    Messages,
    /// Real QUIC over simulated UDP
    Quic,
}

impl From<TierName> for Tier {
    fn from(name: TierName) -> Self {
        match name {
            TierName::Messages => Self::Messages,
            TierName::Quic => Self::Quic,
        }
    }
}

/// Whether all promises were kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Kept,
    Violated,
}

/// Why a command did not do what was asked.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("{0}")]
    Usage(String),
    #[error(transparent)]
    File(#[from] FileError),
    #[error("{0}")]
    Internal(String),
}

fn main() -> ExitCode {
    match carry_out(Cli::parse()) {
        Ok(Verdict::Kept) => ExitCode::SUCCESS,
        Ok(Verdict::Violated) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            match error {
                Error::Usage(_) | Error::File(_) => ExitCode::from(2),
                Error::Internal(_) => ExitCode::FAILURE,
            }
        }
    }
}

fn carry_out(cli: Cli) -> Result<Verdict, Error> {
    let mutant = cli.mutant.as_deref();
    if let Some(name) = mutant {
        atoll_sim::batch::mutants::arm(name).map_err(Error::Usage)?;
    }
    match cli.command {
        Command::Run(RunArgs { seed: Some(seed), tier, tracing, .. }) => {
            Ok(single::run_seed(seed, tier.into(), tracing.mode()))
        }
        Command::Run(RunArgs { tracing: TraceArgs { trace: true }, .. }) => {
            Err(Error::Usage("`--trace` needs `--seed S`: a batch has too much to tell".to_owned()))
        }
        Command::Run(arguments) => commands::run(&arguments, mutant),
        Command::Replay(ReplayArgs { file, tracing }) => single::replay(&file, tracing.mode()),
        Command::Shrink(arguments) => single::shrink(&arguments, mutant),
        Command::Enumerate(arguments) => single::enumerate(&arguments),
        Command::Mutants(arguments) => commands::mutants(&arguments),
        Command::Worker => commands::work(),
    }
}

/// Prints a result. A closed pipe is nobody's error.
fn say(text: &str) {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
