//! Commands at given times of the measured phase, through `sh -c`: faults, above all.
//!
//! Invariants
//! - Every event is in the report: with its exit code, or why it has none. One that is still running when the run is over is
//!   waited for a moment, and then killed.

use std::process::Stdio;
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::process::Command;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock;
use crate::report::Event;
use crate::units;

#[cfg(test)]
mod tests;

/// Beginning of an event's output that is kept, in bytes.
const OUTPUT_BYTES_MAX: usize = 2_000;

/// How long events are waited for when the run is over.
const GRACE: Duration = Duration::from_secs(5);

/// A command and its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EventOrder {
    /// Since the measured phase began.
    pub(crate) at: Duration,
    /// For `sh -c`.
    pub(crate) command: String,
}

/// Events under way.
pub(super) struct Events {
    done: Arc<Mutex<Vec<Event>>>,
    tasks: TaskTracker,
    give_up: CancellationToken,
}

/// Starts a task for each order; times count from `zero`.
pub(super) fn start(orders: Vec<EventOrder>, zero: Instant) -> Events {
    let (done, tasks) = (Arc::default(), TaskTracker::new());
    let give_up = CancellationToken::new();
    for order in orders {
        let (done, give_up) = (Arc::clone(&done), give_up.clone());
        tasks.spawn(async move {
            let event = carry_out(order, zero, give_up).await;
            let done: &Mutex<Vec<Event>> = &done;
            done.lock().push(event);
        });
    }
    tasks.close();
    Events { done, tasks, give_up }
}

impl Events {
    /// All events, in the order of their times.
    pub(super) async fn finish(self) -> Vec<Event> {
        if tokio::time::timeout(GRACE, self.tasks.wait()).await.is_err() {
            self.give_up.cancel();
            self.tasks.wait().await;
        }
        let mut events = std::mem::take(&mut *self.done.lock());
        events.sort_by(|a, b| a.due.total_cmp(&b.due));
        events
    }
}

async fn carry_out(order: EventOrder, zero: Instant, give_up: CancellationToken) -> Event {
    let since = |at: Instant| {
        let ahead = at.saturating_duration_since(zero).as_secs_f64();
        ahead - zero.saturating_duration_since(at).as_secs_f64()
    };
    tokio::time::sleep_until((zero + order.at).into()).await;
    let began = since(clock::now());
    let mut command = Command::new("sh");
    command.arg("-c").arg(&order.command).stdin(Stdio::null()).kill_on_drop(true);
    let ended = tokio::select! {
        biased;
        output = command.output() => Some(output),
        () = give_up.cancelled() => None,
    };
    let (exit_code, output) = match ended {
        Some(Ok(output)) => {
            let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
            text.push_str(&String::from_utf8_lossy(&output.stderr));
            text.truncate(text.floor_char_boundary(OUTPUT_BYTES_MAX));
            (output.status.code(), text)
        }
        Some(Err(error)) => (None, format!("not started: {error}")),
        None => (None, "still running when the run was over, and killed".to_owned()),
    };
    let (due, ended) = (order.at.as_secs_f64(), since(clock::now()));
    Event { command: order.command, due, began, ended, exit_code, output }
}

impl FromStr for EventOrder {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let form =
            || format!("`{text}` is not TIME:COMMAND, such as 30s:'atoll fault partition us eu'");
        let (at, command) = text.split_once(':').ok_or_else(form)?;
        if command.trim().is_empty() {
            return Err(form());
        }
        Ok(Self { at: units::span(at.trim())?, command: command.trim().to_owned() })
    }
}
