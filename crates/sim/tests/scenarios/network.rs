//! Networks that let some through.

use crate::builder::Scenario;
use crate::trouble::cut;

/// P3: one direction between two nodes is cut; each still hears the third, and two of three are a quorum. Nobody
/// notices, whichever node coordinates.
#[test]
fn a_one_way_partition_stops_nobody() {
    Scenario::nodes(3)
        .during(1_000..6_000, cut(&[0], &[1]))
        .run()
        .all_had(&["frame into a cut"])
        .everything_succeeded()
        .nothing_was_lost();
}

/// P2, P7: `LOCAL_QUORUM` asks the client's datacenter only. With the WAN cut both sides go on, apart; once it is back
/// they come together, and what was written on both sides stands as siblings.
#[test]
fn local_quorum_goes_on_without_the_wan() {
    let (here, there) = (&[0, 1, 2], &[3, 4, 5]);
    Scenario::dcs(&[3, 3])
        .levels(&["LOCAL_QUORUM"])
        .during(1_000..6_000, cut(here, there))
        .during(1_000..6_000, cut(there, here))
        .run()
        .all_had(&["frame into a cut", "siblings read"])
        .everything_succeeded()
        .nothing_was_lost();
}

/// P3, P9: nothing of one replica reaches another. Whoever reads it there waits a moment and reads the third instead; the
/// silent one is told that nobody waits. Nobody notices.
#[test]
fn reads_go_around_a_replica_that_does_not_answer() {
    Scenario::nodes(3)
        .during(1_000..3_000, cut(&[2], &[1]))
        .during(4_000..6_000, cut(&[0], &[1]))
        .run()
        .all_had(&["frame into a cut", "speculative read won", "read cancelled"])
        .everything_succeeded()
        .nothing_was_lost();
}

/// P4: with the WAN cut, sessions that move from one datacenter to the other are refused there rather than answered with
/// less than they have seen; and whatever is answered goes forward.
#[test]
fn sessions_that_move_go_forward_or_are_refused() {
    let (here, there) = (&[0, 1, 2], &[3, 4, 5]);
    Scenario::dcs(&[3, 3])
        .levels(&["LOCAL_QUORUM"])
        .in_sessions()
        .during(1_000..4_000, cut(here, there))
        .during(1_000..4_000, cut(there, here))
        .run()
        .all_had(&["frame into a cut", "session refused to go back"])
        .everything_succeeded_where(|op| !op.in_session)
        .nothing_was_lost();
}
