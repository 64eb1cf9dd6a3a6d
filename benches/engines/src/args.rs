//! The command line: what to compare, how much of it, and where.
//!
//! The parent (`compare`) hands its [`Knobs`] on to every child (`run-one`) word for word, so that a single run can be
//! repeated by hand under a profiler.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::engine::EngineName;
use crate::phase::{Phase, Scenario};
use crate::records::{KEY_BYTES, VALUE_BYTES_MIN};

const MIB: u64 = 1_024 * 1_024;

/// Bytes of keys and values where no other number of records is asked for.
const DATA_BYTES: u64 = 2_048 * MIB;

/// Bytes of keys and values of the scenario whose data fits the cache.
const CACHED_DATA_BYTES: u64 = 256 * MIB;

/// The cache of that scenario: room for blocks, indexes and filters with plenty to spare.
const CACHED_CACHE_BYTES: u64 = 2_048 * MIB;

/// Compares Atoll's storage engine with RocksDB and fjall.
#[derive(Debug, Parser)]
#[command(version)]
pub(crate) struct Cli {
    /// What to do
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// See [`Cli`].
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run engines in turn, each in a fresh process, and print tables with ratios and targets
    Compare(CompareArgs),
    /// Run one scenario of one engine in this process
    RunOne(RunArgs),
    /// Print the tables of earlier results again
    Report(ReportArgs),
    /// Compare the candidates for Atoll's memtable
    Memtables,
    /// Time how Atoll opens a store that was killed with its whole log to replay
    Recover(RecoverArgs),
    /// What `recover` kills
    #[command(hide = true)]
    RecoverVictim(RecoverArgs),
    /// Fill the page cache with junk, so that engines get recycled pages
    ///
    /// A guest's first touch of a page makes its host find and zero one: about 13 us per 4 KiB, against 0.3 us for a
    /// page that the guest already owns. On a machine that has just booted, an engine that writes through the page
    /// cache is measured at the speed of the host's allocator. Reading one file of unwritten extents takes every page
    /// once and leaves it clean, as on a machine that has been up for a day.
    WarmPageCache(WarmArgs),
}

/// What `compare` runs.
#[derive(Debug, Args)]
pub(crate) struct CompareArgs {
    /// Engines, in the order in which they take turns
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [
        EngineName::Atoll, EngineName::Rocksdb, EngineName::RocksdbBlob, EngineName::Fjall,
        EngineName::FjallKv, EngineName::BareAppend, EngineName::BareOverwrite,
    ])]
    pub(crate) engines: Vec<EngineName>,
    /// Value sizes in bytes, one table each; the cached and durable phases run with 1024, or with the first
    #[arg(long, value_delimiter = ',', default_values_t = [1_024, 10_240, 100], value_parser = value_bytes)]
    pub(crate) values: Vec<usize>,
    /// Rounds of all engines
    #[arg(long, default_value_t = 3)]
    pub(crate) runs: u32,
    /// Where to write every number, after every run
    #[arg(long)]
    pub(crate) json: Option<PathBuf>,
    /// See [`Knobs`].
    #[command(flatten)]
    pub(crate) knobs: Knobs,
}

/// What `run-one` runs.
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// The engine
    #[arg(long, value_enum)]
    pub(crate) engine: EngineName,
    /// The scenario; phases of others are left out
    #[arg(long, value_enum, default_value_t = Scenario::Bulk)]
    pub(crate) scenario: Scenario,
    /// Bytes of every value
    #[arg(long, default_value_t = 1_024, value_parser = value_bytes)]
    pub(crate) value: usize,
    /// Number of the round, which also seeds the choice of keys
    #[arg(long, default_value_t = 0)]
    pub(crate) round: u32,
    /// Print one line of JSON instead of a table
    #[arg(long)]
    pub(crate) json: bool,
    /// See [`Knobs`].
    #[command(flatten)]
    pub(crate) knobs: Knobs,
}

/// What `report` reads.
#[derive(Debug, Args)]
pub(crate) struct ReportArgs {
    /// Files that `compare --json` wrote
    #[arg(required = true)]
    pub(crate) files: Vec<PathBuf>,
}

/// What `warm-page-cache` does.
#[derive(Debug, Args)]
pub(crate) struct WarmArgs {
    /// Directory of the junk file
    #[arg(long, default_value = "target/engines-data")]
    pub(crate) dir: PathBuf,
    /// Size of the file in GiB; by default 92 % of the available memory
    #[arg(long)]
    pub(crate) gib: Option<f64>,
}

/// What `recover` does.
#[derive(Debug, Args)]
pub(crate) struct RecoverArgs {
    /// Keys and values in the log, in GiB
    #[arg(long, default_value_t = 1.0)]
    pub(crate) gib: f64,
    /// Bytes of every value
    #[arg(long, default_value_t = 1_024, value_parser = value_bytes)]
    pub(crate) value: usize,
    /// Kills
    #[arg(long, default_value_t = 3)]
    pub(crate) runs: u32,
    /// Where stores are created
    #[arg(long, default_value = "target/engines-data")]
    pub(crate) dir: PathBuf,
}

/// What a run can be told.
#[derive(Clone, Debug, Args)]
pub(crate) struct Knobs {
    /// Phases; a fill is always done where one is needed
    #[arg(long, value_enum, value_delimiter = ',')]
    pub(crate) phases: Vec<Phase>,
    /// Records to fill; by default 2 M of 1 KiB, 200 k of 10 KiB, 6 M of 100 B, and else 2 GiB
    #[arg(long)]
    pub(crate) records: Option<u64>,
    /// Data to fill in GiB, instead of a number of records
    #[arg(long, conflicts_with = "records")]
    pub(crate) gib: Option<f64>,
    /// Cache of every engine in MiB
    #[arg(long, default_value_t = 256)]
    pub(crate) cache_mib: u64,
    /// Client threads, where the phase does not prescribe them
    #[arg(long, default_value_t = 2)]
    pub(crate) threads: usize,
    /// Length of a phase that is bounded by time
    #[arg(long, default_value_t = 8.0)]
    pub(crate) seconds: f64,
    /// How often the log is synced while writes do not wait for it, for every engine alike; 0 for never
    #[arg(long, default_value_t = 1_000)]
    pub(crate) sync_interval_ms: u64,
    /// Bytes from which Atoll keeps values outside of its tables; by default what it ships with
    #[arg(long)]
    pub(crate) separate_from: Option<u64>,
    /// Where stores are created, each in a directory of its own that is removed afterwards
    #[arg(long, default_value = "target/engines-data")]
    pub(crate) dir: PathBuf,
}

impl Knobs {
    /// Whether `phase` is wanted.
    pub(crate) fn wants(&self, phase: Phase) -> bool {
        if self.phases.is_empty() { phase.is_default() } else { self.phases.contains(&phase) }
    }

    /// Records of a store of `scenario`.
    pub(crate) fn records(&self, scenario: Scenario, value_bytes: usize) -> u64 {
        let record_bytes = (KEY_BYTES + value_bytes) as u64;
        let bulk = match (self.records, self.gib, value_bytes) {
            (Some(records), _, _) => records,
            (None, Some(gib), _) => mebibytes(gib) * MIB / record_bytes,
            (None, None, 100) => 6_000_000,
            (None, None, 1_024) => 2_000_000,
            (None, None, 10_240) => 200_000,
            (None, None, _) => DATA_BYTES / record_bytes,
        };
        match scenario {
            Scenario::Bulk | Scenario::Durable => bulk.max(1),
            Scenario::Cached => bulk.clamp(1, CACHED_DATA_BYTES / record_bytes),
        }
    }

    /// Bytes of the cache in `scenario`.
    pub(crate) fn cache_bytes(&self, scenario: Scenario) -> u64 {
        match scenario {
            Scenario::Bulk | Scenario::Durable => self.cache_mib * MIB,
            Scenario::Cached => CACHED_CACHE_BYTES,
        }
    }

    /// The words that give a child the same knobs and `phases`.
    pub(crate) fn words(&self, phases: &[Phase]) -> Vec<String> {
        let list: Vec<String> = phases.iter().map(Phase::to_string).collect();
        let mut words = vec![format!("--phases={}", list.join(","))];
        words.extend(self.records.map(|records| format!("--records={records}")));
        words.extend(self.gib.map(|gib| format!("--gib={gib}")));
        words.push(format!("--cache-mib={}", self.cache_mib));
        words.push(format!("--threads={}", self.threads));
        words.push(format!("--seconds={}", self.seconds));
        words.push(format!("--sync-interval-ms={}", self.sync_interval_ms));
        words.extend(self.separate_from.map(|bytes| format!("--separate-from={bytes}")));
        words.push(format!("--dir={}", self.dir.display()));
        words
    }
}

/// Whole MiB in `gib`; 0 if that is negative.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "sizes of disks are far below 2^53 MiB, and a float saturates at 0"
)]
pub(crate) fn mebibytes(gib: f64) -> u64 {
    (gib * 1_024.0).round() as u64
}

fn value_bytes(word: &str) -> Result<usize, String> {
    let bytes: usize = word.parse().map_err(|error| format!("{error}"))?;
    if bytes < VALUE_BYTES_MIN {
        return Err(format!("at least {VALUE_BYTES_MIN}, to hold an index and a proof"));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::{Cli, Command};
    use crate::phase::{Phase, Scenario};

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_child_gets_the_same_knobs() {
        let parent = ["engines", "run-one", "--engine=atoll", "--gib=0.5", "--threads=3"];
        let Command::RunOne(parent) = Cli::parse_from(parent).command else { panic!() };
        let words = parent.knobs.words(&[Phase::Cold16, Phase::Fill]);
        let child = ["engines", "run-one", "--engine=atoll"].map(String::from);
        let child = Cli::parse_from(child.into_iter().chain(words));
        let Command::RunOne(child) = child.command else { panic!() };
        assert_eq!(child.knobs.phases, [Phase::Cold16, Phase::Fill]);
        assert_eq!(child.knobs.threads, 3);
        assert_eq!(child.knobs.records(Scenario::Bulk, 1_024), 512 * 1_024 * 1_024 / 1_040);
    }
}
