//! The reserve: disk space that is set aside, so that a full disk never prevents a start.
//!
//! A file of `reserve_bytes` that holds nothing.
//!
//! 1. It is made when the store is opened, or later, while the disk has room.
//! 2. Opening needs room for a copy of the log's tail; flush and compaction need room before they free any. Where the disk
//!    is full, whoever else filled it, the reserve is given up and the work is tried once more.
//! 3. Writes are refused all the while, because they are before the reserve is touched (`free_bytes_min`).
//!
//! Invariant: nothing depends on the reserve; a disk that cannot set space aside works without.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::disk::Disk;
use crate::error::{Error, Limit};
use crate::files::{RESERVE, ROOT};
use crate::options::Options;

/// What is known of the reserve.
#[derive(Default)]
pub(super) struct Reserve {
    held: AtomicBool,
}

impl Reserve {
    /// Sets space aside if there is plenty.
    pub(super) fn ensure(&self, disk: &dyn Disk, options: &Options) {
        if options.reserve_bytes == 0 || self.held.load(Ordering::Relaxed) {
            return;
        }
        let exists = || disk.list(ROOT).is_ok_and(|names| names.iter().any(|name| name == RESERVE));
        let wanted = options.free_bytes_min.saturating_add(2 * options.reserve_bytes);
        let has_room = || disk.free_bytes().is_ok_and(|free| free >= wanted);
        // Without it the store works as well; the next call tries again.
        let held = exists() || has_room() && disk.allocate(RESERVE, options.reserve_bytes).is_ok();
        self.held.store(held, Ordering::Relaxed);
    }

    /// Whether `error` says that the disk is full and there was a reserve, which is given up.
    pub(super) fn give_up(&self, disk: &dyn Disk, error: &Error) -> bool {
        let full = matches!(error, Error::Overloaded { what: Limit::DiskFreeBytes, .. });
        let given_up = full && disk.remove(RESERVE).is_ok();
        if given_up {
            self.held.store(false, Ordering::Relaxed);
        }
        given_up
    }
}
