use atoll_client::{Failure, Operation, Outcome};
use atoll_protocol::ids::Name;
use atoll_protocol::limits::Limit;
use atoll_protocol::wire::Invalid;

use super::*;

fn failed(failure: Failure) -> ClientError {
    ClientError::Failed { node: Name::new("eu-1").unwrap(), operation: Operation::Write, failure }
}

fn overloaded(retry_after: Duration) -> ClientError {
    failed(Failure::Overloaded { what: Limit::StripeQueue, retry_after })
}

fn unknown() -> ClientError {
    let (allowed, outcome) = (Duration::from_secs(1), Outcome::Unknown);
    ClientError::Deadline { allowed, attempts: 1, outcome, last: None }
}

#[test]
fn what_was_refused_is_put_again_and_what_is_unknown_is_looked_at() {
    let unavailable = Failure::NotServing { node: Name::new("a").unwrap(), reason: "x".into() };
    let millis = Duration::from_millis;
    let rows = [
        (failed(unavailable.clone()), 1, Some((Approach::Put, millis(100)))),
        (failed(unavailable), 3, Some((Approach::Put, millis(400)))),
        (overloaded(millis(30)), 5, Some((Approach::Put, millis(30)))),
        (overloaded(millis(90_000)), 1, Some((Approach::Put, PAUSE_MAX))),
        (unknown(), 1, Some((Approach::LookFirst, millis(100)))),
        (unknown(), 7, Some((Approach::LookFirst, PAUSE_MAX))),
        (unknown(), 8, None),
        (failed(Failure::Invalid(Invalid::EmptyKey)), 1, None),
    ];
    for (error, attempt, expected) in rows {
        let expected = match expected {
            None => Next::Stop,
            Some((approach, pause)) => Next::Again { approach, pause },
        };
        assert_eq!(next_step(&error, Approach::Put, attempt), expected, "{error} at {attempt}");
    }
}

#[test]
fn a_row_that_was_unknown_once_stays_suspicious() {
    let next = next_step(&overloaded(PAUSE_FIRST), Approach::LookFirst, 2);
    assert_eq!(next, Next::Again { approach: Approach::LookFirst, pause: PAUSE_FIRST });
}

#[test]
fn siblings_are_counted_with_the_first_place() {
    let row = |line| Row { line, key: format!("k{line}").into(), value: "v".into() };
    let mut loaded = Loaded::default();
    let ends = [
        (2, Ok(RowEnd::Written { siblings: 1 })),
        (3, Ok(RowEnd::Found)),
        (4, Ok(RowEnd::Written { siblings: 2 })),
        (5, Ok(RowEnd::Written { siblings: 3 })),
    ];
    for (line, result) in ends {
        note(&mut loaded, Ended { index: line - 2, row: row(line), result }).unwrap();
    }
    let first_sibling = Some("line 4, key `k4`".to_owned());
    assert_eq!(loaded, Loaded { written: 3, with_siblings: 2, first_sibling });
    let error = note(&mut loaded, Ended { index: 9, row: row(11), result: Err(unknown()) });
    assert!(matches!(error, Err(Error::Row { place, .. }) if place == "line 11, key `k11`"));
}
