//! The choice of a node, in tables.

use std::time::Duration;

use atoll_protocol::ids::NodeIndex;
use atoll_protocol::quorum::Level;

use crate::DcFailover::{Allowed, Never};
use crate::link::Condition;
use crate::routing::Reach::{AllDcs, OwnDc};
use crate::routing::{Candidate, Holds, Place, choose, reach};

const NEAR: Place = Place::Other(Duration::from_millis(20), Holds::Replica);
const FAR: Place = Place::Other(Duration::from_millis(80), Holds::Replica);
const REPLICA: Place = Place::Own(Holds::Replica);
const NEIGHBOUR: Place = Place::Own(Holds::Nothing);

/// Candidates, and who can be chosen of them.
type Row<'a> = (&'a [(Place, Condition)], &'a [u16]);

const IDLE: Condition = Condition::Idle;
const SUSPECT: Condition = Condition::Suspect;
const DOWN: Condition = Condition::Down;

const fn up(millis: u64, inflight: usize) -> Condition {
    Condition::Up { rtt: Duration::from_millis(millis), inflight }
}

/// Everybody who can be chosen, by whatever chance.
fn choices(candidates: &[(Place, Condition)]) -> Vec<u16> {
    let candidate = |(node, &(place, condition)): (u16, &(Place, Condition))| Candidate {
        node: NodeIndex(node),
        place,
        condition,
    };
    let candidates: Vec<Candidate> = (0..).zip(candidates).map(candidate).collect();
    let chances = (0..8u64).flat_map(|high| (0..8u64).map(move |low| high << 32 | low));
    let mut chosen: Vec<u16> =
        chances.filter_map(|chance| choose(&candidates, chance)).map(|node| node.0).collect();
    chosen.sort_unstable();
    chosen.dedup();
    chosen
}

#[test]
fn better_classes_come_first() {
    let table: [Row<'_>; 10] = [
        (&[], &[]),
        (&[(NEIGHBOUR, up(1, 0)), (REPLICA, up(1, 0)), (NEAR, up(1, 0))], &[1]),
        (&[(REPLICA, up(1, 0)), (REPLICA, IDLE)], &[0]),
        (&[(REPLICA, Condition::Dialing), (REPLICA, IDLE)], &[0]),
        (&[(REPLICA, IDLE), (NEIGHBOUR, up(1, 0))], &[0]),
        (&[(REPLICA, SUSPECT), (NEIGHBOUR, up(1, 0))], &[1]),
        (&[(REPLICA, SUSPECT), (REPLICA, DOWN)], &[0]),
        (&[(REPLICA, SUSPECT), (NEIGHBOUR, DOWN), (FAR, IDLE)], &[2]),
        (&[(FAR, up(80, 0)), (NEAR, up(20, 0)), (NEAR, DOWN)], &[1]),
        (&[(REPLICA, DOWN), (NEIGHBOUR, DOWN)], &[0]),
    ];
    for (candidates, expected) in table {
        assert_eq!(choices(candidates), expected, "{candidates:?}");
    }
}

#[test]
fn of_two_the_less_busy_wins_and_of_three_never_the_busiest() {
    assert_eq!(choices(&[(REPLICA, up(1, 5)), (REPLICA, up(1, 2))]), [1]);
    assert_eq!(choices(&[(REPLICA, up(3, 0)), (REPLICA, up(1, 1))]), [1]);
    let three = [(REPLICA, up(1, 9)), (REPLICA, up(1, 2)), (REPLICA, up(1, 3))];
    assert_eq!(choices(&three), [1, 2]);
}

#[test]
fn equals_share() {
    assert_eq!(choices(&[(REPLICA, up(1, 0)); 3]), [0, 1, 2]);
    assert_eq!(choices(&[(REPLICA, Condition::Idle); 2]), [0, 1]);
}

#[test]
fn local_levels_stay_unless_told_otherwise() {
    for level in [Level::LocalOne, Level::LocalQuorum, Level::LocalQuorumPlus(1)] {
        assert_eq!((reach(level, Never), reach(level, Allowed)), (OwnDc, AllDcs), "{level}");
    }
    for level in [Level::One, Level::Quorum, Level::EachQuorum, Level::All] {
        assert_eq!((reach(level, Never), reach(level, Allowed)), (AllDcs, AllDcs), "{level}");
    }
}
