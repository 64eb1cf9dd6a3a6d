//! Consistency levels as values: a predicate over acknowledgements per datacenter.
//!
//! 1. A request names a [`Level`].
//! 2. [`QuorumSpec::new`] turns it into clauses for the replicas that the key has: so many acks in total, so many in
//!    each datacenter, at least one in so many other datacenters.
//! 3. A [`Tally`] counts who acknowledged and who cannot any more; [`Tally::verdict`] says pending, met or
//!    unreachable.
//!
//! Put, get and read repair share this one type; `LOCAL_QUORUM+k` is only another spec.
//!
//! Invariants
//! - `Met` and `Unreachable` are final: more acknowledgements never unmeet a spec, more failures never revive one.
//! - An ack from a datacenter that the level does not count is never needed ([`QuorumSpec::wants`]).
//!
//! Source: DeCandia et al., "Dynamo", SOSP 2007, §4.5; levels as in Cassandra, plus `LOCAL_QUORUM+k`.

mod level;

#[cfg(test)]
pub(crate) mod tests;

use atoll_seeded_bug::{Mutant, seeded_bug};
use smallvec::SmallVec;

use crate::ids::DcIndex;
use crate::limits::DCS_MAX;

pub use level::{Level, LevelParseError};

/// A number for each datacenter, by `DcIndex`. A request makes a dozen of them, and most topologies have few datacenters.
type PerDc<T> = SmallVec<[T; 8]>;

/// What a level demands of the replicas of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuorumSpec {
    level: Level,
    local: DcIndex,
    /// Replicas of the key in each datacenter, by `DcIndex`.
    replicas: PerDc<u8>,
    /// Acks needed in each datacenter.
    per_dc: PerDc<u8>,
    /// Acks needed in all datacenters together.
    total: u16,
    /// Datacenters other than the local one that must give at least one ack.
    other_dcs: u8,
}

/// The topology can never satisfy the level, whoever is alive. Nothing was written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{level} needs {needed} {what}, and the keyspace has {available}")]
pub struct Unsatisfiable {
    /// The level that was asked.
    pub level: Level,
    /// What is counted.
    pub what: &'static str,
    /// How many the level needs.
    pub needed: u16,
    /// How many there are.
    pub available: u16,
}

/// Where a request stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// More acknowledgements are needed and still possible.
    Pending,
    /// The level is satisfied.
    Met,
    /// Too many replicas failed: the level cannot be satisfied any more.
    Unreachable,
}

/// The clause that a tally does not satisfy, for error messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shortfall {
    /// The datacenter of the clause; `None` for a clause over all of them.
    pub dc: Option<DcIndex>,
    /// Acks that the clause needs.
    pub needed: u16,
    /// Acks that it has, or could still get, depending on the question asked.
    pub have: u16,
}

impl QuorumSpec {
    /// The clauses of `level` for a key with `replicas[d]` replicas in datacenter `d`, asked in datacenter `local`.
    ///
    /// # Errors
    /// [`Unsatisfiable`] when not even all replicas together would satisfy the level.
    pub fn new(level: Level, replicas: &[u8], local: DcIndex) -> Result<Self, Unsatisfiable> {
        let majority = |count: u16| count / 2 + 1;
        let all: u16 = replicas.iter().map(|&count| u16::from(count)).sum();
        let here = replicas.get(usize::from(local.0)).copied().unwrap_or(0);
        let mut spec = Self {
            level,
            local,
            replicas: PerDc::from_slice(replicas),
            per_dc: PerDc::from_elem(0, replicas.len()),
            total: 0,
            other_dcs: 0,
        };
        match level {
            Level::One => spec.total = 1,
            Level::Two => spec.total = 2,
            Level::Three => spec.total = 3,
            Level::Quorum => spec.total = majority(all),
            Level::All => spec.total = all.max(1),
            Level::LocalOne => spec.need_local(1),
            Level::LocalQuorum => spec.need_local(majority_u8(here)),
            Level::LocalQuorumPlus(others) => {
                spec.need_local(majority_u8(here));
                spec.other_dcs = others;
            }
            Level::EachQuorum => {
                for (need, &count) in spec.per_dc.iter_mut().zip(replicas) {
                    *need = if count == 0 { 0 } else { majority_u8(count) };
                }
                spec.total = 1;
            }
        }
        spec.check(all, here)?;
        assert_eq!(spec.per_dc.len(), spec.replicas.len(), "one clause per datacenter");
        assert!(replicas.len() <= DCS_MAX, "a topology has few datacenters");
        let nobody = Tally::new(&spec);
        assert!(spec.shortfall(&nobody).is_some(), "every level needs at least one ack");
        assert!(spec.impossibility(&nobody).is_none(), "all replicas together satisfy the level");
        Ok(spec)
    }

    /// The level that this spec was made from.
    pub fn level(&self) -> Level {
        self.level
    }

    /// The datacenter that `LOCAL` means.
    pub fn local(&self) -> DcIndex {
        self.local
    }

    /// Replicas of the key in datacenter `dc`.
    pub fn replicas_in(&self, dc: DcIndex) -> u8 {
        self.replicas.get(usize::from(dc.0)).copied().unwrap_or(0)
    }

    /// Datacenters that hold replicas.
    pub fn dcs(&self) -> impl Iterator<Item = DcIndex> + '_ {
        (0u8..).zip(&self.replicas).filter(|(_, count)| **count > 0).map(|(dc, _)| DcIndex(dc))
    }

    /// True if one more ack from `dc` brings `tally` nearer to its goal.
    pub fn wants(&self, tally: &Tally, dc: DcIndex) -> bool {
        let acked = tally.acked_in(dc);
        let for_dc = acked < u16::from(self.needed_in(dc));
        let for_total = tally.acked_total() < self.total && self.total > 0;
        let for_others =
            dc != self.local && acked == 0 && tally.other_dcs_acked(self.local) < self.other_dcs;
        // The total clause of a level with per-datacenter clauses is implied by them.
        let total_stands_alone = self.per_dc.iter().all(|&need| need == 0);
        for_dc || for_others || (for_total && total_stands_alone)
    }

    /// True if a get at this level must not answer before its answer stands on a quorum (promise P3).
    pub fn demands_write_back(&self) -> bool {
        !matches!(self.level, Level::One | Level::LocalOne) && !seeded_bug(Mutant::NoReadWriteBack)
    }

    /// The clause that keeps `tally` from being met, counting what it has.
    pub fn shortfall(&self, tally: &Tally) -> Option<Shortfall> {
        self.first_unmet(|dc| tally.acked_in(dc), |dc| tally.acked_in(dc))
    }

    /// The clause that can no longer be met, counting everyone who has not failed.
    pub fn impossibility(&self, tally: &Tally) -> Option<Shortfall> {
        let possible = |dc| self.possible_in(tally, dc);
        self.first_unmet(possible, possible)
    }

    /// The clause that failed a request: the one that can no longer be met if there is such, else the first that is
    /// not met; with the acks that it has.
    pub fn failed_clause(&self, tally: &Tally) -> Option<Shortfall> {
        let acked = |dc| tally.acked_in(dc);
        self.first_unmet(|dc| self.possible_in(tally, dc), acked).or_else(|| self.shortfall(tally))
    }

    fn possible_in(&self, tally: &Tally, dc: DcIndex) -> u16 {
        u16::from(self.replicas_in(dc)).saturating_sub(tally.failed_in(dc))
    }

    fn need_local(&mut self, count: u8) {
        if let Some(need) = self.per_dc.get_mut(usize::from(self.local.0)) {
            *need = count;
        }
        // Guards a local datacenter outside the list: it has no replicas, and `check` says so.
        self.total = u16::from(count);
    }

    fn needed_in(&self, dc: DcIndex) -> u8 {
        self.per_dc.get(usize::from(dc.0)).copied().unwrap_or(0)
    }

    fn check(&self, all: u16, here: u8) -> Result<(), Unsatisfiable> {
        let level = self.level;
        let unsatisfiable =
            |what, needed, available| Err(Unsatisfiable { level, what, needed, available });
        let is_local =
            matches!(level, Level::LocalOne | Level::LocalQuorum | Level::LocalQuorumPlus(_));
        if is_local && here == 0 {
            return unsatisfiable("replica in the local datacenter", 1, 0);
        }
        if self.total > all {
            return unsatisfiable("replicas", self.total, all);
        }
        let others = self.dcs().filter(|&dc| dc != self.local).count();
        if usize::from(self.other_dcs) > others {
            let available = u16::try_from(others).unwrap_or(u16::MAX);
            return unsatisfiable(
                "other datacenters with replicas",
                self.other_dcs.into(),
                available,
            );
        }
        Ok(())
    }

    /// The first clause that `count_in` does not satisfy, reported with what `have_in` counts.
    fn first_unmet(
        &self,
        count_in: impl Fn(DcIndex) -> u16,
        have_in: impl Fn(DcIndex) -> u16,
    ) -> Option<Shortfall> {
        for dc in self.dcs() {
            let needed = u16::from(self.needed_in(dc));
            let waived = self.level.is_local() && seeded_bug(Mutant::LocalClauseAnyDc);
            if count_in(dc) < needed && !waived {
                return Some(Shortfall { dc: Some(dc), needed, have: have_in(dc) });
            }
        }
        if self.dcs().map(&count_in).sum::<u16>() < self.total {
            let have = self.dcs().map(have_in).sum();
            return Some(Shortfall { dc: None, needed: self.total, have });
        }
        if self.others_in(count_in) < u16::from(self.other_dcs) {
            let have = self.others_in(have_in);
            return Some(Shortfall { dc: None, needed: self.other_dcs.into(), have });
        }
        None
    }

    /// Datacenters other than the local one where `count_in` is above zero.
    fn others_in(&self, count_in: impl Fn(DcIndex) -> u16) -> u16 {
        let others = self.dcs().filter(|&dc| dc != self.local && count_in(dc) > 0).count();
        u16::try_from(others).unwrap_or(u16::MAX)
    }
}

fn majority_u8(count: u8) -> u8 {
    count / 2 + 1
}

/// Acknowledgements and failures per datacenter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tally {
    acked: PerDc<u16>,
    failed: PerDc<u16>,
}

impl Tally {
    /// Nobody answered yet.
    pub fn new(spec: &QuorumSpec) -> Self {
        let none = PerDc::from_elem(0, spec.replicas.len());
        Self { acked: none.clone(), failed: none }
    }

    /// Counts an acknowledgement from `dc`. The caller counts each replica once.
    pub fn ack(&mut self, dc: DcIndex) {
        debug_assert!(usize::from(dc.0) < self.acked.len(), "acks come from known datacenters");
        if let Some(count) = self.acked.get_mut(usize::from(dc.0)) {
            *count += 1;
        }
    }

    /// Counts a replica of `dc` that will not acknowledge. The caller counts each replica once.
    pub fn fail(&mut self, dc: DcIndex) {
        debug_assert!(
            usize::from(dc.0) < self.failed.len(),
            "failures happen in known datacenters"
        );
        if let Some(count) = self.failed.get_mut(usize::from(dc.0)) {
            *count += 1;
        }
    }

    /// Acknowledgements from `dc`.
    pub fn acked_in(&self, dc: DcIndex) -> u16 {
        self.acked.get(usize::from(dc.0)).copied().unwrap_or(0)
    }

    /// Failures in `dc`.
    pub fn failed_in(&self, dc: DcIndex) -> u16 {
        self.failed.get(usize::from(dc.0)).copied().unwrap_or(0)
    }

    /// Acknowledgements from all datacenters.
    pub fn acked_total(&self) -> u16 {
        self.acked.iter().sum()
    }

    /// Where the request stands.
    pub fn verdict(&self, spec: &QuorumSpec) -> Verdict {
        debug_assert!(spec.dcs().all(|dc| {
            self.acked_in(dc) + self.failed_in(dc) <= u16::from(spec.replicas_in(dc))
        }));
        if spec.shortfall(self).is_none() {
            Verdict::Met
        } else if spec.impossibility(self).is_some() {
            Verdict::Unreachable
        } else {
            Verdict::Pending
        }
    }

    fn other_dcs_acked(&self, local: DcIndex) -> u8 {
        let acked = (0u8..).zip(&self.acked).filter(|(dc, count)| *dc != local.0 && **count > 0);
        u8::try_from(acked.count()).unwrap_or(u8::MAX)
    }
}
