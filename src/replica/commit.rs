//! The committer: what the stripes have drafted meanwhile is written as one.
//!
//! A write that has to be waited for costs a thread that is woken, a sync, and a task that is woken again, however small it
//! is. The stripes therefore hand their batches to one task, which has at most one write under way:
//!
//! 1. It waits for a batch, and lets whatever else is ready run once: stripes that have work hand theirs over, too.
//! 2. It takes what is there, up to [`GROUP_BYTES_MAX`], and writes it with one call.
//! 3. All who wait for it are told. What came meanwhile is the next group: nothing is delayed by a timer.
//!
//! Invariant: every batch gets exactly one answer, unless the node stops.
//!
//! Source: group commit, DeWitt et al., "Implementation Techniques for Main Memory Database Systems", SIGMOD 1984.

use std::sync::Arc;

use atoll_storage::{Batch, Engine, Error};
use tokio::sync::{mpsc, oneshot};

use crate::env::Env;

/// Bytes after which a group takes no further batch: a write this long costs more than its sync, so that waiting for the
/// next one is no loss.
const GROUP_BYTES_MAX: usize = 1_024 * 1_024;

/// Who waits for a batch.
type Waiter = oneshot::Sender<Result<(), Error>>;

/// A batch, and who waits for it.
struct Commit {
    batch: Batch,
    written: Waiter,
}

/// The door to the committer. Cheap to clone.
#[derive(Clone)]
pub(super) struct Committer {
    queue: mpsc::Sender<Commit>,
}

/// The committer itself, before it runs.
pub(super) struct Commits {
    env: Env,
    engine: Arc<Engine>,
    queue: mpsc::Receiver<Commit>,
}

impl Committer {
    /// A door, and what is behind it; each of `stripes` waits with one batch at most.
    pub(super) fn new(env: Env, engine: Arc<Engine>, stripes: usize) -> (Self, Commits) {
        let (sender, queue) = mpsc::channel(stripes.max(1));
        (Self { queue: sender }, Commits { env, engine, queue })
    }

    /// Writes `batch`; resolves once it is as durable as the engine makes writes. `None` if the node stops.
    pub(super) async fn write(&self, batch: Batch) -> Option<Result<(), Error>> {
        let (written, outcome) = oneshot::channel();
        self.queue.send(Commit { batch, written }).await.ok()?;
        outcome.await.ok()
    }
}

impl Commits {
    /// One batch of `first` and what else is there, and who waits for it; what does not fit is `left`.
    fn gather(&mut self, first: Commit, left: &mut Option<Commit>) -> (Batch, Vec<Waiter>) {
        let mut bytes = first.batch.encoded_len();
        let (mut batches, mut group) = (vec![first.batch], vec![first.written]);
        while let Ok(next) = self.queue.try_recv() {
            if bytes + next.batch.encoded_len() > GROUP_BYTES_MAX {
                *left = Some(next);
                break;
            }
            bytes += next.batch.encoded_len();
            batches.push(next.batch);
            group.push(next.written);
        }
        (Batch::concat(batches), group)
    }

    /// Works until every door is gone.
    pub(super) async fn run(mut self) {
        let mut left = None;
        loop {
            let first = match left.take() {
                Some(first) => first,
                None => {
                    let Some(first) = self.queue.recv().await else { return };
                    tokio::task::yield_now().await;
                    first
                }
            };
            let (batch, group) = self.gather(first, &mut left);
            let engine = self.engine.clone();
            let outcome = self.env.blocking(move || engine.write(batch)).await;
            for written in group {
                // A stripe that is gone needs no answer.
                let _ = written.send(outcome.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use atoll_storage::{Options, RealDisk};
    use tempfile::TempDir;

    use super::*;
    use crate::env::RealEnv;
    use crate::replica::JoinRecords;

    fn batch(key: &str, bytes: usize) -> Batch {
        let mut batch = Batch::new();
        batch.put(key.as_bytes(), &vec![b'x'; bytes]);
        batch
    }

    fn engine(folder: &TempDir, options: Options) -> Arc<Engine> {
        let disk = Arc::new(RealDisk::new(folder.path()));
        Arc::new(Engine::open(disk, options, Arc::new(JoinRecords)).unwrap())
    }

    /// Writes what `writes` says at once; the outcomes.
    async fn write_all(engine: &Arc<Engine>, writes: Vec<Batch>) -> Vec<Result<(), Error>> {
        let (committer, commits) = Committer::new(RealEnv::create(), engine.clone(), writes.len());
        let waiting = async move {
            let all = writes.into_iter().map(|batch| committer.write(batch));
            // The committer ends when its last door is gone.
            futures_util::future::join_all(all).await
        };
        let (outcomes, ()) = tokio::join!(waiting, commits.run());
        outcomes.into_iter().map(Option::unwrap).collect()
    }

    #[tokio::test]
    async fn what_is_handed_over_together_is_synced_once() {
        let folder = TempDir::new().unwrap();
        let engine = engine(&folder, Options::default());
        let before = engine.statistics();
        let outcomes = write_all(&engine, vec![batch("a", 9), batch("b", 9), batch("c", 9)]).await;
        assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
        let after = engine.statistics();
        assert_eq!((after.groups - before.groups, after.fsyncs - before.fsyncs), (1, 1));
        assert_eq!(after.entries - before.entries, 3);
        assert!(["a", "b", "c"].iter().all(|key| engine.get(key.as_bytes()).unwrap().is_some()));
    }

    #[tokio::test]
    async fn what_is_too_long_for_one_group_becomes_two() {
        let folder = TempDir::new().unwrap();
        let engine = engine(&folder, Options::default());
        let before = engine.statistics().groups;
        let long = GROUP_BYTES_MAX / 2 + 1;
        let writes = vec![batch("a", long), batch("b", long), batch("c", 9)];
        let outcomes = write_all(&engine, writes).await;
        assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
        assert_eq!(engine.statistics().groups - before, 2);
    }

    #[tokio::test]
    async fn a_failure_is_told_to_all_of_the_group() {
        let folder = TempDir::new().unwrap();
        let engine = engine(&folder, Options::default());
        engine.close().unwrap();
        let outcomes = write_all(&engine, vec![batch("a", 9), batch("b", 9)]).await;
        assert!(matches!(outcomes.as_slice(), [Err(Error::Closed), Err(Error::Closed)]));
    }
}
