//! The mix: how often each operation occurs.
//!
//! `get=95,put=5` are weights, not percentages: `get=19,put=1` is the same. YCSB's core workloads have names:
//!
//! | name | operations | keys |
//! |---|---|---|
//! | a | get 50, put 50 | zipf:0.99 |
//! | b | get 95, put 5 | zipf:0.99 |
//! | c | get 100 | zipf:0.99 |
//! | d | get 95, insert 5 | latest |
//! | e | scan 95, insert 5 | refused: the SDK has no scan |
//! | f | get 50, update 50 | zipf:0.99 |
//!
//! YCSB's *update* overwrites and is a `put` here; its *read-modify-write* is an `update`.
//!
//! Source: Cooper et al., "Benchmarking Cloud Serving Systems with YCSB", SoCC 2010, and YCSB's `workloads/` files.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::keys::Distribution;
use crate::chance::Chance;

#[cfg(test)]
mod tests;

/// The skew of YCSB's zipfian keys.
const YCSB_EXPONENT: f64 = 0.99;

/// What can be asked of a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Op {
    /// Read one key.
    Get,
    /// Overwrite one key.
    Put,
    /// Write a key that was not there.
    Insert,
    /// Read one key, change it, and write it with the context of the read.
    Update,
    /// Write a tombstone.
    Delete,
}

impl Op {
    /// All of them, in the order of reports.
    pub(crate) const ALL: [Self; 5] =
        [Self::Get, Self::Put, Self::Insert, Self::Update, Self::Delete];

    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Put => "put",
            Self::Insert => "insert",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }
}

/// How often each operation occurs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Mix(Vec<(Op, f64)>);

impl Mix {
    /// One operation alone.
    pub(crate) fn only(op: Op) -> Self {
        Self(vec![(op, 1.0)])
    }

    /// The operations that occur.
    pub(crate) fn ops(&self) -> impl Iterator<Item = Op> {
        self.0.iter().map(|(op, _)| *op)
    }

    /// True if `op` occurs.
    pub(crate) fn has(&self, op: Op) -> bool {
        self.ops().any(|other| other == op)
    }

    /// Draws one operation.
    pub(crate) fn draw(&self, chance: &mut Chance) -> Op {
        let total: f64 = self.0.iter().map(|(_, weight)| weight).sum();
        let mut point = chance.unit() * total;
        for (op, weight) in &self.0 {
            if point < *weight {
                return *op;
            }
            point -= weight;
        }
        // Rounding may step over the end; the last operation has the end.
        self.0.last().map_or(Op::Get, |(op, _)| *op)
    }
}

/// Mix and keys of YCSB's core workload `name`.
pub(crate) fn ycsb(name: &str) -> Result<(Mix, Distribution), String> {
    let zipf = Distribution::Zipf { exponent: YCSB_EXPONENT };
    let (ops, keys) = match name.to_ascii_lowercase().as_str() {
        "a" => (vec![(Op::Get, 50.0), (Op::Put, 50.0)], zipf),
        "b" => (vec![(Op::Get, 95.0), (Op::Put, 5.0)], zipf),
        "c" => (vec![(Op::Get, 100.0)], zipf),
        "d" => (vec![(Op::Get, 95.0), (Op::Insert, 5.0)], Distribution::Latest),
        "e" => {
            return Err(
                "workload e is made of scans, and the SDK has no scan yet; use a, b, c, d or f"
                    .to_owned(),
            );
        }
        "f" => (vec![(Op::Get, 50.0), (Op::Update, 50.0)], zipf),
        _ => return Err(format!("`{name}` is not a YCSB core workload; use a, b, c, d or f")),
    };
    Ok((Mix(ops), keys))
}

impl FromStr for Mix {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut ops: Vec<(Op, f64)> = Vec::new();
        for part in text.split(',') {
            let form = || format!("`{part}` is not operation=weight, such as get=95");
            let (name, weight) = part.split_once('=').ok_or_else(form)?;
            let name = name.trim();
            if name == "scan" {
                return Err(
                    "the SDK has no scan yet; use get, put, insert, update and delete".to_owned()
                );
            }
            let op = Op::ALL.into_iter().find(|op| op.name() == name).ok_or_else(|| {
                format!("`{name}` is not an operation; use get, put, insert, update and delete")
            })?;
            let weight: f64 = weight.trim().trim_end_matches('%').parse().map_err(|_| form())?;
            if !weight.is_finite() || weight < 0.0 {
                return Err(form());
            }
            if ops.iter().any(|(other, _)| *other == op) {
                return Err(format!("`{name}` occurs twice; give it one weight"));
            }
            if weight > 0.0 {
                ops.push((op, weight));
            }
        }
        if ops.is_empty() {
            return Err("every weight is zero; give at least one operation a weight".to_owned());
        }
        Ok(Self(ops))
    }
}

impl fmt::Display for Mix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<String> =
            self.0.iter().map(|(op, weight)| format!("{}={weight}", op.name())).collect();
        f.pad(&parts.join(","))
    }
}

impl TryFrom<String> for Mix {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Mix> for String {
    fn from(mix: Mix) -> Self {
        mix.to_string()
    }
}
