use atoll_protocol::ids::Incarnation;

use super::*;

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn version(counter: u64, length: Option<u32>) -> VersionSummary {
    let dot = Dot { incarnation: Incarnation(7), counter };
    VersionSummary { dot, timestamp: Timestamp(1_000_000 * counter), length }
}

fn present(digest: u128, versions: &[VersionSummary]) -> ReplicaState {
    ReplicaState::Present { versions: versions.to_vec(), digest }
}

fn unreachable() -> ReplicaState {
    ReplicaState::Unreachable { reason: "timed out".into() }
}

/// Replicas of one datacenter, asked in the given order.
fn replicas(dc: &str, states: Vec<(u16, ReplicaState)>) -> Vec<ReplicaReport> {
    let reports = (1..).zip(states).map(|(number, (local_order, state))| ReplicaReport {
        node: name(&format!("{dc}-{number}")),
        dc: name(dc),
        rack: name("a"),
        state,
        rtt: None,
        local_order,
    });
    reports.collect()
}

fn explanation(replicas: Vec<ReplicaReport>) -> Explanation {
    Explanation { token: 1, partition: 2, replicas, fallbacks: Vec::new() }
}

#[test]
fn agreement_in_words() {
    let record = || present(1, &[version(1, Some(5))]);
    let rows = [
        (vec![record(), record()], "all 2 replicas that answered hold the same record"),
        (
            vec![record(), record(), present(2, &[])],
            "2 of 3 replicas hold the same record; eu-3 differ(s)",
        ),
        (
            vec![record(), ReplicaState::Absent, record(), unreachable()],
            "2 of 3 replicas hold the same record; eu-2 differ(s); 1 did not answer",
        ),
        (vec![ReplicaState::Absent, unreachable()], "no replica holds the key; 1 did not answer"),
        (vec![unreachable()], "no replica answered"),
        (vec![record(), unreachable()], "one replica holds the record; 1 did not answer"),
        (
            vec![record(), ReplicaState::Absent, present(2, &[])],
            "no two of 3 replicas hold the same record",
        ),
    ];
    for (states, expected) in rows {
        let states = states.into_iter().map(|state| (0, state)).collect();
        let explained = explanation(replicas("eu", states));
        assert_eq!(Findings::of(&explained).agreement(&explained.replicas), expected);
    }
}

#[test]
fn versions_know_their_holders() {
    let (first, second) = (version(1, Some(5)), version(2, None));
    let states = vec![
        (0, present(1, &[first.clone(), second.clone()])),
        (1, present(2, std::slice::from_ref(&second))),
        (2, ReplicaState::Absent),
    ];
    let explained = explanation(replicas("eu", states));
    let findings = Findings::of(&explained);
    let (eu1, eu2) = (name("eu-1"), name("eu-2"));
    assert_eq!(findings.versions[&first.dot].1, [&eu1]);
    assert_eq!(findings.versions[&second.dot].1, [&eu1, &eu2]);
    let table = version_table(&findings).render(0);
    assert!(
        table.contains("0000000000000007:2  1970-01-01T00:00:02.000Z  deleted  eu-1 eu-2"),
        "{table}"
    );
}

#[test]
fn the_nearest_majority_that_answers_serves() {
    let record = || present(1, &[]);
    let mut all = replicas("eu", vec![(2, record()), (0, record()), (1, record())]);
    all.extend(replicas("us", vec![(0, unreachable()), (1, record()), (2, record())]));
    all.extend(replicas("ap", vec![(0, unreachable()), (1, unreachable()), (2, record())]));
    let explained = explanation(all);
    let findings = Findings::of(&explained);
    let serving: Vec<&str> = findings.serving.iter().map(|node| node.as_str()).collect();
    assert_eq!(serving, ["eu-2", "eu-3", "us-2", "us-3"]);
    let without: Vec<&str> = findings.without_quorum.iter().map(|dc| dc.as_str()).collect();
    assert_eq!(without, ["ap"]);
    let document = serde_json::to_value(json::ExplainJson::of(&explained, &findings)).unwrap();
    assert_eq!(document["without_local_quorum"][0], "ap");
    assert_eq!(document["replicas"][1]["serves_local_quorum"], true);
    assert_eq!(document["replicas"][3]["state"], "unreachable");
}
