//! `[repair]`: how often replicas are compared when nothing is known to be missing, and how soon deletions are forgotten.
//!
//! ```toml
//! [repair]
//! cycle = "1h"        # in this time every partition is compared once; what is known to be missing does not wait
//! purge_after = "10m" # a deletion is purged once every replica has seen it, and no sooner than this later; the same on all nodes
//! ```

use std::ops::RangeInclusive;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// An hour: comparing partitions that do not differ costs little, and what differs rarely waits for its turn.
const CYCLE_DEFAULT: Duration = Duration::from_secs(60 * 60);

/// From a second, below which rounds would overtake each other, to thirty days.
const CYCLE: RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(30 * 24 * 60 * 60);

/// Ten minutes: longer than any get, and than clocks are apart; what is purged sooner saves little.
const PURGE_AFTER_DEFAULT: Duration = Duration::from_secs(10 * 60);

/// From a second, which would cut longer gets short, to thirty days.
const PURGE_AFTER: RangeInclusive<Duration> = CYCLE;

/// The checked section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RepairConfig {
    /// In this time every partition is compared once.
    pub cycle: Duration,
    /// What all replicas have seen deleted is purged no sooner than this later, and no get lasts longer.
    pub purge_after: Duration,
}

/// `[repair]` as it is written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawRepair {
    /// A time span.
    pub cycle: Option<String>,
    /// A time span.
    pub purge_after: Option<String>,
}

impl Default for RepairConfig {
    fn default() -> Self {
        Self { cycle: CYCLE_DEFAULT, purge_after: PURGE_AFTER_DEFAULT }
    }
}

impl RepairConfig {
    /// The section that says all of this, for showing.
    pub fn to_raw(&self) -> RawRepair {
        let text = |span| Some(humantime::format_duration(span).to_string());
        RawRepair { cycle: text(self.cycle), purge_after: text(self.purge_after) }
    }
}

impl RawRepair {
    /// Checks every value; a wrong one is reported, and its default returned in its place.
    pub(super) fn check(&self, problems: &mut Vec<String>) -> RepairConfig {
        let mut span = |name: &str, text: Option<&str>, range: RangeInclusive<Duration>, usual| {
            let Some(text) = text else { return usual };
            match humantime::parse_duration(text) {
                Ok(span) if range.contains(&span) => span,
                _ => {
                    problems.push(format!(
                        "  repair.{name}: `{text}` is not a time span from {} to {}; {} suits most clusters",
                        humantime::format_duration(*range.start()),
                        humantime::format_duration(*range.end()),
                        humantime::format_duration(usual),
                    ));
                    usual
                }
            }
        };
        RepairConfig {
            cycle: span("cycle", self.cycle.as_deref(), CYCLE, CYCLE_DEFAULT),
            purge_after: span(
                "purge_after",
                self.purge_after.as_deref(),
                PURGE_AFTER,
                PURGE_AFTER_DEFAULT,
            ),
        }
    }
}
