//! URIs of certificates, good and bad.

use super::{Identity, IdentityError, Role};

#[test]
fn good_identities_round_trip() {
    let table = [
        ("atoll://prod/node/eu-west-1/a/n1", "node"),
        ("atoll://p/node/d/r/n", "node"),
        ("atoll://prod/client/app.v2_x", "client"),
        ("atoll://prod/admin/ada", "admin"),
        ("atoll://node/client/node", "client"),
        ("atoll://admin/node/client/node/admin", "node"),
    ];
    for (uri, role) in table {
        let identity: Identity = uri.parse().unwrap();
        assert_eq!(identity.to_string(), uri);
        assert_eq!(identity.is_node(), role == "node", "{uri}");
        assert_eq!(identity.is_admin(), role == "admin", "{uri}");
        let cluster = uri.split('/').nth(2).unwrap();
        assert_eq!(identity.cluster.as_str(), cluster);
    }
    let Role::Node { dc, rack, node } = "atoll://c/node/eu/a/n1".parse::<Identity>().unwrap().role
    else {
        panic!("a node");
    };
    assert_eq!((dc.as_str(), rack.as_str(), node.as_str()), ("eu", "a", "n1"));
}

#[test]
fn other_shapes_are_refused() {
    let long = format!("https://{}", "x".repeat(10_000));
    let table = [
        "",
        "atoll",
        "atoll:/c/admin/a",
        "atoll://",
        "atoll://c",
        "atoll://c/admin",
        "atoll://c/admin/a/",
        "atoll://c/admin/a/b",
        "atoll://c/node/d/r",
        "atoll://c/node/d/r/n/",
        "atoll://c/node/d/r/n/m",
        "atoll://c/root/a",
        "atoll://c/Admin/a",
        "ATOLL://c/admin/a",
        " atoll://c/admin/a",
        "spiffe://c/admin/a",
        "atoll://c//a",
        "atoll:///c/admin/a",
        &long,
    ];
    for uri in table {
        let error = uri.parse::<Identity>().unwrap_err();
        assert!(
            matches!(&error, IdentityError::Shape { uri } if uri.len() <= 256),
            "{uri}: {error:?}"
        );
    }
}

#[test]
fn bad_names_are_refused() {
    let table = [
        "atoll:///admin/a",
        "atoll://c/admin/",
        "atoll://c/admin/a b",
        "atoll://c/admin/a?b",
        "atoll://c/admin/a#b",
        "atoll://c/admin/%61",
        "atoll://c@d/admin/a",
        "atoll://c:1/admin/a",
        "atoll://c/node/../r/n",
        "atoll://c/node/d//n",
        "atoll://c/node/d/r/n\0",
        "atoll://c/client/*",
        "atoll://c/admin/a\n",
        "atoll://c/client/ä",
        "atoll://-c/client/a",
    ];
    for uri in table {
        let error = uri.parse::<Identity>().unwrap_err();
        assert!(matches!(error, IdentityError::Name(_)), "{uri}: {error:?}");
    }
}
