//! Levels as text, and every tally of small clusters against the definition of its level.

use super::{Level, QuorumSpec, Tally, Verdict};
use crate::ids::DcIndex;

const LEVELS: [Level; 11] = [
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
    Level::LocalQuorumPlus(3),
];

/// The definition of the levels, written once more and without clauses: do these acks per datacenter satisfy `level`?
pub(crate) fn is_met(level: Level, replicas: &[u8], local: usize, acked: &[u16]) -> bool {
    let total: u16 = acked.iter().sum();
    let all: u16 = replicas.iter().map(|&count| u16::from(count)).sum();
    let here = acked.get(local).copied().unwrap_or(0);
    let local_majority =
        replicas.get(local).is_some_and(|&count| count > 0 && here > u16::from(count) / 2);
    let others = acked.iter().enumerate().filter(|&(dc, &count)| dc != local && count > 0).count();
    match level {
        Level::One => total >= 1,
        Level::Two => total >= 2,
        Level::Three => total >= 3,
        Level::LocalOne => here >= 1,
        Level::LocalQuorum => local_majority,
        Level::Quorum => total > all / 2,
        Level::EachQuorum => {
            let majority = |(&count, &acks): (&u8, &u16)| count == 0 || acks > u16::from(count) / 2;
            all > 0 && replicas.iter().zip(acked).all(majority)
        }
        Level::All => all > 0 && total == all,
        Level::LocalQuorumPlus(k) => local_majority && others >= usize::from(k),
    }
}

/// Fewest acks that satisfy the level from `acked` on, when `left` more can come; `None` if it cannot be satisfied.
pub(crate) fn distance(
    level: Level,
    replicas: &[u8],
    local: usize,
    acked: &[u16],
    left: &[u16],
) -> Option<u16> {
    let mut best = None;
    let mut extra = vec![0u16; left.len()];
    loop {
        let sum: Vec<u16> = acked.iter().zip(&extra).map(|(a, b)| a + b).collect();
        if is_met(level, replicas, local, &sum) {
            let count = extra.iter().sum();
            best = Some(best.map_or(count, |least: u16| least.min(count)));
        }
        let Some(dc) = (0..left.len()).find(|&dc| extra[dc] < left[dc]) else {
            return best;
        };
        extra[dc] += 1;
        extra[..dc].fill(0);
    }
}

fn dc(index: usize) -> DcIndex {
    DcIndex(u8::try_from(index).unwrap())
}

fn widen(replicas: &[u8]) -> Vec<u16> {
    replicas.iter().map(|&count| u16::from(count)).collect()
}

fn tally_of(spec: &QuorumSpec, acked: &[u16], failed: &[u16]) -> Tally {
    let mut tally = Tally::new(spec);
    for (index, (&acks, &fails)) in acked.iter().zip(failed).enumerate() {
        (0..acks).for_each(|_| tally.ack(dc(index)));
        (0..fails).for_each(|_| tally.fail(dc(index)));
    }
    tally
}

/// Every (acked, failed) that `replicas` can be in.
fn every_state(replicas: &[u8]) -> Vec<(Vec<u16>, Vec<u16>)> {
    let mut states = vec![(Vec::new(), Vec::new())];
    for &count in replicas {
        let count = u16::from(count);
        let mut next = Vec::new();
        for (acked, failed) in &states {
            for acks in 0..=count {
                for fails in 0..=count - acks {
                    let mut state = (acked.clone(), failed.clone());
                    state.0.push(acks);
                    state.1.push(fails);
                    next.push(state);
                }
            }
        }
        states = next;
    }
    states
}

/// `SHAPE @LOCAL LEVEL -> clauses`, one per line.
#[test]
fn levels_over_shapes() {
    let table = include_str!("levels.txt");
    let mut actual = String::new();
    for line in table.lines() {
        let question = line.split("->").next().unwrap().trim();
        if question.is_empty() || question.starts_with('#') {
            actual.push_str(line);
        } else {
            actual.push_str(&format!("{question:<32}-> {}", answer(question)));
        }
        actual.push('\n');
    }
    assert!(actual == table, "levels.txt should read:\n{actual}");
}

fn answer(question: &str) -> String {
    let mut words = question.split_whitespace();
    let shape = words.next().unwrap().trim_matches(['(', ')']);
    let replicas: Vec<u8> = shape.split(',').map(|count| count.parse().unwrap()).collect();
    let local: usize = words.next().unwrap().trim_start_matches('@').parse().unwrap();
    let level: Level = words.next().unwrap().parse().unwrap();
    let spec = match QuorumSpec::new(level, &replicas, dc(local)) {
        Ok(spec) => spec,
        Err(error) => return error.to_string(),
    };
    let none = vec![0; replicas.len()];
    let least = distance(level, &replicas, local, &none, &widen(&replicas)).unwrap();
    let per_dc: Vec<String> = spec.per_dc.iter().map(ToString::to_string).collect();
    format!(
        "acks {least}: per dc ({}), total {}, others {}",
        per_dc.join(","),
        spec.total,
        spec.other_dcs
    )
}

#[test]
fn a_spec_exists_exactly_when_all_replicas_together_satisfy_the_level() {
    for shape in [&[3, 3, 3][..], &[3], &[1, 1], &[5, 3, 0], &[0, 0], &[], &[2], &[0, 1], &[15, 15]]
    {
        for local in 0..=shape.len() {
            for level in LEVELS {
                let satisfiable = is_met(level, shape, local, &widen(shape));
                let spec = QuorumSpec::new(level, shape, dc(local));
                assert_eq!(spec.is_ok(), satisfiable, "{level} over {shape:?} in {local}");
                if let Ok(spec) = spec {
                    assert_eq!((spec.level(), spec.local()), (level, dc(local)));
                }
            }
        }
    }
}

/// Verdict, finality and `wants`, for every level, local datacenter and tally of small shapes.
#[test]
fn every_tally_of_small_shapes_agrees_with_the_definition() {
    for shape in [&[3][..], &[1, 1], &[3, 3], &[3, 0, 2], &[2, 1, 3], &[2, 2, 2], &[1, 1, 1, 1]] {
        for local in 0..shape.len() {
            for level in LEVELS {
                let Ok(spec) = QuorumSpec::new(level, shape, dc(local)) else {
                    continue;
                };
                for (acked, failed) in every_state(shape) {
                    check_state(&spec, shape, &acked, &failed);
                }
            }
        }
    }
}

fn check_state(spec: &QuorumSpec, shape: &[u8], acked: &[u16], failed: &[u16]) {
    let (level, local) = (spec.level(), usize::from(spec.local().0));
    let tally = tally_of(spec, acked, failed);
    let left: Vec<u16> =
        (0..shape.len()).map(|i| u16::from(shape[i]) - acked[i] - failed[i]).collect();
    let least = distance(level, shape, local, acked, &left);
    let expected = match least {
        Some(0) => Verdict::Met,
        Some(_) => Verdict::Pending,
        None => Verdict::Unreachable,
    };
    let verdict = tally.verdict(spec);
    let what = || format!("{level} over {shape:?} in {local}, acked {acked:?}, failed {failed:?}");
    assert_eq!(verdict, expected, "{}", what());
    assert_eq!(spec.shortfall(&tally).is_none(), verdict == Verdict::Met, "{}", what());
    assert_eq!(spec.impossibility(&tally).is_some(), verdict == Verdict::Unreachable, "{}", what());
    for index in (0..shape.len()).filter(|&index| left[index] > 0) {
        let (mut more, mut fewer) = (tally.clone(), tally.clone());
        more.ack(dc(index));
        fewer.fail(dc(index));
        if verdict != Verdict::Pending {
            assert_eq!(more.verdict(spec), verdict, "final: {}", what());
            assert_eq!(fewer.verdict(spec), verdict, "final: {}", what());
            continue;
        }
        let (mut acked_more, mut left_then) = (acked.to_vec(), left.clone());
        acked_more[index] += 1;
        left_then[index] -= 1;
        let then = distance(level, shape, local, &acked_more, &left_then);
        // With everybody alive the goal is one ack nearer; failures elsewhere never change what helps.
        assert_eq!(spec.wants(&tally, dc(index)), then < least, "wants {index}: {}", what());
    }
}

#[test]
fn following_wants_reaches_the_goal_with_the_fewest_acks() {
    for shape in [&[3, 3, 3][..], &[3], &[1, 1], &[5, 3, 0], &[2, 4, 1, 1], &[15, 15, 15]] {
        for local in 0..shape.len() {
            for level in LEVELS {
                let Ok(spec) = QuorumSpec::new(level, shape, dc(local)) else {
                    continue;
                };
                let none = vec![0; shape.len()];
                let least = distance(level, shape, local, &none, &widen(shape)).unwrap();
                for first in 0..shape.len() {
                    assert_eq!(
                        acks_by_greed(&spec, shape, first),
                        least,
                        "{level} {shape:?} {local}"
                    );
                }
            }
        }
    }
}

/// Acks until `Met`, always taking the first datacenter (beginning with `first`) that is wanted and has a replica left.
fn acks_by_greed(spec: &QuorumSpec, shape: &[u8], first: usize) -> u16 {
    let mut tally = Tally::new(spec);
    while tally.verdict(spec) == Verdict::Pending {
        let mut order = (0..shape.len()).map(|i| (first + i) % shape.len());
        let has_left = |i: usize| tally.acked_in(dc(i)) < u16::from(shape[i]);
        let next = order.find(|&i| has_left(i) && spec.wants(&tally, dc(i))).unwrap();
        tally.ack(dc(next));
    }
    assert_eq!(tally.verdict(spec), Verdict::Met);
    tally.acked_total()
}

#[test]
fn only_one_and_local_one_skip_the_write_back() {
    for level in LEVELS {
        let Ok(spec) = QuorumSpec::new(level, &[3, 3, 3, 3], DcIndex(1)) else {
            continue;
        };
        assert_eq!(
            !spec.demands_write_back(),
            matches!(level, Level::One | Level::LocalOne),
            "{level}"
        );
    }
}

#[test]
fn level_names() {
    let good = [
        ("ONE", Level::One),
        ("one", Level::One),
        ("Local_Quorum", Level::LocalQuorum),
        ("EACH_QUORUM", Level::EachQuorum),
        ("LOCAL_QUORUM+1", Level::LocalQuorumPlus(1)),
        ("local_quorum+31", Level::LocalQuorumPlus(31)),
    ];
    for (text, level) in good {
        assert_eq!(text.parse(), Ok(level), "{text}");
        assert_eq!(level.to_string().parse(), Ok(level));
        assert_eq!(Level::try_from(String::from(level)), Ok(level));
    }
    let bad = [
        "",
        " ",
        "FOUR",
        "ONE ",
        "QUORUM+1",
        "LOCAL_QUORUM+",
        "LOCAL_QUORUM+0",
        "LOCAL_QUORUM+32",
        "LOCAL_QUORUM+256",
        "LOCAL_QUORUM+-1",
        "LOCAL_QUORUM++1",
        "LOCAL_QUORUM+01",
        "LOCAL_QUORUM+1 ",
        "LOCAL-QUORUM",
        "Ａll",
    ];
    for text in bad {
        let error = text.parse::<Level>().unwrap_err();
        assert_eq!(error.text, text);
    }
    let long = "x".repeat(1_000);
    assert_eq!(long.parse::<Level>().unwrap_err().text.len(), 64);
    for level in Level::NAMED {
        assert_eq!(level.is_local(), matches!(level, Level::LocalOne | Level::LocalQuorum));
    }
    assert!(!Level::LocalQuorumPlus(1).is_local());
}
