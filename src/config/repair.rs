//! `[repair]`: how often replicas are compared when nothing is known to be missing.
//!
//! ```toml
//! [repair]
//! cycle = "1h"        # in this time every partition is compared once; what is known to be missing does not wait
//! ```

use std::ops::RangeInclusive;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// An hour: comparing partitions that do not differ costs little, and what differs rarely waits for its turn.
const CYCLE_DEFAULT: Duration = Duration::from_secs(60 * 60);

/// From a second, below which rounds would overtake each other, to thirty days.
const CYCLE: RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(30 * 24 * 60 * 60);

/// The checked section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RepairConfig {
    /// In this time every partition is compared once.
    pub cycle: Duration,
}

/// `[repair]` as it is written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawRepair {
    /// A time span.
    pub cycle: Option<String>,
}

impl Default for RepairConfig {
    fn default() -> Self {
        Self { cycle: CYCLE_DEFAULT }
    }
}

impl RepairConfig {
    /// The section that says all of this, for showing.
    pub fn to_raw(&self) -> RawRepair {
        RawRepair { cycle: Some(humantime::format_duration(self.cycle).to_string()) }
    }
}

impl RawRepair {
    /// Checks every value; a wrong one is reported, and its default returned in its place.
    pub(super) fn check(&self, problems: &mut Vec<String>) -> RepairConfig {
        let Some(text) = self.cycle.as_deref() else { return RepairConfig::default() };
        match humantime::parse_duration(text) {
            Ok(cycle) if CYCLE.contains(&cycle) => RepairConfig { cycle },
            _ => {
                problems.push(format!(
                    "  repair.cycle: `{text}` is not a time span from {} to {}; 1h suits most clusters",
                    humantime::format_duration(*CYCLE.start()),
                    humantime::format_duration(*CYCLE.end())
                ));
                RepairConfig::default()
            }
        }
    }
}
