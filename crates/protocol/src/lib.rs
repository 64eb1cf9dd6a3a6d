//! Atoll's pure core: everything that is decided, nothing that is done.
//!
//! No I/O, no clock, no async, no thread, no iteration over an unordered map: time and chance are arguments. The node
//! (`src/`), the client SDK and the simulator drive the same state machines.
//!
//! Modules are in layer order: a module uses only modules listed below itself.

#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod get;
pub mod put;
pub mod wire;
pub mod codec;
pub mod purge;
pub mod record;
pub mod session;
pub mod version;
pub mod quorum;
pub mod merkle;
pub mod keyspace;
pub mod topology;
pub mod placement;
pub mod token;
pub mod identity;
pub mod frame;
pub mod ids;
pub mod limits;
pub mod time;
