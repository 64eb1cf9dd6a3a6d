//! Decides what to compact next: a pure function of the tree's shape.
//!
//! Called by `maintain` and by writers under back-pressure; table-tested.
//!
//! 1. Every level gets a score in thousandths of its allowance: level 0 by number of tables, deeper ones by bytes.
//!    Level 0 that is partly trimmed counts as full, so that what was begun is finished.
//! 2. The highest score of at least 1 000 wins; the shallower level on a tie. The deepest level has no allowance.
//! 3. From level 0 the oldest tables are taken: those up to the newest trimmed one, or else all.
//! 4. From a deeper level one table is taken: a trimmed one, or else the one with the least overlap below per byte.
//! 5. All tables of the next level that overlap take part.
//!
//! Invariant: the choice depends on nothing but its arguments.

use atoll_seeded_bug::{Mutant, seeded_bug};
use bytes::Bytes;

use crate::fold::Floor;

/// A score at which a level is full.
const FULL: u64 = 1_000;

/// How much larger each level is than the one above.
const LEVEL_RATIO: u64 = 10;

/// What the choice needs to know of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    /// The file's id.
    pub(crate) file_id: u64,
    /// Its bytes, dead ones included.
    pub(crate) bytes: u64,
    /// Lowest live key.
    pub(crate) key_first: Bytes,
    /// Highest key.
    pub(crate) key_last: Bytes,
    /// Whether a unit has begun to move it.
    pub(crate) progress: TableProgress,
}

/// Whether a compaction of a table has begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TableProgress {
    /// All its keys live.
    Whole,
    /// Its lower keys have moved on.
    Trimmed,
}

/// Allowances.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Allowance {
    /// Tables of level 0 that make it full.
    pub(crate) tables_l0: usize,
    /// Bytes that make level 1 full.
    pub(crate) level_bytes_base: u64,
}

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    /// Every level is within its allowance.
    Nothing,
    /// Merge these.
    Merge(Inputs),
}

/// Tables to merge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Inputs {
    /// Where the upper ones are; outputs go one deeper.
    pub(crate) level: usize,
    /// Tables of `level`, in visiting order.
    pub(crate) uppers: Vec<u64>,
    /// Tables of the next level, in key order.
    pub(crate) lowers: Vec<u64>,
    /// Whether anything older may lie below the outputs.
    pub(crate) floor: Floor,
}

/// Chooses; `levels` are in visiting order.
pub(crate) fn choose(levels: &[Vec<Shape>], allowance: Allowance) -> Choice {
    debug_assert!(allowance.tables_l0 > 0 && allowance.level_bytes_base > 0);
    let movable = levels.len().saturating_sub(1);
    let scored = levels.iter().take(movable).enumerate();
    let scored = scored.map(|(number, level)| (score(number, level, allowance), number));
    // Of equal scores the last maximum would win; reversed numbers make it the shallowest.
    let best = scored.max_by_key(|(score, number)| (*score, std::cmp::Reverse(*number)));
    let Some((score, number)) = best else {
        return Choice::Nothing;
    };
    if score < FULL {
        return Choice::Nothing;
    }
    let Some(level) = levels.get(number) else {
        return Choice::Nothing;
    };
    let below = levels.get(number + 1).map_or(&[][..], Vec::as_slice);
    let uppers = if number == 0 { oldest(level) } else { cheapest(level, below) };
    Choice::Merge(inputs(levels, number, uppers))
}

fn score(number: usize, level: &[Shape], allowance: Allowance) -> u64 {
    if number == 0 {
        let score = level.len() as u64 * FULL / (allowance.tables_l0 as u64).max(1);
        return if level.iter().any(is_trimmed) { score.max(FULL) } else { score };
    }
    let bytes: u64 = level.iter().map(|table| table.bytes).sum();
    let depth = u32::try_from(number - 1).unwrap_or(u32::MAX);
    let allowed = allowance.level_bytes_base.saturating_mul(LEVEL_RATIO.saturating_pow(depth));
    let score = u128::from(bytes) * u128::from(FULL) / u128::from(allowed.max(1));
    u64::try_from(score).unwrap_or(u64::MAX)
}

fn is_trimmed(table: &Shape) -> bool {
    table.progress == TableProgress::Trimmed
}

/// The oldest tables of level 0, down from the newest trimmed one, or all.
fn oldest(level: &[Shape]) -> &[Shape] {
    let start = level.iter().position(is_trimmed).unwrap_or(0);
    level.get(start..).unwrap_or_default()
}

/// The table of a deeper level that costs least to move per byte.
fn cheapest<'a>(level: &'a [Shape], below: &[Shape]) -> &'a [Shape] {
    let cost = |table: &Shape| {
        let overlap: u64 = overlapping(below, table).map(|other| other.bytes).sum();
        overlap.saturating_mul(FULL) / table.bytes.max(1)
    };
    let best = level
        .iter()
        .enumerate()
        .min_by_key(|(_, table)| (!is_trimmed(table), cost(table), table.file_id));
    best.and_then(|(at, _)| level.get(at..=at)).unwrap_or_default()
}

fn overlapping<'a>(tables: &'a [Shape], with: &Shape) -> impl Iterator<Item = &'a Shape> {
    let (first, last) = (with.key_first.clone(), with.key_last.clone());
    tables.iter().filter(move |table| table.key_first <= last && table.key_last >= first)
}

fn inputs(levels: &[Vec<Shape>], number: usize, uppers: &[Shape]) -> Inputs {
    assert!(!uppers.is_empty(), "a full level has tables");
    let mut span = uppers.iter().fold(None, widen);
    let below = levels.get(number + 1).map_or(&[][..], Vec::as_slice);
    let lowers: Vec<_> = span.iter().flat_map(|span| overlapping(below, span)).collect();
    // The outputs also carry the keys of the lower tables.
    span = lowers.iter().copied().fold(span, widen);
    let mut deeper = levels.iter().skip(number + 2).flatten();
    let covered = deeper.any(|table| span.as_ref().is_none_or(|span| touches(table, span)));
    debug_assert!(lowers.is_sorted_by(|left, right| left.key_last < right.key_first));
    debug_assert!(number > 0 || levels.first().is_some_and(|level| level.ends_with(uppers)));
    Inputs {
        level: number,
        uppers: uppers.iter().map(|table| table.file_id).collect(),
        lowers: lowers.iter().map(|table| table.file_id).collect(),
        floor: if covered && !seeded_bug(Mutant::DeeperLevelIgnored) {
            Floor::Maybe
        } else {
            Floor::Bottom
        },
    }
}

fn touches(table: &Shape, span: &Shape) -> bool {
    table.key_first <= span.key_last && table.key_last >= span.key_first
}

/// The key range that covers all tables so far, as a shape.
fn widen(span: Option<Shape>, table: &Shape) -> Option<Shape> {
    let Some(mut span) = span else {
        return Some(table.clone());
    };
    span.key_first = span.key_first.min(table.key_first.clone());
    span.key_last = span.key_last.max(table.key_last.clone());
    Some(span)
}

#[cfg(test)]
mod tests;
