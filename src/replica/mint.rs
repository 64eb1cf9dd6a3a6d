//! Minting: one put becomes one new cell of the own record.
//!
//! Pure but for the counter that it advances; `stripe.rs` calls it with the own record already read.

use std::time::Duration;

use atoll_protocol::ids::Incarnation;
use atoll_protocol::keyspace::Conflict;
use atoll_protocol::limits::{SIBLINGS_MAX, VERSION_ENTRIES_MAX};
use atoll_protocol::record::{Cell, CellBody, Record};
use atoll_protocol::time::{MonoTime, WallTime};
use atoll_protocol::version::{Context, Dot, Timestamp};
use atoll_seeded_bug::{Mutant, seeded_bug};

/// Farthest that a context may be ahead of a counter of ours: a rolled-back data directory lost at most what a node
/// mints in years (2^40 at 10 000 a second are 3.5 years).
const ROLLBACK_COUNTERS_MAX: u64 = 1 << 40;

/// Farthest that a context's timestamp may be ahead of our clock.
const CLOCK_AHEAD_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// A put, as the coordinator hands it to its own replica.
#[derive(Clone, Debug)]
pub struct MintRequest {
    /// How concurrent writes of the keyspace are resolved.
    pub conflict: Conflict,
    /// Value or tombstone.
    pub body: CellBody,
    /// What the client has seen; empty for a blind put.
    pub context: Context,
    /// Time until the value expires.
    pub ttl: Option<Duration>,
    /// When the client's patience ends; a request that is dequeued later is dropped.
    pub deadline: MonoTime,
}

/// Why nothing was minted. Nothing was written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MintError {
    /// The key has too many siblings, and the context covers none of them.
    #[error("too many siblings: {siblings}")]
    TooManySiblings {
        /// Live cells of the key.
        siblings: u16,
    },
    /// The context cannot be of this cluster: what it claims to have seen cannot have happened.
    #[error("{detail}")]
    Context {
        /// What it claims.
        detail: String,
    },
    /// The deadline passed while the request waited.
    #[error("the deadline passed before the write began")]
    Expired,
    /// The own record cannot be read.
    #[error("{detail}")]
    Storage {
        /// What storage says.
        detail: String,
    },
}

/// What a mint found out about the counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CounterHistory {
    /// Everything seen of our incarnation was minted by us.
    Consistent,
    /// Somebody has seen a counter of ours that we have not minted.
    RolledBack,
}

/// Adds one cell to `record` under the next dot of (`incarnation`, partition), whose last counter is `counter`; it is later
/// than `later_than`.
pub(super) fn mint(
    record: &mut Record,
    request: &MintRequest,
    (incarnation, counter): (Incarnation, &mut u64),
    (now, later_than): (WallTime, Timestamp),
) -> Result<CounterHistory, MintError> {
    check_siblings(record, &request.context)?;
    check_context(&request.context, (incarnation, *counter), now)?;
    let seen =
        record.counter_max(incarnation).max(request.context.counter(incarnation).unwrap_or(0));
    let history = if seen > *counter {
        *counter = seen;
        CounterHistory::RolledBack
    } else {
        CounterHistory::Consistent
    };
    *counter += 1;
    let seen_timestamp = record.timestamp_max().max(request.context.timestamp()).max(later_than);
    let cell = Cell {
        timestamp: Timestamp::next(now, seen_timestamp),
        expires_at: request.ttl.map(|ttl| now.after(ttl)),
        body: request.body.clone(),
    };
    record.apply_put(Dot { incarnation, counter: *counter }, cell, &request.context);
    if record.incarnation_count() > VERSION_ENTRIES_MAX {
        let detail = format!("the context names more than {VERSION_ENTRIES_MAX} writers");
        return Err(MintError::Context { detail });
    }
    Ok(history)
}

/// Contexts carry a checksum, not a signature: one that a client made up must not push counters or clocks to their
/// ends.
fn check_context(
    context: &Context,
    (incarnation, counter): (Incarnation, u64),
    now: WallTime,
) -> Result<(), MintError> {
    let seen = context.counter(incarnation).unwrap_or(0);
    if seen.saturating_sub(counter) > ROLLBACK_COUNTERS_MAX {
        let detail = "the context names a write that this node cannot have made".to_owned();
        return Err(MintError::Context { detail });
    }
    if context.timestamp().0 > now.after(CLOCK_AHEAD_MAX).as_micros() {
        let detail = format!(
            "the context is from more than {CLOCK_AHEAD_MAX:?} in the future by this node's clock; check the clocks"
        );
        return Err(MintError::Context { detail });
    }
    Ok(())
}

/// A put may leave at most `SIBLINGS_MAX` live cells, unless it leaves fewer than there were.
fn check_siblings(record: &Record, context: &Context) -> Result<(), MintError> {
    if record.conflict() == Conflict::Lww {
        return Ok(());
    }
    let before = record.sibling_count();
    let covered = record.cells().filter(|(dot, _)| context.covers(*dot)).count();
    let too_many = before - covered + 1 > SIBLINGS_MAX && covered <= 1;
    if too_many && !seeded_bug(Mutant::SiblingsUnbounded) {
        let siblings = u16::try_from(before).unwrap_or(u16::MAX);
        return Err(MintError::TooManySiblings { siblings });
    }
    Ok(())
}
