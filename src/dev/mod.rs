//! A whole cluster on one machine: `atoll dev`, and the faults that can be done to it.
//!
//! ```text
//!                     ┌ prepare.rs: topology, addresses, certificates, configurations ┐
//!  atoll dev ─▶ run.rs┤                                                               ├─▶ DIR (layout.rs)
//!                     └ cluster.rs ─▶ supervisor.rs ─▶ process.rs: one process per node┘
//!                            ▲             ▲ life.rs decides
//!  atoll demo ───────────────┘             │
//!  atoll dev kill|start|stop ─▶ control.rs ┘          atoll fault ─▶ faults.rs ─▶ every node concerned
//! ```
//!
//! 1. Make the folder complete; what is there is kept, so that a second start continues with the data of the first.
//! 2. Start one real process per node, wait until all are connected (`ready.rs`), say where they are (`banner.rs`,
//!    `roster.rs`, `access.rs`).
//! 3. Start again what dies, unless somebody wanted it dead.
//! 4. Stop everything at the first signal.
//!
//! Invariants
//! - Nodes are processes and know nothing of the supervisor but their stdin, whose end is the supervisor's end.
//! - One supervisor per folder, by its lock.
//!
//! Absent: a cluster over several machines. That is one `atoll node` each, with certificates from `atoll cert`.

mod access;
mod addresses;
mod banner;
mod cluster;
mod control;
mod error;
mod faults;
mod layout;
mod life;
mod names;
mod prepare;
mod process;
mod ready;
mod roster;
mod run;
mod supervisor;
mod table;
#[cfg(test)]
mod tests;

pub use cluster::{DevCluster, DevOptions};
pub use error::{DevError, Missing};
pub use faults::{FaultError, FaultOrder, FaultReport, apply, parse_percent, print_reports};
pub use layout::Layout;
pub use life::{Restart, RunState, Verb};
pub use names::UnknownName;
pub use roster::RosterEntry;
pub use run::{Interrupts, print_states, run, steer};
pub use supervisor::{Event, NodeState};

pub(crate) use run::own_binary;
pub(crate) use table::table;
