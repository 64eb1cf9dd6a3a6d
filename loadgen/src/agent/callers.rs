//! The closed loop: callers that each send a request when the answer to the last one is there.
//!
//! Its latencies are service times: when the cluster stands still, so do the callers, and the requests that would have
//! come meanwhile are missing from the histogram. Reports say so.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio_util::task::TaskTracker;

use super::execute::Executor;
use crate::draws::Draws;
use crate::measure::Wait;
use crate::plan::Plan;

/// Runs `callers` callers until the run of `plan` ends.
pub(crate) async fn run(executor: &Arc<Executor>, plan: &Plan, agent: u64, callers: u64) {
    let tasks = TaskTracker::new();
    let left = Arc::new(AtomicU64::new(plan.ops_of(agent).unwrap_or(u64::MAX)));
    // One stream of draws is dealt to all callers, so that insertions and loads have no gaps.
    let draws = Arc::new(parking_lot::Mutex::new(Draws::new(plan, agent)));
    for _ in 0..callers {
        let (executor, draws, left) = (Arc::clone(executor), Arc::clone(&draws), Arc::clone(&left));
        let call = async move {
            while may_send(&executor, &left) {
                let request = draws.lock().next(executor.insertions.ended());
                let due = executor.timeline.now();
                executor.run(request, (due, Wait::Unasked)).await;
            }
        };
        tasks.spawn(call);
    }
    tasks.close();
    tasks.wait().await;
}

/// True if another request belongs to the run; takes it from those that are left.
fn may_send(executor: &Executor, left: &AtomicU64) -> bool {
    let now = executor.timeline.now();
    if executor.timeline.end().is_some_and(|end| now >= end) {
        return false;
    }
    if now < executor.timeline.warmup() {
        return true;
    }
    left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
}
