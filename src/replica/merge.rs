//! The engine's merge operator: joins records when they are read or compacted.
//!
//! Cost: nothing is copied while the newest record holds or supersedes all that the others hold.

use atoll_protocol::record::Record;
use atoll_seeded_bug::{Mutant, seeded_bug};
use atoll_storage::{MergeError, MergeOperator};
use bytes::Bytes;

/// Joins encoded records.
#[derive(Clone, Copy, Debug)]
pub struct JoinRecords;

impl MergeOperator for JoinRecords {
    fn merge(
        &self,
        _key: &[u8],
        existing: Option<&Bytes>,
        operands: &[Bytes],
    ) -> Result<Bytes, MergeError> {
        // The newest knows the others, mostly: its writer had read them.
        let mut newest_first = operands.iter().rev().chain(existing);
        let Some(newest) = newest_first.next() else {
            return Err(MergeError::new("nothing to merge"));
        };
        let mut joined = decoded(newest)?;
        let mut is_newest = true;
        for bytes in newest_first {
            let record = decoded(bytes)?;
            if seeded_bug(Mutant::MergeDropsSiblings) {
                is_newest = false;
                joined = [record, joined]
                    .into_iter()
                    .max_by_key(Record::timestamp_max)
                    .expect("two records");
                continue;
            }
            if joined.conflict() != record.conflict() {
                return Err(MergeError::new("records of one key differ in conflict mode"));
            }
            if !joined.absorbs(&record) {
                is_newest = false;
                joined.join(&record);
            }
        }
        Ok(if is_newest { newest.clone() } else { joined.encode() })
    }
}

fn decoded(bytes: &Bytes) -> Result<Record, MergeError> {
    Record::decode(bytes.clone()).map_err(|error| MergeError::new(error.to_string()))
}
