//! `[handoff]`: what a node keeps for others that are away.
//!
//! ```toml
//! [handoff]
//! hint_bytes_max = 1073741824    # hints for one node may take this many bytes; beyond, its partitions are compared
//! hint_age_max = "24h"           # a hint that is older ends, and its partition is compared
//! ```

use std::ops::RangeInclusive;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// About ten million hints: more keys than most nodes hold.
const HINT_BYTES_DEFAULT: u64 = 1 << 30;

/// From a MiB, some thousand hints, to a TiB.
const HINT_BYTES: RangeInclusive<u64> = (1 << 20)..=(1 << 40);

/// A day: whoever is away for longer differs in so much that comparing is the shorter way.
const HINT_AGE_DEFAULT: Duration = Duration::from_secs(24 * 60 * 60);

/// From a minute to thirty days.
const HINT_AGE: RangeInclusive<Duration> =
    Duration::from_secs(60)..=Duration::from_secs(30 * 24 * 60 * 60);

/// The checked section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HandoffConfig {
    /// Hints for one node may take this many bytes.
    pub hint_bytes_max: u64,
    /// A hint that is older ends.
    pub hint_age_max: Duration,
}

/// `[handoff]` as it is written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawHandoff {
    /// Bytes.
    pub hint_bytes_max: Option<u64>,
    /// A time span.
    pub hint_age_max: Option<String>,
}

impl Default for HandoffConfig {
    fn default() -> Self {
        Self { hint_bytes_max: HINT_BYTES_DEFAULT, hint_age_max: HINT_AGE_DEFAULT }
    }
}

impl HandoffConfig {
    /// The section that says all of this, for showing.
    pub fn to_raw(&self) -> RawHandoff {
        RawHandoff {
            hint_bytes_max: Some(self.hint_bytes_max),
            hint_age_max: Some(humantime::format_duration(self.hint_age_max).to_string()),
        }
    }
}

impl RawHandoff {
    /// Checks every value; a wrong one is reported, and its default returned in its place.
    pub(super) fn check(&self, problems: &mut Vec<String>) -> HandoffConfig {
        let mut config = HandoffConfig::default();
        match self.hint_bytes_max {
            None => {}
            Some(bytes) if HINT_BYTES.contains(&bytes) => config.hint_bytes_max = bytes,
            Some(bytes) => problems.push(format!(
                "  handoff.hint_bytes_max: {bytes} is outside {}..={}; {HINT_BYTES_DEFAULT} suits most nodes",
                HINT_BYTES.start(),
                HINT_BYTES.end()
            )),
        }
        match self.hint_age_max.as_deref().map(|text| (text, humantime::parse_duration(text))) {
            None => {}
            Some((_, Ok(age))) if HINT_AGE.contains(&age) => config.hint_age_max = age,
            Some((text, _)) => problems.push(format!(
                "  handoff.hint_age_max: `{text}` is not a time span from {} to {}; 24h suits most clusters",
                humantime::format_duration(*HINT_AGE.start()),
                humantime::format_duration(*HINT_AGE.end())
            )),
        }
        config
    }
}
