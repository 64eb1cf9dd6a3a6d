//! What operators ask of storage: the engines of all nodes, each in its own words.
//!
//! Invariants
//! - A reply fits one frame for every topology: levels and reasons are cut to the bounds of the wire.

use atoll_protocol::ids::Name;
use atoll_protocol::time::MonoTime;
use atoll_protocol::wire::{
    CacheUsageStatus, FilesStatus, LEVELS_MAX, PeerReply, PeerRequest, Reply, ScrubStatus,
    StorageReport, StorageStatus, SyncStatus, WorkStatus,
};
use atoll_storage::{CacheUsage, Statistics};
use futures_util::future::{join, join_all};

use super::Service;

/// What one node said, or why it said nothing.
pub(super) struct Told<T> {
    pub(super) node: Name,
    pub(super) dc: Name,
    pub(super) told: Result<T, String>,
}

impl Service {
    /// Asks every node for its engine's own words.
    pub(super) async fn storage(&self, deadline: MonoTime) -> Reply {
        let read = |reply| match reply {
            PeerReply::Storage(status) => Some(status),
            _ => None,
        };
        let own = self.own_storage();
        let told = self.everyone(&PeerRequest::Storage, deadline, own, read).await;
        let report = |Told { node, dc, told }| StorageReport { node, dc, told };
        Reply::Storage(told.into_iter().map(report).collect())
    }

    /// What every node says to `request`, this one in its `own` words, in the order of the topology.
    pub(super) async fn everyone<T>(
        &self,
        request: &PeerRequest,
        deadline: MonoTime,
        own: impl Future<Output = T>,
        read: impl Fn(PeerReply) -> Option<T>,
    ) -> Vec<Told<T>> {
        let view = self.parts.cluster.view();
        let (own_index, peers) = (self.parts.cluster.own(), &self.parts.peers);
        let others = view.topology.node_indices().filter(|&index| index != own_index);
        let asked =
            others.map(async |index| (index, peers.told(index, request, deadline, &read).await));
        let (own, mut told) = join(own, join_all(asked)).await;
        told.push((own_index, Ok(own)));
        told.sort_unstable_by_key(|(index, _)| *index);
        let named = |(index, told)| {
            let node = view.topology.node(index)?;
            Some(Told { node: node.name.clone(), dc: view.dc_name(node.dc)?.clone(), told })
        };
        told.into_iter().filter_map(named).collect()
    }

    /// This node's engine's own words. Gathered where blocking is allowed: a look at every file.
    pub(super) async fn own_storage(&self) -> StorageStatus {
        let replica = self.parts.replica.clone();
        let statistics = self.parts.env.blocking(move || replica.statistics()).await;
        StorageStatus {
            scrub: self.parts.scrub.status(),
            ..status_of(&statistics, self.parts.syncs.report(self.parts.env.mono()))
        }
    }
}

fn status_of(statistics: &Statistics, syncs: Vec<SyncStatus>) -> StorageStatus {
    let levels = statistics.levels.iter().take(LEVELS_MAX);
    StorageStatus {
        levels: levels
            .map(|level| FilesStatus { files: level.tables, bytes: level.bytes })
            .collect(),
        value_files: FilesStatus {
            files: statistics.value_files,
            bytes: statistics.value_file_bytes,
        },
        value_live_bytes: statistics.value_live_bytes,
        memtable_bytes: statistics.memtable_bytes,
        memtables_sealed: statistics.memtables_sealed,
        wal_bytes: statistics.wal_bytes,
        entries: statistics.entries,
        written_bytes: statistics.written_bytes,
        groups: statistics.groups,
        fsyncs: statistics.fsyncs,
        flushes: WorkStatus { units: statistics.flushes, bytes: statistics.flushed_bytes },
        compactions: WorkStatus {
            units: statistics.compactions,
            bytes: statistics.compacted_bytes,
        },
        relocations: WorkStatus {
            units: statistics.relocations,
            bytes: statistics.relocated_bytes,
        },
        stalls: statistics.stalls,
        merge_failures: statistics.merge_failures,
        damaged_values: statistics.damaged_values,
        removals_pending: statistics.removals_pending,
        torn_bytes: statistics.torn_bytes,
        write_amplification_per_mille: per_mille(statistics.write_amplification()),
        space_amplification_per_mille: per_mille(statistics.space_amplification()),
        cache_bytes: statistics.cache.bytes,
        cache_blocks: usage(statistics.cache.blocks),
        cache_values: usage(statistics.cache.values),
        scrub: ScrubStatus::default(),
        syncs,
    }
}

fn usage(usage: CacheUsage) -> CacheUsageStatus {
    CacheUsageStatus { hits: usage.hits, misses: usage.misses }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "an amplification is at least 0, and a float beyond the range becomes the end of it"
)]
fn per_mille(ratio: f64) -> u64 {
    (ratio * 1_000.0).round() as u64
}

#[cfg(test)]
mod tests {
    use super::per_mille;

    #[test]
    fn amplifications_become_thousandths() {
        let rows =
            [(0.0, 0), (1.0, 1_000), (2.345_6, 2_346), (f64::NAN, 0), (f64::INFINITY, u64::MAX)];
        for (ratio, expected) in rows {
            assert_eq!(per_mille(ratio), expected, "{ratio}");
        }
    }
}
