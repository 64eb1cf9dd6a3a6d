//! The phases of a run, and the scenarios that they belong to.
//!
//! ```text
//! bulk     fill, settle | uniform zipf miss | mix, settle | scan digests | cold cold-16
//! cached   fill (not reported), settle | cached-uniform cached-zipf
//! durable  durable-1 | durable-8 | durable-64
//! ```
//!
//! Each scenario of each engine has a process and a directory of its own.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// One measured stretch of work, by its name on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Phase {
    /// Every record once, in random order of keys; then wait until background work is idle
    Fill,
    /// Reads of records, all alike
    Uniform,
    /// Reads of records, few of them popular
    Zipf,
    /// Reads of absent keys
    Miss,
    /// Half reads, half updates, few records popular; then wait until background work is idle
    Mix,
    /// Every pair in order, one thread
    Scan,
    /// Every key with a digest of its version, one thread
    Digests,
    /// Uniform reads with an empty block cache and an empty page cache
    Cold,
    /// The same from 16 threads
    #[value(name = "cold-16")]
    #[serde(rename = "cold-16")]
    Cold16,
    /// Uniform reads of few records, all in the cache
    CachedUniform,
    /// Zipfian reads of few records, all in the cache
    CachedZipf,
    /// Durable writes, one writer
    #[value(name = "durable-1")]
    #[serde(rename = "durable-1")]
    Durable1,
    /// Durable writes, 8 writers
    #[value(name = "durable-8")]
    #[serde(rename = "durable-8")]
    Durable8,
    /// Durable writes, 64 writers
    #[value(name = "durable-64")]
    #[serde(rename = "durable-64")]
    Durable64,
}

/// What shares one process and one store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Scenario {
    /// Far more data than cache
    Bulk,
    /// Far more cache than data
    Cached,
    /// A sync per write
    Durable,
}

impl Phase {
    /// The phases of `scenario`, in the order in which they run.
    pub(crate) fn of(scenario: Scenario) -> impl Iterator<Item = Phase> {
        Phase::all().filter(move |phase| phase.scenario() == scenario)
    }

    /// All phases, in order.
    pub(crate) fn all() -> impl Iterator<Item = Phase> {
        Phase::value_variants().iter().copied()
    }

    /// Where the phase runs.
    pub(crate) fn scenario(self) -> Scenario {
        match self {
            Phase::Fill
            | Phase::Uniform
            | Phase::Zipf
            | Phase::Miss
            | Phase::Mix
            | Phase::Scan
            | Phase::Digests
            | Phase::Cold
            | Phase::Cold16 => Scenario::Bulk,
            Phase::CachedUniform | Phase::CachedZipf => Scenario::Cached,
            Phase::Durable1 | Phase::Durable8 | Phase::Durable64 => Scenario::Durable,
        }
    }

    /// Whether it runs unless it is asked for by name.
    pub(crate) fn is_default(self) -> bool {
        self != Phase::Cold16
    }

    /// Client threads, if the phase prescribes them.
    pub(crate) fn threads(self) -> Option<usize> {
        match self {
            Phase::Scan | Phase::Digests | Phase::Durable1 => Some(1),
            Phase::Durable8 => Some(8),
            Phase::Cold16 => Some(16),
            Phase::Durable64 => Some(64),
            Phase::Fill
            | Phase::Uniform
            | Phase::Zipf
            | Phase::Miss
            | Phase::Mix
            | Phase::Cold
            | Phase::CachedUniform
            | Phase::CachedZipf => None,
        }
    }
}

impl Scenario {
    /// All scenarios, in order.
    pub(crate) fn all() -> impl Iterator<Item = Scenario> {
        Scenario::value_variants().iter().copied()
    }
}

impl std::fmt::Display for Phase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&name_of(self))
    }
}

impl std::fmt::Display for Scenario {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&name_of(self))
    }
}

fn name_of(value: &impl ValueEnum) -> String {
    value.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
}
