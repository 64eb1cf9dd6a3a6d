//! The requests of one process, in order: everything about them that can be known before they are sent. Pure.
//!
//! Draws do not depend on answers, except that `latest` follows the insertions that have ended.

use atoll_client::Level;

use crate::chance::Chance;
use crate::plan::{Kind, Plan};
use crate::workload::keys::Keys;
use crate::workload::levels::Levels;
use crate::workload::mix::{Mix, Op};
use crate::workload::value::Values;

#[cfg(test)]
mod tests;

/// Streams of chance, told apart by these numbers.
mod purpose {
    pub(super) const REQUESTS: u64 = 1;
    pub(super) const FILLER: u64 = 2;
    pub(super) const ARRIVALS: u64 = 3;
}

/// One request, drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Request {
    pub(crate) op: Op,
    pub(crate) level: Level,
    /// Index of the client, which is its datacenter's.
    pub(crate) client: u16,
    /// Index of its series.
    pub(crate) series: usize,
    pub(crate) key: u64,
    /// Of an insertion: its number in this process.
    pub(crate) insertion: Option<u64>,
    /// Bytes of the value that it writes, if it writes one.
    pub(crate) length: u32,
    /// Chooses its filler.
    pub(crate) salt: u64,
}

/// Draws the requests of one process.
#[derive(Clone, Debug)]
pub(crate) struct Draws {
    kind: Kind,
    mix: Mix,
    levels: Levels,
    keys: Keys,
    values: Values,
    series: Vec<(Op, Level, u16)>,
    clients: u16,
    place: (u64, u64),
    drawn: u64,
    insertions: u64,
    chance: Chance,
}

impl Draws {
    /// The requests of process `agent`.
    pub(crate) fn new(plan: &Plan, agent: u64) -> Self {
        let place = (agent, plan.processes);
        let clients = u16::try_from(plan.target.dcs.len()).unwrap_or(u16::MAX);
        let dc = |name: &str| plan.target.dcs.iter().position(|dc| dc == name);
        let index = |name: &str| dc(name).and_then(|dc| u16::try_from(dc).ok()).unwrap_or(0);
        let series = plan.series();
        Self {
            kind: plan.kind,
            mix: plan.workload.mix.clone(),
            levels: plan.workload.levels.clone(),
            keys: Keys::new(plan.workload.distribution, plan.workload.keys, place),
            values: values(plan, agent),
            series: series.iter().map(|s| (s.op, s.level, index(&s.dc))).collect(),
            clients,
            place,
            drawn: 0,
            insertions: 0,
            chance: Chance::new(plan.seed, agent, purpose::REQUESTS),
        }
    }

    /// The next request; `ended` is how many insertions of this process have ended in a row.
    pub(crate) fn next(&mut self, ended: u64) -> Request {
        let chance = &mut self.chance;
        let op = self.mix.draw(chance);
        let level = self.levels.draw(op, chance);
        let client = u16::try_from(self.drawn % u64::from(self.clients.max(1))).unwrap_or(0);
        let series = self.series.iter().position(|s| *s == (op, level, client)).unwrap_or(0);
        let (key, insertion) = match (self.kind, op) {
            (Kind::Load, _) => {
                let (agent, agents) = self.place;
                (self.drawn * agents + agent, Some(self.drawn))
            }
            (Kind::Run, Op::Insert) => {
                let insertion = self.insertions;
                self.insertions += 1;
                (self.keys.inserted(insertion), Some(insertion))
            }
            (Kind::Run, _) => (self.keys.draw(ended, chance), None),
        };
        let length = match op {
            Op::Get | Op::Delete => 0,
            Op::Put | Op::Insert | Op::Update => self.values.length(chance),
        };
        self.drawn += 1;
        let salt = chance.draw();
        Request { op, level, client, series, key, insertion, length, salt }
    }
}

/// The values of process `agent`.
pub(crate) fn values(plan: &Plan, agent: u64) -> Values {
    Values::new(plan.workload.lengths, Chance::new(plan.seed, agent, purpose::FILLER))
}

/// The chance of the arrivals of process `agent`.
pub(crate) fn arrival_chance(plan: &Plan, agent: u64) -> Chance {
    Chance::new(plan.seed, agent, purpose::ARRIVALS)
}
