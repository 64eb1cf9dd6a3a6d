//! A record: decoded, encoded again, joined with itself.

#![no_main]

use atoll_protocol::record::Record;
use bytes::Bytes;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(record) = Record::decode(Bytes::copy_from_slice(data)) else { return };
    let encoded = record.encode();
    assert_eq!(encoded, data, "a record has one encoding");
    let mut joined = record.clone();
    joined.join(&record);
    assert_eq!(joined.encode(), encoded, "a join with itself changes nothing");
});
