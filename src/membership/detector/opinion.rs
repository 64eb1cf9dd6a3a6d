//! What is believed: worked out anew from the pools and the evidence after everything that happens, and told where it is
//! news.

use std::sync::Arc;

use atoll_protocol::ids::NodeIndex;
use atoll_protocol::time::MonoTime;
use atoll_protocol::wire::{Pool, SuspicionState};
use atoll_seeded_bug::{Mutant, seeded_bug};
use foca::State;

use super::super::member::Member;
use super::super::suspicion::{Suspicion, Suspicions};
use super::super::swim::Swim;
use super::{Detector, Effect};
use crate::net::Judgement;

impl Detector {
    /// The pools in which `node` belongs and is no member, or was never met.
    pub(super) fn absent_from(&self, node: NodeIndex) -> Vec<Pool> {
        let is_absent = |swim: &Swim| {
            let standing = swim.standing(node);
            swim.has(node)
                && standing.is_none_or(|standing| {
                    standing.state == State::Down || standing.member == Member::unmet(node)
                })
        };
        self.pools.iter().filter(|(_, swim)| is_absent(swim)).map(|(pool, _)| *pool).collect()
    }

    /// Works out what is believed now, and tells whoever has to know what of it is new.
    pub(super) fn conclude(&mut self, now: MonoTime, effects: &mut Vec<Effect>) {
        let mut next = Suspicions { silent: self.evidence.silent(), ..Suspicions::default() };
        for node in self.others() {
            let (judgement, suspicion) = self.opinion(node, now);
            next.suspicions.extend(suspicion);
            if !self.absent_from(node).is_empty() {
                next.absent.push(node);
            }
            let Some(subject) = self.subjects.get_mut(usize::from(node.0)) else { continue };
            if subject.judgement != judgement {
                subject.judgement = judgement;
                effects.push(Effect::Judge { node, judgement });
            }
        }
        if next != *self.published {
            self.published = Arc::new(next);
            effects.push(Effect::Publish(Arc::clone(&self.published)));
        }
    }

    fn opinion(&self, node: NodeIndex, now: MonoTime) -> (Judgement, Option<Suspicion>) {
        let subject = self.subjects.get(usize::from(node.0));
        let standing = subject
            .and_then(|subject| self.pools.get(&subject.judge)?.standing(node))
            .map(|standing| standing.state);
        let is_overruled = subject.is_some_and(|subject| {
            subject.greeted.is_some_and(|greeted| greeted >= subject.convicted)
        }) && !seeded_bug(Mutant::ConvictionStays);
        let observers = self.evidence.observers(node);
        let judgement = match standing {
            Some(State::Down) if !is_overruled => Judgement::Convicted,
            Some(State::Suspect) => Judgement::Suspect,
            Some(State::Alive | State::Down) | None => Judgement::Trusted,
        };
        let state = match judgement {
            Judgement::Convicted => SuspicionState::Convicted,
            Judgement::Suspect => SuspicionState::Suspect,
            Judgement::Trusted if !observers.is_empty() => SuspicionState::Suspect,
            Judgement::Trusted => return (judgement, None),
        };
        let before = self.published.of(node).filter(|before| before.state == state);
        let since = before.map_or(now, |before| before.since);
        (judgement, Some(Suspicion { node, state, since, observers }))
    }
}
