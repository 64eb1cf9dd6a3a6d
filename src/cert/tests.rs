//! Certificates made here are loaded and verified by `atoll-quic`, over a real handshake.

use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use atoll_protocol::identity::Identity;
use atoll_protocol::ids::Name;
use atoll_protocol::time::WallTime;
use atoll_quic::{
    Alpn, CredentialPaths, Credentials, CredentialsError, Endpoint, EndpointConfig, ExpectedPeer,
    Spawner,
};
use tempfile::TempDir;

use super::{CertError, CertificateKind, IssuedPaths, Validity, create_ca, issue, show};

/// 2026-01-01T00:00:00Z: these tests need no clock, except where a handshake reads it.
const NOW: WallTime = WallTime::from_micros(1_767_225_600 * 1_000_000);

const NODE: &str = "atoll://reef/node/eu/a/n1";
const CLIENT: &str = "atoll://reef/client/app";

fn cluster(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn identity(uri: &str) -> Identity {
    uri.parse().unwrap()
}

fn ca() -> TempDir {
    let dir = TempDir::new().unwrap();
    create_ca(dir.path(), &cluster("reef"), Validity::of_ca(NOW)).unwrap();
    dir
}

fn leaf(dir: &Path, uri: &str) -> Result<IssuedPaths, CertError> {
    issue(dir, dir, &identity(uri), Validity::of_leaf(NOW))
}

fn load(ca: &Path, issued: IssuedPaths, now: WallTime) -> Result<Credentials, CredentialsError> {
    let IssuedPaths { certificate, key } = issued;
    Credentials::load(&CredentialPaths { ca: ca.join("ca.crt"), certificate, key }, now)
}

#[test]
fn ca_and_leaves_say_what_they_are() {
    let dir = ca();
    let root = show(&dir.path().join("ca.crt")).unwrap();
    assert_eq!((root.kind, &root.identity), (CertificateKind::Ca, &None));
    assert!(root.subject.contains("Atoll CA reef "), "{}", root.subject);
    assert_eq!(root.subject, root.issuer);
    assert_eq!(root.not_after_text(), "2035-12-30T00:00:00Z");
    let kinds = [
        (NODE, "n1", CertificateKind::Node),
        (CLIENT, "app", CertificateKind::Client),
        ("atoll://reef/admin/ops", "ops", CertificateKind::Admin),
    ];
    for (uri, name, kind) in kinds {
        let paths = leaf(dir.path(), uri).unwrap();
        assert_eq!(paths.certificate, dir.path().join(format!("{name}.crt")));
        assert_eq!(paths.key, dir.path().join(format!("{name}.key")));
        let shown = show(&paths.certificate).unwrap();
        assert_eq!((shown.kind, &shown.issuer), (kind, &root.subject));
        assert_eq!(shown.identity, Some(identity(uri)));
        let json = serde_json::to_value(&shown).unwrap();
        assert_eq!(json["identity"], uri);
        assert_eq!(json["kind"], kind.to_string());
        assert_eq!(json["not_before"], "2025-12-31T23:00:00Z");
        assert_eq!(json["not_after"], "2027-01-01T00:00:00Z");
        assert_eq!(json["fingerprint"].as_str().unwrap().len(), 64);
        let loaded = load(dir.path(), paths, NOW).unwrap();
        assert_eq!(loaded.identity(), &identity(uri));
        assert_eq!(loaded.not_after(), shown.not_after);
    }
}

#[test]
fn keys_are_private_and_nothing_is_overwritten() {
    let dir = ca();
    let paths = leaf(dir.path(), NODE).unwrap();
    for key in [&paths.key, &dir.path().join("ca.key")] {
        assert_eq!(fs::metadata(key).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let before = fs::read(&paths.key).unwrap();
    let again = leaf(dir.path(), NODE).unwrap_err();
    assert!(matches!(&again, CertError::Exists { path } if *path == paths.key), "{again}");
    let again = create_ca(dir.path(), &cluster("reef"), Validity::of_ca(NOW)).unwrap_err();
    assert!(matches!(again, CertError::Exists { .. }), "{again}");
    assert_eq!(fs::read(&paths.key).unwrap(), before);

    // A certificate in the way: no key without its certificate stays behind.
    let other = dir.path().join("n2.crt");
    fs::write(&other, "in the way").unwrap();
    let refused = leaf(dir.path(), "atoll://reef/node/eu/a/n2").unwrap_err();
    assert!(matches!(&refused, CertError::Exists { path } if *path == other), "{refused}");
    assert!(!dir.path().join("n2.key").exists());
}

#[test]
fn a_ca_issues_for_its_cluster_and_its_lifetime_only() {
    let dir = ca();
    let refused = leaf(dir.path(), "atoll://lagoon/client/app").unwrap_err();
    assert!(matches!(refused, CertError::OtherCluster { .. }), "{refused}");
    let long = issue(dir.path(), dir.path(), &identity(NODE), Validity::days(NOW, 4_000));
    assert!(matches!(long, Err(CertError::OutlivesCa { .. })), "{long:?}");
    let backwards = Validity { not_before: NOW, not_after: NOW };
    let empty = issue(dir.path(), dir.path(), &identity(NODE), backwards);
    assert!(matches!(empty, Err(CertError::EmptyValidity { .. })), "{empty:?}");
    assert!(!dir.path().join("n1.key").exists());
}

#[test]
fn unusable_cas_are_named_with_the_fix() {
    let empty = TempDir::new().unwrap();
    let text = leaf(empty.path(), NODE).unwrap_err().to_string();
    assert!(text.contains("ca.crt is missing") && text.contains("atoll cert ca"), "{text}");

    let dir = ca();
    let key = dir.path().join("ca.key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o640)).unwrap();
    let text = leaf(dir.path(), NODE).unwrap_err().to_string();
    assert!(text.contains("mode 0640") && text.contains("chmod 600"), "{text}");

    fs::remove_file(&key).unwrap();
    fs::copy(ca().path().join("ca.key"), &key).unwrap();
    let text = leaf(dir.path(), NODE).unwrap_err().to_string();
    assert!(text.contains("does not belong to the key"), "{text}");

    let text = show(&key).unwrap_err().to_string();
    assert!(text.contains("not a certificate"), "{text}");
}

#[test]
fn certificates_of_the_past_can_be_made_and_are_refused() {
    let dir = ca();
    let past = Validity { not_before: WallTime::from_micros(0), not_after: NOW };
    let paths = issue(dir.path(), dir.path(), &identity(NODE), past).unwrap();
    let tomorrow = NOW.after(Duration::from_secs(86_400));
    let refused = load(dir.path(), paths, tomorrow).unwrap_err();
    assert!(matches!(refused, CredentialsError::Expired { .. }), "{refused}");
}

#[tokio::test]
#[expect(
    clippy::disallowed_methods,
    reason = "a handshake reads the clock; tests have no task registry"
)]
async fn issued_certificates_make_a_connection() {
    let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let now = WallTime::from_micros(u64::try_from(since_epoch.as_micros()).unwrap());
    let dir = TempDir::new().unwrap();
    create_ca(dir.path(), &cluster("reef"), Validity::of_ca(now)).unwrap();
    let credentials = |uri: &str| {
        let out = dir.path().join("issued");
        let paths = issue(dir.path(), &out, &identity(uri), Validity::of_leaf(now)).unwrap();
        load(dir.path(), paths, now).unwrap()
    };
    let spawner: Spawner = Arc::new(|_name, task| {
        tokio::spawn(task);
    });
    let any_port = (Ipv4Addr::LOCALHOST, 0).into();
    let node = EndpointConfig::node(any_port, credentials(NODE), Arc::clone(&spawner));
    let node = Endpoint::bind(node).unwrap();
    let client = Endpoint::bind(EndpointConfig::client(credentials(CLIENT), spawner)).unwrap();
    let expected = ExpectedPeer::AnyNode { cluster: cluster("reef") };
    let addr = node.local_addr().unwrap();
    let connecting = client.connect(addr, Alpn::Client, expected);
    let (connected, accepted) = tokio::join!(connecting, node.accept());
    assert_eq!(connected.unwrap().identity(), &identity(NODE));
    assert_eq!(accepted.unwrap().unwrap().identity(), &identity(CLIENT));
}
