//! What happens to a request when nodes and connections do not do what they should.

use std::time::Duration;

use atoll_protocol::limits::Limit;
use atoll_protocol::quorum::Level;
use atoll_protocol::wire::Failure;

use super::fake::{Act, FakeCluster, down, up};
use super::{is_get, is_put, name, within};
use crate::link::Condition;
use crate::{Client, DcFailover, Error, ErrorKind, FaultCommand, Profile};

fn overloaded() -> Act {
    let retry_after = Duration::from_millis(1);
    Act::Fail(Failure::Overloaded { what: Limit::OperationsInflight, retry_after })
}

/// Requests that wait on any connection of `client`.
fn inflight(client: &Client) -> usize {
    let snapshot = client.dispatcher().snapshot();
    let of_node = |node| match snapshot.peer(node)?.condition(crate::runtime::now()) {
        Condition::Up { inflight, .. } => Some(inflight),
        _ => None,
    };
    snapshot.nodes().filter_map(of_node).sum()
}

#[tokio::test]
async fn get_is_repeated_elsewhere_after_a_broken_connection() {
    let cluster = FakeCluster::three();
    let users = within(cluster.client()).await.keyspace("default");
    users.put("k", "v").await.unwrap();
    cluster.script([Act::Break]);
    let found = within(users.get("k").into_future()).await.unwrap();
    assert_eq!(found.bytes().map(|bytes| &bytes[..]), Some(&b"v"[..]));
    let nodes: Vec<_> = cluster.data_requests().into_iter().skip(1).map(|(node, _)| node).collect();
    assert_eq!(nodes.len(), 2);
    assert_ne!(nodes[0], nodes[1]);
}

#[tokio::test]
async fn put_on_a_broken_connection_is_unknown_and_not_repeated() {
    let cluster = FakeCluster::three();
    let users = within(cluster.client()).await.keyspace("default");
    cluster.script([Act::Break]);
    let error = within(users.put("k", "v").into_future()).await.unwrap_err();
    assert!(matches!(error, Error::Lost { .. }), "{error}");
    assert_eq!(error.kind(), ErrorKind::Unknown);
    assert!(error.may_have_applied() && error.is_retryable());
    assert!(error.to_string().contains("scripted"), "{error}");
    assert_eq!(cluster.data_requests().len(), 1);
    within(users.put("k", "v").into_future()).await.unwrap();
}

#[tokio::test]
async fn put_that_was_not_applied_is_repeated_elsewhere() {
    let cluster = FakeCluster::three();
    let users = within(cluster.client()).await.keyspace("default");
    let not_serving = Failure::NotServing { node: name("n1"), reason: "stopping".to_owned() };
    cluster.script([Act::Fail(not_serving), overloaded()]);
    within(users.put("k", "v").into_future()).await.unwrap();
    let mut nodes: Vec<_> = cluster.data_requests().into_iter().map(|(node, _)| node).collect();
    nodes.sort();
    nodes.dedup();
    assert_eq!(nodes.len(), 3, "three attempts at three nodes");
}

#[tokio::test]
async fn requests_and_retries_are_counted() {
    let cluster = FakeCluster::three();
    let client = within(cluster.client()).await;
    let users = client.keyspace("default");
    within(users.put("k", "v").into_future()).await.unwrap();
    let before = client.counters();
    assert_eq!(before.retries, 0);
    cluster.script([overloaded(), Act::Break]);
    within(users.get("k").into_future()).await.unwrap();
    let after = client.counters();
    assert_eq!(after.retries, 2, "three attempts at one get");
    assert!(after.requests > before.requests, "{before:?} {after:?}");
    assert_eq!(client.clone().counters().retries, 2, "handles count together");
}

#[tokio::test]
async fn a_single_node_is_asked_again() {
    let cluster = FakeCluster::new(&[up("eu", "n1")], 1);
    let users = within(cluster.client()).await.keyspace("default");
    cluster.script([overloaded(), Act::Break]);
    within(users.get("k").into_future()).await.unwrap();
    assert_eq!(cluster.data_requests().len(), 3);
}

#[tokio::test]
async fn failures_that_would_repeat_are_not_repeated() {
    let cluster = FakeCluster::three();
    let users = within(cluster.client()).await.keyspace("default");
    let level = Level::LocalQuorum;
    let unavailable = Failure::Unavailable { level, dc: Some(name("eu")), needed: 2, alive: 1 };
    let unknown = Failure::Unknown { level, dc: Some(name("eu")), needed: 2, acked: 1 };
    cluster.script([Act::Fail(unavailable.clone()), Act::Fail(unknown)]);
    let error = within(users.put("k", "v").into_future()).await.unwrap_err();
    assert_eq!((error.kind(), error.may_have_applied()), (ErrorKind::Unavailable, false));
    assert_eq!(error.failure(), Some(&unavailable));
    let error = within(users.put("k", "v").into_future()).await.unwrap_err();
    assert_eq!((error.kind(), error.may_have_applied()), (ErrorKind::Unknown, true));
    assert_eq!(cluster.data_requests().len(), 2);
}

#[tokio::test]
async fn budget_bounds_the_retries() {
    let cluster = FakeCluster::three();
    let users = within(cluster.client()).await.keyspace("default");
    *cluster.shared.otherwise.lock() = overloaded();
    for _ in 0..40 {
        let error = within(users.get("k").into_future()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Overloaded, "{error}");
        assert_eq!(error.retry_after(), Some(Duration::from_millis(1)));
    }
    let attempts = cluster.data_requests().len();
    assert!((50..=54).contains(&attempts), "40 + a burst of 10 + 10 %, not {attempts}");

    let careful = within(cluster.builder().retry_budget_percent(0).connect()).await.unwrap();
    careful.keyspace("default").get("k").await.unwrap_err();
    assert_eq!(cluster.data_requests().len(), attempts + 1);
}

#[tokio::test]
async fn put_without_an_answer_is_unknown_at_its_deadline() {
    let cluster = FakeCluster::three();
    let users = within(cluster.client()).await.keyspace("default");
    cluster.script([Act::Silence]);
    let put = users.put("k", "v").deadline(Duration::from_millis(50));
    let error = within(put.into_future()).await.unwrap_err();
    assert!(matches!(error, Error::Deadline { attempts: 1, .. }), "{error}");
    assert_eq!((error.kind(), error.may_have_applied()), (ErrorKind::Unknown, true));
}

#[tokio::test]
async fn get_without_an_answer_asks_others_and_then_is_late() {
    let cluster = FakeCluster::three();
    let profile = Profile::new().attempt_timeout(Duration::from_millis(20));
    let users = within(cluster.client()).await.keyspace("default").with(profile);
    cluster.script([Act::Silence, Act::Silence]);
    within(users.get("k").into_future()).await.unwrap();
    assert_eq!(cluster.data_requests().len(), 3);

    *cluster.shared.otherwise.lock() = Act::Silence;
    let get = users.get("k").deadline(Duration::from_millis(100));
    let error = within(get.into_future()).await.unwrap_err();
    assert_eq!((error.kind(), error.may_have_applied()), (ErrorKind::Deadline, false), "{error}");
}

#[tokio::test]
async fn dropped_request_leaves_nothing_behind() {
    let cluster = FakeCluster::three();
    let client = within(cluster.client()).await;
    let users = client.keyspace("default");
    *cluster.shared.otherwise.lock() = Act::Silence;
    let put = users.put("k", "v").into_future();
    let get = users.get("k").into_future();
    let both = async { tokio::join!(put, get) };
    let sent = async {
        tokio::join!(cluster.arrived(1, is_put), cluster.arrived(1, is_get));
        inflight(&client)
    };
    let waiting = within(async {
        tokio::select! {
            _ = both => panic!("nobody answers"),
            waiting = sent => waiting,
        }
    });
    assert_eq!(waiting.await, 2);
    assert_eq!(inflight(&client), 0);
}

#[tokio::test]
async fn many_requests_share_few_connections() {
    let cluster = FakeCluster::three();
    let users = within(cluster.client()).await.keyspace("default");
    let puts = (0..200).map(|i| users.put(format!("k{i}"), format!("v{i}")).into_future());
    for put in within(futures_util::future::join_all(puts)).await {
        put.unwrap();
    }
    let gets = (0..200).map(|i| users.get(format!("k{i}")).into_future());
    for (i, got) in within(futures_util::future::join_all(gets)).await.into_iter().enumerate() {
        assert_eq!(got.unwrap().bytes().unwrap(), &format!("v{i}"));
    }
}

#[tokio::test]
async fn local_levels_stay_in_their_datacenter() {
    let nodes = [down("eu", "n1"), down("eu", "n2"), up("us", "n3"), up("us", "n4")];
    let cluster = FakeCluster::new(&nodes, 2);
    let client = within(cluster.builder().dc("eu").connect()).await.unwrap();
    let users = client.keyspace("default");
    let error = within(users.put("k", "v").into_future()).await.unwrap_err();
    assert_eq!((error.kind(), error.may_have_applied()), (ErrorKind::Unreachable, false));
    let text = error.to_string();
    assert!(
        text.contains("in dc \"eu\"") && text.contains("n1: ") && text.contains("n2: "),
        "{text}"
    );
    assert!(cluster.data_requests().is_empty());

    within(users.put("k", "v").level(Level::Quorum).into_future()).await.unwrap();
    let roaming = users.with(Profile::new().dc_failover(DcFailover::Allowed));
    within(roaming.get("k").into_future()).await.unwrap();
    assert_eq!(cluster.data_requests().len(), 2);
}

#[tokio::test]
async fn unavailable_datacenter_is_left_where_that_is_allowed() {
    let nodes = [up("eu", "n1"), up("eu", "n2"), up("us", "n3"), up("us", "n4")];
    let cluster = FakeCluster::new(&nodes, 2);
    let client = within(cluster.builder().dc("eu").connect()).await.unwrap();
    let level = Level::LocalQuorum;
    let unavailable = Failure::Unavailable { level, dc: Some(name("eu")), needed: 2, alive: 1 };
    cluster.script([Act::Fail(unavailable)]);
    let profile = Profile::new().dc_failover(DcFailover::Allowed);
    let roaming = client.keyspace("default").with(profile);
    within(roaming.put("k", "v").into_future()).await.unwrap();
    let nodes: Vec<_> = cluster.data_requests().into_iter().map(|(node, _)| node).collect();
    assert!(["n1", "n2"].contains(&nodes[0].as_str()), "{nodes:?}");
    assert!(["n3", "n4"].contains(&nodes[1].as_str()), "{nodes:?}");
}

#[tokio::test]
async fn node_that_let_a_request_time_out_is_avoided_until_it_is_heard() {
    let cluster = FakeCluster::three();
    let client = within(cluster.client()).await;
    let users = client.keyspace("default");
    for node in ["n1", "n2", "n3"] {
        within(client.fault(node, FaultCommand::Show)).await.unwrap();
    }
    cluster.script([Act::Silence]);
    let put = users.put("k", "v").deadline(Duration::from_millis(50));
    within(put.into_future()).await.unwrap_err();
    let silent = cluster.data_requests()[0].0.clone();
    for _ in 0..20 {
        within(users.get("k").into_future()).await.unwrap();
    }
    assert!(cluster.data_requests().iter().skip(1).all(|(node, _)| *node != silent));

    within(client.fault(silent.as_str(), FaultCommand::Show)).await.unwrap();
    let snapshot = client.dispatcher().snapshot();
    let (_, peer) = snapshot.peer_by_name(&silent).unwrap();
    assert!(matches!(peer.condition(crate::runtime::now()), Condition::Up { .. }));
}
