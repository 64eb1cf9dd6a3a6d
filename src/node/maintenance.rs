//! The tasks that flush and compact, and sync on an interval.
//!
//! 1. Two tasks of one kind: while one is in the midst of a unit of compaction, the other flushes what is sealed.
//! 2. An idle task waits until much was written, or for a moment ([`IDLE_PAUSE`]).
//! 3. After a unit, `pace.rs` says how long compaction and relocation pause; after a failure nothing but flushes is tried
//!    for a while.
//! 4. Under `periodic` durability a third task syncs the log on its interval.
//!
//! Invariants
//! - While something is held back, at most one task is in the engine, and only to flush: two would share one memtable, and
//!   the one that came late would compact.
//! - An error that leaves the log in doubt stops the process.

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use atoll_storage::{Budget, Engine, Error, Pending, Progress, Statistics, Work};
use parking_lot::Mutex;

use super::pace::{Debt, Held, Pacing, Turn, plan_pause, plan_turn};
use crate::config::Durability;
use crate::env::Env;
use crate::replica::WriteSignal;
use crate::tasks::Tasks;

/// Tasks that flush and compact: the engine does one of each at a time.
const TASKS: usize = 2;

/// Longest pause of a task that found nothing to do, or has to wait: a trickle of writes that does not wake it fills a
/// memtable in seconds.
const IDLE_PAUSE: Duration = Duration::from_millis(100);

/// Pause after an error: long enough not to fill the log with it.
const RETRY_PAUSE: Duration = Duration::from_secs(5);

/// Background work of one engine. Cheap to clone.
#[derive(Clone)]
pub(super) struct Maintenance {
    pub(super) env: Env,
    pub(super) tasks: Tasks,
    pub(super) engine: Arc<Engine>,
    pub(super) writes: Arc<WriteSignal>,
    pub(super) pacing: Pacing,
}

/// What the tasks share.
#[derive(Default)]
struct Shared {
    held: Held,
    /// Whether a task flushes while compaction is held back.
    flushing: Flushing,
    /// Bytes that compaction and relocation have written, as last seen.
    seen_bytes: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Flushing {
    #[default]
    Nobody,
    Somebody,
}

/// What a visit to the engine came to.
struct Visit {
    progress: Result<Progress, Error>,
    /// Read only after compaction and relocation: it costs a look at every file.
    after: Option<(u64, Debt)>,
}

impl Maintenance {
    /// Starts the tasks; they end with `tasks`.
    pub(super) fn start(self, durability: Durability) {
        let shared = Arc::new(Mutex::new(Shared::default()));
        for _ in 0..TASKS {
            self.tasks.spawn("maintenance", self.clone().maintain(shared.clone()));
        }
        if let Durability::Periodic(interval) = durability {
            self.tasks.spawn("periodic-sync", self.clone().sync_each(interval));
        }
    }

    async fn maintain(self, shared: Arc<Mutex<Shared>>) {
        while !self.tasks.is_stopping() {
            let turn = self.take_turn(&shared).await;
            if let Turn::Wait(span) = turn {
                self.pause(span.min(IDLE_PAUSE)).await;
                continue;
            }
            let begun = self.env.mono();
            let visit = self.visit().await;
            if turn == Turn::Flush {
                shared.lock().flushing = Flushing::Nobody;
            }
            match visit.progress {
                Ok(Progress::Idle) => self.pause(IDLE_PAUSE).await,
                Ok(Progress::Worked { did, pending }) => {
                    if let Some(after) = visit.after {
                        self.account(&shared, self.env.mono().since(begun), after);
                    }
                    if did == Work::Flush && pending == Pending::More {
                        self.writes.wake();
                    }
                }
                // Nothing is known of the log any more.
                Err(error) if error.may_have_applied() => {
                    self.env.exit(&format!("storage maintenance failed: {error}"));
                }
                // A damaged table or a full disk: nothing changed, the rest still serves. Stopping would only
                // meet the same table again at the next start.
                Err(error) => {
                    tracing::error!(%error, "storage maintenance failed; trying again");
                    shared.lock().held.failed_until = self.env.mono().after(RETRY_PAUSE);
                    self.rest(RETRY_PAUSE).await;
                }
            }
        }
    }

    /// What this task does next. [`Turn::Flush`] is given to one task at a time.
    async fn take_turn(&self, shared: &Mutex<Shared>) -> Turn {
        if shared.lock().held.is_over(self.env.mono()) {
            return Turn::Everything;
        }
        let engine = self.engine.clone();
        let debt = self.env.blocking(move || debt(&engine.statistics())).await;
        let mut shared = shared.lock();
        match (plan_turn(self.env.mono(), shared.held, debt, &self.pacing), shared.flushing) {
            (Turn::Flush, Flushing::Somebody) => Turn::Wait(IDLE_PAUSE),
            (Turn::Flush, Flushing::Nobody) => {
                shared.flushing = Flushing::Somebody;
                Turn::Flush
            }
            (turn, _) => turn,
        }
    }

    async fn visit(&self) -> Visit {
        let engine = self.engine.clone();
        let job = move || {
            let progress = engine.maintain(Budget::default());
            let is_paced = matches!(
                progress,
                Ok(Progress::Worked { did: Work::Compaction | Work::Relocation, .. })
            );
            let after = is_paced.then(|| {
                let statistics = engine.statistics();
                let bytes = statistics.compacted_bytes + statistics.relocated_bytes;
                (bytes, debt(&statistics))
            });
            Visit { progress, after }
        };
        self.env.blocking(job).await
    }

    /// Holds compaction back for as long as what was just written asks for, behind what it was held back for already.
    fn account(&self, shared: &Mutex<Shared>, took: Duration, (bytes, debt): (u64, Debt)) {
        let mut shared = shared.lock();
        let written = bytes.saturating_sub(shared.seen_bytes);
        shared.seen_bytes = shared.seen_bytes.max(bytes);
        let pause = plan_pause(written, took, debt, &self.pacing);
        shared.held.paced_until = shared.held.paced_until.max(self.env.mono()).after(pause);
    }

    async fn sync_each(self, interval: Duration) {
        while !self.tasks.is_stopping() {
            self.rest(interval).await;
            let engine = self.engine.clone();
            if let Err(error) = self.env.blocking(move || engine.sync()).await {
                self.env.exit(&format!("periodic sync failed: {error}"));
            }
        }
    }

    /// Waits for `span`, or until much was written.
    async fn pause(&self, span: Duration) {
        tokio::select! {
            biased;
            () = self.tasks.cancelled() => {}
            () = self.writes.wait() => {}
            () = self.env.sleep(span) => {}
        }
    }

    /// Waits for `span`, whatever is written.
    async fn rest(&self, span: Duration) {
        tokio::select! {
            biased;
            () = self.tasks.cancelled() => {}
            () = self.env.sleep(span) => {}
        }
    }
}

fn debt(statistics: &Statistics) -> Debt {
    let Statistics { tables_l0, memtables_sealed, .. } = *statistics;
    Debt { tables_l0, memtables_sealed }
}
