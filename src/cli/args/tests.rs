use std::time::Duration;

use clap::CommandFactory;
use clap::error::ErrorKind;

use super::super::common::positive_span;
use super::*;

fn parse(line: &str) -> Result<Command, clap::Error> {
    let words = line.split_whitespace();
    Cli::try_parse_from(std::iter::once("atoll").chain(words)).map(|cli| cli.command)
}

#[test]
fn the_definition_is_sound() {
    Cli::command().debug_assert();
}

#[test]
fn what_can_be_typed() {
    let lines = [
        "put k v",
        "put k -",
        "put k --file f --ttl 7d --level each_quorum --keyspace users -o json",
        "get k --level LOCAL_QUORUM+2 -o raw --profile p --dc eu --deadline 500ms",
        "get k -o context",
        "delete k -o table",
        "load f.csv --concurrency 256 --progress p --format tsv",
        "status --check -o json",
        "status --storage",
        "status --storage -o json",
        "config print f",
        "ring",
        "ring k --keyspace users",
        "explain k",
        "keyspace create users --rf eu=3,us=2 --conflict lww --ttl 30d --record-bytes-max 4096",
        "keyspace create users --rf eu=3 --rf us=2",
        "keyspace list",
        "keyspace show users",
        "hints list",
        "hints drop eu-1 -o json",
        "repair status -o json",
        "tombstones",
        "tombstones -o json --dc eu",
        "node --config f --allow-faults --wan --watch-stdin --workers 4 --log-format json --log info,atoll_quic=debug",
        "config check f",
        "storage verify d -o json",
        "storage dump f --limit 10 -o json",
        "cert ca --cluster demo",
        "cert node eu-1 --cluster demo --dc eu --rack a --out d --days 10",
        "cert client app --cluster demo --ca-dir d",
        "cert admin me --cluster demo",
        "cert show f -o json",
        "dev",
        "dev --topology f --dir d --wan --no-restart",
        "dev kill eu --dir d",
        "dev --dir d stop eu-1",
        "dev start eu",
        "demo",
        "fault partition eu us",
        "fault partition eu-1",
        "fault delay 50ms eu us",
        "fault loss 5% eu",
        "fault heal",
        "fault show -o json",
    ];
    for line in lines {
        if let Err(error) = parse(line) {
            panic!("{line}: {error}");
        }
    }
}

#[test]
fn what_cannot_be_typed_says_why() {
    let rows = [
        ("get k --level MOST", "LOCAL_QUORUM+k"),
        ("get k --keyspace a/b", "is not a name"),
        ("get k --deadline 0s", "above zero"),
        ("get k --deadline 5", "such as 500ms"),
        ("put k v --context nonsense!", "base64url"),
        ("put k v --file f", "cannot be used with"),
        ("load f --concurrency 0", "1..=256"),
        ("load f --concurrency 257", "1..=256"),
        ("status -o raw", "invalid value 'raw'"),
        ("status --storage --check", "cannot be used with"),
        ("tombstones -o raw", "invalid value 'raw'"),
        ("keyspace create k --rf eu", "write for example eu=3"),
        ("keyspace create k --conflict last", "write `siblings` or `lww`"),
        ("node --config f --log =x=", "error, warn, info"),
        ("cert ca --cluster demo --days 0", "1.."),
        ("storage dump f --limit 0", "1.."),
        ("fault loss 0% eu", "not a percentage"),
        ("get", "required"),
    ];
    for (line, text) in rows {
        let error = parse(line).expect_err(line);
        assert!(error.to_string().contains(text), "{line}: {error}");
        assert_eq!(error.exit_code(), 2, "{line}");
    }
}

#[test]
fn help_and_version_are_no_mistakes() {
    for (line, kind) in
        [("--help", ErrorKind::DisplayHelp), ("--version", ErrorKind::DisplayVersion)]
    {
        assert_eq!(parse(line).unwrap_err().kind(), kind);
    }
}

#[test]
fn spans_are_above_zero() {
    assert_eq!(positive_span("250ms"), Ok(Duration::from_millis(250)));
    for wrong in ["", "0", "0s", "5", "-1s", "soon"] {
        assert!(positive_span(wrong).is_err(), "{wrong}");
    }
}
