//! Deterministic simulation: the shipped node on a seeded executor, clock, network and disk. See `docs/simulation.md`.
//!
//! Modules are in layer order: a module uses only modules listed below itself.

#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod batch;
pub mod shrink;
pub mod run;
pub mod clients;
pub mod world;
pub mod record;
pub mod quic;
pub mod net;
pub mod exec;
pub mod enumerate;
pub mod disk;
pub mod check;
pub mod plan;
pub mod history;
pub mod prng;
