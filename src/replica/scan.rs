//! Pages of what a replica holds, in the order of tokens.

use std::ops::Range;

use atoll_protocol::merkle::Holding;
use atoll_protocol::record::Record;
use atoll_protocol::token::Token;
use atoll_storage::ScanLimit;
use bytes::Bytes;

use super::{Replica, ReplicaError, StoredKey};

impl Replica {
    /// Keys of the tokens `range`, both inclusive, above `after`, with the digests of their records: a page of about
    /// `bytes_max` bytes of keys, and whether there are more.
    ///
    /// # Errors
    /// [`ReplicaError::Damaged`] and [`ReplicaError::Storage`]; damage is never "absent".
    ///
    /// Cost: reads no value. Blocks on disk.
    pub fn holdings(
        &self,
        range: (Token, Token),
        after: Option<&[u8]>,
        bytes_max: usize,
    ) -> Result<(Vec<Holding>, bool), ReplicaError> {
        let mut range = above(range, after);
        let limit = ScanLimit { entries_max: bytes_max, bytes_max };
        let mut holdings = Vec::new();
        loop {
            let page = self.shared.engine.scan_digests(&range.start..&range.end, limit);
            let page = page.map_err(|error| self.shared.unread(&error))?;
            let found = page.entries.into_iter();
            holdings.extend(found.map(|(key, digest)| Holding { key, digest }));
            match page.next {
                None => return Ok((holdings, false)),
                Some(_) if !holdings.is_empty() => return Ok((holdings, true)),
                Some(next) => range.start = next,
            }
        }
    }

    /// Records of the tokens `range`, both inclusive, above `after`: a page of about `bytes_max` bytes, and whether there are
    /// more.
    ///
    /// # Errors
    /// As [`read`](Replica::read), for any key of the page.
    ///
    /// Cost: reads values. Blocks on disk.
    pub fn records(
        &self,
        range: (Token, Token),
        after: Option<&[u8]>,
        bytes_max: usize,
    ) -> Result<(Vec<(Bytes, Record)>, bool), ReplicaError> {
        let mut range = above(range, after);
        let limit = ScanLimit { entries_max: bytes_max, bytes_max };
        let mut records = Vec::new();
        loop {
            let page = self.shared.engine.scan(&range.start..&range.end, limit);
            let page = page.map_err(|error| self.shared.unread(&error))?;
            for (key, bytes) in page.entries {
                let record = Record::decode(bytes);
                let record = record.map_err(|error| ReplicaError::Storage(error.to_string()))?;
                records.push((key, record));
            }
            match page.next {
                None => return Ok((records, false)),
                Some(_) if !records.is_empty() => return Ok((records, true)),
                Some(next) => range.start = next,
            }
        }
    }
}

/// The stored keys of the tokens `range` that are above `after`.
fn above(range: (Token, Token), after: Option<&[u8]>) -> Range<Vec<u8>> {
    let mut range = StoredKey::range(range);
    if let Some(after) = after.filter(|after| *after >= range.start.as_slice()) {
        // The least key above it.
        range.start = [after, &[0]].concat();
    }
    range
}
