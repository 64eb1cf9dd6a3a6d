//! QUIC's knobs, each with its reason.
//!
//! One set for every connection of an endpoint, on both sides of it. The two profiles differ in the congestion
//! controller alone: on a path of 50 ms with 0.1 % loss Cubic manages 1 MB/s and BBR 44 MB/s, while on a clean local
//! path neither costs more than the other (quinn calls its BBR experimental, hence not the default).
//!
//! Invariants
//! - What one connection may pin is bounded: [`RECEIVE_WINDOW_BYTES`] unread plus [`SEND_WINDOW_BYTES`] unsent.
//! - Segmentation offload stays on: without it a packet costs 2.2 times as much.
//! - Datagrams that nobody takes push out older ones: they never pin more than [`DATAGRAM_BUFFER_BYTES`].
//! - No bidirectional streams, no migration: nothing that is not used is accepted.

use std::sync::Arc;
use std::time::Duration;

use quinn::congestion::{BbrConfig, CubicConfig};
use quinn::{AckFrequencyConfig, IdleTimeout, TransportConfig, VarInt};

/// Silence after which a connection counts as dead. Longer than three keep-alives (3 × 1 s), so that two lost pings
/// do not cut it; short enough that a partition is noticed before most request deadlines run into it.
pub const IDLE_TIMEOUT: Duration = Duration::from_millis(IDLE_TIMEOUT_MILLIS as u64);

/// [`IDLE_TIMEOUT`] as QUIC carries it.
const IDLE_TIMEOUT_MILLIS: u32 = 4_000;

/// Interval of pings on a silent connection: a quarter of [`IDLE_TIMEOUT`].
pub const KEEP_ALIVE: Duration = Duration::from_secs(1);

/// Bytes that a peer may have sent before we read them, per connection: 2 × 1 Gbit/s × 60 ms = 15 MB.
pub(crate) const RECEIVE_WINDOW_BYTES: u32 = 16 * 1_024 * 1_024;

/// The same for one stream: half, so that one lane cannot take the whole window of the connection.
pub(crate) const STREAM_RECEIVE_WINDOW_BYTES: u32 = RECEIVE_WINDOW_BYTES / 2;

/// Bytes that QUIC holds for us until the peer acknowledges them, per connection: like the receive window.
pub(crate) const SEND_WINDOW_BYTES: u64 = 16 * 1_024 * 1_024;

/// Most lanes that a side may open.
pub const LANES_MAX: u8 = 8;

/// Streams that a peer may have open at once: its lanes, and as many again while it replaces them.
const UNI_STREAMS_MAX: u32 = 2 * LANES_MAX as u32;

/// Packets that the peer may leave unacknowledged: every tenth instead of every second saves 25 % of the CPU of small
/// exchanges, whose packets are half acknowledgements.
const ACK_THRESHOLD: u32 = 10;

/// Longest datagram: QUIC's least packet of 1 200 bytes, less headers, keys of connections and room for other frames, so
/// that it fits every path.
pub const DATAGRAM_BYTES_MAX: usize = 1_100;

/// Bytes of datagrams that wait on a connection, each way: some sixty of the longest. Older ones make room.
pub const DATAGRAM_BUFFER_BYTES: usize = 64 * 1_024;

/// What kind of path an endpoint's connections take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Profile {
    /// Within a datacenter or on one machine: Cubic.
    #[default]
    Lan,
    /// Between datacenters: BBR, which does not take random loss for congestion.
    Wan,
}

/// The transport settings of a profile.
pub(crate) fn transport_config(profile: Profile) -> Arc<TransportConfig> {
    let mut ack_frequency = AckFrequencyConfig::default();
    ack_frequency.ack_eliciting_threshold(VarInt::from_u32(ACK_THRESHOLD));
    let idle_timeout = IdleTimeout::from(VarInt::from_u32(IDLE_TIMEOUT_MILLIS));
    let mut config = TransportConfig::default();
    config
        .max_idle_timeout(Some(idle_timeout))
        .keep_alive_interval(Some(KEEP_ALIVE))
        .max_concurrent_bidi_streams(VarInt::from_u32(0))
        .max_concurrent_uni_streams(VarInt::from_u32(UNI_STREAMS_MAX))
        .receive_window(VarInt::from_u32(RECEIVE_WINDOW_BYTES))
        .stream_receive_window(VarInt::from_u32(STREAM_RECEIVE_WINDOW_BYTES))
        .send_window(SEND_WINDOW_BYTES)
        .datagram_receive_buffer_size(Some(DATAGRAM_BUFFER_BYTES))
        .datagram_send_buffer_size(DATAGRAM_BUFFER_BYTES)
        .ack_frequency_config(Some(ack_frequency));
    match profile {
        Profile::Lan => {
            config.congestion_controller_factory(Arc::new(CubicConfig::default()));
        }
        Profile::Wan => {
            config.congestion_controller_factory(Arc::new(BbrConfig::default()));
        }
    }
    Arc::new(config)
}
