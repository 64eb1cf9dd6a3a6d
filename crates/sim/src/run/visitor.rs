//! Clients that come once, ask, and go: those of the phases themselves, not of the workload.

use std::sync::Arc;
use std::time::Duration;

use crate::clients::Client;
use crate::exec::{ClockSetting, Owner};
use crate::net::Dial;
use crate::prng::Prng;
use crate::world::World;

/// Longest time until every node is up again after everything has healed, and until every key was read.
pub(super) const PATIENCE: Duration = Duration::from_secs(90);

/// Patience of the reads of the liveness phase.
pub(super) const READ_DEADLINE: Duration = Duration::from_secs(2);

/// A client on a machine of its own.
pub(super) fn new_client(world: &World, deadline: Duration) -> Option<(Client, Owner)> {
    let number = world.count_clients();
    let clock = ClockSetting::default();
    let chance = Prng::stream(world.plan().seed, &format!("client/{number}"));
    let process = world.exec.add_process(clock, chance.clone());
    let (owner, env) = world.exec.start_process(process);
    let dial: Arc<dyn Dial> = world.dialler(owner, &env)?;
    let surroundings = (env, world.exec.clone(), world.recorder.clone());
    let reach = (dial, world.members());
    Some((Client::new(number, surroundings, reach, chance, deadline), owner))
}
