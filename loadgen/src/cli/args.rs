//! The options of every command, as clap reads them.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{BoolishValueParser, TypedValueParser};
use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};

use crate::arrivals::Spacing;
use crate::conduct::EventOrder;
use crate::plan::{Answers, Check, Shortness, Writes};
use crate::search::Range;
use crate::slo::Objective;
use crate::units;
use crate::workload::keys::Distribution;
use crate::workload::levels::LevelOption;
use crate::workload::mix::Mix;
use crate::workload::value::Lengths;

/// Load generator of Atoll: open loop, free of coordinated omission
#[derive(Debug, Parser)]
#[command(name = "loadgen", version, disable_help_subcommand = true)]
pub(super) struct Cli {
    #[command(subcommand)]
    pub(super) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Write every key of a key space once, into an empty keyspace
    Load(Box<LoadArgs>),
    /// Send requests at a rate, and measure
    Run(Box<RunArgs>),
    /// Find the highest rate that meets objectives
    Sweep(Box<SweepArgs>),
    /// Print the report of a run
    Show(ShowArgs),
    /// Compare two runs; exit 8 if the second one is worse
    Compare(CompareArgs),
    /// Print the percentiles of an .hlog or .hgrm file
    Hdr(HdrArgs),
    /// One process of a run; started by the others
    #[command(hide = true)]
    Agent,
}

/// How to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people.
    Table,
    /// For programs: one JSON document.
    Json,
}

/// Whom to ask, and from where.
#[derive(Debug, Args)]
#[command(next_help_heading = "Cluster")]
pub(super) struct TargetArgs {
    /// How to reach the cluster and as whom; else $ATOLL_PROFILE, ./.atoll/client.toml, ~/.config/atoll/client.toml
    #[arg(long, value_name = "FILE")]
    pub(super) profile: Option<PathBuf>,
    /// Keyspace of the keys
    #[arg(long, value_name = "NAME", default_value = "default")]
    pub(super) keyspace: String,
    /// Datacenters that have a client in every process, such as us,eu; requests are dealt to them in turn
    #[arg(long, value_name = "DC,…", value_delimiter = ',')]
    pub(super) client_dc: Vec<String>,
    /// Time that a request may take, such as 500ms; else the profile's, else 1s
    #[arg(long, value_name = "SPAN", value_parser = units::positive_span)]
    pub(super) deadline: Option<Duration>,
    /// Answer every request here, at once, instead of asking a cluster: what the generator itself can do
    #[arg(
        long = "no-cluster",
        conflicts_with = "profile",
        action = ArgAction::SetTrue,
        value_parser = flag(Answers::Cluster, Answers::Nobody)
    )]
    pub(super) answers: Answers,
}

/// What is asked for.
#[derive(Debug, Args)]
#[command(next_help_heading = "Workload")]
pub(super) struct WorkloadArgs {
    /// Keys of the key space, such as 10M
    #[arg(long, value_name = "COUNT", default_value = "100k", value_parser = units::count)]
    pub(super) keys: u64,
    /// Values: fixed:1k or uniform:100..4k
    #[arg(long, value_name = "KIND", default_value = "fixed:1k")]
    pub(super) value: Lengths,
    /// Consistency level: LEVEL for all operations, or get=LOCAL_ONE:90,QUORUM:10; repeatable
    #[arg(long = "level", value_name = "LEVELS")]
    pub(super) levels: Vec<LevelOption>,
    /// Write values that prove their origin, and check what is read: corruption, stale reads
    #[arg(long, action = ArgAction::SetTrue, value_parser = flag(Check::Nothing, Check::Values))]
    pub(super) validate: Check,
    /// Where all random choices begin
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    pub(super) seed: u64,
}

/// Which operations on which keys.
#[derive(Debug, Args)]
#[command(next_help_heading = "Workload")]
pub(super) struct ChoiceArgs {
    /// YCSB core workload: a, b, c, d or f
    #[arg(long, value_name = "NAME", conflicts_with = "mix")]
    pub(super) workload: Option<String>,
    /// Operations with weights, such as get=95,put=5; of get, put, insert, update, delete
    #[arg(long, value_name = "MIX")]
    pub(super) mix: Option<Mix>,
    /// Popularity of keys: uniform, zipf:0.99, latest, hotspot:0.2:0.8; else the workload's, else uniform
    #[arg(long, value_name = "LAW")]
    pub(super) dist: Option<Distribution>,
    /// Write without contexts: puts of one key then pile up as siblings
    #[arg(long, action = ArgAction::SetTrue, value_parser = flag(Writes::Informed, Writes::Blind))]
    pub(super) blind: Writes,
}

/// How requests are spread and bounded.
#[derive(Debug, Args)]
#[command(next_help_heading = "Load")]
pub(super) struct PaceArgs {
    /// How arrivals are spaced: constant or poisson
    #[arg(long, value_name = "SPACING", default_value_t = Spacing::Constant)]
    pub(super) arrivals: Spacing,
    /// Requests under way at once; as many again wait, and further ones are dropped
    #[arg(long, value_name = "COUNT", default_value = "1k", value_parser = units::count)]
    pub(super) max_inflight: u64,
    /// Processes that share the load
    #[arg(long, value_name = "COUNT", default_value_t = 1)]
    pub(super) processes: u64,
}

/// When a run ends.
#[derive(Debug, Args)]
#[command(next_help_heading = "Load")]
pub(super) struct ExtentArgs {
    /// Length of the measured phase
    #[arg(long, value_name = "SPAN", default_value = "30s", value_parser = units::positive_span)]
    pub(super) duration: Duration,
    /// Requests of the measured phase, instead of its length
    #[arg(long, value_name = "COUNT", conflicts_with = "duration", value_parser = units::count)]
    pub(super) ops: Option<u64>,
    /// Length of the phase before, which is logged and not counted
    #[arg(long, value_name = "SPAN", default_value = "5s", value_parser = units::span)]
    pub(super) warmup: Duration,
    /// Measure for less than 10 s all the same
    #[arg(
        long,
        action = ArgAction::SetTrue,
        value_parser = flag(Shortness::Refused, Shortness::Forced)
    )]
    pub(super) force: Shortness,
}

/// What happens and is watched meanwhile.
#[derive(Debug, Args)]
#[command(next_help_heading = "Watching")]
pub(super) struct WatchArgs {
    /// Run a command at a time of the measured phase: 30s:'atoll fault partition us eu'; repeatable
    #[arg(long = "event", value_name = "TIME:COMMAND")]
    pub(super) events: Vec<EventOrder>,
    /// Processor time and memory of this node's process on this machine; repeatable
    #[arg(long = "node-pid", value_name = "PID")]
    pub(super) node_pids: Vec<u32>,
    /// Those of all nodes of the `atoll dev` that runs in this folder
    #[arg(long, value_name = "DIR")]
    pub(super) dev: Option<PathBuf>,
}

/// Where results go.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub(super) struct OutputArgs {
    /// Folder for the report; else out/<UTC time>
    #[arg(long, value_name = "DIR")]
    pub(super) out: Option<PathBuf>,
    /// How to print
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value_t = Format::Table)]
    pub(super) output: Format,
}

/// `load`.
#[derive(Debug, Args)]
pub(super) struct LoadArgs {
    /// Puts per second, of all processes together; without it, --closed callers load as fast as they can
    #[arg(long, value_name = "RATE", value_parser = units::count, help_heading = "Load")]
    pub(super) rate: Option<u64>,
    /// Callers of a load without a rate
    #[arg(
        long,
        value_name = "COUNT",
        default_value = "64",
        value_parser = units::count,
        help_heading = "Load"
    )]
    pub(super) closed: u64,
    #[command(flatten)]
    pub(super) pace: PaceArgs,
    #[command(flatten)]
    pub(super) workload: WorkloadArgs,
    #[command(flatten)]
    pub(super) target: TargetArgs,
    #[command(flatten)]
    pub(super) watch: WatchArgs,
    #[command(flatten)]
    pub(super) output: OutputArgs,
}

/// What is asked of whom, and for how long, where something is measured.
#[derive(Debug, Args)]
pub(super) struct MeasuredArgs {
    #[command(flatten)]
    pub(super) pace: PaceArgs,
    #[command(flatten)]
    pub(super) extent: ExtentArgs,
    #[command(flatten)]
    pub(super) choice: ChoiceArgs,
    #[command(flatten)]
    pub(super) workload: WorkloadArgs,
    #[command(flatten)]
    pub(super) target: TargetArgs,
}

/// `run`.
#[derive(Debug, Args)]
pub(super) struct RunArgs {
    /// Requests per second, of all processes together
    #[arg(
        long,
        value_name = "RATE",
        required_unless_present = "closed",
        conflicts_with = "closed",
        value_parser = units::count,
        help_heading = "Load"
    )]
    pub(super) rate: Option<u64>,
    /// So many callers that wait for answers, instead of a rate; latencies are then not those of users
    #[arg(long, value_name = "COUNT", value_parser = units::count, help_heading = "Load")]
    pub(super) closed: Option<u64>,
    #[command(flatten)]
    pub(super) measured: MeasuredArgs,
    #[command(flatten)]
    pub(super) watch: WatchArgs,
    /// Exit 8 if this is not met, such as p99<10ms or errors<0.1%; repeatable
    #[arg(long = "slo", value_name = "OBJECTIVE", help_heading = "Output")]
    pub(super) objectives: Vec<Objective>,
    #[command(flatten)]
    pub(super) output: OutputArgs,
}

/// `sweep`.
#[derive(Debug, Args)]
pub(super) struct SweepArgs {
    /// What a rate must meet, such as p99<10ms or errors<0.1%; repeatable
    #[arg(long = "slo", value_name = "OBJECTIVE", required = true, help_heading = "Load")]
    pub(super) objectives: Vec<Objective>,
    /// Rates to try, such as 1k..200k:x1.25 or 10k..50k:+5k
    #[arg(long, value_name = "RANGE", help_heading = "Load")]
    pub(super) rates: Range,
    /// Bisect until the rates that met and missed are so close
    #[arg(
        long,
        value_name = "PERCENT",
        default_value = "5%",
        value_parser = units::percent,
        help_heading = "Load"
    )]
    pub(super) resolution: f64,
    #[command(flatten)]
    pub(super) measured: MeasuredArgs,
    #[command(flatten)]
    pub(super) output: OutputArgs,
}

/// `show`.
#[derive(Debug, Args)]
pub(super) struct ShowArgs {
    /// Folder of a run, or its report.json
    #[arg(value_name = "DIR")]
    pub(super) report: PathBuf,
    /// How to print
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value_t = Format::Table)]
    pub(super) output: Format,
}

/// `compare`.
#[derive(Debug, Args)]
pub(super) struct CompareArgs {
    /// The run before: a folder, or its report.json
    #[arg(value_name = "BEFORE")]
    pub(super) before: PathBuf,
    /// The run after
    #[arg(value_name = "AFTER")]
    pub(super) after: PathBuf,
    /// Exit 8 if something is worse by more than this, and surely worse
    #[arg(long, value_name = "PERCENT", default_value = "5%", value_parser = units::percent)]
    pub(super) fail_over: f64,
    /// How to print
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value_t = Format::Table)]
    pub(super) output: Format,
}

/// `hdr`.
#[derive(Debug, Args)]
pub(super) struct HdrArgs {
    /// An interval log (.hlog) or a percentile distribution (.hgrm)
    #[arg(value_name = "FILE")]
    pub(super) file: PathBuf,
    /// How to print
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value_t = Format::Table)]
    pub(super) output: Format,
}

/// A parser for a flag that is one of two values: `absent` unless it is given, then `present`.
fn flag<T: Copy + Send + Sync + 'static>(
    absent: T,
    present: T,
) -> impl TypedValueParser<Value = T> {
    BoolishValueParser::new().map(move |is_given| if is_given { present } else { absent })
}
