//! Each checker against tables of small histories: some that keep its promise, the tricky ones included, and some that
//! break it.
//!
//! A table is a sequence of cases: `== title`, the history (`script.rs`), `--`, then either `kept` or what is broken,
//! with the beginnings of the operations that prove it. Every checker looks at every case.

mod model;
mod script;

use atoll_protocol::ids::{DcIndex, Incarnation, NodeIndex};
use atoll_protocol::quorum::Level;

use super::levels::{Quorums, fewest, satisfies};
use super::{account, check, permitted_losses, promise};
use crate::history::{DotConflict, History, KeyId, OpId, Violation};

const TABLES: [(&str, &str); 7] = [
    ("durable.txt", include_str!("durable.txt")),
    ("superseded.txt", include_str!("superseded.txt")),
    ("fresh.txt", include_str!("fresh.txt")),
    ("genuine.txt", include_str!("genuine.txt")),
    ("honest.txt", include_str!("honest.txt")),
    ("converged.txt", include_str!("converged.txt")),
    ("session.txt", include_str!("session.txt")),
];

#[test]
fn tables() {
    let mut wrong = String::new();
    for (name, table) in TABLES {
        let actual: String = cases(table).map(|(title, history)| judged(title, history)).collect();
        if actual.trim() != table.trim() {
            wrong.push_str(&format!("{name} should read:\n{actual}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

fn cases(table: &str) -> impl Iterator<Item = (&str, &str)> {
    table.split("== ").skip(1).map(|case| {
        let (title, rest) = case.split_once('\n').unwrap();
        let (history, _) = rest.split_once("--\n").unwrap();
        (title, history)
    })
}

fn judged(title: &str, text: &str) -> String {
    let history = script::history(text.trim_end());
    let begun = |ops: &[OpId]| -> String {
        ops.iter()
            .map(|id| format!(" @{}", history.ops[id.0].start.as_nanos() / 1_000_000))
            .collect()
    };
    let broken = check(&history)
        .iter()
        .map(|violation| format!("{}{}\n", violation.invariant, begun(&violation.ops)))
        .collect::<String>();
    let lost = permitted_losses(&history)
        .iter()
        .map(|id| format!("permitted loss{}\n", begun(&[*id])))
        .collect::<String>();
    let verdict = if broken.is_empty() { "kept\n".to_owned() } else { broken };
    format!("== {title}\n{text}--\n{verdict}{lost}\n")
}

#[test]
fn every_promise_is_seen_broken() {
    let elsewhere = [promise::CLONED];
    for name in promise::ALL {
        let is_broken =
            TABLES.iter().any(|(_, table)| table.lines().any(|line| line.starts_with(name)));
        assert!(is_broken || elsewhere.contains(&name), "no case breaks `{name}`");
    }
}

#[test]
fn incarnations_and_dots_are_bound_once() {
    let mut history = script::history("final n0,n1,n2 absent");
    assert_eq!(check(&history), Vec::new());
    history.incarnations.entry(NodeIndex(1)).or_default().push(Incarnation(u64::from(b'a')));
    history.dot_conflicts.push(DotConflict {
        key: KeyId(0),
        dot: atoll_protocol::version::Dot { incarnation: Incarnation(1), counter: 1 },
        at: atoll_protocol::time::MonoTime::ZERO,
        detail: "v1 and v2".to_owned(),
    });
    let broken: Vec<_> = check(&history).into_iter().map(|violation| violation.invariant).collect();
    assert_eq!(broken, [promise::DOT, promise::CLONED]);
}

#[test]
fn what_the_world_found_is_passed_on() {
    let finding =
        Violation { invariant: "I13", key: None, detail: "panic".to_owned(), ops: Vec::new() };
    let history = History { findings: vec![finding.clone()], ..History::default() };
    assert_eq!(check(&history), [finding]);
}

#[test]
fn an_account_tells_the_story() {
    let history = script::history(include_str!("account.in.txt").trim_end());
    let violation = check(&history).remove(0);
    let actual = account(&history, &violation);
    assert!(actual == include_str!("account.txt"), "account.txt should read:\n{actual}");
    let general = Violation { key: None, ..violation };
    assert!(account(&history, &general).contains("put v1"));
}

const LEVELS: [Level; 10] = [
    Level::One,
    Level::Two,
    Level::Three,
    Level::LocalOne,
    Level::LocalQuorum,
    Level::Quorum,
    Level::EachQuorum,
    Level::All,
    Level::LocalQuorumPlus(1),
    Level::LocalQuorumPlus(2),
];

/// Two independent pieces of arithmetic agree on every level, shape and count of acknowledgements.
#[test]
fn levels_agree_with_the_shipped_arithmetic() {
    use atoll_protocol::quorum::{QuorumSpec, Tally, Verdict};
    for replicas in [&[1_u8][..], &[3], &[2, 2], &[3, 3], &[3, 0, 2], &[3, 3, 3]] {
        for (level, local) in asked_levels(replicas.len()) {
            let spec = QuorumSpec::new(level, replicas, local);
            assert_eq!(spec.is_ok(), fewest(replicas, (level, local)).is_some(), "{level}");
            let Ok(spec) = spec else { continue };
            for count in super::levels::every_count(replicas) {
                let mut tally = Tally::new(&spec);
                for (dc, acks) in (0..).zip(&count) {
                    (0..*acks).for_each(|_| tally.ack(DcIndex(dc)));
                }
                let is_met = tally.verdict(&spec) == Verdict::Met;
                assert_eq!(
                    satisfies(replicas, (level, local), &count),
                    is_met,
                    "{level} {count:?}"
                );
            }
        }
    }
}

fn asked_levels(dcs: usize) -> impl Iterator<Item = (Level, DcIndex)> {
    let locals = (0..u8::try_from(dcs).unwrap()).map(DcIndex);
    locals.flat_map(|local| LEVELS.into_iter().map(move |level| (level, local)))
}

#[test]
fn which_levels_are_sure_to_meet() {
    let (here, there) = (DcIndex(0), DcIndex(1));
    let three = |write, read, forgotten: u8| {
        Quorums::new(&[3]).sure_to_meet((write, here), (read, here), &[forgotten])
    };
    assert!(three(Level::Quorum, Level::Quorum, 0));
    assert!(three(Level::All, Level::One, 0));
    assert!(three(Level::All, Level::Quorum, 1));
    assert!(!three(Level::All, Level::Quorum, 2));
    assert!(!three(Level::Quorum, Level::Quorum, 1));
    assert!(!three(Level::Quorum, Level::One, 0));
    let two_dcs = |write, read| Quorums::new(&[3, 3]).sure_to_meet(write, read, &[0, 0]);
    assert!(two_dcs((Level::EachQuorum, here), (Level::LocalQuorum, there)));
    assert!(two_dcs((Level::LocalQuorum, here), (Level::LocalQuorum, here)));
    assert!(!two_dcs((Level::LocalQuorum, here), (Level::LocalQuorum, there)));
    assert!(!two_dcs((Level::LocalQuorum, here), (Level::Quorum, here)));
    assert!(two_dcs((Level::Quorum, here), (Level::Quorum, there)));
    assert!(two_dcs((Level::LocalQuorumPlus(1), here), (Level::All, there)));
}
