//! Parts of a plan, counted, named and renumbered.
//!
//! A fault names nodes by number; whoever takes nodes out of a cluster renumbers the faults with
//! [`FaultKind::renumbered`], the only place that knows where the numbers stand.

use std::ops::Range;

use super::{FaultKind, Healers, Knobs, Shape};

/// Capacity of a disk that no run fills: the simulated disk keeps only what is written.
const ROOMY_DISK_BYTES: u64 = 1 << 30;

/// Where a fault strikes.
#[derive(Debug)]
enum Place<'a> {
    Node(&'a mut u16),
    Links { from: &'a mut Vec<u16>, to: &'a mut Vec<u16> },
}

impl Shape {
    /// Nodes of all datacenters.
    pub fn nodes(&self) -> u16 {
        self.dcs.iter().fold(0, |sum, dc| sum.saturating_add(dc.nodes))
    }

    /// The nodes of each datacenter, by their numbers.
    pub fn ranges(&self) -> Vec<Range<u16>> {
        let mut next = 0u16;
        let range = |nodes: u16| {
            let first = next;
            next = next.saturating_add(nodes);
            first..next
        };
        self.dcs.iter().map(|dc| dc.nodes).map(range).collect()
    }

    /// Replicas of each key in each datacenter.
    pub fn replicas(&self) -> Vec<u8> {
        self.dcs.iter().map(|dc| dc.replication_factor).collect()
    }
}

impl Knobs {
    /// Shipped settings, disks that are never full and perfect clocks, for a cluster of `nodes`.
    pub fn plain(nodes: u16) -> Self {
        let options = atoll_storage::Options::default();
        Self {
            periodic_ms: None,
            memtable_bytes: options.memtable_bytes_max,
            segment_bytes: options.wal_segment_bytes_max,
            block_bytes: options.block_bytes as u64,
            table_bytes: options.table_bytes,
            level_bytes: options.level_bytes_base,
            l0_trigger: options.tables_l0_trigger as u64,
            separation_bytes: options.value_separation_bytes,
            cache_bytes: options.cache_bytes,
            healers: Healers::All,
            purge_after_ms: None,
            disk_bytes: ROOMY_DISK_BYTES,
            skew_ms: vec![0; usize::from(nodes)],
            drift_ppm: vec![0; usize::from(nodes)],
        }
    }
}

/// What a plan means that was saved before values were separated.
pub(super) fn separation_bytes() -> u64 {
    atoll_storage::Options::default().value_separation_bytes
}

/// What a plan means that was saved before there was a cache.
pub(super) fn cache_bytes() -> u64 {
    atoll_storage::Options::default().cache_bytes
}

impl FaultKind {
    /// The name of every kind, as plan files and summaries write it.
    pub const NAMES: [&'static str; 14] = [
        "kill",
        "kill_at_disk_call",
        "stop",
        "wipe",
        "pause",
        "slow",
        "cut",
        "degrade",
        "disk_errors",
        "disk_full",
        "disk_stall",
        "bit_rot",
        "misdirect",
        "clock_jump",
    ];

    /// The kind's name; one of [`Self::NAMES`].
    pub fn name(&self) -> &'static str {
        match self {
            Self::Kill { .. } => "kill",
            Self::KillAtDiskCall { .. } => "kill_at_disk_call",
            Self::Stop { .. } => "stop",
            Self::Wipe { .. } => "wipe",
            Self::Pause { .. } => "pause",
            Self::Slow { .. } => "slow",
            Self::Cut { .. } => "cut",
            Self::Degrade { .. } => "degrade",
            Self::DiskErrors { .. } => "disk_errors",
            Self::DiskFull { .. } => "disk_full",
            Self::DiskStall { .. } => "disk_stall",
            Self::BitRot { .. } => "bit_rot",
            Self::Misdirect { .. } => "misdirect",
            Self::ClockJump { .. } => "clock_jump",
        }
    }

    /// Whether processes go on and disks keep what they are given.
    pub fn spares_nodes(&self) -> bool {
        match self {
            Self::Pause { .. }
            | Self::Slow { .. }
            | Self::Cut { .. }
            | Self::Degrade { .. }
            | Self::ClockJump { .. } => true,
            Self::Kill { .. }
            | Self::KillAtDiskCall { .. }
            | Self::Stop { .. }
            | Self::Wipe { .. }
            | Self::DiskErrors { .. }
            | Self::DiskFull { .. }
            | Self::DiskStall { .. }
            | Self::BitRot { .. }
            | Self::Misdirect { .. } => false,
        }
    }

    /// Whether a node's disk may forget what it held, or hold something else.
    pub fn loses_data(&self) -> bool {
        matches!(self, Self::Wipe { .. } | Self::BitRot { .. } | Self::Misdirect { .. })
    }

    /// Every node that is named, in order, once.
    pub fn nodes(&self) -> Vec<u16> {
        let mut named = match self.clone().place() {
            Place::Node(node) => vec![*node],
            Place::Links { from, to } => [from.as_slice(), to.as_slice()].concat(),
        };
        named.sort_unstable();
        named.dedup();
        named
    }

    /// The same fault with each node's number replaced; `None` if nothing of it is left because `number` left nodes
    /// out.
    pub fn renumbered(&self, number: impl Fn(u16) -> Option<u16>) -> Option<Self> {
        let mut kind = self.clone();
        match kind.place() {
            Place::Node(node) => *node = number(*node)?,
            Place::Links { from, to } => {
                *from = from.iter().filter_map(|&node| number(node)).collect();
                *to = to.iter().filter_map(|&node| number(node)).collect();
                if from.is_empty() || to.is_empty() {
                    return None;
                }
            }
        }
        Some(kind)
    }

    fn place(&mut self) -> Place<'_> {
        match self {
            Self::Kill { node, .. }
            | Self::KillAtDiskCall { node, .. }
            | Self::Stop { node }
            | Self::Wipe { node }
            | Self::Pause { node }
            | Self::Slow { node, .. }
            | Self::DiskErrors { node, .. }
            | Self::DiskFull { node }
            | Self::DiskStall { node, .. }
            | Self::BitRot { node, .. }
            | Self::Misdirect { node }
            | Self::ClockJump { node, .. } => Place::Node(node),
            Self::Cut { from, to } | Self::Degrade { from, to, .. } => Place::Links { from, to },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::FaultKind;

    #[test]
    fn renumbering_drops_what_is_left_of_nothing() {
        let without_one = |node: u16| (node != 1).then(|| if node > 1 { node - 1 } else { node });
        let cut = FaultKind::Cut { from: vec![0, 1], to: vec![2] };
        assert_eq!(
            cut.renumbered(without_one),
            Some(FaultKind::Cut { from: vec![0], to: vec![1] })
        );
        assert_eq!(FaultKind::Cut { from: vec![1], to: vec![2] }.renumbered(without_one), None);
        assert_eq!(FaultKind::Pause { node: 1 }.renumbered(without_one), None);
        assert_eq!(cut.nodes(), [0, 1, 2]);
    }

    #[test]
    fn names_are_those_of_plan_files() {
        let kind = FaultKind::KillAtDiskCall { node: 0, calls: 3 };
        let text = serde_json::to_string(&kind).unwrap();
        assert!(text.contains(kind.name()), "{text}");
        assert!(FaultKind::NAMES.contains(&kind.name()));
    }
}
