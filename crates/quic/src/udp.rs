//! The UDP socket of an endpoint.
//!
//! A busy or forbidden address is reported here, when the endpoint is bound, and by `endpoint.rs` with the fix. Large
//! kernel buffers are asked for and not insisted on. quinn turns segmentation offload on where the kernel has it.
//!
//! Invariants
//! - A wildcard IPv6 socket serves IPv4 too; a peer may then appear as `::ffff:a.b.c.d`, which the rest of the crate
//!   shows as `a.b.c.d`.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use socket2::{Domain, Protocol, Socket, Type};

/// Kernel buffers asked for, in bytes: a burst of 2 800 full packets. The kernel grants what `net.core.rmem_max`
/// allows; less costs retransmissions under bursts, nothing else.
const BUFFER_BYTES: usize = 4 * 1_024 * 1_024;

/// Binds a UDP socket to `local`; an unspecified IPv6 address serves IPv4 as well.
pub(crate) fn bind_udp(local: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(local), Type::DGRAM, Some(Protocol::UDP))?;
    if local.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    let receive = socket.set_recv_buffer_size(BUFFER_BYTES);
    let send = socket.set_send_buffer_size(BUFFER_BYTES);
    if let Err(problem) = receive.and(send) {
        tracing::debug!(%problem, "UDP buffers stay at the system's default size");
    }
    socket.bind(&local.into())?;
    Ok(socket.into())
}

/// Binds a UDP socket to a port of the system's choice, for dialing only: IPv6 and IPv4 where the machine has both.
pub(crate) fn bind_any() -> io::Result<UdpSocket> {
    bind_udp(SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)))
        .or_else(|_| bind_udp(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0))))
}
