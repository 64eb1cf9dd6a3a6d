//! Atoll from outside: the real binary as real processes, with real certificates, over real QUIC.
//!
//! One test binary, a module per subject; `harness` is what they are written with.
//!
//! | module | promise |
//! |---|---|
//! | `bad_input` | every bad input has a clear error, and nothing is lost or stored by it |
//! | `single` | a node alone: values, contexts, siblings, expiry, loads, restarts |
//! | `keyspaces` | made anywhere, known everywhere, never twice |
//! | `faults` | only on nodes that allow them, only for admins |
//! | `storage` | a store is verified and shown from outside, and left as it is |
//! | `broken_disk` | a disk that fails stops the node or the request, and nothing acknowledged is lost |
//! | `dev` | a local cluster of processes that comes back, and goes |
//! | `wan` | local levels do not know that there is an ocean |
//! | `repair` | replicas become equal by themselves (P7) |
//! | `tombstones` | deletions are forgotten once every replica has seen them, and never come back |
//! | `detection` | who is dead is convicted by the others, and nobody else is |
//! | `kills` | an acknowledged write survives kill -9 (P1) |
//!
//! No test asserts that something is fast, except where the promise is that a local level does not wait for another
//! datacenter; and those compare with a round trip that is slowed down on purpose.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test's helpers may panic like its tests; clippy exempts only the latter"
)]

mod bad_input;

mod sessions;
mod single;

mod hints;
mod keyspaces;

mod faults;

mod storage;

mod broken_disk;
mod corruption;

mod dev;

mod wan;

mod repair;

mod tombstones;

mod detection;

mod kills;

mod harness;
