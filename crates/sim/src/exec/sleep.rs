//! A timer on virtual time.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;

use super::{Event, Exec, Owner};

/// Resolves at an instant of the world.
pub(super) struct Sleep {
    exec: Exec,
    owner: Owner,
    at: u64,
    /// Whom to wake; `None` before the first poll.
    slot: Option<Arc<Mutex<Option<Waker>>>>,
}

impl Sleep {
    pub(super) fn new(exec: Exec, owner: Owner, at: u64) -> Self {
        Self { exec, owner, at, slot: None }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.exec.shared.state.lock();
        if state.now >= self.at {
            return Poll::Ready(());
        }
        if let Some(slot) = &self.slot {
            *slot.lock() = Some(context.waker().clone());
            return Poll::Pending;
        }
        let slot = Arc::new(Mutex::new(Some(context.waker().clone())));
        let told = Arc::clone(&slot);
        let wake = move || {
            let waker = told.lock().take();
            if let Some(waker) = waker {
                waker.wake();
            }
        };
        state.schedule(self.at, Event { owner: Some(self.owner), action: Box::new(wake) });
        drop(state);
        self.slot = Some(slot);
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(slot) = &self.slot {
            *slot.lock() = None;
        }
    }
}
