//! What must be true of a cluster once everything has healed: it becomes equal by itself, and comes to rest.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use atoll_protocol::keyspace::Keyspace;
use atoll_protocol::wire::ClusterView;
use atoll_quic::CONNECT_DEADLINE;
use parking_lot::Mutex;

use crate::history::KeyId;
use crate::world::{REPAIR_CYCLE, World};

use super::visitor::{PATIENCE, READ_DEADLINE, new_client};

/// Longest time until all owners of every key agree once everything is connected: stragglers and stalled disks end
/// within 20 s, and then a few cycles of anti-entropy.
const HEALING: Duration = Duration::from_secs(60);

/// Time between two looks at what the owners hold.
const HEALING_STEP: Duration = Duration::from_millis(500);

/// Attempts to ask a node for its keyspaces beyond the first.
const VIEW_ATTEMPTS: usize = 5;

/// Once everything is connected, the owners of every key hold the same without anybody reading it (I3/P7).
pub(super) fn heal_without_reads(world: &mut World, keys: &[KeyId]) {
    let end = world.exec.now().after(HEALING);
    loop {
        let apart = keys.iter().find(|&&key| !do_owners_agree(world, key));
        let Some(&apart) = apart else { return };
        if world.exec.now() >= end {
            let key = world.recorder.state().history.keys.get(apart.0).map(|key| key.key.clone());
            return world.recorder.find(
                "I3/P7 replicas heal without reads",
                format!("after {HEALING:?} the owners of {key:?} hold different records"),
            );
        }
        let step = world.exec.now().after(HEALING_STEP).min(end);
        world.run_until(step, |_| false);
    }
}

/// Longest time until everybody believes in everybody, once all are connected: a suspicion that was under way when the last
/// link came back is contradicted within seconds.
const BELIEF: Duration = Duration::from_secs(20);

/// Once everything is connected, everybody believes in everybody (I9).
pub(super) fn check_belief(world: &mut World) {
    let end = world.exec.now().after(BELIEF);
    while let Some(distrust) = world.describe_distrust() {
        if world.exec.now() >= end {
            return world.recorder.find("I9 who is alive is believed to be", distrust);
        }
        let step = world.exec.now().after(HEALING_STEP).min(end);
        world.run_until(step, |_| false);
    }
}

/// And goes on doing so.
pub(super) fn check_belief_stands(world: &World) {
    if let Some(distrust) = world.describe_distrust() {
        world.recorder.find("I9 who is alive is believed to be", format!("at rest, {distrust}"));
    }
}

/// Whether all owners of `key` can be read and hold the same.
fn do_owners_agree(world: &World, key: KeyId) -> bool {
    let owners = match world.recorder.state().history.keys.get(key.0) {
        Some(key) => key.owners.clone(),
        None => return true,
    };
    let mut held = owners.into_iter().map(|(node, _)| match world.recorder.read(node, key) {
        Some(Ok(record)) => Some(record.filter(|record| !record.is_empty())),
        Some(Err(_)) | None => None,
    });
    let Some(Some(first)) = held.next() else { return false };
    held.all(|other| other.as_ref() == Some(&first))
}

/// Every node rests as it did before the first operation (I13): no task is left over.
pub(super) fn check_rest(world: &World, resting: &[BTreeMap<&'static str, usize>]) {
    for (node, (before, now)) in resting.iter().zip(world.tasks()).enumerate() {
        for (name, count) in now {
            let usual = before.get(name).copied().unwrap_or(0);
            // Links to clients come and go; a link to a peer may be doubled for a while after both have dialled.
            // Anti-entropy goes on: each peer may be asking something just now.
            let slack = match name {
                "peer-request" => resting.len(),
                _ if name.contains("link") || name.starts_with("quic.") => 200,
                _ => 0,
            };
            if count > usual + slack {
                world.recorder.find(
                    "I13/P9 boundedness",
                    format!("node {node} has {count} tasks `{name}` at rest, {usual} before the first operation"),
                );
            }
        }
    }
}

/// Anti-entropy of replicas that agree moves nothing, and its trees are those of what is stored (I3, I12).
pub(super) fn check_repair(world: &mut World) {
    let moved_before = world.repaired();
    let end = world.exec.now().after(REPAIR_CYCLE * 2);
    world.run_until(end, |_| false);
    let moved = world.repaired();
    // A node that was restarted meanwhile counts anew; that is another finding.
    if moved > moved_before {
        world.recorder.find(
            "I3 repair comes to rest",
            format!("replicas agree, and {} records were moved", moved - moved_before),
        );
    }
    for (node, partitions) in world.impure_trees() {
        world.recorder.find(
            "I12 trees are those of what is stored",
            format!("node {node}: partitions {partitions:?}"),
        );
    }
}

/// Longest time until what was refused last is tried again: a holder whose target was full for long pauses for ten seconds.
const DELIVERY: Duration = Duration::from_secs(15);

/// No hint is left once everybody was there for a while, and every hint has ended in one way (I11).
pub(super) fn check_hints(world: &mut World) {
    let end = world.exec.now().after(DELIVERY);
    world.run_until(end, |world| world.hinted() == 0);
    let left = world.hinted();
    if left > 0 {
        world.recorder.find("I11 hints are delivered", format!("{left} hints are left"));
    }
    for (end, count) in world.hint_ends() {
        if count > 0 {
            world.recorder.reach(end);
        }
    }
    for unbalanced in world.unbalanced_hints() {
        world.recorder.find("I11 hints end once", unbalanced);
    }
}

/// Every acknowledged keyspace is known everywhere, and all nodes agree (I9).
pub(super) fn check_keyspaces(world: &mut World) {
    let views: Arc<Mutex<Vec<Option<ClusterView>>>> = Arc::default();
    let Some((mut client, owner)) = new_client(world, READ_DEADLINE) else { return };
    // Datagrams that overtake each other cost a handshake one round trip after the other.
    client.connect_patience = CONNECT_DEADLINE;
    let (told, count) = (views.clone(), world.topology.nodes().len());
    world.exec.spawn(
        owner,
        "reader",
        Box::pin(async move {
            for node in 0..count {
                let mut view = client.cluster(node).await;
                for _ in 0..VIEW_ATTEMPTS {
                    if view.is_none() {
                        view = client.cluster(node).await;
                    }
                }
                told.lock().push(view);
            }
        }),
    );
    let end = world.exec.now().after(PATIENCE);
    let all = views.clone();
    world.run_until(end, move |_| all.lock().len() == count);
    let views = views.lock();
    let digests: Vec<_> = views.iter().flatten().map(|view| view.keyspaces.digest()).collect();
    if digests.len() < count || digests.windows(2).any(|pair| pair.first() != pair.last()) {
        world
            .recorder
            .find("I9 membership", format!("nodes disagree on the keyspaces: {digests:?}"));
    }
    let has_forgotten = !world.recorder.state().history.forgettings.is_empty();
    if has_forgotten {
        // The one node that knew it may have been wiped: a definition is acknowledged by one node.
        return;
    }
    let acked = world.recorder.state().keyspaces_acked.clone();
    for seen in acked {
        let lasting = views.iter().flatten().map(|view| view.keyspaces.by_name(&seen.name));
        for lasting in lasting {
            if let Some(problem) = lost_to(&seen, lasting.map(Arc::as_ref)) {
                world.recorder.find("I9/P1 keyspaces", problem);
            }
        }
    }
}

/// How a definition that was acknowledged and seen was lost, if it was not by an earlier one.
fn lost_to(seen: &Keyspace, lasting: Option<&Keyspace>) -> Option<String> {
    let Some(lasting) = lasting else {
        return Some(format!("keyspace {} was acknowledged and is gone", seen.name));
    };
    let is_earlier = (lasting.created, lasting.id) <= (seen.created, seen.id);
    let (name, theirs) = (&seen.name, lasting.created);
    (!is_earlier).then(|| {
        format!("keyspace {name} of {} was replaced by a later one of {theirs}", seen.created)
    })
}
