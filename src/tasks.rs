//! Tasks: the only place that spawns.
//!
//! Every task has a name, a cancellation token and a joined end; a panic in a task stops the process with the task's
//! name, because a node that lost a part of itself must not look alive.
//!
//! 1. [`Tasks::spawn`] runs a future until its end. Long-lived ones watch [`Tasks::cancelled`], or are dropped there
//!    ([`Tasks::spawn_until_stopped`]).
//! 2. [`Tasks::stop`] cancels the token, then waits until every task has ended.

use std::any::Any;
use std::future::Future;
use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tokio_util::task::TaskTracker;

use crate::env::Env;

/// Spawner of one node. Cheap to clone; all clones share the same tasks.
#[derive(Clone, Debug)]
pub struct Tasks {
    env: Env,
    tracker: TaskTracker,
    token: CancellationToken,
}

impl Tasks {
    /// A spawner without tasks.
    pub fn new(env: Env) -> Self {
        Self { env, tracker: TaskTracker::new(), token: CancellationToken::new() }
    }

    /// Runs `task` to its end under `name`.
    pub fn spawn(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        let env = self.env.clone();
        let guarded = async move {
            if let Err(panic) = AssertUnwindSafe(task).catch_unwind().await {
                env.exit(&format!("task `{name}` panicked: {}", panic_text(&*panic)));
            }
        };
        self.env.spawn(name, Box::pin(self.tracker.track_future(guarded)));
    }

    /// Runs `task`, which ends by itself never, until the node is asked to stop.
    pub fn spawn_until_stopped(
        &self,
        name: &'static str,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        let cancelled = self.cancelled();
        self.spawn(name, async move {
            tokio::select! {
                biased;
                () = cancelled => {}
                () = task => {}
            }
        });
    }

    /// Resolves when the node is asked to stop.
    pub fn cancelled(&self) -> WaitForCancellationFutureOwned {
        self.token.clone().cancelled_owned()
    }

    /// True once the node was asked to stop.
    pub fn is_stopping(&self) -> bool {
        self.token.is_cancelled()
    }

    /// Tasks that have not ended yet.
    pub fn running(&self) -> usize {
        self.tracker.len()
    }

    /// Asks every task to stop, and waits until all have.
    pub async fn stop(&self) {
        self.token.cancel();
        self.tracker.close();
        self.tracker.wait().await;
    }
}

/// What a panic said, if it said anything.
fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}
