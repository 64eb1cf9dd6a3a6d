//! Point reads in a block: bisect the restart points, walk one interval, copy no key.
//!
//! Called by [`Table::gather`](super::super::Table) for each block that may hold the key.
//!
//! While walking, only one thing is known of the key before: how many of its first bytes are those of the wanted key.
//! It is below the wanted one, so that the next key, of which the first `shared` bytes are the same,
//!
//! 1. is below too if it shares more than that: it differs where the key before differs;
//! 2. is else decided by its own suffix, because all that is in front of it equals the wanted key.
//!
//! Invariant: what is found does not depend on how much of a key the writer chose to share.
//!
//! Source: the same trick as in WiredTiger's row-store search ("skip" lengths); any prefix-compressed list allows it.

use std::cmp::Ordering;

use crate::fold::Stack;
use crate::sstable::bisect::count_below;

use super::entry::EntryHead;
use super::{Block, Malformed};

impl Block {
    /// Pushes the entries of `key` on `stack`, newest first, until it is settled.
    ///
    /// An entry that is not older than what is on the stack, from this block or from newer ones, is malformed.
    pub(crate) fn gather(
        &self,
        key: &[u8],
        file_ids: &[u64],
        stack: &mut Stack,
    ) -> Result<(), Malformed> {
        debug_assert!(!stack.is_settled(), "older entries do not matter any more");
        let body = self.body();
        let mut at = self.restart_before(key)?;
        let mut matched = 0;
        let mut key_bytes = 0;
        while at < body.len() {
            let head = EntryHead::decode(body, at).ok_or(Malformed)?;
            let suffix = head.suffix(body);
            if head.shared > key_bytes {
                return Err(Malformed);
            }
            key_bytes = head.shared + suffix.len();
            at = head.end;
            if head.shared > matched {
                continue;
            }
            let wanted = key.get(head.shared..).ok_or(Malformed)?;
            match suffix.cmp(wanted) {
                Ordering::Less => matched = head.shared + common(suffix, wanted),
                Ordering::Equal => {
                    matched = key.len();
                    let stored = head.stored(body, file_ids).ok_or(Malformed)?;
                    if !stack.accepts(head.sequence) {
                        return Err(Malformed);
                    }
                    stack.push(head.entry(stored, &self.payload));
                    if stack.is_settled() {
                        return Ok(());
                    }
                }
                Ordering::Greater => return Ok(()),
            }
            debug_assert!(matched <= key.len() && matched <= key_bytes);
        }
        Ok(())
    }

    /// Offset of the last restart whose key is below `key`, or of the first one.
    pub(super) fn restart_before(&self, key: &[u8]) -> Result<usize, Malformed> {
        let body = self.body();
        let key_at = |at| {
            let head = EntryHead::decode(body, self.restart_offset(at)?)?;
            (head.shared == 0).then(|| head.suffix(body))
        };
        // Strictly below: entries of one key may cross a restart.
        let below = count_below(self.restart_prefixes(), key, key_at).ok_or(Malformed)?;
        debug_assert!(below <= self.restarts);
        self.restart_offset(below.saturating_sub(1)).ok_or(Malformed)
    }
}

/// How many first bytes are the same.
#[inline]
pub(super) fn common(left: &[u8], right: &[u8]) -> usize {
    let (left_words, _) = left.as_chunks::<8>();
    let (right_words, _) = right.as_chunks::<8>();
    let mut same = 0;
    for (left, right) in left_words.iter().zip(right_words) {
        let differs = u64::from_le_bytes(*left) ^ u64::from_le_bytes(*right);
        if differs != 0 {
            return same + (differs.trailing_zeros() / 8) as usize;
        }
        same += 8;
    }
    let rest = left.iter().zip(right).skip(same);
    same + rest.take_while(|(left, right)| left == right).count()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::common;

    proptest! {
        #[test]
        fn words_and_bytes_have_the_same_in_common(
            left in prop::collection::vec(0u8..2, 0..30),
            right in prop::collection::vec(0u8..2, 0..30),
            shared in prop::collection::vec(any::<u8>(), 0..30),
        ) {
            let left = [shared.as_slice(), &left].concat();
            let right = [shared.as_slice(), &right].concat();
            let slow = left.iter().zip(&right).take_while(|(left, right)| left == right).count();
            prop_assert_eq!(common(&left, &right), slow);
        }
    }
}
