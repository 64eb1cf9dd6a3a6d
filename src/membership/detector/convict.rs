//! Convictions: carried out with enough observers, held back without, dropped when the suspect contradicts.

use atoll_protocol::time::MonoTime;
use atoll_protocol::wire::Pool;
use atoll_seeded_bug::{Mutant, seeded_bug};
use foca::{State, Timer};

use super::super::evidence::observers_needed;
use super::super::member::Member;
use super::super::swim::Standing;
use super::{Detector, Effect};

impl Detector {
    /// Carries out the convictions for which there are observers enough, and drops those that were contradicted.
    pub(super) fn try_held(&mut self, now: MonoTime, effects: &mut Vec<Effect>) {
        for ((pool, node), timer) in std::mem::take(&mut self.held) {
            if self.suspect(pool, &timer).is_none() {
                continue;
            }
            let observers = self.evidence.observers(node).len();
            let is_enough = observers >= observers_needed(self.subjects.len());
            if is_enough || seeded_bug(Mutant::OneObserverConvicts) {
                self.within(now, pool, effects, |swim, out| swim.fire(timer, out));
            } else {
                self.held.insert((pool, node), timer);
            }
        }
    }

    /// Tells every suspect that it is one. Gossip ends after a few packets, and whoever began a suspicion may have died
    /// since: nobody else would ever end it, as answers to probes do not.
    pub(super) fn confront_suspects(&mut self, now: MonoTime, effects: &mut Vec<Effect>) {
        for pool in [Pool::Lan, Pool::Wan] {
            for node in self.others() {
                let standing = self.pools.get(&pool).and_then(|swim| swim.standing(node));
                if let Some(suspect) = standing.filter(|standing| standing.state == State::Suspect)
                {
                    self.within(now, pool, effects, |swim, out| swim.confront(suspect, out));
                }
            }
        }
    }

    /// The suspect of a conviction, unless it has contradicted.
    fn suspect(&self, pool: Pool, timer: &Timer<Member>) -> Option<Standing> {
        let Timer::ChangeSuspectToDown { member_id, incarnation, .. } = timer else { return None };
        let standing = self.pools.get(&pool)?.standing(member_id.node)?;
        let is_same = standing.member == *member_id && standing.incarnation == *incarnation;
        (is_same && standing.state == State::Suspect).then_some(standing)
    }
}
