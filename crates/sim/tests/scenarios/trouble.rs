//! Names for the faults, so that a scenario reads as a sentence.

use atoll_sim::plan::FaultKind;

/// The process dies; what it wrote is in the page cache.
pub(crate) fn kill(node: u16) -> FaultKind {
    FaultKind::Kill { node, power: false }
}

/// The machine dies; what was not synced is lost, or half of it.
pub(crate) fn power_loss(node: u16) -> FaultKind {
    FaultKind::Kill { node, power: true }
}

/// An operator stops the node.
pub(crate) fn stop(node: u16) -> FaultKind {
    FaultKind::Stop { node }
}

/// The machine dies, and comes back with an empty disk.
pub(crate) fn wipe(node: u16) -> FaultKind {
    FaultKind::Wipe { node }
}

/// The process stands still and notices nothing of it.
pub(crate) fn pause(node: u16) -> FaultKind {
    FaultKind::Pause { node }
}

/// Nothing gets from `from` to `to`; the other way is open.
pub(crate) fn cut(from: &[u16], to: &[u16]) -> FaultKind {
    FaultKind::Cut { from: from.to_vec(), to: to.to_vec() }
}

/// Frames and datagrams are lost, so many of a thousand, whoever sends them to whom.
pub(crate) fn loss(nodes: u16, loss_per_mille: u32) -> FaultKind {
    let all: Vec<u16> = (0..nodes).collect();
    FaultKind::Degrade {
        from: all.clone(),
        to: all,
        loss_per_mille,
        duplicate_per_mille: 0,
        jitter_ms: 0,
        bytes_per_second: 0,
    }
}

/// The disk has no room.
pub(crate) fn disk_full(node: u16) -> FaultKind {
    FaultKind::DiskFull { node }
}

/// Bits of synced data flip.
pub(crate) fn bit_rot(node: u16, bits: u32) -> FaultKind {
    FaultKind::BitRot { node, bits }
}

/// Every job of the node's disk takes up to so much longer.
pub(crate) fn disk_stall(node: u16, stall_ms: u64) -> FaultKind {
    FaultKind::DiskStall { node, stall_ms }
}
