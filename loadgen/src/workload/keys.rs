//! Which keys are asked for.
//!
//! Keys are numbers from 0; the first `count` are loaded before a run, and inserts of a run go on behind them, dealt to
//! the processes round robin. A popular key is the same one for every process.
//!
//! | law | key |
//! |---|---|
//! | `uniform` | any loaded key |
//! | `zipf:S` | rank `k` with probability ∝ `1/k^S`, ranks scattered over the keys (`scramble.rs`) |
//! | `latest` | zipf:0.99 over the age of keys: the newest own key most often |
//! | `hotspot:K:O` | the share `K` of the keys gets the share `O` of the operations; scattered, too |
//!
//! Invariants
//! - A drawn key was loaded or inserted by this process, and its insertion was acknowledged.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::scramble::Scramble;
use super::zipf::Zipf;
use crate::chance::Chance;
use crate::units;

#[cfg(test)]
mod tests;

/// The skew of `latest`.
const LATEST_EXPONENT: f64 = 0.99;

/// Largest exponent that is taken: at 10 one key has 99.9 % of all operations.
const EXPONENT_MAX: f64 = 10.0;

/// A law of popularity.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) enum Distribution {
    /// Every key alike.
    Uniform,
    /// Zipf's law.
    Zipf {
        /// How skewed; above zero.
        exponent: f64,
    },
    /// New keys most.
    Latest,
    /// Some keys more than the others.
    Hotspot {
        /// Share of the keys.
        keys: f64,
        /// Share of the operations.
        operations: f64,
    },
}

/// Draws keys of one process.
#[derive(Clone, Debug)]
pub(crate) struct Keys {
    distribution: Distribution,
    count: u64,
    agent: u64,
    agents: u64,
    scramble: Scramble,
    zipf: Zipf,
}

impl Keys {
    /// Keys of process `agent` of `agents`, where `count` are loaded.
    pub(crate) fn new(distribution: Distribution, count: u64, (agent, agents): (u64, u64)) -> Self {
        let exponent = match distribution {
            Distribution::Zipf { exponent } => exponent,
            Distribution::Uniform | Distribution::Latest | Distribution::Hotspot { .. } => {
                LATEST_EXPONENT
            }
        };
        let zipf = Zipf::new(count, exponent);
        Self { distribution, count, agent, agents, scramble: Scramble::new(count), zipf }
    }

    /// Draws a key; `inserted` is how many insertions of this process were acknowledged in a row.
    pub(crate) fn draw(&self, inserted: u64, chance: &mut Chance) -> u64 {
        match self.distribution {
            Distribution::Uniform => chance.below(self.count),
            Distribution::Zipf { .. } => self.scramble.apply(self.zipf.draw(chance) - 1),
            Distribution::Latest => {
                let all = self.count + inserted;
                let zipf = if inserted == 0 { self.zipf } else { Zipf::new(all, LATEST_EXPONENT) };
                let position = all - zipf.draw(chance);
                match position.checked_sub(self.count) {
                    Some(insertion) => self.inserted(insertion),
                    None => position,
                }
            }
            Distribution::Hotspot { keys, operations } => {
                let hot = units::floor(self.count as f64 * keys).clamp(1, self.count);
                let is_hot = chance.unit() < operations || hot == self.count;
                let index =
                    if is_hot { chance.below(hot) } else { hot + chance.below(self.count - hot) };
                self.scramble.apply(index)
            }
        }
    }

    /// The key of this process's insertion number `index`.
    pub(crate) fn inserted(&self, index: u64) -> u64 {
        self.count + index * self.agents + self.agent
    }
}

/// The keys that process `agent` of `agents` loads: every `agents`th from `agent` on.
pub(crate) fn share(count: u64, (agent, agents): (u64, u64)) -> u64 {
    (count + agents - 1 - agent) / agents
}

/// The text of a key: 16 bytes, as long as YCSB's shortest.
pub(crate) fn text(key: u64) -> String {
    format!("user{key:012}")
}

impl FromStr for Distribution {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let form = || {
            format!(
                "`{text}` is not a distribution; use uniform, zipf:0.99, latest or hotspot:0.2:0.8"
            )
        };
        let parts: Vec<&str> = text.split(':').collect();
        let number = |text: &str| text.parse::<f64>().ok().filter(|value| value.is_finite());
        let fraction = |text: &str| number(text).filter(|value| (0.0..=1.0).contains(value));
        match parts.as_slice() {
            ["uniform"] => Ok(Self::Uniform),
            ["latest"] => Ok(Self::Latest),
            ["zipf"] => Ok(Self::Zipf { exponent: LATEST_EXPONENT }),
            ["zipf", exponent] => match number(exponent) {
                Some(exponent) if exponent > 0.0 && exponent <= EXPONENT_MAX => {
                    Ok(Self::Zipf { exponent })
                }
                _ => Err(format!(
                    "`{exponent}` is not an exponent of Zipf's law: above 0 and at most {EXPONENT_MAX}, such as 0.99"
                )),
            },
            ["hotspot", keys, operations] => match (fraction(keys), fraction(operations)) {
                (Some(keys), Some(operations)) if keys > 0.0 => {
                    Ok(Self::Hotspot { keys, operations })
                }
                _ => Err(form()),
            },
            _ => Err(form()),
        }
    }
}

impl fmt::Display for Distribution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uniform => f.pad("uniform"),
            Self::Zipf { exponent } => f.pad(&format!("zipf:{exponent}")),
            Self::Latest => f.pad("latest"),
            Self::Hotspot { keys, operations } => f.pad(&format!("hotspot:{keys}:{operations}")),
        }
    }
}

impl TryFrom<String> for Distribution {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Distribution> for String {
    fn from(distribution: Distribution) -> Self {
        distribution.to_string()
    }
}
