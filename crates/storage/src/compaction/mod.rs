//! Compaction: merges tables downwards, so that their number and the cost of a read stay bounded.
//!
//! Called by the engine, one bounded unit at a time; flush shares the output side.
//!
//! 1. [`pick::choose`] decides, as a pure function of the shape of the tree, what to merge next.
//! 2. [`merge_piece`] merges the inputs key by key from their lowest live key, folds each key, and writes new tables.
//! 3. When the budget is spent at a key, the unit ends there: inputs that go on are *trimmed* to that key, inputs
//!    that are used up leave. The next unit continues with the trimmed ones.
//! 4. [`choose_files`] decides which value files to empty; [`relocate`] rewrites a table without pointers into them.
//! 5. [`salvage`] rewrites a damaged table without what cannot be read.
//! 6. The engine commits removals, trims and additions as one manifest edit.
//!
//! Invariants
//! - A unit reads and writes at most about its budget, whatever the overlap of the tables.
//! - For each key, newer entries stay above older ones: the inputs from level 0 are its oldest tables, and all
//!   overlapping tables of the level below take part.
//! - Deletes and operands lose their floor only if no deeper level overlaps the inputs.
//!
//! Source: LevelDB's leveled compaction; the trimming is ours, in the spirit of TigerBeetle's paced compaction.

mod salvage;

mod execute;

pub(crate) mod pick;

mod relocation;

mod outputs;

pub(crate) use execute::{Job, Outcome, Part, Piece, combine, merge_piece, relocate, split};
pub(crate) use outputs::{Counts, FileIds, Making, Outputs, Placing, Values};
pub(crate) use relocation::{Demand, FileShape, choose_files};
pub(crate) use salvage::{live_lost, salvage};
