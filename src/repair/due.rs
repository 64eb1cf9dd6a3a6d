//! What is compared with one peer out of turn: now, or once what failed may have passed.

use atoll_protocol::time::MonoTime;

use super::plan::Share;

/// What is compared with one peer out of turn.
#[derive(Default)]
pub(super) struct Due {
    pub(super) now: Vec<Share>,
    pub(super) later: Vec<Share>,
    pub(super) later_at: MonoTime,
}

impl Due {
    /// Moves what was put off to what is due, if its time has come.
    pub(super) fn wake(&mut self, now: MonoTime) {
        if now >= self.later_at {
            self.now.append(&mut self.later);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.now.len() + self.later.len()
    }

    pub(super) fn into_shares(self) -> impl Iterator<Item = Share> {
        self.now.into_iter().chain(self.later)
    }
}

#[cfg(test)]
mod tests {
    use atoll_protocol::merkle::ReplicaSets;
    use atoll_protocol::token::Partition;

    use super::*;

    #[test]
    fn what_was_put_off_waits_and_is_not_lost() {
        let share = |partition| Share { sets: ReplicaSets(1), partition: Partition(partition) };
        let at = MonoTime::from_nanos;
        let mut due = Due { now: vec![share(1)], later: vec![share(2)], later_at: at(10) };
        due.wake(at(9));
        assert_eq!((due.now.clone(), due.len()), (vec![share(1)], 2));
        due.wake(at(10));
        assert_eq!((due.now.clone(), due.later.len()), (vec![share(1), share(2)], 0));
        due.later.push(share(3));
        assert_eq!(due.into_shares().collect::<Vec<_>>(), [share(1), share(2), share(3)]);
    }
}
