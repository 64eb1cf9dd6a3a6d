//! Every family of messages: what decodes is encoded to the same bytes.

#![no_main]

use atoll_protocol::codec;
use atoll_protocol::wire::{PeerNotice, PeerReply, PeerRequest, Reply, Request};
use libfuzzer_sys::fuzz_target;
use serde::Serialize;
use serde::de::DeserializeOwned;

fn check<M: Serialize + DeserializeOwned>(data: &[u8]) {
    let Ok(message) = codec::decode::<M>(data) else { return };
    let encoded = codec::encode(&message).expect("what was decoded can be encoded");
    let again: M = codec::decode(&encoded).expect("what was encoded can be decoded");
    assert_eq!(codec::encode(&again).expect("it was encoded before"), encoded);
}

fuzz_target!(|data: &[u8]| {
    let Some((family, data)) = data.split_first() else { return };
    match family % 5 {
        0 => check::<Request>(data),
        1 => check::<Reply>(data),
        2 => check::<PeerRequest>(data),
        3 => check::<PeerReply>(data),
        _ => check::<PeerNotice>(data),
    }
});
