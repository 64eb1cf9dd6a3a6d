//! Free ports for nodes.
//!
//! A node that was killed must come back on its own port, while clients keep taking ports of the system's choice. So
//! ports are drawn below the range that the system chooses from, tried with a bind, and not handed out twice by this
//! process. Another process may still be faster: then the node says so, and the start is repeated with other ports.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::{Mutex, PoisonError};

/// Below this are the ports of well-known services.
const LOWEST: u16 = 10_000;

/// What the system chooses from where it does not say: Linux's own default.
const SYSTEM_RANGE_BEGINS: u16 = 32_768;

static HANDED_OUT: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());

/// An address on the loopback interface that nobody listens on.
pub(crate) fn free_address() -> SocketAddr {
    let highest = system_range_begins();
    for _ in 0..1_000 {
        let wanted = match highest > LOWEST + 1_000 {
            true => LOWEST + draw() % (highest - LOWEST),
            false => 0,
        };
        let Ok(socket) = UdpSocket::bind((Ipv4Addr::LOCALHOST, wanted)) else { continue };
        let address = socket.local_addr().unwrap();
        // A test that panics must not take the others with it.
        let mut handed_out = HANDED_OUT.lock().unwrap_or_else(PoisonError::into_inner);
        if handed_out.insert(address.port()) {
            return address;
        }
    }
    panic!("no free UDP port in 1000 draws");
}

fn system_range_begins() -> u16 {
    let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range");
    let first = range.ok().and_then(|text| text.split_whitespace().next()?.parse().ok());
    first.unwrap_or(SYSTEM_RANGE_BEGINS)
}

/// A number that no other process draws at the same time.
fn draw() -> u16 {
    let mut bytes = [0; 2];
    let filled = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty());
    assert_eq!(filled, Ok(2));
    u16::from_le_bytes(bytes)
}
