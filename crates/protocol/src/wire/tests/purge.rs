//! Messages about purging.

use super::{SECOND, bytes, dot, name};
use crate::ids::{Incarnation, KeyspaceId};
use crate::purge::PurgeFrontier;
use crate::time::WallTime;
use crate::token::Partition;
use crate::wire::{
    Cut, KnownFrontier, PurgeObstacle, PurgeReply, PurgeRequest, Purged, TombstonesReport,
    TombstonesStatus,
};

pub(super) fn frontier() -> PurgeFrontier {
    let mut frontier = PurgeFrontier::at(WallTime::from_micros(7));
    frontier.raise(Incarnation(1), 2);
    frontier.raise(Incarnation(u64::MAX), u64::MAX);
    frontier
}

pub(super) fn known() -> KnownFrontier {
    KnownFrontier { partition: Partition(3), keyspace: KeyspaceId(1), frontier: frontier() }
}

pub(super) fn purged() -> Purged {
    Purged { key: bytes("k"), dots: vec![dot(), dot()] }
}

pub(super) fn requests() -> Vec<PurgeRequest> {
    let partitions = vec![Partition(3), Partition(9)];
    vec![
        PurgeRequest::Cut { partitions },
        PurgeRequest::Adopt {
            cut: u64::MAX,
            keyspaces: vec![KeyspaceId(1), KeyspaceId(2)],
            frontiers: vec![(Partition(3), frontier()), (Partition(9), PurgeFrontier::default())],
        },
        PurgeRequest::Sweep { frontier: frontier(), keys: vec![bytes("k"), bytes("l")] },
    ]
}

pub(super) fn replies() -> Vec<PurgeReply> {
    let wall = WallTime::from_micros(5);
    let (incarnation, minted) = (Incarnation(4), vec![0, u64::MAX]);
    vec![
        PurgeReply::Cut(Cut { id: 1, incarnation, minted, wall, keyspaces: 6 }),
        PurgeReply::Adopted,
        PurgeReply::Swept { purged: 256 },
        PurgeReply::Refused("it was restarted".to_owned()),
    ]
}

pub(super) fn tombstones() -> TombstonesStatus {
    let obstacle =
        PurgeObstacle { node: name("n2"), reason: "it is away".to_owned(), keys: 3, since: SECOND };
    TombstonesStatus {
        purge_after: SECOND * 600,
        waiting: 5,
        bytes: 300,
        oldest: Some(SECOND),
        purged: 9,
        obstacles: vec![obstacle],
    }
}

pub(super) fn reports() -> Vec<TombstonesReport> {
    let report = |told| TombstonesReport { node: name("n1"), dc: name("eu"), told };
    vec![report(Ok(tombstones())), report(Err("not connected".to_owned()))]
}
