//! Asks the kernel to wake threads on time, and ahead of others where it may; a refusal costs precision alone, which the
//! scheduling error shows.
//!
//! A share of the processors is not enough for the pacer: whoever runs keeps its processor until the scheduler's next
//! tick, which is 4 ms on many kernels, however large the share of the one that wakes. A real-time thread is run at once. It
//! takes the lowest real-time priority, and sleeps most of the time: it needs some 10 µs for a request.

use std::num::NonZeroU64;

use thread_priority::{
    RealtimeThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy,
    set_thread_priority_and_policy, thread_native_id,
};

use crate::measure::Precedence;

/// Niceness of threads that may be raised: they get some nine times the share of others.
const NICENESS: i32 = -10;

/// Ranks this thread of the runtime: it takes answers.
pub(crate) fn raise_worker() {
    let _ = raise();
}

/// Ranks this thread as that which begins requests.
pub(super) fn raise_pacer() -> Precedence {
    let policy = ThreadSchedulePolicy::Realtime(RealtimeThreadSchedulePolicy::Fifo);
    let raised = raise();
    match set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, policy) {
        Ok(()) => Precedence::Realtime,
        Err(_) => raised,
    }
}

fn raise() -> Precedence {
    let _ = rustix::thread::set_current_timer_slack(NonZeroU64::new(1));
    match rustix::process::setpriority_process(None, NICENESS) {
        Ok(()) => Precedence::Raised,
        Err(_) => Precedence::Plain,
    }
}
