//! The target's side: takes what others kept for this node.
//!
//! 1. A holder offers keys and digests. What this node holds just so is as good as delivered: another holder brought it, or
//!    a later put did. Of the rest, each record is asked of one holder, and awaited from it for a while.
//! 2. The holder delivers what it was asked for; it is joined, and durable before the answer.
//! 3. Each answer tells for how long this node wants no more: its requests come first (`foreground.rs`).
//!
//! Invariant: what is awaited keeps nobody from delivering it; without that memory it would only come more than once.

use std::collections::BTreeMap;
use std::time::Duration;

use atoll_protocol::ids::NodeIndex;
use atoll_protocol::merkle::record_digest;
use atoll_protocol::time::MonoTime;
use atoll_protocol::wire::{Failure, HandoffReply, HandoffRequest, Invalid, RECORDS_MAX};
use bytes::Bytes;
use parking_lot::Mutex;

use super::Handoff;
use crate::replica::{Reach, StoredKey};

/// Deliveries that a node joins at once: more would crowd out its requests.
pub(super) const TAKEN_AT_ONCE: usize = 2;

/// Records that are awaited at once; beyond, offers are put off.
const AWAITED_MAX: usize = 16 * RECORDS_MAX;

/// Silence after which a record is asked of somebody else: twice the longest call.
const LEASE: Duration = Duration::from_secs(10);

/// Which records were asked for and have not come yet.
#[derive(Default)]
pub(super) struct Awaited {
    from: Mutex<BTreeMap<StoredKey, (NodeIndex, MonoTime)>>,
}

/// Who is to bring a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bringer {
    /// Whoever asked.
    This,
    /// Another holder, and it still may.
    Other,
    /// Too many are awaited.
    Nobody,
}

impl Awaited {
    fn ask(&self, from: NodeIndex, key: &StoredKey, now: MonoTime) -> Bringer {
        let mut awaited = self.from.lock();
        if awaited.get(key).is_some_and(|(other, until)| *other != from && *until > now) {
            return Bringer::Other;
        }
        if awaited.len() >= AWAITED_MAX {
            awaited.retain(|_, (_, until)| *until > now);
        }
        if awaited.len() >= AWAITED_MAX && !awaited.contains_key(key) {
            return Bringer::Nobody;
        }
        awaited.insert(key.clone(), (from, now.after(LEASE)));
        Bringer::This
    }

    fn forget<'a>(&self, keys: impl IntoIterator<Item = &'a StoredKey>) {
        let mut awaited = self.from.lock();
        for key in keys {
            awaited.remove(key);
        }
    }
}

impl Handoff {
    /// Answers `from`, which keeps something for this node.
    ///
    /// # Errors
    /// What keeps this node from storing it, or what is wrong with the request.
    pub async fn answer(
        &self,
        from: NodeIndex,
        request: HandoffRequest,
        payload: Bytes,
    ) -> Result<HandoffReply, Failure> {
        match request {
            HandoffRequest::Offer { keys, digests } => {
                if keys.len() > RECORDS_MAX || keys.len() != digests.len() {
                    let detail = "an offer has at most 256 keys, and a digest for each".to_owned();
                    return Err(Invalid::Message { detail }.into());
                }
                let handoff = self.clone();
                self.parts.env.blocking(move || handoff.choose(from, &keys, &digests)).await
            }
            HandoffRequest::Deliver { keys, lengths } => self.take(&keys, &lengths, payload).await,
        }
    }

    /// What of an offer this node wants. Blocks on disk.
    fn choose(
        &self,
        from: NodeIndex,
        keys: &[Bytes],
        digests: &[u64],
    ) -> Result<HandoffReply, Failure> {
        let parts = &self.parts;
        let began = parts.env.mono();
        let (mut lacks, mut coming) = (Vec::new(), Vec::new());
        for (place, (key, digest)) in (0u16..).zip(keys.iter().zip(digests)) {
            let key = StoredKey::parse(key.clone()).ok_or_else(malformed)?;
            let held = parts.replica.read_encoded(&key, Reach::Disk);
            let held = held.map_err(|error| Failure::Storage { detail: error.to_string() })?;
            if held.is_some_and(|record| record_digest(&record) == *digest) {
                continue;
            }
            match parts.awaited.ask(from, &key, began) {
                Bringer::This => lacks.push(place),
                Bringer::Other => coming.push(place),
                Bringer::Nobody => return Ok(HandoffReply::Busy),
            }
        }
        Ok(HandoffReply::Wanted { lacks, coming, rest: parts.replica.rest_in_turn_after(began) })
    }

    /// Joins what was delivered.
    async fn take(
        &self,
        keys: &[Bytes],
        lengths: &[u32],
        payload: Bytes,
    ) -> Result<HandoffReply, Failure> {
        let parts = &self.parts;
        let Ok(_turn) = parts.takers.try_acquire() else {
            return Ok(HandoffReply::Busy);
        };
        let began = parts.env.mono();
        let taken = parts.repair.take_in(keys, lengths, payload).await;
        // If it failed, whoever offers them next may bring them.
        let keys: Vec<_> = keys.iter().filter_map(|key| StoredKey::parse(key.clone())).collect();
        parts.awaited.forget(&keys);
        taken?;
        Ok(HandoffReply::Held { rest: parts.replica.rest_in_turn_after(began) })
    }
}

fn malformed() -> Failure {
    Invalid::Message { detail: "an offer has a malformed key".to_owned() }.into()
}

#[cfg(test)]
mod tests {
    use atoll_protocol::ids::KeyspaceId;

    use super::*;

    const A: NodeIndex = NodeIndex(1);
    const B: NodeIndex = NodeIndex(2);

    fn key(number: usize) -> StoredKey {
        StoredKey::new(KeyspaceId(1), &number.to_be_bytes())
    }

    #[test]
    fn a_record_is_awaited_from_one_holder_until_it_comes_or_is_silent() {
        let awaited = Awaited::default();
        let start = MonoTime::ZERO;
        assert_eq!(awaited.ask(A, &key(1), start), Bringer::This);
        assert_eq!(awaited.ask(A, &key(1), start), Bringer::This, "asked once more");
        assert_eq!(awaited.ask(B, &key(1), start), Bringer::Other);
        assert_eq!(awaited.ask(B, &key(2), start), Bringer::This);
        assert_eq!(awaited.ask(B, &key(1), start.after(LEASE)), Bringer::This, "A is silent");
        assert_eq!(awaited.ask(A, &key(1), start.after(LEASE)), Bringer::Other);
        awaited.forget([&key(1)]);
        assert_eq!(awaited.ask(A, &key(1), start.after(LEASE)), Bringer::This);
    }

    #[test]
    fn so_many_are_awaited_and_the_silent_make_room() {
        let awaited = Awaited::default();
        let start = MonoTime::ZERO;
        let all =
            |now| (0..AWAITED_MAX).all(|number| awaited.ask(A, &key(number), now) == Bringer::This);
        assert!(all(start));
        assert_eq!(awaited.ask(B, &key(AWAITED_MAX), start), Bringer::Nobody);
        assert_eq!(awaited.ask(A, &key(0), start), Bringer::This, "it has its place");
        assert_eq!(awaited.ask(B, &key(AWAITED_MAX), start.after(LEASE)), Bringer::This);
    }
}
