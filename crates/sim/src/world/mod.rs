//! The world: nodes on simulated disks and a simulated network, and whoever starts, stops and breaks them.
//!
//! ```text
//! Plan ─▶ World::new ─▶ boot ─▶ Data::open on SimDisk, Node::start on Net   (the shipped node)
//!             │                        │ dies, exits, is killed
//!             ▼                        ▼
//!        nemesis.rs: begin and end each fault ─▶ image of the disk ─▶ boot again
//! ```
//!
//! 1. [`World::run_until`] steps the executor; between two steps it carries out what became due.
//! 2. A dead process leaves its disk; the next life starts from a legal crash image of it, after a while.
//! 3. A node whose disk is damaged beyond its own means gets an empty one, as an operator would do, and the recorder
//!    is told that it forgot.
//!
//! Invariants
//! - A node that was not damaged starts again, always: anything else is a finding.
//! - A panic is a finding.

mod life;
mod nemesis;
mod speculation;
mod verdicts;
mod tiers;
mod shape;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use atoll_protocol::ids::{DcIndex, NodeIndex};
use atoll_protocol::time::MonoTime;
use atoll_protocol::token::Partition;
use atoll_protocol::topology::Topology;
use atolldb::env::Env;
use atolldb::node::Node;
use parking_lot::Mutex;

use crate::disk::SimDisk;
use crate::exec::{ClockSetting, Exec, Owner, ProcessId, Trace};
use crate::net::{Dial, Net};
use crate::plan::{Plan, Tier};
use crate::prng::Prng;
use crate::record::Recorder;

pub use life::REPAIR_CYCLE;

use shape::client_identity;
use tiers::Carrier;
use verdicts::Verdicts;

/// Machines of clients that stand in a datacenter; a plan has 8 clients, and each phase adds a few readers. Any more
/// would be far from every node.
const CLIENTS_MAX: usize = 64;

/// What became due, carried out between two steps.
#[derive(Clone, Debug)]
enum Command {
    /// Start a node.
    Boot(usize),
    /// A node's clean stop is over.
    Stopped { node: usize, result: Result<(), String> },
    /// A fault begins.
    Begin(usize),
    /// A fault ends.
    End(usize),
    /// Look at who suspects whom.
    Look,
}

/// The world.
pub struct World {
    /// Time and tasks.
    pub exec: Exec,
    /// The network.
    pub net: Net,
    /// What happened.
    pub recorder: Recorder,
    /// The topology.
    pub topology: Arc<Topology>,
    plan: Plan,
    carrier: Carrier,
    nodes: Vec<Member>,
    commands: Arc<Mutex<VecDeque<Command>>>,
    /// Faults that took effect, by kind.
    injected: BTreeMap<String, u64>,
    is_healing: bool,
    verdicts: Verdicts,
}

/// Whether a clean stop is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    No,
    UnderWay,
}

/// Whether a disk tells the truth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum DiskHealth {
    Sound,
    /// It was damaged in a way that no crash can explain, and has not been replaced since.
    Damaged,
}

/// A node of the world.
struct Member {
    process: ProcessId,
    own: (NodeIndex, DcIndex),
    disk: SimDisk,
    life: Option<(Owner, Node)>,
    stop: Stop,
    health: DiskHealth,
    /// Start attempts since the last one that succeeded.
    failed_starts: u32,
    boot_pending: bool,
    /// Digest of what happened on disks that were replaced.
    old_disks: u64,
}

impl World {
    /// A world in which nothing runs yet.
    ///
    /// # Errors
    /// What is wrong with the plan's shape.
    pub fn new(plan: &Plan, trace: Trace) -> Result<Self, String> {
        let topology = shape::topology(&plan.shape)?;
        let exec = Exec::new(plan.seed, trace);
        let members = shape::members(&topology);
        let mut dcs: Vec<usize> = members.iter().map(|(_, dc)| usize::from(dc.0)).collect();
        // Every machine of a client stands in some datacenter; more of them come as the run goes on.
        dcs.extend((0..CLIENTS_MAX).map(|client| client % plan.shape.dcs.len().max(1)));
        let rtt = Duration::from_millis(plan.shape.rtt_ms);
        let net = Net::new(exec.clone(), plan.seed, dcs, rtt);
        let nodes = members.into_iter().enumerate().map(|(number, own)| {
            let clock = ClockSetting {
                skew_ms: plan.knobs.skew_ms.get(number).copied().unwrap_or(0),
                drift_ppm: plan.knobs.drift_ppm.get(number).copied().unwrap_or(0),
            };
            let chance = |what: &str| Prng::stream(plan.seed, &format!("{what}/n{number}"));
            Member {
                process: exec.add_process(clock, chance("process")),
                own,
                disk: SimDisk::new(chance("disk"), plan.knobs.disk_bytes),
                life: None,
                stop: Stop::No,
                health: DiskHealth::Sound,
                failed_starts: 0,
                boot_pending: false,
                old_disks: 0,
            }
        });
        Ok(Self {
            nodes: nodes.collect(),
            carrier: Carrier::new(plan.tier, plan.seed, &net, &topology)?,
            recorder: Recorder::new(exec.clone()),
            net,
            exec,
            topology,
            plan: plan.clone(),
            commands: Arc::default(),
            injected: BTreeMap::new(),
            is_healing: false,
            verdicts: Verdicts::default(),
        })
    }

    /// The plan.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Lets the world run until `end`, or until `is_done` says so; false if it came to the end.
    pub fn run_until(&mut self, end: MonoTime, mut is_done: impl FnMut(&Self) -> bool) -> bool {
        while self.exec.now() < end {
            if is_done(self) {
                return true;
            }
            if !self.exec.step() {
                return false;
            }
            self.keep_house();
        }
        is_done(self)
    }

    /// Whether every node runs.
    pub fn all_up(&self) -> bool {
        self.nodes.iter().all(|member| member.life.is_some() && member.stop == Stop::No)
    }

    /// Whether every node runs and is connected to every other one.
    pub fn is_connected(&self) -> bool {
        let others = self.nodes.len() - 1;
        self.all_up() && self.nodes.iter().all(|member| self.peers_of(member) >= others)
    }

    /// Peers that a node is connected to; on the second tier only its links can be counted.
    fn peers_of(&self, member: &Member) -> usize {
        match self.plan.tier {
            Tier::Messages => self.net.peers_of(member.process),
            Tier::Quic => self.exec.tasks_of(member.process).get("peer-link").copied().unwrap_or(0),
        }
    }

    /// The nodes that are down, in words.
    pub fn describe_down(&self) -> String {
        let down = self.nodes.iter().enumerate().map(|(number, member)| {
            let peers = self.peers_of(member);
            let state = if member.is_up() { "up" } else { "down" };
            format!("node {number} {state}, {peers} peers, {} failed starts", member.failed_starts)
        });
        down.collect::<Vec<_>>().join("; ")
    }

    /// The nodes and their datacenters, in the plan's order.
    pub fn members(&self) -> Vec<(NodeIndex, DcIndex)> {
        self.nodes.iter().map(|member| member.own).collect()
    }

    /// Clients so far.
    pub fn count_clients(&self) -> usize {
        self.exec.processes().saturating_sub(self.nodes.len())
    }

    /// What a client of this life connects with.
    pub fn dialler(&self, owner: Owner, env: &Env) -> Option<Arc<dyn Dial>> {
        let identity = client_identity(&self.topology)?;
        self.carrier.dialler((&self.net, &self.topology), (owner, env), identity)
    }

    /// Ends every process; their remains are dropped.
    pub fn tear_down(&mut self) {
        for number in 0..self.nodes.len() {
            self.kill(number, crate::disk::Loss::ProcessKilled);
        }
        for process in 0..self.exec.processes() {
            self.exec.kill(ProcessId(process));
        }
    }

    /// Digest of everything that happened, on disks too.
    pub fn trace_hash(&self) -> u64 {
        let disks = self.nodes.iter().map(|member| member.disk.trace_hash() ^ member.old_disks);
        disks.fold(self.exec.notes().hash(), |hash, disk| hash.rotate_left(7) ^ disk)
    }

    /// Faults that took effect, by kind.
    pub fn injected(&self) -> BTreeMap<String, u64> {
        let mut all = self.injected.clone();
        let disks = self.nodes.iter().map(|member| member.disk.injected());
        for (kind, count) in disks.chain([self.net.injected()]).flatten() {
            *all.entry(kind.to_owned()).or_default() += count;
        }
        all
    }

    /// Tasks of each node, by name.
    pub fn tasks(&self) -> Vec<BTreeMap<&'static str, usize>> {
        self.nodes.iter().map(|member| self.exec.tasks_of(member.process)).collect()
    }

    /// Records that the anti-entropy of all running nodes has fetched and sent, since each started.
    pub fn repaired(&self) -> u64 {
        let moved = |node: &Node| {
            let counters = node.repair().counters();
            let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
            read(&counters.fetched) + read(&counters.sent)
        };
        self.nodes.iter().filter_map(|member| Some(moved(&member.life.as_ref()?.1))).sum()
    }

    /// Hints that wait at all running nodes.
    pub fn hinted(&self) -> u64 {
        let lives = self.nodes.iter().filter_map(|member| member.life.as_ref());
        lives.map(|(_, node)| node.handoff().waiting()).sum()
    }

    /// How hints of running nodes ended, and how many did.
    pub fn hint_ends(&self) -> BTreeMap<&'static str, u64> {
        let mut ends = BTreeMap::new();
        for (_, node) in self.nodes.iter().filter_map(|member| member.life.as_ref()) {
            let counters = node.handoff().counters();
            for (end, counter) in [
                ("hint delivered", &counters.delivered),
                ("hint superseded", &counters.superseded),
                ("hint expired", &counters.expired),
                ("miss beyond the bound of hints", &counters.overflowed),
            ] {
                *ends.entry(end).or_default() += counter.load(Ordering::Relaxed);
            }
        }
        ends
    }

    /// What of the hints of each running node does not add up: hints that it wrote and that have not ended in exactly
    /// one way.
    pub fn unbalanced_hints(&self) -> Vec<String> {
        let nodes = self.nodes.iter().enumerate();
        let unbalanced = |(number, member): (usize, &Member)| {
            let handoff = member.life.as_ref()?.1.handoff();
            let counters = handoff.counters();
            let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
            let ended = read(&counters.delivered)
                + read(&counters.superseded)
                + read(&counters.expired)
                + read(&counters.dropped);
            let (begun, left) = (handoff.found() + read(&counters.written), handoff.waiting());
            (begun != ended + left).then(|| {
                format!("node {number}: {begun} hints began, {ended} have ended and {left} wait")
            })
        };
        nodes.filter_map(unbalanced).collect()
    }

    /// Nodes with trees that are not those of what they store, and the partitions.
    pub fn impure_trees(&self) -> Vec<(usize, Vec<Partition>)> {
        let impure = |member: &Member| {
            let (_, node) = member.life.as_ref()?;
            let partitions = member.disk.observe(|| node.repair().impure_partitions());
            (!partitions.is_empty()).then_some(partitions)
        };
        let all = self.nodes.iter().enumerate();
        all.filter_map(|(number, member)| Some((number, impure(member)?))).collect()
    }

    fn keep_house(&mut self) {
        for death in self.exec.take_deaths() {
            self.on_death(&death);
        }
        for number in 0..self.nodes.len() {
            let is_halted = self
                .nodes
                .get(number)
                .is_some_and(|member| member.life.is_some() && member.disk.is_halted());
            if is_halted {
                self.count("kill at a disk call");
                self.kill(number, crate::disk::Loss::PowerLost);
                self.boot_after(number, Duration::from_millis(300));
            }
        }
        loop {
            let command = self.commands.lock().pop_front();
            let Some(command) = command else { return };
            self.carry_out(command);
        }
    }

    fn carry_out(&mut self, command: Command) {
        match command {
            Command::Boot(node) => self.boot(node),
            Command::Stopped { node, result } => self.on_stopped(node, result),
            Command::Begin(fault) => self.begin(fault),
            Command::End(fault) => self.end(fault),
            Command::Look => self.look(),
        }
    }

    fn later(&self, delay: Duration, command: Command) {
        let commands = Arc::clone(&self.commands);
        self.exec.after(delay, None, move || commands.lock().push_back(command));
    }

    fn count(&mut self, kind: &str) {
        *self.injected.entry(kind.to_owned()).or_default() += 1;
    }
}
