//! Clocks that are wrong.

use crate::builder::Scenario;

/// Ten minutes.
const SKEW_MS: i64 = 600_000;

/// P3: `lww` resolves by timestamp, and a node's timestamps are later than everything it has seen, however wrong its
/// clock is: who writes after having read wins, through whichever node.
#[test]
fn last_write_wins_with_clocks_ten_minutes_apart() {
    Scenario::nodes(3)
        .last_write_wins()
        .clocks_off_by(&[SKEW_MS, 0, -SKEW_MS])
        .run()
        .everything_succeeded()
        .nothing_was_lost();
}
