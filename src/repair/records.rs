//! Records on their way between replicas: collected into a message, and joined where they arrive.

use std::time::Duration;

use atoll_protocol::wire::{Failure, Invalid, Purged, RECORDS_BYTES_MAX, RECORDS_MAX};
use bytes::Bytes;
use futures_util::future::join_all;

use super::Repair;
use super::trouble::{Trouble, failure};
use crate::replica::{Applied, ReplicaError, StoredKey};

/// Pause before a record is joined again that found the write queue full, and how often.
const QUEUE_PAUSE: Duration = Duration::from_millis(50);
const QUEUE_ATTEMPTS: usize = 20;

/// Records of one message.
#[derive(Debug, Default)]
pub struct RecordBatch {
    /// Stored keys.
    pub keys: Vec<Bytes>,
    /// Length of each record, in the order of the keys.
    pub lengths: Vec<u32>,
    /// The records, one behind the other.
    pub payload: Vec<u8>,
}

impl RecordBatch {
    /// Whether a message takes no more.
    pub fn is_full(&self) -> bool {
        self.keys.len() >= RECORDS_MAX || self.payload.len() >= RECORDS_BYTES_MAX
    }

    /// Adds the record of `key`, in stored form.
    pub fn add(&mut self, key: Bytes, record: &[u8]) {
        self.keys.push(key);
        self.lengths.push(u32::try_from(record.len()).unwrap_or(u32::MAX));
        self.payload.extend_from_slice(record);
    }
}

/// What became of records from a peer.
#[derive(Debug, Default)]
pub(super) struct Joined {
    /// Records that came.
    pub(super) records: usize,
    /// What of them was purged here before.
    pub(super) purged: Vec<Purged>,
}

impl Repair {
    /// Joins records that a peer sent into ours; resolves once they are durable.
    ///
    /// # Errors
    /// What is wrong with the message, or keeps this node from storing it; part of the records may be stored.
    pub async fn take_in(
        &self,
        keys: &[Bytes],
        lengths: &[u32],
        payload: Bytes,
    ) -> Result<usize, Failure> {
        if keys.len() > RECORDS_MAX {
            return Err(Invalid::Message { detail: "too many keys at once".to_owned() }.into());
        }
        let joined = self.join(keys, lengths, payload).await.map_err(failure)?;
        Ok(joined.records)
    }

    /// Joins records that a peer sent into ours; resolves once they are durable.
    pub(super) async fn join(
        &self,
        keys: &[Bytes],
        lengths: &[u32],
        payload: Bytes,
    ) -> Result<Joined, Trouble> {
        self.join_records(split(keys, lengths, payload).ok_or_else(malformed)?).await
    }

    /// The same of records that were [`split`].
    pub(super) async fn join_records(
        &self,
        records: Vec<(Bytes, Bytes)>,
    ) -> Result<Joined, Trouble> {
        let mut joins = Vec::with_capacity(records.len());
        for (key, record) in records.into_iter().filter(|(_, record)| !record.is_empty()) {
            let key = StoredKey::parse(key).ok_or_else(malformed)?;
            joins.push(self.join_one(key, record));
        }
        let records = joins.len();
        let purged = join_all(joins).await.into_iter().collect::<Result<Vec<_>, _>>()?;
        Ok(Joined { records, purged: purged.into_iter().flatten().collect() })
    }

    /// Joins one; what of it was purged here before.
    async fn join_one(
        &self,
        key: StoredKey,
        record: Bytes,
    ) -> Result<Option<Purged>, ReplicaError> {
        let mut attempts = 0;
        loop {
            match self.parts.replica.apply(key.clone(), record.clone()).await {
                Err(ReplicaError::Overloaded(_)) if attempts < QUEUE_ATTEMPTS => {
                    attempts += 1;
                    self.parts.env.sleep(self.parts.env.jitter(QUEUE_PAUSE)).await;
                }
                result => {
                    return Ok(match result? {
                        Applied::Joined => None,
                        Applied::Stripped(dots) => Some(Purged { key: key.bytes().clone(), dots }),
                    });
                }
            }
        }
    }
}

/// Keys with their records, which are one behind the other in `payload`; `None` if it is not what the lengths say.
pub(super) fn split(
    keys: &[Bytes],
    lengths: &[u32],
    mut payload: Bytes,
) -> Option<Vec<(Bytes, Bytes)>> {
    let mut records = Vec::with_capacity(keys.len());
    for (key, length) in keys.iter().zip(lengths) {
        let length = usize::try_from(*length).ok().filter(|length| *length <= payload.len())?;
        records.push((key.clone(), payload.split_to(length)));
    }
    (payload.is_empty() && keys.len() == lengths.len()).then_some(records)
}

/// What such a message is.
pub(super) fn malformed() -> Trouble {
    Trouble::Failed("the peer's records do not match their lengths".to_owned())
}
