//! What a session notes, and its token.

use proptest::prelude::*;

use super::*;
use crate::ids::Incarnation;

const TOKEN: u64 = 7;

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn key(number: usize) -> Bytes {
    Bytes::from(format!("key-{number}"))
}

fn context(token: u64, timestamp: u64, entries: &[(u64, u64)]) -> Context {
    let mut context = Context::new(token);
    context.observe_timestamp(Timestamp(timestamp));
    for (incarnation, counter) in entries {
        context.observe(Incarnation(*incarnation), *counter);
    }
    context
}

fn noted(conflict: Conflict, contexts: &[Context]) -> Context {
    let mut past = SessionPast::default();
    let (keyspace, key) = (name("users"), key(0));
    for context in contexts {
        past.note(&keyspace, &key, (context, conflict));
    }
    past.of(&keyspace, &key).cloned().unwrap()
}

#[test]
fn siblings_are_joined_and_of_registers_the_newest_write_is_known() {
    let (first, second) = (context(TOKEN, 5, &[(1, 3), (2, 1)]), context(TOKEN, 4, &[(2, 9)]));
    let joined = context(TOKEN, 5, &[(1, 3), (2, 9)]);
    assert_eq!(noted(Conflict::Siblings, &[first.clone(), second.clone()]), joined);
    assert_eq!(noted(Conflict::Siblings, &[second.clone(), first.clone()]), joined);
    assert_eq!(noted(Conflict::Lww, &[first.clone(), second.clone()]), first);
    assert_eq!(noted(Conflict::Lww, &[second, first.clone()]), first);
    // A tie of timestamps: the greater dot has won.
    let tie = context(TOKEN, 5, &[(3, 1)]);
    assert_eq!(noted(Conflict::Lww, &[tie.clone(), first.clone()]), tie);
    // Another keyspace of that name: what was seen of the old one means nothing.
    let other = context(TOKEN + 1, 1, &[(1, 1)]);
    assert_eq!(noted(Conflict::Siblings, &[first, other.clone()]), other);
}

#[test]
fn what_has_seen_nothing_leaves_nothing_behind() {
    let mut past = SessionPast::default();
    let nothing = (&Context::new(TOKEN), Conflict::Siblings);
    past.note(&name("users"), &key(1), nothing);
    assert!(past.is_empty());
    let something = context(TOKEN, 1, &[(1, 1)]);
    past.note(&name("users"), &key(1), (&something, Conflict::Siblings));
    past.note(&name("users"), &key(1), nothing);
    assert_eq!(past.of(&name("users"), &key(1)), Some(&something));
    past.forget(&name("users"), &key(1));
    assert_eq!(past.len(), 0);
}

#[test]
fn a_full_session_refuses_new_keys_and_keeps_the_old_ones() {
    let mut past = SessionPast::default();
    let seen = context(TOKEN, 1, &[(1, 1)]);
    for number in 0..SESSION_KEYS_MAX {
        past.note(&name("users"), &key(number), (&seen, Conflict::Siblings));
    }
    let stranger = key(SESSION_KEYS_MAX);
    assert_eq!(past.check_room(&name("users"), &stranger), Err(SessionFull));
    assert_eq!(past.check_room(&name("users"), &key(0)), Ok(()));
    let more = context(TOKEN, 2, &[(2, 1)]);
    past.note(&name("users"), &key(0), (&more, Conflict::Siblings));
    assert_eq!(past.len(), SESSION_KEYS_MAX);
    // A request that was under way when the last place was taken.
    past.note(&name("users"), &stranger, (&seen, Conflict::Siblings));
    assert_eq!(past.len(), SESSION_KEYS_MAX + 1);
    assert_eq!(SessionPast::decode(&past.encode()), Ok(past));
}

// format: session token v1
#[test]
fn golden_bytes() {
    let mut past = SessionPast::default();
    let seen = context(TOKEN, 0x1122, &[(0xaa, 3)]);
    past.note(&name("ks"), &Bytes::from_static(b"k"), (&seen, Conflict::Siblings));
    let hex = past.encode().iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let context = seen.encode().iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let body = format!("0101000000026b7301006b27000000{context}");
    let bytes: Vec<u8> = (0..body.len() / 2)
        .map(|at| u8::from_str_radix(&body[2 * at..2 * at + 2], 16).unwrap())
        .collect();
    let sum: String = xxh3_64(&bytes).to_le_bytes().iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(hex, body + &sum);
}

#[test]
fn every_cut_and_every_flipped_bit_is_refused() {
    let mut past = SessionPast::default();
    for number in 0..3 {
        let seen = context(TOKEN + number, number, &[(number, 1), (99, number + 1)]);
        let place = (name("users"), key(usize::try_from(number).unwrap()));
        past.note(&place.0, &place.1, (&seen, Conflict::Siblings));
    }
    let bytes = past.encode();
    assert_eq!(SessionPast::decode(&bytes).as_ref(), Ok(&past));
    for length in 0..bytes.len() {
        assert!(SessionPast::decode(&bytes[..length]).is_err(), "cut at {length}");
        for bit in 0..8 {
            let mut damaged = bytes.to_vec();
            damaged[length] ^= 1 << bit;
            assert!(SessionPast::decode(&damaged).is_err(), "bit {bit} of byte {length}");
        }
    }
}

proptest! {
    #[test]
    fn random_bodies_never_panic(body in prop::collection::vec(any::<u8>(), 0..120)) {
        let mut bytes = body.clone();
        bytes.extend(xxh3_64(&body).to_le_bytes());
        if let Ok(past) = SessionPast::decode(&bytes) {
            prop_assert_eq!(past.encode(), bytes);
        }
        drop(SessionPast::decode(&body));
    }
}
