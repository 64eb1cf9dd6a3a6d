//! The pure decisions, as tables.

use crate::accept::{Address, Admission, HANDSHAKES_MAX, HANDSHAKES_SOFT, choose_admission};
use crate::alpn::admit;
use crate::tests::{ADMIN, CLIENT, CLUSTER, NODE, name};
use crate::{Alpn, CloseCode};

#[test]
fn admission_gets_stricter_with_load() {
    use Address::{Claimed, Validated};
    let table = [
        (0, Claimed, Admission::Accept),
        (HANDSHAKES_SOFT - 1, Claimed, Admission::Accept),
        (HANDSHAKES_SOFT, Claimed, Admission::Retry),
        (HANDSHAKES_SOFT, Validated, Admission::Accept),
        (HANDSHAKES_MAX - 1, Claimed, Admission::Retry),
        (HANDSHAKES_MAX - 1, Validated, Admission::Accept),
        (HANDSHAKES_MAX, Claimed, Admission::Ignore),
        (HANDSHAKES_MAX, Validated, Admission::Ignore),
    ];
    for (under_way, address, expected) in table {
        assert_eq!(choose_admission(under_way, address), expected, "{under_way} {address:?}");
    }
}

#[test]
fn roles_and_protocols() {
    let cluster = name(CLUSTER);
    let may = |uri: &str| {
        Alpn::ALL.map(|alpn| admit(alpn, &cluster, &uri.parse().unwrap()).map_err(|r| r.code))
    };
    let wrong = Err(CloseCode::WrongRole);
    assert_eq!(may(NODE), [Ok(()), Ok(()), Ok(())]);
    assert_eq!(may(CLIENT), [Ok(()), wrong, wrong]);
    assert_eq!(may(ADMIN), [Ok(()), wrong, wrong]);
    assert_eq!(may("atoll://lagoon/node/eu/a/n1"), [Err(CloseCode::WrongCluster); 3]);
}

#[test]
fn close_codes_keep_their_numbers() {
    let table = [
        (0, CloseCode::Done),
        (1, CloseCode::Frame),
        (2, CloseCode::WrongRole),
        (3, CloseCode::WrongCluster),
        (4, CloseCode::Identity),
        (5, CloseCode::Overloaded),
        (6, CloseCode::ShuttingDown),
        (7, CloseCode::Credentials),
        (8, CloseCode::Internal),
        (77, CloseCode::Other(77)),
    ];
    for (number, code) in table {
        assert_eq!((code.number(), CloseCode::from_number(number)), (number, code));
    }
    let long = "ä".repeat(400);
    assert_eq!(crate::close::clip(&long).len(), 512);
    assert_eq!(crate::close::clip(&format!("x{long}")).len(), 511, "ends on a character");
}
