//! Contexts as text.

use atoll_protocol::ids::Incarnation;
use atoll_protocol::version;

use crate::{Context, ContextParseError};

fn sample() -> Context {
    let mut context = version::Context::new(7);
    context.observe(Incarnation(0xaa), 3);
    context.observe_timestamp(version::Timestamp(0x0100));
    Context::new(context.encode())
}

#[test]
fn text_round_trip() {
    let context = sample();
    let text = context.to_base64url();
    assert!(text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'), "{text}");
    assert_eq!(text.parse::<Context>().unwrap(), context);
    assert_eq!(context.to_string(), text);
    assert_eq!(format!("{context:?}"), "Context(39 bytes)");
}

#[test]
fn damage_is_found_before_anything_is_sent() {
    let text = sample().to_base64url();
    let cut = text.get(..text.len() - 4).unwrap();
    for wrong in ["", cut, "AAAA"] {
        let error = Context::from_base64url(wrong).unwrap_err();
        assert!(matches!(error, ContextParseError::Damaged(_)), "{wrong}: {error}");
    }
    for wrong in ["?", "a b", &format!("{text}=")] {
        let error = Context::from_base64url(wrong).unwrap_err();
        assert!(matches!(error, ContextParseError::Text { .. }), "{wrong}: {error}");
    }
    let error = Context::from_base64url(&"A".repeat(1_000_000)).unwrap_err();
    assert!(matches!(error, ContextParseError::TooLong { got: 1_000_000 }), "{error}");
}
