//! One node's lives: it starts on its disk, dies, and starts again on what the disk kept.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use atoll_protocol::ids::Name;
use atoll_protocol::wire::{FaultCommand, RepairCommand};
use atoll_storage::{Durability as StorageDurability, Options};
use atolldb::config::Durability;
use atolldb::env::Env;
use atolldb::handoff::HandoffLimits;
use atolldb::meta::{Meta, MetaError};
use atolldb::net::Faults;
use atolldb::node::{Claim, Data, Node, Pacing, Parts, Places, StartError};
use atolldb::purge::PurgePacing;
use atolldb::repair::RepairPacing;
use atolldb::scrub::ScrubPacing;
use atolldb::service::ProcessFacts;

use super::{Command, DiskHealth, Member, Stop, World, shape};
use crate::disk::{Loss, SimDisk};
use crate::exec::{Death, Owner};
use crate::history::Forgetting;
use crate::plan::{Healers, Knobs};
use crate::prng::Prng;
use crate::record::TapTransport;

/// Pause of a supervisor before it starts a node that ended by itself.
const RESTART_AFTER: Duration = Duration::from_millis(700);

/// Start attempts on a damaged disk before it is replaced: transient errors pass.
const ATTEMPTS_DAMAGED: u32 = 3;

/// Start attempts on a disk that nobody damaged before that is a finding: its faults may last for a while.
const ATTEMPTS_SOUND: u32 = 60;

/// What background work of a node may write: its units are of a few hundred KiB, so that one pauses for milliseconds.
const COMPACTION_BYTES_PER_SECOND: u64 = 16 * 1_024 * 1_024;

/// Time in which anti-entropy compares every partition once: a run has a few cycles.
pub const REPAIR_CYCLE: Duration = Duration::from_secs(5);

/// What the scrub reads in a second: some files of a few KiB, so that a cycle is some seconds of a run.
const SCRUB_BYTES_PER_SECOND: u64 = 16 * 1_024;

/// Hints for one node: some dozens.
const HINT_BYTES: u64 = 4 * 1_024;

/// Longer than most nodes are away.
const HINT_AGE: Duration = Duration::from_secs(6);

impl World {
    /// Starts every node within a second.
    pub fn boot_all(&mut self) {
        for number in 0..self.nodes.len() {
            self.boot_after(number, Duration::from_millis(50 * number as u64));
        }
        self.watch_verdicts();
    }

    pub(super) fn boot_after(&mut self, number: usize, delay: Duration) {
        if let Some(member) = self.nodes.get_mut(number)
            && !member.boot_pending
        {
            member.boot_pending = true;
            self.later(delay, Command::Boot(number));
        }
    }

    pub(super) fn boot(&mut self, number: usize) {
        let Some(member) = self.nodes.get_mut(number) else { return };
        member.boot_pending = false;
        if member.life.is_some() {
            return;
        }
        let (owner, env) = self.exec.start_process(member.process);
        self.exec.notes().note("boot", [number as u64, owner.life, 0, 0], String::new);
        let started = self.exec.run_as(owner, || self.start_node(number, owner, &env));
        match started {
            Ok(Ok(node)) => self.on_started(number, (owner, node)),
            Ok(Err(error)) => self.on_failed_start(number, &error),
            Err(reason) => self.on_panicked_start(number, reason),
        }
    }

    /// The process is gone; the disk is what it left.
    pub(super) fn kill(&mut self, number: usize, loss: Loss) {
        self.judge_speculation_of(number);
        let Some(member) = self.nodes.get_mut(number) else { return };
        if member.is_up() {
            let (node, at) = (member.own.0, self.exec.now());
            self.recorder.state().history.deaths.push((node, at));
        }
        self.exec.notes().note("kill", [number as u64, 0, 0, 0], || format!("{loss:?}"));
        member.disk.halt();
        let life = member.life.take();
        member.stop = Stop::No;
        self.recorder.set_engine(member.own.0, None);
        self.recorder.set_hints(member.own.0, None);
        self.carrier.forget(member.process);
        self.exec.kill(member.process);
        self.net.forget(member.process);
        if let Err(reason) = self.exec.bury(life) {
            self.recorder
                .find("panic", format!("node {number} panicked while it was dropped: {reason}"));
        }
        member.disk = member.disk.crash(loss);
        if loss == Loss::PowerLost && self.plan.knobs.periodic_ms.is_some() {
            // What was not synced yet is gone, as `periodic` says.
            let (node, at) = (member.own.0, self.exec.now());
            self.recorder.state().history.forgettings.push(Forgetting { node, at });
        }
    }

    /// Asks a node to stop cleanly; a command tells when it has.
    pub(super) fn stop(&mut self, number: usize) {
        self.judge_speculation_of(number);
        let Some(member) = self.nodes.get_mut(number) else { return };
        if member.stop == Stop::UnderWay {
            return;
        }
        let Some((owner, node)) = member.life.take() else { return };
        member.stop = Stop::UnderWay;
        let commands = Arc::clone(&self.commands);
        self.exec.spawn(
            owner,
            "stop",
            Box::pin(async move {
                let result = node.stop().await.map_err(|error| error.to_string());
                commands.lock().push_back(Command::Stopped { node: number, result });
            }),
        );
    }

    pub(super) fn on_stopped(&mut self, number: usize, result: Result<(), String>) {
        let Some(member) = self.nodes.get(number) else { return };
        if member.stop == Stop::No {
            return; // It was killed meanwhile.
        }
        self.recorder.reach(if result.is_ok() { "clean stop" } else { "stop that failed" });
        self.kill(number, Loss::ProcessKilled);
        self.boot_after(number, RESTART_AFTER);
    }

    pub(super) fn on_death(&mut self, death: &Death) {
        let Some(owner) = death.owner else {
            self.recorder.find("harness", death.reason.clone());
            return;
        };
        let is_damaged = self.nodes.iter().any(|m| m.process == owner.process && m.is_damaged());
        let is_panic =
            death.reason.contains("panicked") && !(is_damaged && is_of_redb(&death.reason));
        let found = self.nodes.iter().position(|member| member.process == owner.process);
        let Some(number) = found else {
            self.recorder.find("harness", format!("a client died: {}", death.reason));
            return;
        };
        let Some(member) = self.nodes.get(number) else { return };
        let is_halted = member.disk.is_halted();
        if is_panic && !is_halted {
            self.recorder.find("panic", format!("node {number}: {}", death.reason));
        } else if !is_halted {
            self.recorder.reach("node stopped itself");
        }
        // A process that exits leaves its page cache; a machine that stops does not.
        let loss = if is_halted { Loss::PowerLost } else { Loss::ProcessKilled };
        self.kill(number, loss);
        self.boot_after(number, RESTART_AFTER);
    }

    /// The disk is replaced by an empty one.
    pub(super) fn replace_disk(&mut self, number: usize) {
        let at = self.exec.now();
        let capacity = self.plan.knobs.disk_bytes;
        let Some(member) = self.nodes.get_mut(number) else { return };
        let node = member.own.0;
        let label = format!("disk/n{number}/{}", at.as_nanos());
        let fresh = SimDisk::new(Prng::stream(self.plan.seed, &label), capacity);
        let old = std::mem::replace(&mut member.disk, fresh);
        member.old_disks = member.old_disks.rotate_left(7) ^ old.trace_hash();
        for (kind, count) in old.injected() {
            *self.injected.entry(kind.to_owned()).or_default() += count;
        }
        member.health = DiskHealth::Sound;
        member.failed_starts = 0;
        self.recorder.state().history.forgettings.push(Forgetting { node, at });
    }

    fn start_node(&self, number: usize, owner: Owner, env: &Env) -> Result<Node, StartError> {
        let Some(member) = self.nodes.get(number) else { unreachable!("the caller has it") };
        let (identity, claimant) = shape::identity_of(&self.topology, member.own.0)
            .expect("every node of the plan is in the topology");
        let node: Name = claimant.node.clone();
        let disk = member.disk.clone();
        let claim = Claim {
            owner: claimant,
            topology: self.topology.clone(),
            source: Path::new("the plan"),
        };
        let places = Places { root: Arc::new(disk.clone()), storage: Arc::new(disk.clone()) };
        let options = options(&self.plan.knobs);
        let pacing = Pacing::new(&options, COMPACTION_BYTES_PER_SECOND);
        let data = Data::open(env, places, options, |name: &str| open_meta(&disk, name), claim)?;
        let transport = self.carrier.listen(&self.net, (owner, env), identity);
        let life = data.begin_life(env)?;
        self.recorder.check_counters(member.own.0, &life);
        let own = member.own;
        self.recorder.set_engine(own.0, Some((data.engine.clone(), disk.clone())));
        self.recorder.set_hints(own.0, Some((data.hints.clone(), disk.clone())));
        let mut state = self.recorder.state();
        state.history.incarnations.entry(own.0).or_default().push(life.incarnation);
        drop(state);
        let facts = ProcessFacts {
            node,
            version: "sim".to_owned(),
            pid: 1,
            started: env.mono(),
            boot: env.random_u64(),
        };
        let node = Node::start(Parts {
            env: env.clone(),
            transport: Arc::new(TapTransport::new(transport, self.recorder.clone(), own.0)),
            faults: Arc::new(NoFaults),
            engine: data.engine,
            meta: data.meta,
            life,
            topology: data.topology,
            own,
            keyspaces: data.keyspaces,
            facts,
            durability: durability(&self.plan.knobs),
            pacing,
            repair: RepairPacing { cycle: REPAIR_CYCLE },
            purge: PurgePacing { after: purge_after(&self.plan.knobs) },
            scrub: ScrubPacing { bytes_per_second_max: SCRUB_BYTES_PER_SECOND },
            hints: data.hints,
            hint_limits: hint_limits(self.plan.knobs.healers),
            syncs: data.syncs,
        });
        if self.plan.knobs.healers == Healers::Hints {
            node.repair().command(RepairCommand::Pause);
        }
        Ok(node)
    }

    fn on_started(&mut self, number: usize, life: (Owner, Node)) {
        let at = self.exec.now();
        let Some(member) = self.nodes.get_mut(number) else { return };
        member.life = Some(life);
        member.failed_starts = 0;
        if member.is_damaged() {
            // It started on a disk that lies: whatever it held before may be gone without a trace.
            let node = member.own.0;
            self.recorder.state().history.forgettings.push(Forgetting { node, at });
            self.recorder.reach("start on a damaged disk");
        } else {
            self.recorder.check_kept(member.own.0);
        }
    }

    fn on_failed_start(&mut self, number: usize, error: &StartError) {
        let Some(member) = self.nodes.get_mut(number) else { return };
        self.exec.notes().note("no start", [number as u64, 0, 0, 0], || error.to_string());
        member.failed_starts += 1;
        let (attempts, is_damaged) = (member.failed_starts, member.is_damaged());
        let is_halted = member.disk.is_halted();
        self.kill(number, if is_halted { Loss::PowerLost } else { Loss::ProcessKilled });
        if is_halted {
            self.recorder.reach("crash during start");
        } else if is_damaged && attempts >= ATTEMPTS_DAMAGED {
            self.recorder.reach("damaged disk replaced");
            self.replace_disk(number);
        } else if is_corrupt(error) && !is_damaged {
            self.recorder.find(
                "I1/P1 a sound disk is refused",
                format!("node {number} does not start: {error}"),
            );
            self.replace_disk(number);
        } else if attempts >= ATTEMPTS_SOUND {
            self.recorder.find("liveness", format!("node {number} does not start: {error}"));
            self.replace_disk(number);
        } else {
            self.recorder.reach("start refused for now");
        }
        self.boot_after(number, RESTART_AFTER);
    }

    fn on_panicked_start(&mut self, number: usize, reason: String) {
        let is_halted = self.nodes.get(number).is_some_and(|member| member.disk.is_halted());
        let is_damaged = self.nodes.get(number).is_some_and(Member::is_damaged);
        if is_damaged && is_of_redb(&reason) {
            self.recorder.reach("redb panicked on a damaged disk");
        } else if !is_halted {
            self.recorder.find("panic", format!("node {number} panicked as it started: {reason}"));
        }
        self.kill(number, if is_halted { Loss::PowerLost } else { Loss::ProcessKilled });
        if is_damaged {
            self.replace_disk(number);
        }
        self.boot_after(number, RESTART_AFTER);
    }
}

impl Member {
    pub(super) fn is_up(&self) -> bool {
        self.life.is_some()
    }

    pub(super) fn is_damaged(&self) -> bool {
        self.health == DiskHealth::Damaged
    }
}

fn open_meta(disk: &SimDisk, name: &str) -> Result<Meta, MetaError> {
    let (disk, name) = (disk.clone(), name.to_owned());
    Meta::open_on(move || disk.backend(&name))
}

/// redb asserts what its file holds; on a damaged one that is its way to refuse.
fn is_of_redb(reason: &str) -> bool {
    reason.contains("redb-")
}

/// Whether a start failed because of what stands on the disk, not because the disk fails just now.
fn is_corrupt(error: &StartError) -> bool {
    match error {
        StartError::Storage(error) => matches!(error, atoll_storage::Error::Corrupt { .. }),
        StartError::Meta(MetaError::Damaged { .. } | MetaError::OtherOwner { .. }) => true,
        StartError::Meta(MetaError::Database(error)) => matches!(error, redb::Error::Corrupted(_)),
        StartError::TopologyChanged { .. } => true,
        _ => false,
    }
}

/// So small that some runs reach them, unless hints have to do without anti-entropy.
fn hint_limits(healers: Healers) -> HandoffLimits {
    match healers {
        Healers::All => HandoffLimits { bytes_max: HINT_BYTES, age_max: HINT_AGE },
        Healers::Hints => HandoffLimits { bytes_max: u64::MAX, age_max: Duration::MAX },
    }
}

/// Never is later than a run can end.
fn purge_after(knobs: &Knobs) -> Duration {
    knobs.purge_after_ms.map_or(Duration::from_secs(24 * 60 * 60), Duration::from_millis)
}

fn durability(knobs: &Knobs) -> Durability {
    match knobs.periodic_ms {
        None => Durability::Fsync,
        Some(interval) => Durability::Periodic(Duration::from_millis(interval)),
    }
}

fn options(knobs: &Knobs) -> Options {
    let size = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
    Options {
        memtable_bytes_max: knobs.memtable_bytes,
        wal_segment_bytes_max: knobs.segment_bytes,
        block_bytes: size(knobs.block_bytes),
        table_bytes: knobs.table_bytes,
        level_bytes_base: knobs.level_bytes,
        tables_l0_trigger: size(knobs.l0_trigger),
        tables_l0_max: size(knobs.l0_trigger) * 3,
        value_separation_bytes: knobs.separation_bytes,
        cache_bytes: knobs.cache_bytes,
        free_bytes_min: knobs.disk_bytes / 16,
        durability: match knobs.periodic_ms {
            None => StorageDurability::Fsync,
            Some(_) => StorageDurability::Periodic,
        },
        ..Options::default()
    }
}

/// Simulated nodes have no emulated links: the whole network is.
struct NoFaults;

impl Faults for NoFaults {
    fn command(&self, _command: &FaultCommand) -> Result<Vec<String>, String> {
        Err("a simulated node takes its faults from its world".to_owned())
    }
}
