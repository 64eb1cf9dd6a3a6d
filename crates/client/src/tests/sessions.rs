//! What a session sends along, notes, and refuses.

use atoll_protocol::version::Context as Seen;
use atoll_protocol::wire::{Failure, Request};
use bytes::Bytes;

use super::fake::{Act, FakeCluster, up};
use super::{name, within};
use crate::{Error, ErrorKind, Level, SessionToken};

/// What each data request carried as its session's past, in order.
fn pasts(cluster: &FakeCluster) -> Vec<Option<Bytes>> {
    let requests = cluster.data_requests();
    let past = |(_, request): &(_, Request)| match request {
        Request::Get(get) => get.at_least.clone(),
        Request::Put(put) => put.at_least.clone(),
        other => panic!("{other:?}"),
    };
    requests.iter().map(past).collect()
}

fn counters(past: Option<&Bytes>) -> Vec<u64> {
    let seen = past.map(|bytes| Seen::decode_any(bytes).unwrap());
    seen.iter().flat_map(Seen::entries).map(|(_, counter)| counter).collect()
}

#[tokio::test]
async fn requests_carry_what_earlier_ones_have_seen_of_their_key() {
    let cluster = FakeCluster::three();
    let client = within(cluster.client()).await;
    let session = client.session();
    let users = session.keyspace("default");
    assert!(within(users.get("k").into_future()).await.unwrap().is_none());
    assert_eq!(session.keys(), 0, "nothing was there to be seen");
    users.put("k", "a").await.unwrap();
    users.put("k", "b").level(Level::One).await.unwrap();
    users.get("other").await.unwrap();
    users.get("k").await.unwrap();
    client.keyspace("default").get("k").await.unwrap();
    let pasts = pasts(&cluster);
    let seen: Vec<_> = pasts.iter().map(|past| counters(past.as_ref())).collect();
    assert_eq!(seen, [vec![], vec![], vec![1], vec![], vec![2], vec![]]);
    assert!(pasts[5].is_none(), "without a session nothing is asked for");
    assert_eq!(session.keys(), 1);
    session.forget("default", "k");
    assert_eq!(session.keys(), 0);
}

#[tokio::test]
async fn deletes_and_updates_belong_to_the_session() {
    let cluster = FakeCluster::three();
    let session = within(cluster.client()).await.session();
    let users = session.keyspace("default");
    users.put("k", "a").await.unwrap();
    users.update("k", |_| "b").await.unwrap();
    users.delete("k").await.unwrap();
    let seen: Vec<_> = pasts(&cluster).iter().map(|past| counters(past.as_ref())).collect();
    assert_eq!(seen, [vec![], vec![1], vec![1], vec![2], vec![2]]);
}

#[tokio::test]
async fn a_token_carries_the_session_to_another_client() {
    let cluster = FakeCluster::three();
    let session = within(cluster.client()).await.session();
    session.keyspace("default").put("k", "a").await.unwrap();
    let token = session.token().to_string();
    let elsewhere = within(cluster.client()).await;
    let session = elsewhere.session_from(token.parse::<SessionToken>().unwrap());
    assert_eq!(session.keys(), 1);
    session.keyspace("default").get("k").await.unwrap();
    assert_eq!(counters(pasts(&cluster)[1].as_ref()), [1]);
    assert!(token[1..].parse::<SessionToken>().is_err());
    assert!("not base64!".parse::<SessionToken>().is_err());
}

#[tokio::test]
async fn who_is_behind_is_left_for_another_datacenter_where_that_is_allowed() {
    let nodes = [up("eu", "n1"), up("eu", "n2"), up("us", "n3"), up("us", "n4")];
    let cluster = FakeCluster::new(&nodes, 2);
    let client = within(cluster.builder().dc("eu").connect()).await.unwrap();
    let users = client.session().keyspace("default");
    users.put("k", "a").await.unwrap();
    let behind = || Act::Fail(Failure::SessionBehind { answered: 2 });
    cluster.script([behind()]);
    let found = within(users.get("k").level(Level::One).into_future()).await.unwrap();
    assert_eq!(found.bytes(), Some(&Bytes::from("a")));
    cluster.script([behind()]);
    within(users.put("k", "b").level(Level::One).into_future()).await.unwrap();
    let asked: Vec<_> = cluster.data_requests().into_iter().map(|(node, _)| node).collect();
    let of = |at: usize| if ["n1", "n2"].contains(&asked[at].as_str()) { "eu" } else { "us" };
    let dcs: Vec<_> = (0..asked.len()).map(of).collect();
    assert_eq!(dcs, ["eu", "eu", "us", "eu", "us"]);

    // A local level stays, and its neighbours have been asked by the node: the caller is told.
    cluster.script([behind(), behind()]);
    let errors = [users.get("k").await.unwrap_err(), users.put("k", "c").await.unwrap_err()];
    for error in errors {
        assert_eq!(error.kind(), ErrorKind::SessionBehind, "{error}");
        assert!(!error.may_have_applied() && error.is_retryable());
    }
    assert_eq!(cluster.data_requests().len(), asked.len() + 2);
}

#[tokio::test]
async fn a_full_session_refuses_another_key_and_sends_nothing() {
    use atoll_protocol::keyspace::Conflict;
    use atoll_protocol::limits::SESSION_KEYS_MAX;
    use atoll_protocol::session::SessionPast;
    let mut past = SessionPast::default();
    let mut seen = Seen::new(7);
    seen.observe(atoll_protocol::ids::Incarnation(1), 1);
    for number in 0..SESSION_KEYS_MAX {
        let key = Bytes::from(number.to_string());
        past.note(&name("default"), &key, (&seen, Conflict::Siblings));
    }
    let cluster = FakeCluster::three();
    let client = within(cluster.client()).await;
    let session = client.session_from(SessionToken::new(past));
    let users = session.keyspace("default");
    for error in [users.get("new").await.unwrap_err(), users.put("new", "v").await.unwrap_err()] {
        assert!(matches!(error, Error::SessionFull(_)), "{error}");
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(!error.may_have_applied());
    }
    assert!(cluster.data_requests().is_empty());
    session.forget("default", "17");
    users.put("new", "v").await.unwrap();
}
