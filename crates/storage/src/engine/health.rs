//! Whether the engine may still write, and read.
//!
//! Checked at the top of every verb; shared with snapshots.
//!
//! 1. `Open` → `Closed` by [`Engine::close`](super::Engine::close): writes fail, reads work.
//! 2. Any → `Poisoned` by the first failed sync or log append: everything fails until the store is opened again.
//!
//! Invariant: a state never goes back; the first cause of poisoning is kept.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::Error;

/// Whether an engine serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Status {
    /// Reads and writes.
    Open,
    /// Reads only, after [`Engine::close`](super::Engine::close).
    Closed,
    /// Nothing, after a failed sync.
    Poisoned,
}

#[derive(Debug, Default)]
pub(super) struct Health {
    closed: AtomicBool,
    poison: OnceLock<String>,
}

impl Health {
    pub(super) fn status(&self) -> Status {
        match (self.poison.get(), self.closed.load(Ordering::Acquire)) {
            (Some(_), _) => Status::Poisoned,
            (None, true) => Status::Closed,
            (None, false) => Status::Open,
        }
    }

    pub(super) fn check_readable(&self) -> Result<(), Error> {
        match self.poison.get() {
            Some(cause) => Err(Error::Poisoned { cause: cause.clone() }),
            None => Ok(()),
        }
    }

    pub(super) fn check_writable(&self) -> Result<(), Error> {
        self.check_readable()?;
        if self.closed.load(Ordering::Acquire) { Err(Error::Closed) } else { Ok(()) }
    }

    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Release);
    }

    pub(super) fn poison(&self, cause: &str) {
        // A later cause is a consequence; the first one is kept.
        let _ = self.poison.set(cause.to_owned());
    }

    /// Passes `result` on, and remembers if it says that the engine is poisoned.
    pub(super) fn settle<T>(&self, result: Result<T, Error>) -> Result<T, Error> {
        if let Err(Error::Poisoned { cause }) = &result {
            self.poison(cause);
        }
        result
    }
}
