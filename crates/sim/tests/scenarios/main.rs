//! Scenarios: whole clusters on one bad day each, written by hand, run for a handful of seeds.
//!
//! - `regressions`: what the simulator found once. Each test names the promise and the fix without which it fails.
//! - `processes`, `network`, `clocks`, `detection`: the promises themselves, one trouble at a time; to be read like documentation.
//! - `builder`: how a scenario is written; `trouble`: names for the faults.
//!
//! A scenario is a plan (`atoll_sim::plan`), not a seed: what the seed adds is the schedule, latencies, and what a crash
//! keeps. The checkers look at every run; a test adds only what they cannot know, such as who should have answered.

mod clocks;
mod detection;
mod network;
mod processes;
mod regressions;

mod builder;
mod trouble;
