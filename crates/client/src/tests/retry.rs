//! The table of `retry.rs`, and its purse.

use std::time::Duration;

use atoll_protocol::limits::Limit;
use atoll_protocol::quorum::Level;
use atoll_protocol::wire::{Failure, Invalid};

use super::name;
use crate::error::Operation::{Read, Write};
use crate::retry::KeyspaceHere::{Known, Unknown};
use crate::retry::Verdict::{OtherDc, OtherNode, Stop};
use crate::retry::{RetryBudget, Trouble, decide};

#[test]
fn the_table_holds() {
    let level = Level::LocalQuorum;
    let unknown_keyspace = Failure::Invalid(Invalid::UnknownKeyspace { name: name("x") });
    let unavailable = Failure::Unavailable { level, dc: None, needed: 2, alive: 1 };
    let lost = Failure::Unknown { level, dc: None, needed: 2, acked: 1 };
    let deadline = Failure::Deadline { level, dc: None, needed: 2, answered: 1 };
    let overloaded = Failure::Overloaded { what: Limit::StripeQueue, retry_after: Duration::ZERO };
    let not_serving = Failure::NotServing { node: name("n1"), reason: String::new() };
    let storage = Failure::Storage { detail: String::new() };
    let internal = Failure::Internal { detail: String::new() };
    let denied = Failure::Denied { operation: String::new(), needed: String::new() };
    let table = [
        (Trouble::NotSent, OtherNode, OtherNode),
        (Trouble::NoAnswer, OtherNode, Stop),
        (Trouble::Failed(&not_serving), OtherNode, OtherNode),
        (Trouble::Failed(&overloaded), OtherNode, OtherNode),
        (Trouble::Failed(&storage), OtherNode, OtherNode),
        (Trouble::Failed(&unavailable), OtherDc, OtherDc),
        (Trouble::Failed(&Failure::SessionBehind { answered: 2 }), OtherDc, OtherDc),
        (Trouble::Failed(&deadline), OtherNode, Stop),
        (Trouble::Failed(&lost), OtherNode, Stop),
        (Trouble::Failed(&unknown_keyspace), OtherNode, OtherNode),
        (Trouble::Failed(&Failure::Invalid(Invalid::EmptyKey)), Stop, Stop),
        (Trouble::Failed(&denied), Stop, Stop),
        (Trouble::Failed(&internal), Stop, Stop),
    ];
    for (trouble, read, write) in table {
        assert_eq!(decide(trouble, Read, Known), read, "{trouble:?}");
        assert_eq!(decide(trouble, Write, Known), write, "{trouble:?}");
    }
    let unknown_here = Trouble::Failed(&unknown_keyspace);
    assert_eq!(decide(unknown_here, Read, Unknown), Stop);
    assert_eq!(decide(unknown_here, Write, Unknown), Stop);
}

#[test]
fn budget_allows_a_burst_and_then_its_share() {
    let budget = RetryBudget::new(10);
    assert_eq!((0..100).filter(|_| budget.spend()).count(), 10);
    let retries = (0..1_000).filter(|_| {
        budget.earn();
        budget.spend()
    });
    assert_eq!(retries.count(), 100);
    (0..1_000).for_each(|_| budget.earn());
    assert!(budget.can_spend());
    assert_eq!((0..100).filter(|_| budget.spend()).count(), 10, "the purse has a bottom");
}

#[test]
fn budget_of_zero_allows_none() {
    let budget = RetryBudget::new(0);
    budget.earn();
    assert!(!budget.can_spend() && !budget.spend());
}
