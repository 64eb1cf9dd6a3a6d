//! The engine through its facade: one binary, one module per promise.
//!
//! `mem_disk` is the disk that crashes: it forgets or tears what was not synced. `harness` opens engines over it.
//! No test sleeps, and none asserts on time.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test's helpers may panic like its tests; clippy exempts only the latter"
)]

mod crash;

mod damage;

mod drops;

mod inspect;

mod joins;

mod group_commit;

mod model;

mod reads;

mod salvage;

mod share;

mod tables;

mod values;

mod values_kept;

mod harness;

mod mem_disk;
