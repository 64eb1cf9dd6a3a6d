//! The cluster of a run. Small ones are likelier: they run faster, and most bugs need three nodes.

use crate::plan::{DcShape, Shape, Tier};
use crate::prng::Prng;

/// Clusters to choose from.
#[derive(Clone, Copy, Debug)]
enum Layout {
    /// One datacenter of three nodes, each key on all of them.
    Three,
    Single,
    Pair,
    /// One datacenter of three to five nodes.
    OneDc,
    TwoDcs,
    ThreeDcs,
    /// Up to three datacenters of up to five nodes.
    Anything,
}

const LAYOUTS: [Layout; 7] = [
    Layout::Three,
    Layout::Single,
    Layout::Pair,
    Layout::OneDc,
    Layout::TwoDcs,
    Layout::ThreeDcs,
    Layout::Anything,
];

/// Weights of [`LAYOUTS`].
const MESSAGES: [u32; 7] = [35, 7, 7, 15, 18, 14, 4];

/// Weights of [`LAYOUTS`] where every packet is encrypted: three nodes at most, nearly always.
const QUIC: [u32; 7] = [40, 15, 20, 2, 12, 11, 0];

pub(super) fn draw(prng: &mut Prng, tier: Tier) -> Shape {
    let (weights, nodes_max) = match tier {
        Tier::Messages => (MESSAGES, 4),
        Tier::Quic => (QUIC, 1),
    };
    let layout = LAYOUTS.get(prng.weighted(&weights)).copied().unwrap_or(Layout::Three);
    let mut dcs = |count: u64, least: u64, most: u64| -> Vec<DcShape> {
        (0..count).map(|_| dc(prng, least, most)).collect()
    };
    let dcs = match layout {
        Layout::Three => vec![DcShape { nodes: 3, racks: 1, replication_factor: 3 }],
        Layout::Single => dcs(1, 1, 1),
        Layout::Pair => dcs(1, 2, 2),
        Layout::OneDc => dcs(1, 3, 5),
        Layout::TwoDcs => dcs(2, 1, nodes_max),
        Layout::ThreeDcs => dcs(3, 1, nodes_max.min(3)),
        Layout::Anything => {
            let count = prng.between(1, 3);
            (0..count).map(|_| dc(prng, 1, 5)).collect()
        }
    };
    let rtt_ms = prng.between(1, 40) << prng.below(4);
    Shape { dcs, rtt_ms, partitions: 8 << prng.below(4) }
}

/// A datacenter of `least` to `most` nodes. Three replicas are likelier, and so is one rack.
fn dc(prng: &mut Prng, least: u64, most: u64) -> DcShape {
    let nodes = prng.between(least, most);
    let replicas_max = nodes.min(3);
    let replicas = if prng.per_mille(600) { replicas_max } else { prng.between(1, replicas_max) };
    let racks = if prng.per_mille(600) { 1 } else { prng.between(1, nodes) };
    DcShape {
        nodes: u16::try_from(nodes).unwrap_or(1),
        racks: u16::try_from(racks).unwrap_or(1),
        replication_factor: u8::try_from(replicas).unwrap_or(1),
    }
}
