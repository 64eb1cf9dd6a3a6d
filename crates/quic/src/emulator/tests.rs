//! The rule table, its chances and the delay line, without a network.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::emulator::delay::{Batch, DelayLine, LINK_BATCHES_MAX, LINK_BYTES_MAX, Next, Pushed};
use crate::emulator::{Blocked, LinkEmulator, LinkRule};

#[expect(clippy::disallowed_methods, reason = "the line only compares moments")]
fn now() -> Instant {
    Instant::now()
}

fn addr(port: u16) -> SocketAddr {
    ([127, 0, 0, 1], port).into()
}

fn batch(port: u16, mark: u8, length: usize) -> Batch {
    Batch {
        destination: addr(port),
        ecn: None,
        contents: vec![mark; length],
        segment_size: None,
        source: None,
        datagrams: 1,
    }
}

fn drain(line: &mut DelayLine, now: Instant) -> Vec<u8> {
    let mut marks = Vec::new();
    while let Next::Send(batch) = line.next(now) {
        marks.push(batch.contents[0]);
    }
    marks
}

#[test]
fn batches_leave_when_due_in_order_per_link() {
    let start = now();
    let at = |millis| start + Duration::from_millis(millis);
    let mut line = DelayLine::default();
    assert!(matches!(line.next(start), Next::Empty));
    assert_eq!(line.push(at(20), batch(1, 1, 1)), Pushed::First);
    assert_eq!(line.push(at(10), batch(2, 2, 1)), Pushed::First);
    // A shorter delay does not overtake on its own link.
    assert_eq!(line.push(at(5), batch(1, 3, 1)), Pushed::Behind);
    assert!(line.holds(addr(1)) && line.holds(addr(2)));
    assert!(matches!(line.next(at(9)), Next::WaitUntil(due) if due == at(10)));
    assert_eq!(drain(&mut line, at(10)), [2]);
    assert!(!line.holds(addr(2)));
    assert!(matches!(line.next(at(10)), Next::WaitUntil(due) if due == at(20)));
    assert_eq!(drain(&mut line, at(20)), [1, 3]);
    assert!(matches!(line.next(at(20)), Next::Empty));
}

#[test]
fn full_link_drops_the_newcomer_and_no_other_link() {
    let now = now();
    let mut line = DelayLine::default();
    assert_eq!(line.push(now, batch(1, 1, LINK_BYTES_MAX)), Pushed::First);
    assert_eq!(line.push(now, batch(1, 2, 1)), Pushed::Overflow);
    assert_eq!(line.push(now, batch(2, 3, 1)), Pushed::First);
    assert_eq!(drain(&mut line, now), [1, 3]);
    assert_eq!(line.push(now, batch(1, 4, 1)), Pushed::First, "room is given back");

    for _ in 1..LINK_BATCHES_MAX {
        assert_eq!(line.push(now, batch(1, 5, 1)), Pushed::Behind);
    }
    assert_eq!(line.push(now, batch(1, 6, 1)), Pushed::Overflow);
}

#[test]
fn rules_are_found_under_either_spelling_of_an_address() {
    let emulator = LinkEmulator::new(1);
    assert_eq!(emulator.rule(addr(1)), None);
    emulator.set_rule("[::ffff:127.0.0.1]:1".parse().unwrap(), LinkRule::blocked());
    assert!(emulator.is_blocked(addr(1)));
    assert!(!emulator.is_blocked(addr(2)));
    assert_eq!(emulator.rules(), [(addr(1), LinkRule::blocked())]);
    emulator.set_rule(addr(1), LinkRule { blocked: Blocked::No, ..LinkRule::blocked() });
    assert!(!emulator.is_blocked(addr(1)));
    emulator.clear_rule("[::ffff:127.0.0.1]:1".parse().unwrap());
    assert!(emulator.rules().is_empty());
}

#[test]
fn losses_follow_from_the_seed() {
    let draws = |seed, loss_per_mille| {
        let emulator = LinkEmulator::new(seed);
        let rule = LinkRule { loss_per_mille, ..LinkRule::default() };
        let lost: Vec<bool> = (0..20_000).map(|_| emulator.loses(&rule)).collect();
        let count = lost.iter().filter(|lost| **lost).count();
        assert_eq!(emulator.counts().lost, count as u64);
        (lost, count)
    };
    assert_eq!(draws(7, 100), draws(7, 100));
    assert_ne!(draws(7, 100).0, draws(8, 100).0);
    assert_eq!(draws(7, 0).1, 0);
    assert_eq!(draws(7, 1_000).1, 20_000);
    // 20 000 × 0.1 = 2 000, standard deviation 42.
    assert!((1_790..2_210).contains(&draws(7, 100).1));
}
