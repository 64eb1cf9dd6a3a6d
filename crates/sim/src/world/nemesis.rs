//! The nemesis: begins and ends the plan's faults.

use std::time::Duration;

use super::{Command, DiskHealth, Member, Stop, World};
use crate::disk::{DiskFaults, Loss, Space};
use crate::exec::ProcessId;
use crate::net::{Effect, FaultId, Trouble};
use crate::plan::{DiskCalls, FaultKind};

impl World {
    /// Has every fault of the plan begin at its time from now on.
    pub fn schedule_faults(&self) {
        for (number, fault) in self.plan.faults.iter().enumerate() {
            self.later(Duration::from_millis(fault.at_ms), Command::Begin(number));
        }
    }

    /// The longest that a job on a disk of this plan is stalled.
    pub fn longest_stall(&self) -> Duration {
        let mut longest_ms = 0;
        for fault in &self.plan.faults {
            if let FaultKind::DiskStall { stall_ms, .. } = fault.kind {
                longest_ms = longest_ms.max(stall_ms);
            }
        }
        Duration::from_millis(longest_ms)
    }

    /// Ends every fault for good, replaces every damaged disk, and starts every node that is down.
    pub fn heal(&mut self) {
        self.is_healing = true;
        self.net.heal();
        for number in 0..self.nodes.len() {
            if self.nodes.get(number).is_some_and(Member::is_damaged) {
                // What an operator does about a disk that lies; scrubbing and quarantine come with their feature.
                self.kill(number, Loss::PowerLost);
                self.replace_disk(number);
                self.recorder.reach("damaged disk replaced");
            }
        }
        for number in 0..self.nodes.len() {
            let Some(member) = self.nodes.get(number) else { return };
            member.disk.set_faults(DiskFaults::default());
            member.disk.halt_after(u64::MAX);
            self.exec.resume(member.process);
            self.exec.set_slowness(member.process, 1);
            self.exec.set_stall(member.process, Duration::ZERO);
            if !member.is_up() && member.stop == Stop::No {
                self.boot_after(number, Duration::from_millis(100));
            }
        }
    }

    /// Power loss of every node at once; they start again by themselves.
    pub fn kill_all(&mut self) {
        for number in 0..self.nodes.len() {
            self.kill(number, Loss::PowerLost);
            self.boot_after(number, Duration::from_millis(100));
        }
    }

    pub(super) fn begin(&mut self, number: usize) {
        let Some(fault) = self.plan.faults.get(number).cloned() else { return };
        if self.is_healing {
            return;
        }
        self.exec.notes().note("fault", [number as u64, 0, 0, 0], || format!("{:?}", fault.kind));
        let lasting = Duration::from_millis(fault.for_ms);
        if self.begin_kind(number, &fault.kind, lasting) {
            self.later(lasting, Command::End(number));
        }
    }

    /// Puts a fault in force; whether it has an end that must be carried out.
    fn begin_kind(&mut self, number: usize, kind: &FaultKind, lasting: Duration) -> bool {
        match kind {
            FaultKind::Kill { .. }
            | FaultKind::KillAtDiskCall { .. }
            | FaultKind::Stop { .. }
            | FaultKind::Wipe { .. } => {
                self.begin_process_fault(kind, lasting);
                return false;
            }
            FaultKind::Pause { node } => {
                self.with(*node, "pause", |world, process| world.exec.pause(process));
            }
            FaultKind::Slow { node, factor } => {
                self.with(*node, "slow processor", |world, process| {
                    world.exec.set_slowness(process, *factor);
                })
            }
            FaultKind::Cut { from, to } => {
                self.count("cut");
                self.trouble(number, from, to, Effect::Cut);
            }
            FaultKind::Degrade {
                from,
                to,
                loss_per_mille,
                duplicate_per_mille,
                jitter_ms,
                bytes_per_second,
            } => {
                self.count("degraded network");
                let effect = Effect::Degrade {
                    loss_per_mille: *loss_per_mille,
                    duplicate_per_mille: *duplicate_per_mille,
                    jitter: Duration::from_millis(*jitter_ms),
                    bytes_per_second: *bytes_per_second,
                };
                self.trouble(number, from, to, effect);
            }
            FaultKind::DiskErrors { .. }
            | FaultKind::DiskFull { .. }
            | FaultKind::DiskStall { .. }
            | FaultKind::BitRot { .. }
            | FaultKind::Misdirect { .. } => self.begin_disk_fault(kind),
            FaultKind::ClockJump { node, by_ms } => {
                self.with(*node, "clock jump", |world, process| {
                    world.exec.jump_clock(process, *by_ms)
                });
                return false;
            }
        }
        true
    }

    fn begin_process_fault(&mut self, kind: &FaultKind, lasting: Duration) {
        let (node, what) = match kind {
            FaultKind::Kill { node, power: true } => (*node, "power loss"),
            FaultKind::Kill { node, power: false } => (*node, "kill"),
            FaultKind::KillAtDiskCall { node, calls } => {
                if let Some(member) = self.nodes.get(usize::from(*node)) {
                    member.disk.halt_after(u64::from(*calls));
                }
                return;
            }
            FaultKind::Stop { node } => {
                self.count("clean stop");
                return self.stop(usize::from(*node));
            }
            FaultKind::Wipe { node } => (*node, "wipe"),
            _ => return,
        };
        let number = usize::from(node);
        let Some(member) = self.nodes.get(number) else { return };
        if !member.is_up() && member.stop == Stop::No && what != "wipe" {
            return;
        }
        self.count(what);
        let loss = if what == "kill" { Loss::ProcessKilled } else { Loss::PowerLost };
        self.kill(number, loss);
        if what == "wipe" {
            self.replace_disk(number);
        }
        self.boot_after(number, lasting);
    }

    fn begin_disk_fault(&mut self, kind: &FaultKind) {
        match kind {
            FaultKind::DiskErrors { node, calls, per_mille } => {
                let mut faults = DiskFaults::default();
                let rate = match calls {
                    DiskCalls::Read => &mut faults.read_per_mille,
                    DiskCalls::Write => &mut faults.write_per_mille,
                    DiskCalls::Sync => &mut faults.sync_per_mille,
                    DiskCalls::SyncDir => &mut faults.sync_dir_per_mille,
                };
                *rate = *per_mille;
                self.on_disk(*node, |world, member| world.set_faults(member, faults));
            }
            FaultKind::DiskFull { node } => {
                // Every other node's disk is full by surprise.
                let is_even = node.is_multiple_of(2);
                let space = if is_even { Space::FullBySurprise } else { Space::Full };
                let faults = DiskFaults { space, ..DiskFaults::default() };
                self.on_disk(*node, |world, member| world.set_faults(member, faults));
            }
            FaultKind::DiskStall { node, stall_ms } => {
                let stall = Duration::from_millis(*stall_ms);
                self.with(*node, "disk stall", |world, process| {
                    world.exec.set_stall(process, stall)
                });
            }
            FaultKind::BitRot { node, bits } => self.damage(*node, |disk| {
                disk.rot(*bits);
            }),
            FaultKind::Misdirect { node } => {
                self.damage(*node, crate::disk::SimDisk::misdirect_next_write)
            }
            _ => {}
        }
    }

    pub(super) fn end(&mut self, number: usize) {
        let Some(fault) = self.plan.faults.get(number).cloned() else { return };
        self.exec.notes().note("fault over", [number as u64, 0, 0, 0], String::new);
        match fault.kind {
            FaultKind::Pause { node } => {
                self.quietly(node, |world, process| world.exec.resume(process))
            }
            FaultKind::Slow { node, .. } => {
                self.quietly(node, |world, process| world.exec.set_slowness(process, 1))
            }
            FaultKind::DiskStall { node, .. } => {
                self.quietly(node, |world, process| world.exec.set_stall(process, Duration::ZERO));
            }
            FaultKind::Cut { .. } | FaultKind::Degrade { .. } => {
                self.net.clear(FaultId(number as u64))
            }
            FaultKind::DiskErrors { node, .. } | FaultKind::DiskFull { node } => {
                self.on_disk(node, |world, member| world.set_faults(member, DiskFaults::default()));
            }
            _ => {}
        }
    }

    fn trouble(&self, number: usize, from: &[u16], to: &[u16], effect: Effect) {
        let processes =
            |nodes: &[u16]| nodes.iter().map(|node| ProcessId(usize::from(*node))).collect();
        let trouble = Trouble { from: processes(from), to: processes(to), effect };
        self.net.set(FaultId(number as u64), trouble);
    }

    fn with(&mut self, node: u16, what: &str, deed: impl FnOnce(&Self, ProcessId)) {
        self.count(what);
        self.quietly(node, deed);
    }

    fn quietly(&self, node: u16, deed: impl FnOnce(&Self, ProcessId)) {
        if let Some(member) = self.nodes.get(usize::from(node)) {
            deed(self, member.process);
        }
    }

    fn on_disk(&self, node: u16, deed: impl FnOnce(&Self, usize)) {
        deed(self, usize::from(node));
    }

    fn set_faults(&self, number: usize, faults: DiskFaults) {
        if let Some(member) = self.nodes.get(number) {
            member.disk.set_faults(faults);
        }
    }

    fn damage(&mut self, node: u16, deed: impl FnOnce(&crate::disk::SimDisk)) {
        if let Some(member) = self.nodes.get_mut(usize::from(node)) {
            deed(&member.disk);
            member.health = DiskHealth::Damaged;
        }
    }
}
