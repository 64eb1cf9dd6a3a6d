//! What the verbs mean: siblings, contexts, updates, deletes, control requests.

use std::time::Duration;

use atoll_protocol::wire::{KeyspaceRequest, Request};
use bytes::Bytes;

use super::fake::{Act, CLUSTER, FakeCluster};
use super::{is_get, is_put, name, within};
use crate::{
    Conflict, Context, Deleted, Error, ErrorKind, FaultCommand, Level, Resolution, Value, Versions,
};

fn texts(versions: &Versions) -> Vec<String> {
    let text = |value: &Value| String::from_utf8(value.bytes().to_vec()).unwrap();
    versions.values().iter().map(text).collect()
}

#[tokio::test]
async fn siblings_round_trip() {
    let cluster = FakeCluster::three();
    let users = within(cluster.client()).await.keyspace("default");
    let nothing = within(users.get("k").into_future()).await.unwrap();
    assert!(nothing.is_none() && nothing.values().is_empty());

    assert_eq!(users.put("k", "a").blind().await.unwrap().siblings(), 1);
    assert_eq!(users.put("k", "b").await.unwrap().siblings(), 2);
    let both = users.get("k").await.unwrap();
    assert!(both.is_conflict() && both.bytes().is_none());
    assert_eq!(texts(&both), ["a", "b"]);

    let written = users.put("k", "ab").resolves(&both).await.unwrap();
    assert_eq!((written.siblings(), written.acked()), (1, 2));
    let one = users.get("k").await.unwrap();
    assert_eq!(one.bytes(), Some(&Bytes::from("ab")));
    assert_eq!(one.context(), written.context());

    // Through text, as another process would do it; the old context leaves the new value alone.
    let old: Context = both.context().to_string().parse().unwrap();
    assert_eq!(users.put("k", "c").after(&old).await.unwrap().siblings(), 2);
    assert_eq!(texts(&users.get("k").await.unwrap()), ["ab", "c"]);
}

#[tokio::test]
async fn options_reach_the_wire() {
    let cluster = FakeCluster::three();
    let users = within(cluster.client()).await.keyspace("default");
    let ttl = Duration::from_secs(60);
    users.put("k", "v").level(Level::All).ttl(ttl).await.unwrap();
    users.get("k").level(Level::One).await.unwrap();
    let requests = cluster.data_requests();
    assert!(
        matches!(&requests[0].1, Request::Put(put) if put.level == Level::All && put.ttl == Some(ttl))
    );
    assert!(matches!(&requests[1].1, Request::Get(get) if get.level == Level::One));
}

#[tokio::test]
async fn update_merges_what_overtook_it() {
    let cluster = FakeCluster::three();
    let users = within(cluster.client()).await.keyspace("default");
    cluster.script([Act::Serve, Act::Overtake(Bytes::from("theirs"))]);
    let merge = |values: &[Value]| {
        let seen: Vec<&[u8]> = values.iter().map(|value| &value.bytes()[..]).collect();
        if seen.is_empty() { b"ours".to_vec() } else { seen.join(&b'+') }
    };
    let updated = within(users.update("k", merge).into_future()).await.unwrap();
    assert_eq!(updated.rounds(), 2);
    let found = users.get("k").await.unwrap();
    assert_eq!(texts(&found), ["theirs+ours"]);
    assert_eq!(found.context(), updated.context());
}

#[tokio::test]
async fn update_that_is_always_overtaken_gives_up_and_says_what_was_written() {
    let cluster = FakeCluster::three();
    let users = within(cluster.client()).await.keyspace("default");
    let overtake = Act::Overtake(Bytes::from("theirs"));
    for _ in 0..8 {
        cluster.script([Act::Serve, overtake.clone()]);
    }
    let error = within(users.update("k", |_| "ours").into_future()).await.unwrap_err();
    assert!(matches!(error, Error::Conflict { rounds: 5, last: None }), "{error}");
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.may_have_applied());
}

#[tokio::test]
async fn update_can_delete() {
    let cluster = FakeCluster::three();
    let users = within(cluster.client()).await.keyspace("default");
    users.put("k", "v").await.unwrap();
    let gone = |_: &[Value]| Resolution::Delete;
    within(users.update("k", gone).into_future()).await.unwrap();
    assert!(users.get("k").await.unwrap().is_none());
    let puts = cluster.data_requests().iter().filter(|(_, r)| is_put(r)).count();
    users.update("k", |_| None::<Bytes>).await.unwrap();
    assert_eq!(cluster.data_requests().iter().filter(|(_, r)| is_put(r)).count(), puts);
}

#[tokio::test]
async fn delete_reads_and_deletes_what_it_saw() {
    let cluster = FakeCluster::three();
    let users = within(cluster.client()).await.keyspace("default");
    users.put("k", "a").await.unwrap();
    users.put("k", "b").await.unwrap();
    let deleted = within(users.delete("k").into_future()).await.unwrap();
    assert!(matches!(&deleted, Deleted::Marked(written) if written.siblings() == 1), "{deleted:?}");
    assert!(users.get("k").await.unwrap().is_none());

    let before = cluster.data_requests().len();
    let again = users.delete("k").await.unwrap();
    assert!(matches!(again, Deleted::Nothing { .. }), "{again:?}");
    assert_eq!(cluster.data_requests().len(), before + 1, "it only read");

    let written = users.put("k", "c").await.unwrap();
    let before = cluster.data_requests().len();
    users.delete("k").after(written.context()).await.unwrap();
    assert_eq!(cluster.data_requests().len(), before + 1, "it only wrote");
}

#[tokio::test]
async fn delete_in_an_lww_keyspace_never_reads() {
    let cluster = FakeCluster::three();
    let client = within(cluster.client()).await;
    let request = KeyspaceRequest {
        name: name("cache"),
        replication_factor: Vec::new(),
        conflict: Conflict::Lww,
        ttl: None,
        record_bytes_max: None,
    };
    assert_eq!(within(client.create_keyspace(request)).await.unwrap(), 1);
    let cache = client.keyspace("cache");
    cache.put("k", "v").await.unwrap();
    let deleted = cache.delete("k").await.unwrap();
    assert!(matches!(deleted, Deleted::Marked(_)), "{deleted:?}");
    assert!(!cluster.data_requests().iter().any(|(_, request)| is_get(request)));
    assert!(cache.get("k").await.unwrap().is_none());
    let names: Vec<String> =
        client.keyspaces().await.unwrap().iter().map(|k| k.name.to_string()).collect();
    assert_eq!(names, ["cache", "default"]);
}

#[tokio::test]
async fn wrong_requests_are_refused_here() {
    let cluster = FakeCluster::three();
    let client = within(cluster.client()).await;
    let users = client.keyspace("default");
    let long = vec![b'k'; 1_025];
    let errors = [
        users.get("").await.unwrap_err(),
        users.put(long, "v").await.unwrap_err(),
        client.keyspace("no such name").get("k").await.unwrap_err(),
        users.put("k", vec![0; 17 * 1_024 * 1_024]).await.unwrap_err(),
    ];
    for error in errors {
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
        assert!(!error.may_have_applied() && !error.is_retryable());
    }
    assert!(cluster.data_requests().is_empty());
    let error = client.keyspace("nowhere").delete("k").await.unwrap_err();
    assert!(error.to_string().contains("no keyspace `nowhere`"), "{error}");
}

#[tokio::test]
async fn fault_goes_to_exactly_that_node() {
    let cluster = FakeCluster::three();
    let client = within(cluster.client()).await;
    for node in ["n3", "n1", "n2"] {
        assert_eq!(within(client.fault(node, FaultCommand::Show)).await.unwrap(), [node]);
    }
    let error = client.fault("n9", FaultCommand::Heal).await.unwrap_err();
    assert!(error.to_string().contains("no node `n9`; it has n1, n2, n3"), "{error}");
}

#[tokio::test]
async fn answers_of_another_kind_are_errors() {
    let cluster = FakeCluster::three();
    let client = within(cluster.client()).await;
    let error = within(client.explain("default", "k")).await.unwrap_err();
    assert!(matches!(error, Error::Malformed { .. }), "{error}");
    assert_eq!((error.kind(), error.may_have_applied()), (ErrorKind::Internal, false));
    assert!(client.status().await.unwrap().is_empty());
    assert!(client.storage().await.unwrap().is_empty());
    assert_eq!(client.cluster().await.unwrap().topology.cluster().as_str(), CLUSTER);
}
