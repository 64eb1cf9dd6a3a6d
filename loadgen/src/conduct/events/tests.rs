//! Events are read; they run, fail and are killed as the report says.

use std::time::Duration;

use super::{EventOrder, start};
use crate::clock;

#[test]
fn texts_are_read() {
    let order: EventOrder = "1m 30s: echo a:b ".parse().unwrap();
    assert_eq!((order.at, order.command.as_str()), (Duration::from_secs(90), "echo a:b"));
    for text in ["", "30s", "30s:", "30:x", "x:y"] {
        assert!(text.parse::<EventOrder>().is_err(), "{text}");
    }
}

#[tokio::test]
async fn events_leave_their_exit_code_and_output() {
    let orders = ["0s:echo out; echo err >&2; exit 3", "1ms:true"];
    let orders = orders.iter().map(|text| text.parse().unwrap()).collect();
    let events = start(orders, clock::now()).finish().await;
    let codes: Vec<_> = events.iter().map(|event| event.exit_code).collect();
    assert_eq!(codes, [Some(3), Some(0)]);
    assert_eq!(events[0].output, "out\nerr\n");
    assert!(events.iter().all(|event| event.ended >= event.began && event.began >= event.due));
}
