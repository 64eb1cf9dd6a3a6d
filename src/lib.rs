//! Atoll: a geo-replicated key-value store. This is the node; see `docs/ARCHITECTURE.md` for the picture.
//!
//! Modules are in layer order: a module uses only modules listed below itself. Requests flow downwards (net hands
//! frames to the service through a trait that it defines itself), news flow upwards as returned values.

#![forbid(unsafe_code)]

pub mod cli;
pub mod demo;
pub mod dev;
pub mod node;
pub mod service;
pub mod membership;
pub mod coordinator;
pub mod purge;
pub mod handoff;
pub mod scrub;
pub mod repair;
pub mod frontiers;
pub mod replica;
pub mod foreground;
pub mod cluster;
pub mod meta;
pub mod net;
pub mod cert;
pub mod config;
pub mod tasks;
pub mod disk;
pub mod env;
