//! What the simulator found once, each as the shortest day on which it happens. New ones go to the end.

use crate::builder::Scenario;
use crate::trouble::{bit_rot, disk_full, disk_stall, kill, power_loss};

/// redb syncs its file and nobody synced the file's name: a power loss soon after the first start took all metadata.
/// Promise: P1 for definitions; an acknowledged keyspace survives whatever its node survives.
/// Fix: `src/node/data.rs` syncs the directory once the metadata is open.
#[test]
fn power_loss_right_after_the_first_start_keeps_the_keyspaces() {
    Scenario::nodes(1)
        .last_write_wins()
        .at(0, power_loss(0))
        .seeds(1..=20)
        .run()
        .all_had(&["power loss"])
        .nothing_was_lost();
}

/// A compaction that met a damaged table stopped the node, and met the same table after every start.
/// Promise: P8; damage costs a replica the damaged records, not its process.
/// Fix: the maintenance task in `src/node/mod.rs` stops the node only when the log is in doubt.
#[test]
fn a_damaged_table_does_not_stop_its_node() {
    Scenario::nodes(3)
        .busy_storage()
        .at(4_000, bit_rot(0, 100))
        .run()
        .all_had(&["bit flip"])
        .none_had("node stopped itself");
}

/// A keyspace that met a full disk was refused, and so was every later one: redb refuses all after an I/O error.
/// Promise: I9; once everything has healed, all nodes agree on the keyspaces, without a restart.
/// Fix: `src/meta/mod.rs` opens the database again after a full disk.
#[test]
fn keyspaces_that_met_a_full_disk_arrive_once_there_is_room() {
    Scenario::nodes(3)
        .reads_only()
        .new_keyspaces(8)
        .during(0..7_000, disk_full(2))
        .run()
        .all_had(&["disk full", "keyspace created under faults"])
        .none_had("node stopped itself");
}

/// A node whose disk was full had shipped a record that it could not store. Its next record of the key claimed to have
/// seen that one, and a put with such a context discarded an acknowledged write that nobody had read.
/// Promise: P2; a context covers only what was seen.
/// Fix: the stripe in `src/replica/stripe.rs` keeps refused records and mints on top of them.
#[test]
fn a_put_that_a_full_disk_refused_is_not_claimed_as_seen() {
    Scenario::nodes(3)
        .levels(&["QUORUM", "ONE"])
        .during(0..4_000, disk_full(2))
        .seeds(1..=20)
        .run()
        .all_had(&["disk full"])
        .nothing_was_lost();
}

/// An acknowledgement that was meant for a coordinator's last life arrived in its next one and counted for the operation
/// with the same number: a put at QUORUM was acknowledged with one durable copy.
/// Promise: P1; an acknowledgement counts durable copies.
/// Fix: operation ids begin at random in `src/coordinator/mod.rs`.
#[test]
fn a_late_acknowledgement_does_not_count_in_the_next_life() {
    let slow_replicas = Scenario::nodes(3)
        .during(0..9_000, disk_stall(1, 1_500))
        .during(0..9_000, disk_stall(2, 1_500));
    let restarts = (1..=8).map(|second| second * 1_000);
    restarts
        .fold(slow_replicas, |scenario, at_ms| scenario.during(at_ms..at_ms + 150, kill(0)))
        .seeds(1..=20)
        .run()
        .all_had(&["kill", "disk stall"]);
}
