use std::io;
use std::time::Duration;

use atoll_client::{Operation, Tried};
use atoll_protocol::ids::Name;
use atoll_protocol::limits::Limit;
use atoll_protocol::quorum::Level;
use atoll_protocol::wire::{Failure, Invalid};

use super::*;

fn failed(failure: Failure, operation: Operation) -> ClientError {
    ClientError::Failed { node: Name::new("eu-1").unwrap(), operation, failure }
}

fn unavailable() -> Failure {
    let dc = Some(Name::new("eu").unwrap());
    Failure::Unavailable { level: Level::LocalQuorum, dc, needed: 2, alive: 1 }
}

fn unknown() -> Failure {
    Failure::Unknown { level: Level::Quorum, dc: None, needed: 5, acked: 3 }
}

#[test]
fn every_failure_of_the_cluster_has_its_code() {
    let level = Level::Quorum;
    let rows = [
        (Failure::Invalid(Invalid::EmptyKey), 2),
        (Failure::Invalid(Invalid::UnknownKeyspace { name: Name::new("x").unwrap() }), 2),
        (Failure::Invalid(Invalid::TooManySiblings { got: 64 }), 6),
        (Failure::Denied { operation: "x".into(), needed: "y".into() }, 7),
        (unavailable(), 4),
        (unknown(), 5),
        (Failure::Deadline { level, dc: None, needed: 2, answered: 1 }, 5),
        (Failure::Overloaded { what: Limit::StripeQueue, retry_after: Duration::ZERO }, 4),
        (Failure::NotServing { node: Name::new("n").unwrap(), reason: "stopping".into() }, 4),
        (Failure::Storage { detail: "EIO".into() }, 1),
        (Failure::Internal { detail: "x".into() }, 1),
    ];
    for (failure, code) in rows {
        let shown = failure.to_string();
        let error = Error::write(failed(failure, Operation::Write));
        assert_eq!(exit_code(&error), code, "{shown}");
    }
}

#[test]
fn every_error_of_a_command_has_its_code() {
    let io = || io::Error::other("x");
    let pipe = io::Error::from(io::ErrorKind::BrokenPipe);
    let unreachable = ClientError::Unreachable { hint: None, tried: Vec::new() };
    let cause = Box::new(Error::write(failed(unknown(), Operation::Write)));
    let rows = [
        (Error::usage("a", "b"), 2),
        (Error::Profile(ProfileError::NotFound { tried: Vec::new() }), 2),
        (Error::Profile(ProfileError::NoAdmin), 7),
        (Error::read(unreachable), 4),
        (Error::read(ClientError::Configuration { problems: Vec::new() }), 2),
        (Error::NotFound { what: "x".into() }, 3),
        (Error::Siblings { what: "x".into(), fix: "y".into() }, 6),
        (Error::Degraded { problems: Vec::new() }, 8),
        (Error::Damaged { store: "d".into(), count: 1 }, 8),
        (Error::LoadStopped { hint: "again".into(), cause }, 5),
        (Error::Node(StartError::TopologyChanged { path: "t".into(), epoch: 1 }), 2),
        (Error::Node(StartError::NotMember { path: "t".into(), detail: "x".into() }), 2),
        (Error::Node(StartError::DataDirectory { path: "d".into(), detail: "x".into() }), 1),
        (Error::Node(StartError::Meta(MetaError::InUse { path: "d".into() })), 1),
        (Error::Config(ConfigError::Syntax { path: "c".into(), detail: "x".into() }), 2),
        (Error::Check { path: "c".into(), problems: Vec::new() }, 2),
        (Error::Cert(CertError::Exists { path: "c".into() }), 2),
        (Error::Cert(CertError::KeyMode { path: "c".into(), mode: 0o644 }), 7),
        (Error::Cert(CertError::Crypto { problem: "x".into() }), 1),
        (Error::Io { action: "read x".into(), source: io() }, 1),
        (Error::Output(io()), 1),
        (Error::Output(pipe), 0),
    ];
    for (error, code) in rows {
        assert_eq!(exit_code(&error), code, "{error:?}");
    }
}

#[test]
fn a_failed_write_says_what_became_of_it() {
    let said = message(&Error::write(failed(unavailable(), Operation::Write)));
    assert_eq!(said.matches("nothing was written").count(), 1, "{said}");
    assert!(said.contains("\n  try: a lower --level"), "{said}");
    let said = message(&Error::write(failed(unknown(), Operation::Write)));
    assert!(said.contains("\n  it may have been applied"), "{said}");
    let too_large = Failure::Invalid(Invalid::TooLarge { limit: 10, got: 11 });
    let said = message(&Error::write(failed(too_large, Operation::Write)));
    assert!(said.ends_with("\n  nothing was written"), "{said}");
}

#[test]
fn a_failed_read_says_nothing_of_writing() {
    let failure = Failure::Deadline { level: Level::Quorum, dc: None, needed: 2, answered: 1 };
    let said = message(&Error::read(failed(failure, Operation::Read)));
    assert!(!said.contains("written") && !said.contains("applied"), "{said}");
}

#[test]
fn further_lines_are_indented() {
    let nested = Error::usage("first\nsecond", "do this");
    let error = Error::Check { path: "atoll.toml".into(), problems: vec![nested] };
    assert_eq!(message(&error), "error: atoll.toml: 1 problem(s)\n  first\n  second\n  do this");
}

#[test]
fn who_was_tried_stands_on_lines_of_its_own() {
    let tried = |node: &str, reason: &str| Tried { node: node.into(), reason: reason.into() };
    let tried = vec![tried("a:1", "a:1 does not answer"), tried("eu-1", "the outbox is full")];
    let error = Error::read(ClientError::Unreachable { hint: None, tried });
    let expected = "error: no node could be reached\n  a:1 does not answer\n  eu-1: the outbox is full\n  \
                    try: see that the nodes run and that UDP reaches them";
    assert_eq!(message(&error), expected);
}

#[test]
fn a_locked_data_directory_says_what_to_do() {
    let locked = atoll_storage::Error::Locked { path: "data/storage/LOCK".into() };
    let said = message(&Error::Node(StartError::Storage(locked)));
    assert!(said.contains("another data_dir"), "{said}");
}

#[test]
fn the_node_that_answered_is_named_below() {
    let detail = "rf.eu: 9\n  fix: 3".to_owned();
    let failure = Failure::Invalid(Invalid::Keyspace { detail });
    let said = message(&Error::write(failed(failure, Operation::Write)));
    let expected = "error: rf.eu: 9\n    fix: 3\n  answered by eu-1\n  nothing was written";
    assert_eq!(said, expected);
}
