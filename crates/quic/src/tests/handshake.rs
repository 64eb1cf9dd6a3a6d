//! Who is let in, who is not, and what either side is told.

use std::fs;

use crate::tests::pki::{Authority, LONG_AGO, Leaf, now};
use crate::tests::{
    ADMIN, CLIENT, CLUSTER, NODE, addr_of, any_node, bind, client_config, dial, echo, frame, name,
    node_config, pair, raw, spawner, within,
};
use crate::{
    AcceptError, Alpn, BindError, CloseCode, ClosedBy, ConnectError, Credentials, EndpointConfig,
    ExpectedPeer, ReloadError,
};

#[tokio::test]
async fn every_role_speaks_what_it_may() {
    let authority = Authority::new();
    let listener = bind(node_config(&authority));
    let allowed = [
        (CLIENT, Alpn::Client),
        (ADMIN, Alpn::Client),
        ("atoll://reef/node/us/b/n2", Alpn::Client),
        ("atoll://reef/node/us/b/n2", Alpn::Peer),
        ("atoll://reef/node/us/b/n2", Alpn::Bulk),
    ];
    for (uri, alpn) in allowed {
        let dialer = bind(EndpointConfig::client(authority.credentials(uri), spawner()));
        let (ours, theirs) = dial(&dialer, &listener, alpn).await;
        let (ours, theirs) = (ours.unwrap(), theirs.unwrap());
        assert_eq!(ours.identity().to_string(), NODE);
        assert_eq!(theirs.identity().to_string(), uri);
        assert_eq!((ours.alpn(), theirs.alpn()), (alpn, alpn));
        assert_eq!(ours.remote_addr(), addr_of(&listener));
        assert_eq!(theirs.remote_addr().port(), addr_of(&dialer).port());
        assert!(!ours.is_closed() && !theirs.is_closed());
    }
}

#[tokio::test]
async fn wrong_role_is_told_why() {
    let authority = Authority::new();
    let listener = bind(node_config(&authority));
    let refused = [(CLIENT, Alpn::Peer, "a client"), (ADMIN, Alpn::Bulk, "an admin")];
    for (uri, alpn, who) in refused {
        let dialer = bind(EndpointConfig::client(authority.credentials(uri), spawner()));
        let (ours, theirs) = dial(&dialer, &listener, alpn).await;
        let expected = format!("{who} certificate cannot speak {alpn}");
        let ConnectError::Auth { reason, .. } = ours.unwrap_err() else { panic!("not auth") };
        assert!(reason.contains(&expected), "{reason}");
        let AcceptError::Refused { identity, code, reason, .. } = theirs.unwrap_err() else {
            panic!("not refused")
        };
        assert_eq!((identity.to_string().as_str(), code), (uri, CloseCode::WrongRole));
        assert_eq!(reason, expected);
    }
}

#[tokio::test]
async fn other_cluster_is_refused_by_the_listener_and_by_the_dialer() {
    let authority = Authority::new();
    let listener = bind(node_config(&authority));
    let stranger = authority.credentials("atoll://lagoon/client/app");
    let dialer = bind(EndpointConfig::client(stranger, spawner()));
    let (ours, theirs) = dial(&dialer, &listener, Alpn::Client).await;
    let text = ours.unwrap_err().to_string();
    assert!(text.contains("cluster `lagoon`") && text.contains("cluster `reef`"), "{text}");
    assert!(
        matches!(theirs, Err(AcceptError::Refused { code: CloseCode::WrongCluster, .. })),
        "{theirs:?}"
    );

    let expected = ExpectedPeer::AnyNode { cluster: name("lagoon") };
    let ours = within(dialer.connect(addr_of(&listener), Alpn::Client, expected)).await;
    assert!(matches!(ours, Err(ConnectError::IdentityMismatch { .. })), "{ours:?}");
}

#[tokio::test]
async fn no_client_certificate_is_refused() {
    let authority = Authority::new();
    let listener = bind(node_config(&authority));
    let credentials = authority.credentials(CLIENT);
    let dialing = raw::dial_bare(addr_of(&listener), &credentials);
    let (ended, accepted) = within(async { tokio::join!(dialing, listener.accept()) }).await;
    let crate::handshake::Failure::Auth(text) = crate::handshake::explain(&ended) else {
        panic!("{ended}")
    };
    assert!(text.contains("no certificate was presented"), "{text}");
    let error = accepted.unwrap().unwrap_err();
    assert!(matches!(error, AcceptError::Handshake { .. }), "{error}");
}

#[tokio::test]
async fn other_ca_is_refused_by_the_listener() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let listener = bind(node_config(&ours));
    let paths = theirs.issue("app", &Leaf::new(CLIENT));
    // The dialer trusts the listener; only the listener has a reason to refuse.
    fs::write(&paths.ca, &ours.pem).unwrap();
    let credentials = Credentials::load(&paths, now()).unwrap();
    let dialer = bind(EndpointConfig::client(credentials, spawner()));
    let (dialed, accepted) = dial(&dialer, &listener, Alpn::Client).await;
    let ConnectError::Auth { reason, .. } = dialed.unwrap_err() else { panic!("not auth") };
    assert!(reason.starts_with("the peer refused this side"), "{reason}");
    let text = accepted.unwrap_err().to_string();
    assert!(text.contains("this side refused the peer"), "{text}");
}

#[tokio::test]
async fn other_ca_is_refused_by_the_dialer() {
    let ours = Authority::new();
    let listener = bind(node_config(&ours));
    let strangers = [
        (Authority::named("lagoon CA"), "a CA that is not trusted"),
        (Authority::new(), "not signed by the CA of that name that is trusted"),
    ];
    for (theirs, expected) in strangers {
        let dialer = bind(client_config(&theirs));
        let (dialed, accepted) = dial(&dialer, &listener, Alpn::Client).await;
        let ConnectError::Auth { reason, .. } = dialed.unwrap_err() else { panic!("not auth") };
        assert!(reason.starts_with("this side refused the peer"), "{reason}");
        assert!(reason.contains(expected), "{reason}");
        let text = accepted.unwrap_err().to_string();
        assert!(text.contains("the peer refused this side"), "{text}");
    }
}

#[tokio::test]
async fn expired_certificates_are_refused_by_either_side() {
    let authority = Authority::new();
    let old = |label: &str, uri: &str| {
        let paths = authority.issue(label, &Leaf::expired(uri));
        Credentials::load(&paths, LONG_AGO).unwrap()
    };
    let listener = bind(node_config(&authority));
    let dialer = bind(EndpointConfig::client(old("app", CLIENT), spawner()));
    let (dialed, accepted) = dial(&dialer, &listener, Alpn::Client).await;
    let ConnectError::Auth { reason, .. } = dialed.unwrap_err() else { panic!("not auth") };
    assert!(reason.contains("the peer refused this side: the certificate has expired"), "{reason}");
    assert!(accepted.unwrap_err().to_string().contains("expired"));

    let listener = bind(EndpointConfig::node(super::any_port(), old("n1", NODE), spawner()));
    let dialer = bind(client_config(&authority));
    let (dialed, _) = dial(&dialer, &listener, Alpn::Client).await;
    let ConnectError::Auth { reason, .. } = dialed.unwrap_err() else { panic!("not auth") };
    assert!(reason.contains("this side refused the peer: the certificate has expired"), "{reason}");
}

#[tokio::test]
async fn client_certificate_cannot_play_a_node() {
    let authority = Authority::new();
    let impostor = authority.credentials(CLIENT);
    let listener = bind(EndpointConfig::node(super::any_port(), impostor, spawner()));
    let dialer = bind(client_config(&authority));
    let (dialed, _) = dial(&dialer, &listener, Alpn::Client).await;
    let error = dialed.unwrap_err();
    assert!(matches!(error, ConnectError::Auth { .. }), "{error}");
}

#[tokio::test]
async fn another_node_than_expected_is_a_mismatch_with_both_names() {
    let authority = Authority::new();
    let listener = bind(node_config(&authority));
    let dialer = bind(client_config(&authority));
    let expect = |dc: &str, rack: &str, node: &str| ExpectedPeer::Node {
        cluster: name(CLUSTER),
        dc: name(dc),
        rack: name(rack),
        node: name(node),
    };
    for (dc, rack, node) in [("us", "a", "n1"), ("eu", "b", "n1"), ("eu", "a", "n2")] {
        let expected = expect(dc, rack, node);
        let dialing = dialer.connect(addr_of(&listener), Alpn::Client, expected.clone());
        let error = within(dialing).await.unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, ConnectError::IdentityMismatch { .. }), "{text}");
        assert!(text.contains(NODE) && text.contains(&expected.to_string()), "{text}");
        let accepted = within(listener.accept()).await.unwrap();
        // The dialer refused after TLS was done: the listener may have admitted it before it heard.
        if let Ok(theirs) = accepted {
            let ended = within(theirs.closed()).await;
            assert_eq!((ended.code, ended.by), (Some(CloseCode::Identity), ClosedBy::Peer));
            assert!(ended.reason.contains("expected"), "{ended}");
        }
    }
    let expected = expect("eu", "a", "n1");
    let right = dialer.connect(addr_of(&listener), Alpn::Client, expected);
    within(right).await.unwrap();
}

#[tokio::test]
async fn protocol_that_is_not_spoken_is_named() {
    let authority = Authority::new();
    let config = EndpointConfig { alpns: vec![Alpn::Client], ..node_config(&authority) };
    let listener = bind(config);
    let peer = authority.credentials("atoll://reef/node/us/b/n2");
    let dialer = bind(EndpointConfig::client(peer, spawner()));
    let (dialed, _) = dial(&dialer, &listener, Alpn::Bulk).await;
    let ConnectError::Auth { reason, .. } = dialed.unwrap_err() else { panic!("not auth") };
    assert!(reason.contains("the protocol is not spoken on this port"), "{reason}");
}

#[tokio::test]
async fn busy_port_is_named_with_the_fix() {
    let authority = Authority::new();
    let first = bind(node_config(&authority));
    let taken = addr_of(&first);
    let config = EndpointConfig { listen: Some(taken), ..node_config(&authority) };
    let error = crate::Endpoint::bind(config).unwrap_err();
    assert!(matches!(error, BindError::AddressInUse { addr } if addr == taken));
    let text = error.to_string();
    assert!(text.contains(&taken.to_string()) && text.contains("ss -ulpn"), "{text}");
}

#[tokio::test]
async fn closed_endpoint_says_goodbye_and_takes_nobody() {
    let authority = Authority::new();
    let listener = bind(node_config(&authority));
    let dialer = bind(client_config(&authority));
    let (ours, _theirs) = pair(&dialer, &listener).await;
    listener.close(CloseCode::ShuttingDown, "drained");
    let ended = within(ours.closed()).await;
    assert_eq!((ended.code, ended.by), (Some(CloseCode::ShuttingDown), ClosedBy::Peer));
    assert_eq!(ended.reason, "drained");
    assert!(within(listener.accept()).await.is_none());
    within(listener.wait_idle()).await;
    let again = listener.connect(addr_of(&dialer), Alpn::Peer, any_node()).await;
    assert!(matches!(again, Err(ConnectError::Local { .. })), "{again:?}");
    assert!(within(dialer.accept()).await.is_none(), "a dialer accepts nobody");
}

#[tokio::test]
async fn reloaded_credentials_serve_new_handshakes() {
    let (old, new) = (Authority::new(), Authority::new());
    let both = |authority: &Authority, label: &str, uri: &str| {
        let paths = authority.issue(label, &Leaf::new(uri));
        fs::write(&paths.ca, format!("{}{}", old.pem, new.pem)).unwrap();
        Credentials::load(&paths, now()).unwrap()
    };
    let listener = bind(EndpointConfig::node(super::any_port(), both(&old, "n1", NODE), spawner()));
    let dialer = bind(client_config(&old));
    let (before, theirs) = pair(&dialer, &listener).await;
    echo(&theirs);

    let refused = listener.set_credentials(&both(&new, "n2", "atoll://reef/node/eu/a/n2"));
    assert!(matches!(refused, Err(ReloadError::Identity { .. })), "{refused:?}");
    listener.set_credentials(&both(&new, "n1", NODE)).unwrap();

    // Only who trusts the new CA gets a new connection; the old connection lives on.
    let (dialed, _) = dial(&dialer, &listener, Alpn::Client).await;
    assert!(matches!(dialed, Err(ConnectError::Auth { .. })), "{dialed:?}");
    pair(&bind(client_config(&new)), &listener).await;
    before.send(frame(1, "still here")).unwrap();
    assert_eq!(within(before.recv()).await.unwrap().request, 1);
}

#[tokio::test]
async fn a_crowd_beyond_the_soft_cap_is_asked_to_retry_and_let_in() {
    let authority = Authority::new();
    let listener = bind(node_config(&authority));
    let dialer = bind(client_config(&authority));
    let addr = addr_of(&listener);
    // One thread: all first packets are sent before the first handshake is done, three times the soft cap.
    let crowd = 3 * crate::accept::HANDSHAKES_SOFT;
    let mut dials = tokio::task::JoinSet::new();
    for _ in 0..crowd {
        let dialer = dialer.clone();
        dials.spawn(async move { dialer.connect(addr, Alpn::Client, any_node()).await });
    }
    let mut admitted = Vec::with_capacity(crowd);
    while admitted.len() < crowd {
        admitted.push(within(listener.accept()).await.unwrap().unwrap());
    }
    for dialed in within(dials.join_all()).await {
        dialed.unwrap();
    }
}
