//! The environment that a simulated process sees.

use std::time::Duration;

use atoll_protocol::time::{MonoTime, WallTime};
use atolldb::env::{BoxFuture, EnvBackend};

use super::sleep::Sleep;
use super::{Exec, Owner, unwind};

/// Time that a job waits for a thread and its device, in nanoseconds: what an NVMe disk takes for a write and a sync.
const JOB_NANOS: (u64, u64) = (20_000, 400_000);

/// What a process thinks that it can do at once. All of it runs one after the other; but as many queues are filled as on a
/// large machine.
const PARALLELISM: usize = 4;

pub(super) struct SimEnv {
    exec: Exec,
    owner: Owner,
}

impl SimEnv {
    pub(super) fn new(exec: Exec, owner: Owner) -> Self {
        Self { exec, owner }
    }
}

impl EnvBackend for SimEnv {
    fn mono(&self) -> MonoTime {
        let state = self.exec.shared.state.lock();
        let process = state.processes.get(self.owner.process.0);
        process.map_or(MonoTime::ZERO, |process| process.clock.mono(state.now))
    }

    fn wall(&self) -> WallTime {
        self.exec.shared.state.lock().wall(self.owner.process)
    }

    fn sleep_until(&self, at: MonoTime) -> BoxFuture<'static, ()> {
        let state = self.exec.shared.state.lock();
        let process = state.processes.get(self.owner.process.0);
        let at = process.map_or(u64::MAX, |process| process.clock.world(at));
        drop(state);
        Box::pin(Sleep::new(self.exec.clone(), self.owner, at))
    }

    fn random(&self, out: &mut [u8]) {
        if let Some(process) = self.exec.shared.state.lock().processes.get_mut(self.owner.process.0)
        {
            process.chance.fill(out);
        }
    }

    fn spawn(&self, name: &'static str, task: BoxFuture<'static, ()>) {
        self.exec.spawn(self.owner, name, task);
    }

    /// The job runs inline, after the time that its device takes: nobody can see a difference to the end of that time,
    /// and a crash in between finds it undone, or partly done where the disk stops in the midst of it.
    fn blocking(&self, job: Box<dyn FnOnce() + Send>) {
        let mut state = self.exec.shared.state.lock();
        let Some(process) = state.processes.get_mut(self.owner.process.0) else { return };
        let stall = process.chance.below(process.stall_nanos.saturating_add(1));
        let delay = process.chance.between(JOB_NANOS.0, JOB_NANOS.1).saturating_add(stall);
        drop(state);
        self.exec.after(Duration::from_nanos(delay), Some(self.owner), job);
    }

    fn exit(&self, reason: &str) -> ! {
        unwind::exit(reason)
    }

    fn parallelism(&self) -> usize {
        PARALLELISM
    }
}
