//! Certificates that do not fit, at the door of a node and at its own start.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use atoll_client::CredentialPaths;
use atoll_protocol::identity::{Identity, Role};
use atoll_protocol::time::WallTime;
use atoll_quic::{Alpn, ConnectError};
use atolldb::cert::{self, IssuedPaths, Validity};
use quinn::ConnectionError;

use crate::harness::raw::{self, Shows};
use crate::harness::{CLUSTER, Cluster, Folder, name, now};

/// QUIC's error code for a TLS alert (RFC 9001 §4.8).
const fn crypto_error(alert: u64) -> u64 {
    0x100 + alert
}

const CERTIFICATE_EXPIRED: u64 = 45;
const CERTIFICATE_REQUIRED: u64 = 116;

fn client(label: &str) -> Role {
    Role::Client { name: name(label) }
}

fn node(dc: &str, rack: &str, id: &str) -> Role {
    Role::Node { dc: name(dc), rack: name(rack), node: name(id) }
}

/// A certificate of this cluster's CA that ended in 2021.
fn issue_expired(folder: &Folder, role: Role) -> IssuedPaths {
    let in_2021 = WallTime::from_micros(1_620_000_000 * 1_000_000);
    let identity = Identity { cluster: name(CLUSTER), role };
    let (certs, out) = (folder.certificates(), folder.path("expired"));
    cert::issue(&certs, &out, &identity, Validity::days(in_2021, 1)).unwrap()
}

/// Another CA for a cluster of the same name, and a client certificate that it issued.
fn another_authority(folder: &Folder) -> (PathBuf, IssuedPaths) {
    let dir = folder.path("other-ca");
    let identity = Identity { cluster: name(CLUSTER), role: client("client") };
    let ca = cert::create_ca(&dir, &name(CLUSTER), Validity::of_ca(now())).unwrap();
    (ca.certificate, cert::issue(&dir, &dir, &identity, Validity::of_leaf(now())).unwrap())
}

fn client_paths(folder: &Folder) -> CredentialPaths {
    folder.profile().credentials(atoll_client::Role::Client).unwrap()
}

/// Dials and waits for what the node says to it.
async fn refusal(cluster: &Cluster, paths: &CredentialPaths, shows: Shows) -> u64 {
    let ended = match raw::dial(cluster.members[0].address, paths, shows).await {
        // In TLS 1.3 a client is done before the node has looked at its certificate.
        Ok(connection) => raw::closed(&connection).await,
        Err(problem) => problem,
    };
    match ended {
        ConnectionError::ConnectionClosed(close) => close.error_code.into(),
        other => panic!("refused by TLS is expected, not {other:?}"),
    }
}

async fn assert_serves(cluster: &Cluster) {
    cluster.cli().ok(&["put", "still", "served"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_without_a_certificate_is_refused() {
    let cluster = Cluster::single().await;
    let code = refusal(&cluster, &client_paths(&cluster), Shows::Nothing).await;
    assert_eq!(code, crypto_error(CERTIFICATE_REQUIRED));
    cluster.node(0).says(&["connection refused", "no certificate was presented"]).await;
    assert_serves(&cluster).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_of_another_ca_is_refused_by_either_side() {
    let cluster = Cluster::single().await;
    let (ca, issued) = another_authority(&cluster);
    let stranger = cluster.cli_with(|profile| {
        profile.certificate = issued.certificate;
        profile.key = issued.key;
    });
    let refused = stranger.run(&["put", "k", "v"]).await.expect_code(7);
    refused.expect_words(&["the peer refused this side", "atoll cert show"]);
    cluster.node(0).says(&["connection refused", "this side refused the peer"]).await;

    let mistrusting = cluster.cli_with(|profile| profile.ca = ca);
    let refused = mistrusting.run(&["get", "k"]).await.expect_code(7);
    refused.expect_words(&["this side refused the peer", "a CA that is not trusted"]);
    cluster.cli().run(&["get", "k"]).await.expect_code(3);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_client_certificate_is_refused_before_and_at_the_door() {
    let cluster = Cluster::single().await;
    let expired = issue_expired(&cluster, client("old"));
    let (certificate, key) = (expired.certificate.clone(), expired.key.clone());
    let late = cluster.cli_with(|profile| {
        profile.certificate = certificate;
        profile.key = key;
    });
    let refused = late.run(&["put", "k", "v"]).await.expect_code(7);
    refused.expect_words(&["expired on", "old.crt", "issue a new one with `atoll cert`"]);

    // Somebody who does not look at its own certificate is refused by the node.
    let ca = client_paths(&cluster).ca;
    let paths = CredentialPaths { ca, certificate: expired.certificate, key: expired.key };
    let code = refusal(&cluster, &paths, Shows::Certificate).await;
    assert_eq!(code, crypto_error(CERTIFICATE_EXPIRED));
    cluster.node(0).says(&["connection refused", "the certificate has expired"]).await;
    assert_serves(&cluster).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_or_admin_certificate_cannot_speak_the_protocols_of_nodes() {
    let cluster = Cluster::single().await;
    let admin = cluster.profile().credentials(atoll_client::Role::Admin).unwrap();
    let refused = [
        (client_paths(&cluster), Alpn::Peer, "a client certificate cannot speak atoll-peer/1"),
        (client_paths(&cluster), Alpn::Bulk, "a client certificate cannot speak atoll-bulk/1"),
        (admin, Alpn::Peer, "an admin certificate cannot speak atoll-peer/1"),
    ];
    for (paths, alpn, expected) in refused {
        let error = raw::connect(cluster.members[0].address, &paths, alpn).await.unwrap_err();
        assert!(matches!(error, ConnectError::Auth { .. }), "{error:?}");
        assert!(error.to_string().contains(expected), "{error}");
        cluster.node(0).says(&["connection refused", expected]).await;
    }
    assert_serves(&cluster).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_of_another_cluster_is_refused_with_both_names() {
    let cluster = Cluster::single().await;
    let dir = cluster.path("lagoon");
    let identity = Identity { cluster: name("lagoon"), role: client("client") };
    cert::create_ca(&dir, &name("lagoon"), Validity::of_ca(now())).unwrap();
    let issued = cert::issue(&dir, &dir, &identity, Validity::of_leaf(now())).unwrap();
    let stranger = cluster.cli_with(|profile| {
        profile.ca = dir.join("ca.crt");
        profile.certificate = issued.certificate;
        profile.key = issued.key;
    });
    let refused = stranger.run(&["put", "k", "v"]).await;
    refused.expect_code(2).expect_words(&["`reef`", "`lagoon`", "client.crt"]);
    assert_serves(&cluster).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_refuses_a_certificate_that_is_not_its_own() {
    let folder = Folder::create(&[("eu", 2)]);
    let (ours, certs) = ("atoll://reef/node/eu/r0/eu-0", folder.certificates());
    let others = [
        (node("eu", "r1", "eu-1"), "atoll://reef/node/eu/r1/eu-1"),
        (node("us", "r0", "eu-0"), "atoll://reef/node/us/r0/eu-0"),
        (node("eu", "r7", "eu-0"), "atoll://reef/node/eu/r7/eu-0"),
        (client("somebody"), "atoll://reef/client/somebody"),
    ];
    for (position, (role, theirs)) in others.into_iter().enumerate() {
        let identity = Identity { cluster: name(CLUSTER), role };
        let out = folder.path(&format!("others-{position}"));
        let issued = cert::issue(&certs, &out, &identity, Validity::of_leaf(now())).unwrap();
        let config = folder.vary_config("eu-0", |raw| {
            raw.tls.certificate = issued.certificate;
            raw.tls.key = issued.key;
        });
        let refused = folder.refused(&config).await.expect_code(2);
        refused.expect_words(&[ours, theirs, "use this node's certificate"]);
        assert!(!folder.path("eu-0").exists(), "nothing was made for a node that may not start");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_refuses_an_expired_certificate() {
    let folder = Folder::create(&[("eu", 1)]);
    let issued = issue_expired(&folder, node("eu", "r0", "eu-0"));
    let config = folder.vary_config("eu-0", |raw| {
        raw.tls.certificate = issued.certificate;
        raw.tls.key = issued.key;
    });
    let refused = folder.refused(&config).await.expect_code(7);
    refused.expect_words(&["eu-0", "expired on", "issue a new one with `atoll cert`"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_file_that_others_can_read_is_refused_by_node_and_client() {
    let folder = Folder::create(&[("eu", 1)]);
    for (key, mode) in [("eu-0.key", 0o644), ("client.key", 0o640)] {
        let path = folder.certificates().join(key);
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }
    let refused = folder.refused(&folder.config("eu-0")).await.expect_code(7);
    refused.expect_words(&["mode 0644", "run `chmod 600", "eu-0.key"]);
    let refused = folder.cli().run(&["get", "k"]).await.expect_code(7);
    refused.expect_words(&["mode 0640", "run `chmod 600", "client.key"]);
}
