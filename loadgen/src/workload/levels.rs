//! Consistency levels by operation: `get=LOCAL_ONE:90,QUORUM:10`, `put=LOCAL_QUORUM`.
//!
//! The numbers are weights. An operation without an entry uses the default of `--level LEVEL`, the profile's, or
//! `LOCAL_QUORUM`.

use std::str::FromStr;

use atoll_client::Level;
use serde::{Deserialize, Serialize};

use super::mix::Op;
use crate::chance::Chance;

#[cfg(test)]
mod tests;

/// One `--level` option.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct LevelOption {
    /// The operation, or all.
    op: Option<Op>,
    choices: Vec<(Level, f64)>,
}

/// The levels of every operation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Levels(Vec<(Op, Vec<(Level, f64)>)>);

impl Levels {
    /// Puts the options together; `default` is for operations that none of them names.
    pub(crate) fn new(options: &[LevelOption], default: Level) -> Result<Self, String> {
        let of = |op: Option<Op>| options.iter().filter(move |option| option.op == op);
        if of(None).count() > 1 {
            return Err("--level without an operation is given twice; give it once".to_owned());
        }
        let common = of(None).next().map_or(vec![(default, 1.0)], |option| option.choices.clone());
        let mut levels = Vec::new();
        for op in Op::ALL {
            if of(Some(op)).count() > 1 {
                let name = op.name();
                return Err(format!(
                    "--level {name}=… is given twice; join them: {name}=ONE:1,QUORUM:1"
                ));
            }
            let own = of(Some(op)).next().map(|option| option.choices.clone());
            levels.push((op, own.unwrap_or_else(|| common.clone())));
        }
        Ok(Self(levels))
    }

    /// The levels of `op`.
    pub(crate) fn of(&self, op: Op) -> impl Iterator<Item = Level> {
        self.choices(op).iter().map(|(level, _)| *level)
    }

    /// Draws a level for `op`.
    pub(crate) fn draw(&self, op: Op, chance: &mut Chance) -> Level {
        let choices = self.choices(op);
        if let [(level, _)] = choices {
            return *level;
        }
        let total: f64 = choices.iter().map(|(_, weight)| weight).sum();
        let mut point = chance.unit() * total;
        for (level, weight) in choices {
            if point < *weight {
                return *level;
            }
            point -= weight;
        }
        choices.last().map_or(Level::LocalQuorum, |(level, _)| *level)
    }

    fn choices(&self, op: Op) -> &[(Level, f64)] {
        self.0.iter().find(|(other, _)| *other == op).map_or(&[], |(_, choices)| choices.as_slice())
    }
}

impl FromStr for LevelOption {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (op, choices) = match text.split_once('=') {
            None => (None, text),
            Some((name, choices)) => {
                let known = Op::ALL.into_iter().find(|op| op.name() == name.trim());
                let op = known.ok_or_else(|| {
                    format!("`{name}` is not an operation; use get, put, insert, update or delete")
                })?;
                (Some(op), choices)
            }
        };
        let mut parsed: Vec<(Level, f64)> = Vec::new();
        for choice in choices.split(',') {
            let (level, weight) = choice.split_once(':').unwrap_or((choice, "1"));
            let level: Level = level
                .trim()
                .parse()
                .map_err(|error: atoll_protocol::quorum::LevelParseError| error.to_string())?;
            let weight = weight.trim().trim_end_matches('%').parse::<f64>().ok();
            let weight = weight.filter(|weight| weight.is_finite() && *weight > 0.0);
            let weight = weight
                .ok_or_else(|| format!("`{choice}` is not LEVEL:weight, such as LOCAL_ONE:90"))?;
            if parsed.iter().any(|(other, _)| *other == level) {
                return Err(format!("{level} occurs twice; give it one weight"));
            }
            parsed.push((level, weight));
        }
        Ok(Self { op, choices: parsed })
    }
}
