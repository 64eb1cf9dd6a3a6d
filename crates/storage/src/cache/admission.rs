//! [`Admission`]: remembers what was refused lately, so that a full cache takes a value only at its second miss.
//!
//! Asked by the cache for every value that was read from a file; blocks are never refused.
//!
//! 1. As long as less was taken in than the cache may hold, everything is admitted.
//! 2. From then on a place that is not in the memory of refusals is written there, over whatever was, and refused.
//! 3. A place that is still there is admitted: it was missed twice within about as many misses as there are slots.
//!
//! A value read once therefore costs neither a copy of its handle, nor an eviction, nor a block of memory that another
//! thread has to free; and it pushes out nothing that is read more often.
//!
//! Invariant: no clock, no seed: one sequence of calls is answered alike in every process.
//!
//! Source: the doorkeeper of Einziger, Friedman, Manes, "TinyLFU: A Highly Efficient Cache Admission Policy", ACM TOS
//! 2017; direct-mapped tags instead of a Bloom filter, so that it ages by itself.

use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};

/// Bytes of the cache per slot: about as many slots as small values fit, so that the memory spans a few turnovers of a
/// cache of larger ones. Two bytes per slot make it 0.2 % of the cache.
const BYTES_PER_SLOT: u64 = 1_024;

/// The memory of refusals of one cache.
pub(super) struct Admission {
    /// What is refused while the cache has room would leave it empty.
    room_bytes: u64,
    taken_bytes: AtomicU64,
    /// The tag of the place that was last refused here; 0 if none was. As many as a power of two.
    slots: Box<[AtomicU16]>,
}

impl Admission {
    /// For a cache of at most `bytes`.
    pub(super) fn new(bytes: u64) -> Admission {
        let slots = (bytes / BYTES_PER_SLOT).max(1).next_power_of_two();
        let slots = (0..slots).map(|_| AtomicU16::new(0)).collect();
        Admission { room_bytes: bytes, taken_bytes: AtomicU64::new(0), slots }
    }

    /// Says that `bytes` were taken in.
    pub(super) fn took(&self, bytes: u64) {
        if self.has_room() {
            self.taken_bytes.fetch_add(bytes, Ordering::Relaxed);
        }
    }

    /// Whether the place that hashes to `hash` deserves an entry; if not, it is remembered.
    ///
    /// Cost: one access to memory. Two threads that ask for the same place at once may both be refused.
    pub(super) fn admits(&self, hash: u64) -> bool {
        if self.has_room() {
            return true;
        }
        let slot = usize::try_from(hash).unwrap_or(usize::MAX) & (self.slots.len() - 1);
        let tag = u16::try_from(hash >> 48).unwrap_or(u16::MAX).max(1);
        let Some(slot) = self.slots.get(slot) else {
            return true;
        };
        let is_known = slot.load(Ordering::Relaxed) == tag;
        if !is_known {
            slot.store(tag, Ordering::Relaxed);
        }
        is_known
    }

    fn has_room(&self) -> bool {
        self.taken_bytes.load(Ordering::Relaxed) < self.room_bytes
    }
}

#[cfg(test)]
mod tests {
    use super::Admission;

    #[test]
    fn everything_is_admitted_until_the_cache_was_filled_once() {
        let admission = Admission::new(4_096);
        (0..10).for_each(|place| assert!(admission.admits(place << 48)));
        admission.took(4_095);
        assert!(admission.admits(77 << 48));
        admission.took(1);
        assert!(!admission.admits(77 << 48));
    }

    #[test]
    fn a_place_is_admitted_at_its_second_miss_unless_another_came_between() {
        let admission = Admission::new(4 * 1_024);
        admission.took(4 * 1_024);
        let (ours, same_slot, other_slot) = (5 << 48 | 2, 6 << 48 | 2, 7 << 48 | 3);
        assert_eq!(
            [ours, other_slot, ours].map(|hash| admission.admits(hash)),
            [false, false, true]
        );
        assert_eq!([same_slot, ours].map(|hash| admission.admits(hash)), [false, false]);
        assert_eq!([ours, ours].map(|hash| admission.admits(hash)), [true, true]);
    }

    #[test]
    fn a_tag_of_zero_is_not_taken_for_an_empty_slot() {
        let admission = Admission::new(1);
        admission.took(1);
        assert_eq!([0, 0].map(|hash| admission.admits(hash)), [false, true]);
    }
}
