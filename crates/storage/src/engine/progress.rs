//! What a call of maintenance may do, and what it came to.

/// How much one [`Engine::maintain`](super::Engine::maintain) may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Bytes of keys and values that a compaction takes from its inputs before it stops at the next key.
    pub bytes: u64,
}

impl Default for Budget {
    /// 32 MiB: about 0.3 s of one core at 100 MB/s, short enough between two looks at the flush queue.
    fn default() -> Budget {
        Budget { bytes: 32 * 1_024 * 1_024 }
    }
}

/// What one [`Engine::maintain`](super::Engine::maintain) came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// There is nothing to do, or other threads do it: wait for more writes.
    Idle,
    /// A unit was done.
    Worked {
        /// Which kind.
        did: Work,
        /// Whether to call again at once.
        pending: Pending,
    },
}

/// A kind of background work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// A memtable became a table.
    Flush,
    /// Tables were merged downwards.
    Compaction,
    /// Values were copied out of files that are mostly garbage.
    Relocation,
    /// A table was read into the cache.
    Warming,
}

/// Whether more background work is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pending {
    /// Not until more is written.
    Nothing,
    /// Yes.
    More,
}
