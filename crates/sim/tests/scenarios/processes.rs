//! Nodes that die, stand still, stop, or forget.

use atoll_protocol::ids::NodeIndex;
use atoll_sim::check::permitted_losses;

use crate::builder::{Scenario, acked_writes};
use crate::trouble::{kill, pause, power_loss, stop, wipe};

/// P1: with `fsync` durability an acknowledged write is on the disks of its quorum, so that even a power loss of the
/// whole cluster takes nothing.
#[test]
fn a_power_loss_of_every_node_takes_no_acked_write() {
    Scenario::nodes(3)
        .busy_storage()
        .at(3_000, power_loss(0))
        .at(3_000, power_loss(1))
        .at(3_000, power_loss(2))
        .run()
        .all_had(&["power loss"])
        .nothing_was_lost();
}

/// P1: `periodic` durability acknowledges before the sync. A process that dies leaves its page cache: nothing is lost.
/// (A power loss of all replicas within one interval may lose, and is not asked for here.)
#[test]
fn a_kill_of_every_process_takes_no_acked_write_even_if_syncs_are_periodic() {
    Scenario::nodes(3)
        .sync_every(500)
        .at(3_000, kill(0))
        .at(3_000, kill(1))
        .at(3_000, kill(2))
        .run()
        .all_had(&["kill"])
        .nothing_was_lost();
}

/// P3: a coordinator that stands still for four seconds believes its old view when it wakes up, and yet tells no stale
/// news. Meanwhile nobody waits for it but those who asked it: two of three are a quorum.
#[test]
fn a_paused_coordinator_delays_only_its_own_clients() {
    Scenario::nodes(3)
        .during(2_000..6_000, pause(0))
        .run()
        .all_had(&["pause"])
        .everything_succeeded_where(|op| op.node != NodeIndex(0))
        .nothing_was_lost();
}

/// P1, P7: whatever `QUORUM` acknowledged is on two nodes of three, so one disk may be lost; its successor is filled
/// again from the others, to the same bytes.
#[test]
fn a_wiped_node_of_three_is_filled_again() {
    Scenario::nodes(3).at(4_000, wipe(2)).run().all_had(&["wipe"]).nothing_was_lost();
}

/// I7: a clean stop writes down what the node has minted, and the next life goes on under the same incarnation; only
/// an unclean end makes a new one. Contexts do not grow with every deployment.
#[test]
fn a_clean_rolling_restart_keeps_the_incarnations() {
    let runs = Scenario::nodes(3).at(1_000, stop(0)).at(3_000, stop(1)).at(5_000, stop(2)).run();
    runs.all_had(&["clean stop"]).none_had("stop that failed").nothing_was_lost();
    for (seed, report) in &runs.reports {
        let ends_with_power_loss = seed % 2 == 0;
        for (node, lives) in &report.history.incarnations {
            let (first, again) = (lives[0], lives[1]);
            assert_eq!(first, again, "seed {seed}, {node:?}");
            let later = lives.get(2);
            assert_eq!(later.is_some(), ends_with_power_loss, "seed {seed}, {node:?}: {lives:?}");
            assert_ne!(later, Some(&first), "seed {seed}, {node:?} reused {first}");
        }
    }
}

/// The negative control: no protocol keeps what every owner forgot. The checkers must see the loss, and call it
/// permitted: a checker that sees no loss here would see none anywhere.
#[test]
fn wiping_every_owner_is_a_permitted_loss() {
    let runs = Scenario::nodes(3).at(4_000, wipe(0)).at(4_000, wipe(1)).at(4_000, wipe(2)).run();
    runs.all_had(&["wipe"]);
    for (seed, report) in &runs.reports {
        let (lost, acked) =
            (permitted_losses(&report.history).len(), acked_writes(&report.history));
        assert!(0 < lost && lost < acked, "seed {seed}: {lost} of {acked} acked writes are lost");
    }
}
