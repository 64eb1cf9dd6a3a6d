//! The phases of a run.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use atoll_protocol::ids::Name;
use atoll_protocol::keyspace::{Conflict, Keyspace};
use atoll_protocol::quorum::Level;
use atoll_protocol::token::Token;
use atoll_protocol::topology::Placement;
use atoll_protocol::wire::ClusterView;
use bytes::Bytes;
use parking_lot::Mutex;

use crate::clients::{self, Client, Control, Draw};
use crate::history::{Final, Key, KeyId, Outcome};
use crate::record::Recorder;
use crate::world::World;

use super::rest::{
    check_belief, check_belief_stands, check_hints, check_keyspaces, check_repair, check_rest,
    heal_without_reads,
};
use super::visitor::{PATIENCE, READ_DEADLINE, new_client};

/// Longest warm-up: nodes start within a second and dial each other twice.
const WARM_UP: Duration = Duration::from_secs(20);

/// What is left to settle after the last read: repairs under way, deadlines of operations, gossip.
const SETTLE: Duration = Duration::from_secs(8);

/// Name of the keyspace with `lww`.
const LWW: &str = "lww";

/// Everything from the first start to the last read.
pub(super) fn carry_out(world: &mut World) {
    world.boot_all();
    let Some(keys) = warm_up(world) else {
        return world.recorder.find("liveness", "the cluster did not come up".to_owned());
    };
    world.recorder.state().situations.clear();
    let resting = world.tasks();
    safety(world, &keys);
    liveness(world, &keys, &resting);
    let loses_power =
        world.plan().knobs.periodic_ms.is_none() && world.plan().seed.is_multiple_of(2);
    if loses_power {
        world.kill_all();
        world.recorder.reach("power loss of all nodes at the end");
        liveness(world, &keys, &resting);
    }
    write_finals(world, &keys);
    world.recorder.note_engines();
}

/// Starts everything; the keys, once some node knows the keyspaces.
fn warm_up(world: &mut World) -> Option<Vec<KeyId>> {
    let end = world.exec.now().after(WARM_UP);
    if !world.run_until(end, World::is_connected) {
        return None;
    }
    let view: Arc<Mutex<Option<ClusterView>>> = Arc::default();
    let found = view.clone();
    let needs_lww = world.plan().workload.lww_keys > 0;
    let (mut client, owner) = new_client(world, READ_DEADLINE)?;
    world.exec.spawn(
        owner,
        "prepare",
        Box::pin(async move {
            if needs_lww && let Ok(name) = Name::new(LWW) {
                while client.create_keyspace(name.clone(), Conflict::Lww).await.is_none() {}
            }
            *found.lock() = client.cluster(0).await;
        }),
    );
    let done = view.clone();
    if !world.run_until(end, move |_| done.lock().is_some()) {
        return None;
    }
    let settled = world.exec.now().after(Duration::from_secs(2));
    world.run_until(settled, |_| false);
    let view = view.lock().take()?;
    Some(add_keys(world, &view))
}

/// Tells the recorder of every key of the workload.
fn add_keys(world: &World, view: &ClusterView) -> Vec<KeyId> {
    let workload = &world.plan().workload;
    let mut ids = Vec::new();
    for (name, count) in [("default", workload.keys), (LWW, workload.lww_keys)] {
        let Some(keyspace) = view.keyspaces.iter().find(|k| k.name.as_str() == name) else {
            continue;
        };
        let placement = Placement::compute(&world.topology, keyspace.pairs(&world.topology));
        for number in 0..count {
            let key = Bytes::from(format!("{name}-{number}"));
            ids.push(add_key(world, keyspace, &placement, key));
        }
    }
    ids
}

fn add_key(world: &World, keyspace: &Keyspace, placement: &Placement, key: Bytes) -> KeyId {
    let token = Token::of(keyspace.id, &key);
    let partition = world.topology.partitions().partition_of(token);
    let mut counts = vec![0; world.topology.dcs().len()];
    let mut owners = Vec::new();
    for (dc, factor) in keyspace.pairs(&world.topology) {
        let row = placement.replicas(partition, dc, factor).unwrap_or(&[]);
        if let Some(count) = counts.get_mut(usize::from(dc.0)) {
            *count = u8::try_from(row.len()).unwrap_or(u8::MAX);
        }
        owners.extend(row.iter().map(|&node| (node, dc)));
    }
    let (name, conflict) = (keyspace.name.clone(), keyspace.conflict);
    let key = Key { keyspace: name, conflict, key, token: token.0, owners, counts };
    world.recorder.add_key(key, keyspace.id, partition.0)
}

/// Clients and faults.
fn safety(world: &mut World, keys: &[KeyId]) {
    let workload = world.plan().workload.clone();
    let deadline = Duration::from_millis(workload.deadline_ms);
    let control = Control::new(workload.operations);
    let levels: Vec<Level> =
        workload.levels.iter().filter_map(|level| level.parse().ok()).collect();
    let draw = Draw { workload: workload.clone(), levels, keys: keys.to_vec() };
    for number in 0..workload.clients {
        let Some((mut client, _)) = new_client(world, deadline) else { continue };
        client.sloppy_per_mille = workload.sloppy_per_mille;
        if number < workload.sessions {
            client.begin_session();
        }
        clients::start(client, control.clone(), draw.clone());
    }
    create_keyspaces(world, &control, workload.keyspaces);
    world.schedule_faults();
    let end = world.exec.now().after(Duration::from_millis(world.plan().safety_ms));
    world.run_until(end, |_| false);
    control.stop();
    world.heal();
    // Whatever a client does ends with its own patience.
    let over = world.exec.now().after(deadline * 4 + Duration::from_secs(10));
    if !world.run_until(over, |_| control.is_over()) {
        world.recorder.find("I13 liveness", "a client's operation did not end".to_owned());
    }
}

/// Two administrators create keyspaces of the same names during the safety phase, with different definitions.
fn create_keyspaces(world: &mut World, control: &Control, count: u32) {
    for conflict in [Conflict::Siblings, Conflict::Lww] {
        if count == 0 {
            return;
        }
        let Some((client, owner)) = new_client(world, READ_DEADLINE) else { return };
        let (recorder, control) = (world.recorder.clone(), control.clone());
        let work = administrate(client, (recorder, control), conflict, count);
        world.exec.spawn(owner, "admin", Box::pin(work));
    }
}

async fn administrate(
    mut client: Client,
    (recorder, control): (Recorder, Control),
    conflict: Conflict,
    count: u32,
) {
    let env = client.env.clone();
    for number in 0..count {
        env.sleep(Duration::from_millis(client.chance.below(2_000))).await;
        let Ok(name) = Name::new(&format!("extra-{number}")) else { return };
        if control.is_over() {
            return;
        }
        let Some(node) = client.create_keyspace(name.clone(), conflict).await else { continue };
        recorder.reach("keyspace created under faults");
        let view = client.cluster(node).await;
        let stands = view.as_ref().and_then(|view| view.keyspaces.by_name(&name));
        if let Some(keyspace) = stands {
            recorder.state().keyspaces_acked.push(keyspace.clone());
        }
    }
}

/// Everything heals, comes back, and is read.
fn liveness(world: &mut World, keys: &[KeyId], resting: &[BTreeMap<&'static str, usize>]) {
    world.heal();
    let healed = world.exec.now();
    let end = healed.after(PATIENCE);
    if !world.run_until(end, World::is_connected) {
        let missing = world.describe_down();
        world.recorder.find("I13 liveness", format!("not every node came back: {missing}"));
        return;
    }
    check_belief(world);
    heal_without_reads(world, keys);
    for round in 0..2 {
        if !read_all(world, keys) {
            world
                .recorder
                .find("I13 liveness", format!("round {round}: not every key could be read at ALL"));
        }
    }
    // A stalling disk ends the jobs that it has begun only after they have stalled.
    let stalled = healed.after(world.longest_stall()).after(SETTLE);
    let settled = world.exec.now().after(SETTLE).max(stalled);
    world.run_until(settled, |_| false);
    if !world.all_up() {
        world
            .recorder
            .find("I13 liveness", "a node died although everything had healed".to_owned());
    }
    check_rest(world, resting);
    check_hints(world);
    world.judge_speculation();
    check_belief_stands(world);
    check_repair(world);
    check_keyspaces(world);
}

/// Reads every key at `ALL` until that succeeds; false if time runs out.
fn read_all(world: &mut World, keys: &[KeyId]) -> bool {
    let Some((mut client, owner)) = new_client(world, READ_DEADLINE) else { return false };
    let done: Arc<Mutex<bool>> = Arc::default();
    let (told, keys, env) = (done.clone(), keys.to_vec(), client.env.clone());
    world.exec.spawn(
        owner,
        "reader",
        Box::pin(async move {
            for key in keys {
                while client.get(key, Level::All).await.is_none() && !client.may_be_gone(key) {
                    env.sleep(Duration::from_millis(500)).await;
                }
            }
            *told.lock() = true;
        }),
    );
    let end = world.exec.now().after(PATIENCE);
    world.run_until(end, move |_| *done.lock())
}

/// Writes down what every owner stores.
fn write_finals(world: &World, keys: &[KeyId]) {
    for &key in keys {
        let owners = match world.recorder.state().history.keys.get(key.0) {
            Some(key) => key.owners.clone(),
            None => continue,
        };
        for (node, _) in owners {
            world.recorder.inspect(node, key);
            let last = match world.recorder.read(node, key) {
                None => Final::Unreadable("the node is down".to_owned()),
                Some(Err(error)) => Final::Unreadable(error),
                Some(Ok(None)) => Final::Absent,
                Some(Ok(Some(record))) => Final::Record(record),
            };
            world.recorder.state().history.finals.insert((key, node), last);
        }
    }
    // What never ended is not known.
    let state = &mut *world.recorder.state();
    state
        .history
        .ops
        .iter_mut()
        .filter(|op| op.end.is_none())
        .for_each(|op| op.outcome = Outcome::NoAnswer);
}
