//! Files that reads have found damaged, for the scrub to look into.
//!
//! Noted by the replica, taken by `src/scrub`; what was forgotten because there is no room is found by the scrub's next
//! cycle, or by the next read.

use std::collections::BTreeSet;

use parking_lot::Mutex;
use tokio::sync::Notify;

/// Files that are remembered: damage in more is the end of a disk.
const FILES_MAX: usize = 256;

/// From those who read to the scrub.
#[derive(Debug, Default)]
pub struct Suspects {
    files: Mutex<BTreeSet<String>>,
    notify: Notify,
}

impl Suspects {
    /// `file` is damaged, says a read.
    pub fn note(&self, file: &str) {
        let mut files = self.files.lock();
        if files.len() < FILES_MAX && !files.contains(file) {
            files.insert(file.to_owned());
            self.notify.notify_one();
        }
    }

    /// The files noted since this was asked last.
    pub fn take(&self) -> BTreeSet<String> {
        std::mem::take(&mut *self.files.lock())
    }

    /// Resolves once a file was noted since this was last waited for.
    pub async fn noted(&self) {
        self.notify.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::{FILES_MAX, Suspects};

    #[test]
    fn files_are_noted_once_and_bounded() {
        let suspects = Suspects::default();
        assert!(suspects.noted().now_or_never().is_none());
        suspects.note("000001.sst");
        suspects.note("000001.sst");
        assert!(suspects.noted().now_or_never().is_some());
        assert!(suspects.noted().now_or_never().is_none(), "it is told once");
        assert_eq!(suspects.take().into_iter().collect::<Vec<_>>(), ["000001.sst"]);
        (0..2 * FILES_MAX).for_each(|number| suspects.note(&number.to_string()));
        assert_eq!(suspects.take().len(), FILES_MAX);
        assert!(suspects.take().is_empty());
    }
}
