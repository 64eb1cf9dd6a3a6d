//! What a good batch reaches: every kind of fault, and rare branches with a name, counted where they happen.
//!
//! A name is listed here when the code that counts it is written; the summary lists those that no seed reached.

/// Kinds of faults, as runs count them once they took effect.
pub const KNOWN_FAULTS: &[&str] = &[
    "bit flip",
    "clean stop",
    "clock jump",
    "cut",
    "degraded network",
    "disk directory sync error",
    "disk full",
    "disk read error",
    "disk stall",
    "disk sync error",
    "disk write error",
    "frame into a cut",
    "frame lost",
    "frame twice",
    "kill",
    "kill at a disk call",
    "lost create",
    "lost length",
    "lost rename",
    "lost unlink",
    "misdirected write",
    "pause",
    "power loss",
    "short read",
    "short write",
    "slow processor",
    "torn sector",
    "wipe",
];

/// Situations that a run may count.
pub const KNOWN: &[&str] = &[
    "clean stop",
    "crash during start",
    "damaged disk replaced",
    "keyspace created under faults",
    "node stopped itself",
    "power loss of all nodes at the end",
    "put forwarded to a replica",
    "read repair sent",
    "record refused by a replica",
    "record relayed to another datacenter",
    "siblings at their limit",
    "siblings read",
    "start on a damaged disk",
    "start refused for now",
    "value found in the cache",
    "values in files of their own",
    "values relocated",
];
