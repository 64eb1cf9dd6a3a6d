//! The names of the consistency levels, as clients write them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A consistency level, named per request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Level {
    /// One replica anywhere.
    One,
    /// Two replicas anywhere.
    Two,
    /// Three replicas anywhere.
    Three,
    /// One replica of the local datacenter.
    LocalOne,
    /// A majority of the local datacenter's replicas.
    LocalQuorum,
    /// A majority of all replicas.
    Quorum,
    /// A majority of the replicas of each datacenter.
    EachQuorum,
    /// Every replica.
    All,
    /// A local quorum and at least one replica in each of so many other datacenters.
    LocalQuorumPlus(u8),
}

/// A text that names no level.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is not a consistency level: use ONE, TWO, THREE, LOCAL_ONE, LOCAL_QUORUM, QUORUM, EACH_QUORUM, ALL, \
     or LOCAL_QUORUM+k with k from 1 to 31"
)]
pub struct LevelParseError {
    /// The text as it was given.
    pub text: String,
}

impl Level {
    /// Every level without a parameter, in the order of the documentation.
    pub const NAMED: [Self; 8] = [
        Self::One,
        Self::Two,
        Self::Three,
        Self::LocalOne,
        Self::LocalQuorum,
        Self::Quorum,
        Self::EachQuorum,
        Self::All,
    ];

    /// The name, without a parameter.
    fn name(self) -> &'static str {
        match self {
            Self::One => "ONE",
            Self::Two => "TWO",
            Self::Three => "THREE",
            Self::LocalOne => "LOCAL_ONE",
            Self::LocalQuorum => "LOCAL_QUORUM",
            Self::Quorum => "QUORUM",
            Self::EachQuorum => "EACH_QUORUM",
            Self::All => "ALL",
            Self::LocalQuorumPlus(_) => "LOCAL_QUORUM+",
        }
    }

    /// True if only replicas of the local datacenter are asked or waited for.
    pub fn is_local(self) -> bool {
        matches!(self, Self::LocalOne | Self::LocalQuorum)
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LocalQuorumPlus(others) => f.pad(&format!("{}{others}", self.name())),
            named => f.pad(named.name()),
        }
    }
}

impl FromStr for Level {
    type Err = LevelParseError;

    /// Reads a level; letter case does not matter.
    fn from_str(text: &str) -> Result<Self, LevelParseError> {
        let is_meant = |level: &Self| level.name().eq_ignore_ascii_case(text);
        if let Some(level) = Self::NAMED.into_iter().find(is_meant) {
            return Ok(level);
        }
        let upper = text.to_ascii_uppercase();
        // `parse` alone would also take a sign and leading zeros.
        let is_plain =
            |digits: &&str| digits.bytes().all(|b| b.is_ascii_digit()) && !digits.starts_with('0');
        let others = upper
            .strip_prefix("LOCAL_QUORUM+")
            .filter(is_plain)
            .and_then(|digits| digits.parse().ok());
        match others {
            Some(count @ 1..=31) => Ok(Self::LocalQuorumPlus(count)),
            _ => Err(LevelParseError { text: text.chars().take(64).collect() }),
        }
    }
}

impl TryFrom<String> for Level {
    type Error = LevelParseError;
    fn try_from(text: String) -> Result<Self, LevelParseError> {
        text.parse()
    }
}

impl From<Level> for String {
    fn from(level: Level) -> Self {
        level.to_string()
    }
}
