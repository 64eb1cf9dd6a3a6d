//! Who is taken for dead, by whom, and when. The checkers see to it that nobody is without a cause, and that everybody is
//! believed to be alive when all is well; what is added here are the times.

use std::time::Duration;

use atoll_protocol::ids::NodeIndex;
use atoll_protocol::time::MonoTime;
use atoll_protocol::wire::SuspicionState;
use atoll_sim::history::{History, Verdict};

use crate::builder::{Runs, Scenario};
use crate::trouble::{cut, kill, loss, pause};

/// What is promised within a datacenter, and between two.
const NEAR: Duration = Duration::from_secs(5);
const FAR: Duration = Duration::from_secs(15);

/// The world looks four times a second.
const LOOK: Duration = Duration::from_millis(250);

/// Convictions of `node` from `at` on, the first one of each observer.
fn convictions(history: &History, node: u16, at: MonoTime) -> Vec<(u16, Duration)> {
    let of = |verdict: &&Verdict| verdict.node == NodeIndex(node) && verdict.at >= at;
    let is_conviction = |verdict: &&Verdict| verdict.state == Some(SuspicionState::Convicted);
    let all = history.verdicts.iter().filter(of).filter(is_conviction);
    let mut first: Vec<(u16, Duration)> = Vec::new();
    for verdict in all {
        if first.iter().all(|(observer, _)| *observer != verdict.observer.0) {
            first.push((verdict.observer.0, verdict.at.since(at)));
        }
    }
    first
}

/// Each of `observers` convicted `node` within `limit` of its death, in every run; the longest time that one took.
#[track_caller]
fn convicted_within(runs: &Runs, node: u16, observers: &[u16], limit: Duration) -> Duration {
    let mut longest = Duration::ZERO;
    for (seed, report) in &runs.reports {
        let history = &report.history;
        let died = history.deaths.iter().find(|(of, _)| *of == NodeIndex(node));
        let (_, died) = *died.expect("it died");
        let convictions = convictions(history, node, died);
        for observer in observers {
            let took = convictions.iter().find(|(by, _)| by == observer).map(|(_, took)| *took);
            let took =
                took.unwrap_or_else(|| panic!("seed {seed}: {observer} does not: {convictions:?}"));
            assert!(took <= limit + LOOK, "seed {seed}: {observer} took {took:?}");
            longest = longest.max(took);
        }
    }
    longest
}

#[track_caller]
fn nobody_was_convicted(runs: &Runs) {
    for (seed, report) in &runs.reports {
        // The last deaths are those of the power loss at the end.
        let end =
            report.history.deaths.first().map_or(MonoTime::from_nanos(u64::MAX), |(_, at)| *at);
        let before = |verdict: &&Verdict| verdict.at < end;
        let verdicts = report.history.verdicts.iter().filter(before);
        let convictions: Vec<_> =
            verdicts.filter(|verdict| verdict.state == Some(SuspicionState::Convicted)).collect();
        assert!(convictions.is_empty(), "seed {seed}: {convictions:?}");
    }
}

/// A dead node is convicted within 5 s by everybody in its datacenter.
#[test]
fn a_dead_node_is_convicted_in_time() {
    let runs =
        Scenario::nodes(3).lasting(20_000).during(2_000..16_000, kill(1)).seeds(1..=16).run();
    let longest = convicted_within(&runs, 1, &[0, 2], NEAR);
    eprintln!("longest time until a dead node was convicted: {longest:?}");
}

/// The same with real connections, which have time-outs and handshakes of their own.
#[test]
fn a_dead_node_is_convicted_in_time_over_quic() {
    let runs = Scenario::nodes(3)
        .over_quic()
        .lasting(20_000)
        .during(2_000..16_000, kill(1))
        .seeds(1..=4)
        .run();
    convicted_within(&runs, 1, &[0, 2], NEAR);
}

/// And within 15 s by everybody in another one.
#[test]
fn another_datacenter_learns_of_a_dead_node_in_time() {
    let runs =
        Scenario::dcs(&[3, 2]).lasting(24_000).during(2_000..20_000, kill(4)).seeds(1..=16).run();
    let longest = convicted_within(&runs, 4, &[0, 1, 2], FAR);
    eprintln!("longest time until another datacenter convicted a dead node: {longest:?}");
    convicted_within(&runs, 4, &[3], FAR);
}

/// Of every twenty frames and datagrams one is lost, for three minutes: nobody is taken for dead.
#[test]
fn losses_convict_nobody() {
    let runs = Scenario::dcs(&[3, 3])
        .lasting(180_000)
        .during(1_000..180_000, loss(6, 50))
        .seeds(1..=5)
        .run();
    runs.all_had(&["frame lost"]);
    nobody_was_convicted(&runs);
}

/// One direction is cut: who does not hear the other one suspects it, and everybody knows who; nobody convicts it, because
/// the third hears it.
#[test]
fn one_way_is_seen_and_convicts_nobody() {
    let scenario = || Scenario::nodes(3).lasting(20_000).during(2_000..18_000, cut(&[1], &[0]));
    one_way_is_seen(&scenario().run());
    one_way_is_seen(&scenario().over_quic().seeds(1..=4).run());
}

#[track_caller]
fn one_way_is_seen(runs: &Runs) {
    nobody_was_convicted(runs);
    for (seed, report) in &runs.reports {
        let verdicts = &report.history.verdicts;
        let suspects = |observer: u16, node: u16| {
            verdicts.iter().any(|verdict| {
                (verdict.observer, verdict.node) == (NodeIndex(observer), NodeIndex(node))
                    && verdict.state == Some(SuspicionState::Suspect)
            })
        };
        assert!(suspects(0, 1) && suspects(2, 1), "seed {seed}: {verdicts:?}");
    }
}

/// A node that stands still is convicted, and back among the living seconds after it goes on. It convicts nobody.
#[test]
fn who_stands_still_is_convicted_and_readmitted() {
    let runs = Scenario::nodes(3).lasting(20_000).during(2_000..12_000, pause(1)).run();
    runs.all_had(&["pause"]);
    for (seed, report) in &runs.reports {
        let verdicts = &report.history.verdicts;
        let begin = MonoTime::ZERO;
        let by: Vec<u16> =
            convictions(&report.history, 1, begin).iter().map(|(by, _)| *by).collect();
        assert!(by.contains(&0) && by.contains(&2), "seed {seed}: {verdicts:?}");
        let end = report.history.deaths.first().map(|(_, at)| *at);
        let of_others = verdicts.iter().filter(|verdict| verdict.observer == NodeIndex(1));
        let wrong = of_others.filter(|verdict| {
            verdict.state == Some(SuspicionState::Convicted)
                && end.is_none_or(|end| verdict.at < end)
        });
        assert_eq!(wrong.count(), 0, "seed {seed}: {verdicts:?}");
    }
}
