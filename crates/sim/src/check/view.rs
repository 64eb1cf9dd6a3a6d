//! One key's part of a history, with what follows from it: which write has which dot, who may have superseded it, and
//! whether its loss is permitted.
//!
//! How the dot of a write is known:
//!
//! 1. A put's value names it: wherever the value was seen, the dot stood beside it. (Values too short to be unique
//!    name nothing.)
//! 2. An acknowledgement's context ends, for the coordinator's incarnation, exactly at the new dot. So the dot is one of
//!    the context's last counters, and what is known to be another write's is ruled out. In an `lww` keyspace the
//!    context has that one entry only.

use std::collections::BTreeMap;

use atoll_protocol::ids::{Incarnation, NodeIndex};
use atoll_protocol::keyspace::Conflict;
use atoll_protocol::record::Record;
use atoll_protocol::time::{MonoTime, WallTime};
use atoll_protocol::version::{Context, Dot, Timestamp};

use super::levels::{Asked, Count};
use crate::history::{
    Final, History, Key, KeyId, Op, OpId, OpKind, Outcome, ReadCell, ValueId, Violation,
};

/// Everything about one key.
pub(super) struct KeyView<'a> {
    pub(super) history: &'a History,
    pub(super) id: KeyId,
    pub(super) key: &'a Key,
    /// The operations on this key in order of invocation.
    pub(super) ops: Vec<(OpId, &'a Op)>,
    /// Every pair of dot and content that was seen, tombstones as `None`; sorted.
    pub(super) seen: Vec<(Dot, Option<ValueId>)>,
    /// The dot of each write whose dot is known, and back.
    dots: BTreeMap<OpId, Dot>,
    writers: BTreeMap<Dot, OpId>,
    /// When the first write began that may have superseded each dot.
    superseders: BTreeMap<Dot, MonoTime>,
    /// When each cell of the final records expires.
    expiries: BTreeMap<Dot, Option<WallTime>>,
}

/// A write that was acknowledged.
#[derive(Clone, Copy)]
pub(super) struct AckedWrite<'a> {
    pub(super) id: OpId,
    pub(super) op: &'a Op,
    pub(super) end: MonoTime,
    /// What the acknowledgement covers.
    pub(super) context: &'a Context,
    pub(super) acked: u16,
}

/// A read that was answered.
#[derive(Clone, Copy)]
pub(super) struct Read<'a> {
    pub(super) id: OpId,
    pub(super) op: &'a Op,
    pub(super) end: MonoTime,
    pub(super) context: &'a Context,
    pub(super) cells: &'a [ReadCell],
    pub(super) answered: u16,
    pub(super) wall: (WallTime, WallTime),
}

impl<'a> KeyView<'a> {
    pub(super) fn new(history: &'a History, id: KeyId, key: &'a Key) -> Self {
        let numbered = history.ops.iter().enumerate();
        let ops: Vec<_> =
            numbered.filter(|(_, op)| op.key == id).map(|(at, op)| (OpId(at), op)).collect();
        let mut view = Self {
            history,
            id,
            key,
            ops,
            seen: Vec::new(),
            dots: BTreeMap::new(),
            writers: BTreeMap::new(),
            superseders: BTreeMap::new(),
            expiries: BTreeMap::new(),
        };
        view.seen = view.everything_seen();
        view.dots = view.dots_by_value();
        let by_context = view.dots_by_context();
        view.dots.extend(by_context);
        view.writers = view.dots.iter().map(|(&id, &dot)| (dot, id)).collect();
        let dots = view.seen.iter().map(|(dot, _)| dot).chain(view.writers.keys());
        view.superseders =
            dots.filter_map(|&dot| Some((dot, view.first_superseder(dot)?))).collect();
        let final_cells =
            view.final_records().filter_map(|(_, record)| record).flat_map(Record::cells);
        view.expiries = final_cells.map(|(dot, cell)| (dot, cell.expires_at)).collect();
        view
    }

    pub(super) fn is_lww(&self) -> bool {
        self.key.conflict == Conflict::Lww
    }

    pub(super) fn op(&self, id: OpId) -> Option<&'a Op> {
        self.history.ops.get(id.0)
    }

    /// Acknowledged puts and deletes.
    pub(super) fn acked_writes(&self) -> impl Iterator<Item = AckedWrite<'a>> + '_ {
        self.ops.iter().filter_map(|&(id, op)| match (&op.outcome, op.end) {
            (Outcome::Acked { context, acked }, Some(end)) => {
                Some(AckedWrite { id, op, end, context, acked: *acked })
            }
            _ => None,
        })
    }

    /// Answered gets.
    pub(super) fn reads(&self) -> impl Iterator<Item = Read<'a>> + '_ {
        self.ops.iter().filter_map(|&(id, op)| match (&op.outcome, op.end) {
            (Outcome::Got { context, cells, answered, wall }, Some(end)) => {
                let (answered, wall) = (*answered, *wall);
                Some(Read { id, op, end, context, cells, answered, wall })
            }
            _ => None,
        })
    }

    /// What each owner stores in the end, where it could be read; `None` for nothing.
    pub(super) fn final_records(&self) -> impl Iterator<Item = (NodeIndex, Option<&'a Record>)> {
        let (history, id) = (self.history, self.id);
        self.key.owners.iter().filter_map(move |&(node, _)| {
            match history.finals.get(&(id, node))? {
                Final::Record(record) => Some((node, Some(record))),
                Final::Absent => Some((node, None)),
                Final::Unreadable(_) => None,
            }
        })
    }

    /// The dot that `write` minted, if it is known.
    pub(super) fn dot_of(&self, write: OpId) -> Option<Dot> {
        self.dots.get(&write).copied()
    }

    /// The write that minted `dot`, if it is known.
    pub(super) fn writer_of(&self, dot: Dot) -> Option<OpId> {
        self.writers.get(&dot).copied()
    }

    /// The puts of `value`: more than one only if it is too short to be unique.
    pub(super) fn puts_of(&self, value: ValueId) -> Vec<OpId> {
        let wrote = |op: &Op| matches!(op.kind, OpKind::Put { value: own, .. } if own == value);
        self.ops.iter().filter(|(_, op)| wrote(op)).map(|&(id, _)| id).collect()
    }

    /// True if a write that was invoked before `before`, and may have been applied, carried `dot` in its client's
    /// context.
    pub(super) fn is_superseded(&self, dot: Dot, before: MonoTime) -> bool {
        let known = self.superseders.get(&dot).copied();
        known.or_else(|| self.first_superseder(dot)).is_some_and(|start| start < before)
    }

    /// True if every node that ever held `dot` forgot it when or after it was last seen to hold it.
    pub(super) fn is_permitted_loss(&self, dot: Dot) -> bool {
        let Some(holders) = self.history.holders.get(&(self.id, dot)) else {
            return false;
        };
        let forgot = |node: NodeIndex, last: MonoTime| {
            self.history.forgettings.iter().any(|f| f.node == node && f.at >= last)
        };
        !holders.is_empty() && holders.iter().all(|(&node, &last)| forgot(node, last))
    }

    /// `lww`: the same for a write that nobody was seen to hold, because later ones had beaten it by then.
    pub(super) fn was_beaten_and_lost(&self, version: (Timestamp, Dot)) -> bool {
        let is_held = |dot: Dot| self.history.holders.contains_key(&(self.id, dot));
        let later = |dot: Dot| {
            let cell = self.history.cells.get(&(self.id, dot));
            cell.is_some_and(|cell| (cell.timestamp, dot) > version)
        };
        let dots = self.seen.iter().map(|(dot, _)| *dot);
        let held: Vec<Dot> = dots.filter(|dot| later(*dot) && is_held(*dot)).collect();
        !is_held(version.1)
            && !held.is_empty()
            && held.iter().all(|dot| self.is_permitted_loss(*dot))
    }

    /// The same for an acknowledged write whose dot may be unknown: then any dot that could be its own will do.
    pub(super) fn is_permitted_loss_of(&self, write: &AckedWrite<'_>) -> bool {
        match self.dot_of(write.id) {
            Some(dot) => self.is_permitted_loss(dot),
            None => last_dots(write.context).any(|dot| self.is_permitted_loss(dot)),
        }
    }

    /// True if all owners forgot `dot` by agreement before `before`: it was deleted, or expired.
    pub(super) fn is_purged(&self, dot: Dot, before: MonoTime) -> bool {
        let cell = self.history.cells.get(&(self.id, dot));
        self.history.is_purged(self.id, (cell.map(|cell| cell.timestamp), dot), before)
    }

    /// `lww`: the same for what a context names.
    pub(super) fn is_beaten_by_purged(&self, version: (Timestamp, Dot), before: MonoTime) -> bool {
        self.history.is_purged(self.id, (Some(version.0), version.1), before)
    }

    /// The first of `context`'s last dots that `wider` does not cover, and that was not purged before `before`.
    pub(super) fn unseen(
        &self,
        context: &Context,
        wider: &Context,
        before: MonoTime,
    ) -> Option<Dot> {
        let mut uncovered = last_dots(context).filter(|&dot| !wider.covers(dot));
        uncovered.find(|dot| !self.is_purged(*dot, before))
    }

    /// Owners of each datacenter that forgot between two instants.
    pub(super) fn forgotten(&self, from: MonoTime, to: MonoTime) -> Count {
        let mut count = vec![0; self.key.counts.len()];
        for &(node, dc) in &self.key.owners {
            let is_in = |at| from <= at && at <= to;
            let forgot = self.history.forgettings.iter().any(|f| f.node == node && is_in(f.at));
            if let Some(here) = count.get_mut(usize::from(dc.0)).filter(|_| forgot) {
                *here += 1;
            }
        }
        count
    }

    /// True if the node that minted `dot` forgot before `before`: it may then have minted further dots of the same
    /// incarnation without knowing this one. A node that is not known counts as one that did.
    pub(super) fn minter_forgot(&self, dot: Dot, before: MonoTime) -> bool {
        let mut nodes = self.history.incarnations.iter();
        let minter = nodes.find(|(_, had)| had.contains(&dot.incarnation)).map(|(&node, _)| node);
        let mut forgettings = self.history.forgettings.iter();
        forgettings.any(|f| f.at < before && minter.is_none_or(|node| node == f.node))
    }

    /// When the value under `dot` expires: `Some(None)` for never, `None` if no final record says so.
    pub(super) fn expiry(&self, dot: Dot) -> Option<Option<WallTime>> {
        self.expiries.get(&dot).copied()
    }

    /// Whether a reader whose wall clock is at most `latest` must be shown the value under `dot`, unless it was
    /// superseded: it cannot have expired.
    pub(super) fn is_lasting(&self, dot: Dot, latest: WallTime) -> bool {
        match self.expiry(dot) {
            Some(expiry) => expiry.is_none_or(|at| at > latest),
            None => {
                let writer = self.writer_of(dot).and_then(|id| self.op(id));
                writer.is_some_and(|op| matches!(op.kind, OpKind::Put { expires: false, .. }))
            }
        }
    }

    pub(super) fn violation(
        &self,
        invariant: &'static str,
        ops: &[OpId],
        detail: String,
    ) -> Violation {
        Violation { invariant, key: Some(self.id), detail, ops: ops.to_vec() }
    }

    fn first_superseder(&self, dot: Dot) -> Option<MonoTime> {
        let covers = |op: &Op| op.context().is_some_and(|context| context.covers(dot));
        let mut may_have = self.ops.iter().filter(|(_, op)| op.may_have_applied());
        may_have.find(|(_, op)| covers(op)).map(|(_, op)| op.start)
    }

    fn everything_seen(&self) -> Vec<(Dot, Option<ValueId>)> {
        let first = Dot { incarnation: Incarnation(0), counter: 0 };
        let sightings = self.history.cells.range((self.id, first)..);
        let sightings = sightings.take_while(|((key, _), _)| *key == self.id);
        let mut seen: Vec<_> =
            sightings.map(|((_, dot), sighting)| (*dot, sighting.value)).collect();
        for read in self.reads() {
            let genuine = read.cells.iter().filter(|cell| cell.value.is_some());
            seen.extend(genuine.map(|cell| (cell.dot, cell.value)));
        }
        seen.sort();
        seen.dedup();
        seen
    }

    fn dots_by_value(&self) -> BTreeMap<OpId, Dot> {
        let mut dots = BTreeMap::new();
        for &(dot, value) in &self.seen {
            if let Some(&[only]) = value.map(|value| self.puts_of(value)).as_deref() {
                dots.entry(only).or_insert(dot);
            }
        }
        dots
    }

    fn dots_by_context(&self) -> Vec<(OpId, Dot)> {
        let unknown = self.acked_writes().filter(|write| !self.dots.contains_key(&write.id));
        unknown
            .filter_map(|write| {
                let mut candidates =
                    last_dots(write.context).filter(|&dot| self.may_be_own(&write, dot));
                let first = candidates.next()?;
                candidates.next().is_none().then_some((write.id, first))
            })
            .collect()
    }

    /// Whether `dot` may be what `write` minted, going by what was seen under it.
    fn may_be_own(&self, write: &AckedWrite<'_>, dot: Dot) -> bool {
        let Some(sighting) = self.history.cells.get(&(self.id, dot)) else {
            return !self.seen.iter().any(|(seen, _)| *seen == dot);
        };
        let own = match write.op.kind {
            OpKind::Put { value, .. } => Some(value),
            OpKind::Delete { .. } | OpKind::Get => None,
        };
        sighting.value == own && sighting.first > write.op.start
    }
}

/// The greatest dot of each incarnation in `context`.
pub(super) fn last_dots(context: &Context) -> impl Iterator<Item = Dot> + '_ {
    context.entries().map(|(incarnation, counter)| Dot { incarnation, counter })
}

/// `lww`: the write that a reader with this context saw win; `None` if it saw none.
pub(super) fn winner(context: &Context) -> Option<(Timestamp, Dot)> {
    last_dots(context).last().map(|dot| (context.timestamp(), dot))
}

/// What was asked of the replicas.
pub(super) fn asked(op: &Op) -> Asked {
    (op.level, op.local)
}
