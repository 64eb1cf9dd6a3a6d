//! The puts under way, so that acknowledgements find them.
//!
//! A put registers before it sends and unregisters when its machine is closed: until then it lives here. An
//! acknowledgement of an operation that is gone is dropped.
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

/// Most operations that one node coordinates at once: 20 000 × (10 KiB record + 2 KiB of state) = 240 MiB.
pub const OPERATIONS_MAX: usize = 20_000;

/// A put that is told what replicas and connections say. Must not wait.
pub(super) trait PutNews: Send + Sync {
    fn tell(self: Arc<Self>, input: PutInput);
}

/// The operations of one coordinator.
pub struct Operations {
    next: AtomicU64,
    running: AtomicUsize,
    puts: Mutex<BTreeMap<OperationId, Arc<dyn PutNews>>>,
}

/// A place among the operations; freed when dropped.
pub struct Place {
    operations: Arc<Operations>,
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
        let put = self.puts.lock().get(&operation).cloned();
        if let Some(put) = put {
            put.tell(input);
        }
    }

    /// The connection to `peer` broke: whatever it has not acknowledged, it may never acknowledge.
    pub fn on_peer_lost(&self, peer: NodeIndex) {
        let all: Vec<_> = self.puts.lock().values().cloned().collect();
        for put in all {
            put.tell(PutInput::Failed { from: peer });
        }
    }

    /// An id that no other operation has.
    pub(super) fn next_id(&self) -> OperationId {
        OperationId(self.next.fetch_add(1, Ordering::Relaxed))
    }

    /// From now on `put` is told what is said about the operation `id`.
    pub(super) fn register(&self, id: OperationId, put: Arc<dyn PutNews>) {
        self.puts.lock().insert(id, put);
    }

    pub(super) fn unregister(&self, id: OperationId) {
        self.puts.lock().remove(&id);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.operations.running.fetch_sub(1, Ordering::Relaxed);
    }
}
