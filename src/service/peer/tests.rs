//! What a read is answered with, and how many bytes of it are payload.

use atoll_protocol::ids::Incarnation;
use atoll_protocol::keyspace::Conflict;
use atoll_protocol::record::{Cell, CellBody};
use atoll_protocol::version::{Context, Dot, Timestamp};

use super::*;

const VALUE_BYTES: usize = 9_000;

/// A record with a value of its own for every writer.
fn written_by(writers: &[u64]) -> Record {
    let mut record = Record::empty(Conflict::Siblings);
    for &writer in writers {
        write(&mut record, writer, &Context::new(0));
    }
    record
}

fn write(record: &mut Record, writer: u64, context: &Context) {
    let value = vec![u8::try_from(writer).unwrap(); VALUE_BYTES];
    let body = CellBody::Value(Bytes::from(value));
    let cell = Cell { timestamp: Timestamp(writer), expires_at: None, body };
    let incarnation = Incarnation(writer);
    let counter = record.counter_max(incarnation) + 1;
    record.apply_put(Dot { incarnation, counter }, cell, context);
}

/// The answer of a replica that holds `held` to whoever knows `known`, and the bytes of its payload.
fn answered(held: &Record, known: &Record) -> (PeerReply, usize) {
    let known = Known { digest: known.digest(), version: known.version() };
    let (reply, payload) = answer_with(held.encode(), Some(&known)).unwrap();
    (reply, payload.len())
}

#[test]
fn values_travel_only_if_they_are_news() {
    let (one, two) = (written_by(&[1]), written_by(&[1, 2]));
    assert_eq!(answered(&one, &one), (PeerReply::Same, 0));
    assert_eq!(answered(&one, &two), (PeerReply::Older { digest: one.digest() }, 0));
    assert_eq!(answered(&two, &one), (PeerReply::Record, two.encoded_len()));
    assert!(two.encoded_len() > 2 * VALUE_BYTES);
    // Concurrent: neither covers the other.
    let other = written_by(&[3]);
    assert_eq!(answered(&other, &two), (PeerReply::Record, other.encoded_len()));
    // Nothing is known: everything is news.
    let (reply, payload) = answer_with(one.encode(), None).unwrap();
    assert_eq!((reply, payload), (PeerReply::Record, one.encode()));
}

#[test]
fn a_record_that_knows_a_write_superseded_is_news_and_the_superseded_one_is_not() {
    let old = written_by(&[1, 2]);
    let mut new = old.clone();
    write(&mut new, 1, &old.context(0));
    assert_eq!(answered(&old, &new), (PeerReply::Older { digest: old.digest() }, 0));
    assert_eq!(answered(&new, &old), (PeerReply::Record, new.encoded_len()));
    assert_eq!(new.sibling_count(), 1);
}
