//! [`Chain`]: everything that was written for one key since the memtable began.
//!
//! Every [`CHAIN_FOLD_LENGTH`] operands the writer stores the join so far beside the link, so that a hot key costs a read
//! a constant number of operands instead of all of them.
//!
//! Invariant: links are appended, never changed, but for the join that is stored beside the newest one.

use bytes::Bytes;

use crate::entry::{Entry, Fetch, Pointer, Value};
use crate::error::Error;
use crate::fold::{Floor, Fold, Stack};
use crate::merge::MergeOperator;

/// Operands after which a chain stores their join: a read joins at most 17, and joins cost 1/16 of a write each.
const CHAIN_FOLD_LENGTH: usize = 16;

/// The entries of a key, oldest first.
pub(super) enum Chain {
    /// Most keys have one.
    One(Entry),
    /// Two or more.
    Many(Vec<Link>),
}

/// An entry of a longer chain.
pub(super) struct Link {
    entry: Entry,
    /// The join of this entry and all older ones down to the base or the start of the chain.
    folded: Option<Value>,
}

impl Chain {
    fn make_many(&mut self) -> &mut Vec<Link> {
        if let Chain::One(entry) = self {
            let first = Link { entry: entry.clone(), folded: None };
            *self = Chain::Many(vec![first]);
        }
        match self {
            Chain::Many(links) => links,
            Chain::One(_) => unreachable!("it was changed above"),
        }
    }
}

/// Appends to a chain; returns the bytes of a stored join.
pub(super) fn append(
    chain: &mut Chain,
    key: &[u8],
    entry: Entry,
    merge: &dyn MergeOperator,
) -> u64 {
    let links = chain.make_many();
    debug_assert!(links.last().is_none_or(|link| link.entry.sequence < entry.sequence));
    let sequence = entry.sequence;
    let plain = |link: &&Link| link.folded.is_none() && !link.entry.value.is_base();
    let unfolded = links.iter().rev().take_while(plain).count();
    links.push(Link { entry, folded: None });
    if unfolded < CHAIN_FOLD_LENGTH {
        return 0;
    }
    let mut stack = Stack::default();
    push_visible(chain, sequence, &mut stack);
    let Ok(Fold::One(joined)) = stack.fold(key, Floor::Maybe, merge, &InMemory) else {
        return 0;
    };
    let bytes = joined.value.payload_bytes();
    if let Some(link) = chain.make_many().last_mut() {
        link.folded = Some(joined.value);
    }
    bytes
}

/// Pushes the entries of a chain that a reader at `sequence` needs, until the stack is settled.
pub(super) fn push_visible(chain: &Chain, sequence: u64, stack: &mut Stack) {
    for entry in visible(chain, sequence) {
        if stack.is_settled() {
            break;
        }
        stack.push(entry);
    }
}

/// The entries of a chain that a reader at `sequence` needs, newest first: down to a base or a stored join.
pub(super) fn visible(chain: &Chain, sequence: u64) -> impl Iterator<Item = Entry> {
    let (one, many) = match chain {
        Chain::One(entry) => (Some(entry), &[][..]),
        Chain::Many(links) => (None, links.as_slice()),
    };
    let mut complete = false;
    let one = one.filter(|entry| entry.sequence <= sequence).cloned();
    let newest_first = many.iter().rev().skip_while(move |link| link.entry.sequence > sequence);
    let many = newest_first.map_while(move |link| {
        if complete {
            return None;
        }
        let value = link.folded.as_ref().unwrap_or(&link.entry.value).clone();
        complete = link.folded.is_some() || value.is_base();
        Some(Entry { sequence: link.entry.sequence, value })
    });
    one.into_iter().chain(many)
}

/// A memtable holds all its values.
struct InMemory;

impl Fetch for InMemory {
    fn fetch(&self, pointer: &Pointer) -> Result<Bytes, Error> {
        unreachable!("a memtable has no pointers, such as {pointer:?}")
    }
}
