//! Plans in words, for people: the shape in one line, each fault in one line.

use std::fmt::{self, Display, Formatter};

use super::{DiskCalls, Fault, FaultKind, Plan, Shape, Tier};

impl Plan {
    /// The schedule, one line for each fault.
    pub fn schedule(&self) -> Vec<String> {
        self.faults.iter().map(ToString::to_string).collect()
    }

    /// Cluster, workload and knobs that matter, in one line.
    pub fn summary(&self) -> String {
        let workload = &self.workload;
        let mut levels = workload.levels.clone();
        levels.sort();
        levels.dedup();
        let durability = match self.knobs.periodic_ms {
            Some(interval_ms) => format!(", periodic {interval_ms} ms"),
            None => String::new(),
        };
        format!(
            "{}{}, {} clients{}, {} operations on {} keys at {}{durability}, {} of faults",
            self.shape,
            match self.tier {
                Tier::Messages => "",
                Tier::Quic => " over QUIC",
            },
            workload.clients,
            match workload.sessions {
                0 => String::new(),
                sessions => format!(" ({sessions} in sessions)"),
            },
            workload.operations,
            workload.keys.saturating_add(workload.lww_keys),
            levels.join(" "),
            seconds(self.safety_ms),
        )
    }
}

impl Display for Shape {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let dcs: Vec<String> = self
            .dcs
            .iter()
            .map(|dc| {
                let nodes = if dc.nodes == 1 { "node" } else { "nodes" };
                format!("{} {nodes} RF {}", dc.nodes, dc.replication_factor)
            })
            .collect();
        write!(f, "{}", dcs.join(" + "))?;
        if self.dcs.len() > 1 {
            write!(f, " ({} ms apart)", self.rtt_ms)?;
        }
        write!(f, ", {} partitions", self.partitions)
    }
}

impl Display for Fault {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{:>9} for {:>9}  {}", seconds(self.at_ms), seconds(self.for_ms), self.kind)
    }
}

impl Display for FaultKind {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kill { node, power: false } => write!(f, "kill n{node}"),
            Self::Kill { node, power: true } => write!(f, "power loss at n{node}"),
            Self::KillAtDiskCall { node, calls } => {
                write!(f, "power loss at n{node} after {calls} more calls to its disk")
            }
            Self::Stop { node } => write!(f, "stop n{node}"),
            Self::Wipe { node } => write!(f, "wipe the disk of n{node}"),
            Self::Pause { node } => write!(f, "pause n{node}"),
            Self::Slow { node, factor } => write!(f, "n{node} {factor} times slower"),
            Self::Cut { from, to } => write!(f, "cut {} -> {}", names(from), names(to)),
            Self::Degrade {
                from,
                to,
                loss_per_mille,
                duplicate_per_mille,
                jitter_ms,
                bytes_per_second,
            } => {
                write!(f, "degrade {} -> {}:", names(from), names(to))?;
                write!(f, " {loss_per_mille}/1000 lost, {duplicate_per_mille}/1000 twice")?;
                write!(f, ", jitter {jitter_ms} ms")?;
                match bytes_per_second {
                    0 => Ok(()),
                    rate => write!(f, ", {rate} B/s"),
                }
            }
            Self::DiskErrors { node, calls, per_mille } => {
                write!(f, "{per_mille}/1000 {} of n{node} fail", call_names(*calls))
            }
            Self::DiskFull { node } => write!(f, "disk of n{node} full"),
            Self::DiskStall { node, stall_ms } => {
                write!(f, "disk of n{node} stalls up to {stall_ms} ms")
            }
            Self::BitRot { node, bits } => write!(f, "{bits} bits rot at n{node}"),
            Self::Misdirect { node } => write!(f, "misdirected write at n{node}"),
            Self::ClockJump { node, by_ms } => {
                write!(f, "wall clock of n{node} jumps by {by_ms} ms")
            }
        }
    }
}

fn call_names(calls: DiskCalls) -> &'static str {
    match calls {
        DiskCalls::Read => "reads",
        DiskCalls::Write => "writes",
        DiskCalls::Sync => "syncs",
        DiskCalls::SyncDir => "syncs of directories",
    }
}

fn names(nodes: &[u16]) -> String {
    nodes.iter().map(|node| format!("n{node}")).collect::<Vec<_>>().join(",")
}

fn seconds(ms: u64) -> String {
    format!("{}.{:03} s", ms / 1_000, ms % 1_000)
}

#[cfg(test)]
mod tests {
    use crate::plan::{Fault, FaultKind};

    #[test]
    fn a_fault_is_one_line() {
        let kind = FaultKind::Cut { from: vec![0, 1], to: vec![2] };
        let fault = Fault { at_ms: 1_250, for_ms: 300, kind };
        assert_eq!(fault.to_string(), "  1.250 s for   0.300 s  cut n0,n1 -> n2");
    }
}
