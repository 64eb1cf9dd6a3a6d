//! The engine's merge operator: joins records when they are read or compacted.

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
        existing: Option<&[u8]>,
        operands: &[&[u8]],
    ) -> Result<Vec<u8>, MergeError> {
        let mut joined: Option<Record> = None;
        for bytes in existing.into_iter().chain(operands.iter().copied()) {
            let record = Record::decode(Bytes::copy_from_slice(bytes))
                .map_err(|error| MergeError::new(error.to_string()))?;
            match &mut joined {
                None => joined = Some(record),
                Some(joined) if seeded_bug(Mutant::MergeDropsSiblings) => {
                    *joined = [joined.clone(), record]
                        .into_iter()
                        .max_by_key(Record::timestamp_max)
                        .expect("two records");
                }
                Some(joined) if joined.conflict() == record.conflict() => joined.join(&record),
                Some(_) => {
                    return Err(MergeError::new("records of one key differ in conflict mode"));
                }
            }
        }
        match joined {
            Some(record) => Ok(Vec::from(record.encode())),
            None => Err(MergeError::new("nothing to merge")),
        }
    }
}
