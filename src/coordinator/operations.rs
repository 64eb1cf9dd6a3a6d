//! The puts under way, so that acknowledgements find them.
//!
//! A put registers before it sends and unregisters when its machine is closed; an acknowledgement of an operation
//! that is gone is dropped.
//!
//! Invariant: no two operations of a node have the same id, in whatever life.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use atoll_protocol::ids::{NodeIndex, OperationId};
use atoll_protocol::limits::Limit;
use atoll_protocol::put::PutInput;
use atoll_protocol::wire::ApplyOutcome;
use atoll_seeded_bug::{Mutant, seeded_bug};
use parking_lot::Mutex;
use tokio::sync::mpsc;

/// Most operations that one node coordinates at once: 20 000 × (10 KiB record + 2 KiB of state) = 240 MiB.
pub const OPERATIONS_MAX: usize = 20_000;

/// News that wait for one put: every replica reports at most twice (an outcome and a lost connection), and no key has
/// more than 32 datacenters × 15 replicas; in practice it is nine.
const NEWS_MAX: usize = 64;

/// The operations of one coordinator.
#[derive(Debug)]
pub struct Operations {
    next: AtomicU64,
    running: AtomicUsize,
    puts: Mutex<BTreeMap<OperationId, mpsc::Sender<PutInput>>>,
}

/// A place among the operations; freed when dropped.
#[derive(Debug)]
pub struct Place {
    operations: Arc<Operations>,
}

/// A registered put.
#[derive(Debug)]
pub(super) struct Registered<'a> {
    pub(super) id: OperationId,
    pub(super) news: mpsc::Receiver<PutInput>,
    operations: &'a Operations,
}

impl Operations {
    /// No operations; ids go on from `first`.
    ///
    /// `first` must be random: an acknowledgement that was meant for this node's last life may still come, and must not
    /// find an operation of this one.
    pub fn new(first: u64) -> Self {
        let next = AtomicU64::new(first);
        Self { next, running: AtomicUsize::default(), puts: Mutex::default() }
    }

    /// Takes a place for one more operation.
    ///
    /// # Errors
    /// [`Limit::OperationsInflight`] when there are [`OPERATIONS_MAX`] already.
    pub fn enter(self: &Arc<Self>) -> Result<Place, Limit> {
        let before = self.running.fetch_add(1, Ordering::Relaxed);
        let place = Place { operations: self.clone() };
        if before >= OPERATIONS_MAX { Err(Limit::OperationsInflight) } else { Ok(place) }
    }

    /// Operations under way.
    pub fn running(&self) -> usize {
        self.running.load(Ordering::Relaxed)
    }

    /// A replica told what became of a record.
    pub fn on_applied(&self, from: NodeIndex, operation: OperationId, outcome: ApplyOutcome) {
        let input = match outcome {
            ApplyOutcome::Durable => PutInput::Acked { from },
            ApplyOutcome::Refused if seeded_bug(Mutant::RefusedCountsAsAck) => {
                PutInput::Acked { from }
            }
            ApplyOutcome::Refused => PutInput::Refused { from },
        };
        let news = self.puts.lock().get(&operation).cloned();
        if let Some(news) = news {
            tell(&news, input);
        }
    }

    /// The connection to `peer` broke: whatever it has not acknowledged, it may never acknowledge.
    pub fn on_peer_lost(&self, peer: NodeIndex) {
        let all: Vec<_> = self.puts.lock().values().cloned().collect();
        for news in all {
            tell(&news, PutInput::Failed { from: peer });
        }
    }

    pub(super) fn register(&self) -> Registered<'_> {
        let id = OperationId(self.next.fetch_add(1, Ordering::Relaxed));
        let (sender, news) = mpsc::channel(NEWS_MAX);
        self.puts.lock().insert(id, sender);
        Registered { id, news, operations: self }
    }
}

/// A full or closed queue loses the news: the put then ends by its deadline, as if the message had been lost.
fn tell(news: &mpsc::Sender<PutInput>, input: PutInput) {
    if news.try_send(input).is_err() {
        tracing::debug!(?input, "news for a put that takes no more");
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.operations.running.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for Registered<'_> {
    fn drop(&mut self) {
        self.operations.puts.lock().remove(&self.id);
    }
}
