//! Connecting, learning the cluster, keeping up with it, and leaving.

use atoll_protocol::ids::{DcIndex, Epoch};
use atoll_protocol::keyspace::{Conflict, Keyspace};

use super::fake::{CLUSTER, FakeCluster, nowhere, up};
use super::pki::Authority;
use super::{is_cluster, is_get, name, within};
use crate::{Client, CredentialPaths, Error, ErrorKind};

const NODES: [super::fake::FakeNode; 6] = [
    up("eu", "n1"),
    up("eu", "n2"),
    up("eu", "n3"),
    up("us", "n4"),
    up("us", "n5"),
    up("us", "n6"),
];

#[tokio::test]
async fn requests_go_to_a_replica_of_the_own_datacenter() {
    let cluster = FakeCluster::new(&NODES, 1);
    let client = within(cluster.builder().dc("us").connect()).await.unwrap();
    let users = client.keyspace("default");
    let snapshot = client.dispatcher().snapshot();
    for number in 0..30 {
        let key = format!("k{number}");
        within(users.get(&key).into_future()).await.unwrap();
        let replicas = snapshot.replicas(&name("default"), key.as_bytes(), DcIndex(1));
        let [replica] = replicas else { panic!("{replicas:?}") };
        let expected = &snapshot.topology().node(*replica).unwrap().name;
        assert_eq!(&cluster.data_requests().last().unwrap().0, expected);
    }
}

#[tokio::test]
async fn own_datacenter_is_the_one_of_a_seed() {
    let cluster = FakeCluster::new(&NODES, 3);
    let client = within(cluster.client()).await;
    assert!(["eu", "us"].contains(&client.dc().as_str()));
    let seed = cluster.endpoints["n5"].local_addr().unwrap().to_string();
    let client = within(cluster.builder().seeds([seed]).connect()).await.unwrap();
    assert_eq!(client.dc().as_str(), "us");
}

#[tokio::test]
async fn newer_epoch_in_a_reply_brings_a_refresh() {
    let cluster = FakeCluster::three();
    let client = within(cluster.client()).await;
    assert_eq!(client.dispatcher().snapshot().epoch(), Epoch(1));
    {
        let mut topology = cluster.shared.topology.lock();
        *topology = topology.clone().at_epoch(Epoch(2));
    }
    within(client.keyspace("default").get("k").into_future()).await.unwrap();
    within(cluster.arrived(2, is_cluster)).await;
    let published = async {
        while client.dispatcher().snapshot().epoch() != Epoch(2) {
            tokio::task::yield_now().await;
        }
    };
    within(published).await;
    // The connections outlive the snapshot.
    within(client.keyspace("default").get("k").into_future()).await.unwrap();
    assert_eq!(*cluster.shared.ended.borrow(), 0);
}

#[tokio::test]
async fn keyspace_of_somebody_else_is_found_by_need() {
    let cluster = FakeCluster::three();
    let client = within(cluster.client()).await;
    let mut keyspace = Keyspace::default_for(&cluster.shared.topology.lock());
    keyspace.id = atoll_protocol::ids::KeyspaceId(9);
    keyspace.name = name("theirs");
    keyspace.conflict = Conflict::Lww;
    cluster.shared.keyspaces.lock().insert_new(keyspace).unwrap();
    within(client.keyspace("theirs").delete("k").into_future()).await.unwrap();
    assert!(!cluster.data_requests().iter().any(|(_, request)| is_get(request)));
    assert_eq!(client.dispatcher().snapshot().conflict(&name("theirs")), Some(Conflict::Lww));
}

#[tokio::test]
async fn wrong_ca_is_auth_and_says_which_side_refused() {
    let cluster = FakeCluster::three();
    let stranger = Authority::new().issue(&format!("atoll://{CLUSTER}/client/app"));
    // Dropping the stranger's authority removed its folder.
    let error = within(cluster.builder().credentials(stranger).connect()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Auth, "{error}");
    assert!(matches!(error, Error::Credentials(_)), "{error}");

    let authority = Authority::new();
    let stranger = authority.issue(&format!("atoll://{CLUSTER}/client/app"));
    let error = within(cluster.builder().credentials(stranger).connect()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Auth, "{error}");
    assert!(error.to_string().contains("this side refused the peer"), "{error}");
    assert!(!error.is_retryable());
}

#[tokio::test]
async fn another_cluster_is_refused() {
    let cluster = FakeCluster::three();
    let paths = cluster.authority.issue("atoll://lagoon/client/app");
    let error = within(cluster.builder().credentials(paths).connect()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Auth, "{error}");
    let error = within(cluster.builder().cluster("lagoon").connect()).await.unwrap_err();
    assert!(error.to_string().contains("is for `reef`"), "{error}");
}

#[tokio::test]
async fn every_wrong_setting_is_reported_at_once() {
    let error = Client::builder().seeds(["nowhere"]).dc("e u").connect().await.unwrap_err();
    let text = error.to_string();
    for expected in ["dc: `e u`", "seeds: `nowhere`", "credentials: none"] {
        assert!(text.contains(expected), "{expected} in {text}");
    }
    assert_eq!(error.kind(), ErrorKind::Invalid);

    let cluster = FakeCluster::new(&NODES, 3);
    let error = within(cluster.builder().dc("asia").connect()).await.unwrap_err();
    assert!(error.to_string().contains("it has `eu`, `us`"), "{error}");

    let missing = CredentialPaths { ca: "a".into(), certificate: "b".into(), key: "c".into() };
    let error = within(cluster.builder().credentials(missing).connect()).await.unwrap_err();
    assert!(error.to_string().contains("cannot read the CA file a"), "{error}");
}

#[tokio::test]
async fn unreachable_seeds_are_all_named() {
    let cluster = FakeCluster::three();
    let seeds = [nowhere(7_001), nowhere(7_002)];
    let error = within(cluster.builder().seeds(seeds.clone()).connect()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unreachable);
    let text = error.to_string();
    assert!(seeds.iter().all(|seed| text.contains(&format!("{seed}: cannot resolve"))), "{text}");
}

#[tokio::test]
async fn closed_client_refuses_and_its_nodes_are_told() {
    let cluster = FakeCluster::new(&[up("eu", "n1")], 1);
    let client = within(cluster.client()).await;
    let users = client.keyspace("default");
    within(users.get("k").into_future()).await.unwrap();
    within(client.close()).await;
    let error = users.get("k").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);
    within(cluster.shared.ended.subscribe().wait_for(|ended| *ended == 1)).await.unwrap();
}

#[tokio::test]
async fn last_handle_closes_the_connections() {
    let cluster = FakeCluster::new(&[up("eu", "n1")], 1);
    let client = within(cluster.client()).await;
    let (users, other) = (client.keyspace("default"), client.clone());
    drop((client, other));
    within(users.get("k").into_future()).await.unwrap();
    assert_eq!(*cluster.shared.ended.borrow(), 0);
    drop(users);
    within(cluster.shared.ended.subscribe().wait_for(|ended| *ended == 1)).await.unwrap();
}
