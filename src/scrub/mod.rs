//! The scrub: reads every live file again and again, and has what is damaged mended from other replicas.
//!
//! ```text
//! scrub, reads ─▶ damaged files ─▶ survey: which keys? ─▶ gather from all other replicas ─▶ new incarnation ─▶ salvage
//!                      ▲                                        │ not all answered                               │
//!                      └────────────── later ◀──────────────────┴───────── more was lost than was gathered ◀─────┘
//! ```
//!
//! 1. One file after the other is checked, at most `bytes_per_second_max`: between two files the task rests. A cycle takes
//!    at least [`CYCLE_MIN`].
//! 2. Files that a read or a hashing found damaged (`replica::Suspects`) are looked into at once.
//! 3. A damaged file is mended (`mend.rs`): what it has lost is joined from all other replicas of each key, in every
//!    datacenter; then the engine writes its tables anew without it.
//! 4. What cannot be mended yet is tried again; reads of it go on failing, so that others are asked.
//!
//! Invariants
//! - Nothing is given up before every other replica has answered and its records are durable here.
//! - A file that the disk refuses to read is damage, too, and counted; it is not mended: the next one may be refused as well.
//! - At most [`DAMAGED_FILES_MAX`] damaged files are known; more are found again.
//!
//! Source: Bairavasundaram et al., "An Analysis of Latent Sector Errors in Disk Drives", SIGMETRICS 2007.

mod mend;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use atoll_protocol::time::MonoTime;
use atoll_protocol::wire::ScrubStatus;
use atoll_storage::{Damage, Engine, ScrubPosition, ScrubStep};
use parking_lot::Mutex;

use crate::env::Env;
use crate::meta::Meta;
use crate::repair::Repair;
use crate::replica::Replica;
use crate::tasks::Tasks;

/// Shortest time of a cycle: a small store is not read all day long.
const CYCLE_MIN: Duration = Duration::from_secs(10 * 60);

/// Damaged files that are known at once: a disk with more is to be replaced.
const DAMAGED_FILES_MAX: usize = 1_024;

/// Longest sleep of the task.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How the scrub is paced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScrubPacing {
    /// Bytes read per second; 0 does not scrub. What reads find damaged is mended all the same.
    pub bytes_per_second_max: u64,
}

impl ScrubPacing {
    /// How long `bytes` take.
    fn rest(self, bytes: u64) -> Duration {
        let nanos = u128::from(bytes) * 1_000_000_000;
        let nanos = nanos.checked_div(u128::from(self.bytes_per_second_max)).unwrap_or(0);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

/// What the scrub works with.
struct Parts {
    env: Env,
    pacing: ScrubPacing,
    engine: Arc<Engine>,
    meta: Arc<Meta>,
    replica: Replica,
    repair: Repair,
}

/// The scrub of one node. Cheap to clone.
#[derive(Clone)]
pub struct Scrub {
    parts: Arc<Parts>,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    damaged: BTreeMap<String, DamagedFile>,
    status: ScrubStatus,
}

/// A damaged file that is in use.
struct DamagedFile {
    evidence: Evidence,
    /// When it is mended, or tried again.
    due: MonoTime,
    /// Times that it was tried.
    attempts: u32,
    /// Of its keys there is no other replica.
    is_alone: bool,
}

/// How well it is known that a file is damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Evidence {
    /// A read failed: at that moment, of a file that may have been mended since.
    Read,
    /// All of the file was checked, or it was surveyed.
    Checked,
}

/// Where in a cycle the scrub is.
struct Cycle {
    position: ScrubPosition,
    began: MonoTime,
    next_step: MonoTime,
}

impl Scrub {
    /// Starts scrubbing; it ends with `tasks`.
    pub fn start(
        tasks: &Tasks,
        (env, pacing): (Env, ScrubPacing),
        (engine, meta, replica, repair): (Arc<Engine>, Arc<Meta>, Replica, Repair),
    ) -> Self {
        let parts = Parts { env, pacing, engine, meta, replica, repair };
        let started = Self { parts: Arc::new(parts), state: Arc::default() };
        let (scrub, cancelled) = (started.clone(), tasks.cancelled());
        tasks.spawn("scrub", async move {
            tokio::select! {
                biased;
                () = cancelled => {}
                () = scrub.run() => {}
            }
        });
        started
    }

    /// How it goes.
    pub fn status(&self) -> ScrubStatus {
        let state = self.state.lock();
        let certain = state.damaged.values().filter(|file| file.evidence == Evidence::Checked);
        let alone = certain.clone().filter(|file| file.is_alone).count();
        ScrubStatus { damaged: certain.count() as u64, unmendable: alone as u64, ..state.status }
    }

    async fn run(&self) {
        let env = &self.parts.env;
        let now = env.mono();
        let mut cycle = Cycle { position: ScrubPosition::default(), began: now, next_step: now };
        let is_on = self.parts.pacing.bytes_per_second_max > 0;
        loop {
            for file in self.parts.replica.suspects().take() {
                self.note(&file, Evidence::Read, self.parts.env.mono());
            }
            if let Some((file, evidence)) = self.next_due() {
                self.mend(&file, evidence).await;
            } else if is_on && env.mono() >= cycle.next_step {
                if !self.step(&mut cycle).await {
                    return;
                }
            } else {
                let wake = env.mono().after(LOOK_EVERY);
                let wake = if is_on { wake.min(cycle.next_step) } else { wake };
                // Only a wake-up; what is suspected is asked above.
                let _ = env.until(wake, self.parts.replica.suspects().noted()).await;
            }
        }
    }

    /// Checks the next file; false once the engine does not serve any more.
    async fn step(&self, cycle: &mut Cycle) -> bool {
        let (engine, position) = (self.parts.engine.clone(), cycle.position);
        let step = self.parts.env.blocking(move || engine.scrub(position, &mut |_| {})).await;
        // Who stores finds out by themselves, and stop the node.
        let Ok(ScrubStep { file, bytes, damages, next }) = step else { return false };
        {
            let status = &mut self.state.lock().status;
            status.files += u64::from(file.is_some());
            status.bytes += bytes;
            status.cycles += u64::from(next.is_none());
        }
        let now = self.parts.env.mono();
        for damage in &damages {
            tracing::error!(%damage, "the scrub found damage");
        }
        let files: BTreeSet<String> = damages.into_iter().map(|Damage { file, .. }| file).collect();
        for file in files {
            self.note(&file, Evidence::Checked, now);
        }
        cycle.next_step = now.after(self.parts.pacing.rest(bytes));
        cycle.position = next.unwrap_or_default();
        if next.is_none() {
            cycle.next_step = cycle.next_step.max(cycle.began.after(CYCLE_MIN));
            cycle.began = cycle.next_step;
        }
        true
    }

    /// `file` is damaged.
    fn note(&self, file: &str, evidence: Evidence, due: MonoTime) {
        let mut state = self.state.lock();
        if !state.damaged.contains_key(file) && state.damaged.len() >= DAMAGED_FILES_MAX {
            return;
        }
        let new = DamagedFile { evidence: Evidence::Read, due, attempts: 0, is_alone: false };
        let damaged = state.damaged.entry(file.to_owned()).or_insert(new);
        if evidence > damaged.evidence {
            damaged.evidence = evidence;
            state.status.found += 1;
        }
    }

    /// The damaged file that has waited longest for its turn.
    fn next_due(&self) -> Option<(String, Evidence)> {
        let (state, now) = (self.state.lock(), self.parts.env.mono());
        let due = state.damaged.iter().filter(|(_, file)| file.due <= now);
        let (name, file) = due.min_by_key(|(_, file)| file.due)?;
        Some((name.clone(), file.evidence))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::ScrubPacing;

    #[test]
    fn rests_keep_the_rate() {
        let rest = |rate, bytes| ScrubPacing { bytes_per_second_max: rate }.rest(bytes);
        assert_eq!(rest(1_000, 500), Duration::from_millis(500));
        assert_eq!(rest(8 << 20, 64 << 20), Duration::from_secs(8));
        assert_eq!(rest(0, 500), Duration::ZERO);
        assert_eq!(rest(1_000, 0), Duration::ZERO);
    }
}
