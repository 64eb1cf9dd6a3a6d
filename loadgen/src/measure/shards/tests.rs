//! Every request counts once, in its phase, with or without a wait.

use super::{Shards, Wait};
use crate::measure::Phase;

#[test]
fn what_waited_for_room_is_told_apart() {
    let shards = Shards::new(Vec::new());
    shards.begun(Phase::Measured, (2_000, Wait::Unasked), 10_000);
    shards.begun(Phase::Measured, (9_000, Wait::ForRoom), 10_000);
    shards.begun(Phase::Measured, (11_000, Wait::ForRoom), 10_000);
    shards.begun(Phase::Warmup, (1_000, Wait::Unasked), 10_000);
    shards.dropped(Phase::Measured, 2);
    let (warmup, measured) = shards.take();
    assert_eq!((warmup.arrivals, warmup.waited, warmup.pacing.len()), (1, 0, 1));
    assert_eq!((measured.arrivals, measured.late, measured.dropped), (5, 1, 2));
    assert_eq!((measured.scheduling.len(), measured.pacing.len(), measured.waited), (3, 1, 2));
    assert_eq!(measured.pacing.at(1.0) / 1_000, 2, "the error of a wait is not the pacer's");
    assert_eq!(shards.take().1.arrivals, 0, "taken is gone");
}
