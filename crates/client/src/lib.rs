//! The Atoll client: reads and writes a geo-replicated key-value store.
//!
//! ```no_run
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! use atoll_client::{Client, ProfileFile, Role, Versions, find_profile};
//!
//! let file = ProfileFile::load(&find_profile(None)?)?; // `atoll dev` wrote it
//! let client = Client::from_profile(&file, Role::Client)?.connect().await?;
//! let users = client.keyspace("default");
//!
//! users.put("u:42", "Ada").await?;
//! match users.get("u:42").await? {
//!     Versions::None { .. } => println!("nobody"),
//!     Versions::One { value, .. } => println!("{:?}", value.bytes()),
//!     Versions::Many { values, .. } => println!("{} siblings", values.len()),
//! }
//! # Ok(())
//! # }
//! ```
//!
//! What it does for you
//! - asks a replica of the key in your own datacenter, over one connection per node, dialled on demand;
//! - repeats what is safe to repeat, within a deadline and a budget; never a write that may have been applied;
//! - carries contexts inside the values that it returns, so that a write supersedes what its author saw, and nothing
//!   else;
//! - keeps a [`Session`]'s promises at any level and in any datacenter, or says that it cannot;
//! - says of every failed write whether it may have been applied ([`Error::may_have_applied`]).
//!
//! Invariants
//! - Every future may be dropped at any time: the request is then forgotten here, and finished or not by its node.
//! - Nothing that a node sends can panic; nothing here waits without a limit.
//! - It runs on the application's tokio runtime; its tasks end with the last handle of a client.
//!
//! Modules are in layer order: a module uses only modules listed below itself.

#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod client;
mod request;
mod dispatch;
mod routing;
mod cluster;
mod link;
mod retry;
mod profile;
mod session;
mod versions;
mod context;
mod error;
mod runtime;

#[cfg(test)]
mod tests;

pub use atoll_protocol::ids::Name;
pub use atoll_protocol::keyspace::{Conflict, Keyspace as KeyspaceDefinition};
pub use atoll_protocol::quorum::Level;
pub use atoll_protocol::session::{SessionFull, SessionTokenError};
pub use atoll_protocol::wire::{
    ClusterView, Explanation, Failure, FaultCommand, HintsCommand, HintsReport, HintsStatus,
    HintsWaiting, Invalid, KeyspaceRequest, LinkFault, NodeReport, NodeState, NodeStatus,
    PathStatus, PeerStatus, PurgeObstacle, RepairCommand, RepairReport, RepairStatus,
    ReplicaReport, ReplicaState, StorageReport, StorageStatus, SuspicionState, SuspicionStatus,
    TombstonesReport, TombstonesStatus, VersionSummary,
};
pub use atoll_quic::CredentialPaths;

pub use client::{Client, ClientBuilder, Session};
pub use context::{Context, ContextParseError};
pub use dispatch::Counters;
pub use error::{Error, ErrorKind, Operation, Outcome, Tried};
pub use profile::{
    AdminFiles, DcFailover, Profile, ProfileError, ProfileFile, ProfileProblem, Role, find_profile,
};
pub use request::{Delete, Get, Keyspace, Put, RequestFuture, Resolution, Update, Updated};
pub use session::{SessionParseError, SessionToken};
pub use versions::{Deleted, Value, Versions, Written};
