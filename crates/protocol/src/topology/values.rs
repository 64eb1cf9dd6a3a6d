//! Single values of a topology file: round-trip times, addresses, and the wording of wrong numbers.
//!
//! Leaf functions of `check.rs`; each sees one value and notes nothing itself.

use std::time::Duration;

use crate::ids::Name;
use crate::limits::{PARTITIONS_MAX, REPLICATION_FACTOR_MAX};
use crate::token::Partitions;

/// Longest round-trip time of a link: more than a minute is a typing error.
const RTT_MAX: Duration = Duration::from_secs(60);

/// What is wrong with a written replication factor, and its fix.
pub(super) fn replication_factor_problem(
    dc: &Name,
    written: i64,
    nodes: usize,
) -> (String, String) {
    let limit = i64::from(REPLICATION_FACTOR_MAX);
    if written < 1 {
        let found = format!("replication factor {written} in `{dc}`");
        (found, "write at least 1, or remove the line for the default of 3".to_owned())
    } else if written > limit {
        let found = format!("replication factor {written} in `{dc}`, the limit is {limit}");
        (found, format!("write at most {}", nodes.min(usize::from(REPLICATION_FACTOR_MAX))))
    } else {
        let found = format!("replication factor {written}, but `{dc}` has {nodes} node(s)");
        (found, format!("write at most {nodes}, or add nodes to `{dc}`"))
    }
}

/// The powers of two around a number that is none.
pub(super) fn nearest_powers(written: i64) -> String {
    let above = u32::try_from(written).ok().and_then(u32::checked_next_power_of_two);
    match above {
        Some(above) if above > 1 && above <= PARTITIONS_MAX => {
            format!("write {} or {above}", above / 2)
        }
        _ if written < 1 => format!("write 1 or more; the default is {}", Partitions::DEFAULT),
        _ => format!("write {PARTITIONS_MAX} or less; the default is {}", Partitions::DEFAULT),
    }
}

/// Whole milliseconds or seconds.
pub(super) fn parse_rtt(text: &str) -> Option<Duration> {
    let number = |digits: &str| {
        let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
        plain.then(|| digits.parse::<u64>().ok()).flatten()
    };
    let rtt = if let Some(digits) = text.strip_suffix("ms") {
        Duration::from_millis(number(digits)?)
    } else {
        Duration::from_secs(number(text.strip_suffix('s')?)?)
    };
    (rtt <= RTT_MAX).then_some(rtt)
}

/// A host name, an IPv4 address or a bracketed IPv6 address, and a port other than 0. Names are resolved elsewhere.
pub(super) fn is_host_and_port(address: &str) -> bool {
    let Some((host, port)) = address.rsplit_once(':') else {
        return false;
    };
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let host_is_legal = match bare {
        Some(ip) => ip.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            let legal =
                |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
            !host.is_empty() && host.bytes().all(legal)
        }
    };
    let digits = port.bytes().all(|byte| byte.is_ascii_digit());
    host_is_legal && digits && port.parse::<u16>().is_ok_and(|port| port > 0)
}
