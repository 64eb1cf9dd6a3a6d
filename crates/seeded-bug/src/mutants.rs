//! The mutants themselves: what the line does wrong, and the circumstance that it needs to be seen.
//!
//! Order: deciding (`crates/protocol`), acting (`src/`), keeping (`crates/storage`). An entry reads
//! `Variant = "name", "source", "promise", finder, "description"`; the promises are those of the README.

use crate::table::{Finder, Row, mutants};

mutants! {
    /// A replica that refused, or whose link broke, is put among those that acknowledged (`protocol/put`).
    /// Circumstance: a link lost, or a send refused, while a put is under way.
    LostReplicaCountsAsAck = "lost-replica-counts-as-ack", "D1 scylla#5252", "P1", Cluster,
        "a replica whose link broke during a put counts as an acknowledgement";

    /// A second acknowledgement of one replica counts again (`protocol/put`).
    /// Circumstance: a remote relay slower than the patience, so that a second relay sends the record once more to
    /// replicas that have it; or a notice delivered twice. In builds with debug assertions the tally's own may fire first.
    AckCountedTwice = "ack-counted-twice", "D11 Aerospike retransmission", "P1", Cluster,
        "a replica that acknowledges twice counts as two replicas";

    /// The clause of a local level for its own datacenter is not looked at; only the total is (`protocol/quorum`).
    /// Circumstance: a majority of the local replicas down or slow, another datacenter up.
    LocalClauseAnyDc = "local-clause-any-dc", "D12 riak_kv PR#587", "P1", Cluster,
        "acknowledgements of another datacenter satisfy LOCAL_QUORUM and LOCAL_ONE";

    /// A get answers before its answer stands on a quorum; stale replicas are repaired behind it (`protocol/quorum`).
    /// Circumstance: a put that reached a minority, then two gets that ask different majorities.
    NoReadWriteBack = "no-read-write-back", "D2 scylla#20458", "P3", Cluster,
        "a quorum get does not wait for its read repair: a later one returns less";

    /// A replica that failed a read is taken for one that has nothing (`protocol/get`).
    /// Circumstance: one replica holds the value, one missed it, one fails or loses its link during the read. At ONE a
    /// single failure is enough.
    ReadFailureIsNotFound = "read-failure-is-not-found", "D4 riak_cs#170", "P3", Cluster,
        "a replica that fails a read counts as an answer of not found";

    /// Once further replicas were asked, everyone asked counts as having answered (`protocol/get`).
    /// Circumstance: a replica slower than the patience of a get: a pause, a cut, a clogged link.
    OverdueReadCounts = "overdue-read-counts", "D5 CASSANDRA-16807", "P3", Cluster,
        "after the speculative read, replicas that were asked count as answered";

    /// A replica with a purge frontier joins whatever arrives (`protocol/purge`).
    /// Circumstance: a copy of a deleted value that is still under way, or held for somebody, when its deletion is purged.
    FrontierIgnored = "frontier-ignored", "B3 scylla#3560", "P6", Cluster,
        "what was purged comes back with a late message";

    /// A record is purged although the owners have not agreed on all of it (`protocol/purge`).
    /// Circumstance: a deletion that came after the cut, while an owner is away or a copy is under way.
    PurgeUnseen = "purge-unseen", "D9 CASSANDRA-6117", "P6", Cluster,
        "a deletion is purged although it is later than what all owners have seen";

    /// A join skips entries that hold a floor and no cell, unless they bring a greater counter (`protocol/record`).
    /// Circumstance: a write superseded through another coordinator than its own: replicas keep the covered cell.
    FloorsNotJoined = "floors-not-joined", "B13 riak_kv#1850", "P6", Cluster,
        "a join forgets that a write was superseded when nothing newer of its writer is left";

    /// A put notes only those writers of its context that its own record knows (`protocol/record`).
    /// Circumstance: the coordinator of a put or delete missed the write that the client saw, and receives it later.
    ContextPruned = "context-pruned", "A6 riak_test#383", "P6", Cluster,
        "a context entry of a writer that the coordinator does not know yet is dropped";

    /// A put without a context supersedes every sibling of the coordinator's record (`protocol/record`).
    /// Circumstance: two puts without context on one key.
    BlindPutOverwrites = "blind-put-overwrites", "A9 Jepsen Riak", "P2", Cluster,
        "a put without a context discards the siblings that its coordinator has";

    /// Of two `lww` cells the one with the greater dot stays, whatever their timestamps (`protocol/record`).
    /// Circumstance: an `lww` key written through two coordinators, the later write under the lesser incarnation.
    LwwIgnoresTimestamp = "lww-ignores-timestamp", "F5 CASSANDRA-10366", "P3", Cluster,
        "last write wins by dot: an older write of a greater incarnation shadows newer ones";

    /// A timestamp is the wall clock's, even if a later one was seen (`protocol/version`).
    /// Circumstance: skewed clocks, an `lww` key written through the fast clock and then through the slow one.
    WallClockOnly = "wall-clock-only", "G1 Garage reg1/reg2", "P3", Cluster,
        "timestamps do not grow along causality: a slow clock's later write loses";

    /// Of two definitions of one keyspace the later one stands (`protocol/keyspace`).
    /// Circumstance: one name created on both sides of a partition, data written under the earlier definition.
    KeyspaceNewestWins = "keyspace-newest-wins", "F7 CASSANDRA-7069", "P1", Cluster,
        "a later definition of a keyspace replaces the earlier one, and its data are gone";

    /// A record of which one writer's part is covered passes for covered (`protocol/record/version`).
    /// Circumstance: concurrent puts of one key at two replicas, then a get that knows the one and asks for the other.
    CoveredByAny = "covered-by-any", "D6 scylla#19101", "P3", Cluster,
        "a replica with a concurrent record answers that its record is older";

    /// A replica that says its record is older passes for one that holds what is answered (`protocol/get`).
    /// Circumstance: a put that reached a minority, then two gets that ask different majorities.
    OlderCountsAsSame = "older-counts-as-same", "D2 scylla#20458", "P3", Cluster,
        "a get does not repair the replica that says its record is older";

    /// What the session saw is not asked for by a get (`protocol/get/session`).
    /// Circumstance: a session that writes or reads at one replica, and then reads at a weak level at another.
    SessionGetForgotten = "session-get-forgotten", "U23 session after fail-over", "P4", Cluster,
        "a get of a session answers with less than the session has seen";

    /// What the session saw is not asked for by a put (`src/coordinator/session`).
    /// Circumstance: a session that read or wrote a key, and then writes it at a replica that missed that.
    SessionPutForgotten = "session-put-forgotten", "U23 session after fail-over", "P4", Cluster,
        "a put of a session is minted by a replica that has seen less than the session";

    /// Speculative reads are sent whether the budget allows them or not (`src/coordinator/budget`).
    /// Circumstance: more slow reads in one life of a node than its budget begins with.
    HedgeBudgetIgnored = "hedge-budget-ignored", "U14 scylladb#7472", "P9", Cluster,
        "speculative reads go out without a budget";

    /// The counter goes on from the stored record of the key instead of the partition's (`src/replica/stripe`).
    /// Circumstance: two keys of one partition, or an `lww` key whose record lost our cell; what is lost shows after
    /// storage was wiped or damaged and the identity kept.
    CounterRestart = "counter-restart", "A1 riak_kv#679", "P2 (a dot is minted once)", Cluster,
        "the counter restarts when the own record of a key is not found";

    /// A record from elsewhere is written over what is stored (`src/replica/stripe`).
    /// Circumstance: two coordinators of one key at once, or records of one that overtake each other.
    BlindApplyOverwrites = "blind-apply-overwrites", "B2 CASSANDRA-6503", "P1", Cluster,
        "a replica replaces its record by the one that a coordinator ships, older or not";

    /// A record that holds nothing but tombstones is removed from the engine (`src/replica/stripe`).
    /// Circumstance: a delete that one replica missed, then a quorum of that one and the delete's coordinator.
    DeleteDropsRecord = "delete-drops-record", "B12 riak_kv#311", "P6", Cluster,
        "a delete removes the record instead of keeping its tombstone";

    /// A put does not read its own record, so that only the new cell is shipped (`src/replica/stripe`).
    /// Circumstance: two puts without context through one coordinator, the first lost on its way to a replica; then a
    /// get there and a put with that context.
    OnlyNewCellShipped = "only-new-cell-shipped", "A6 riak_kv#746", "P2", Cluster,
        "a record is shipped without its older siblings: contexts cover what nobody read";

    /// The limit of siblings is not asked (`src/replica/mint`).
    /// Circumstance: 65 puts without context on one key.
    SiblingsUnbounded = "siblings-unbounded", "A7 riak_kv#1648", "P9", Cluster,
        "puts without a context pile up siblings beyond the limit";

    /// Records are merged as `lww` merges cells: the one with the newest write stays (`src/replica/merge`).
    /// Circumstance: concurrent puts of one key at two coordinators, joined by a read or a compaction. Replicas still
    /// converge.
    MergeDropsSiblings = "merge-drops-siblings", "A9 Jepsen Riak", "P2", Cluster,
        "the merge operator keeps the record with the newest write and drops the other's siblings";

    /// An engine that reports damage is read as having nothing (`src/replica`).
    /// Circumstance: bit rot in a table, then a get or a put of a key in the damaged block.
    CorruptReadsAsAbsent = "corrupt-reads-as-absent", "A1 riak_kv#679", "P8", Disk,
        "a damaged block is answered as not found, and put over";

    /// A put is minted although its deadline passed, and its client was told that nothing was written
    /// (`src/replica/stripe`, `src/coordinator/running_put`).
    /// Circumstance: a stripe that waits for a stalled disk longer than a put's budget.
    ExpiredPutApplied = "expired-put-applied", "D11 Aerospike retransmission", "P11", Cluster,
        "a put that was answered Overloaded at its deadline is applied afterwards";

    /// The coordinator counts itself when it has minted, not when its record is durable (`src/coordinator/running_put`).
    /// Circumstance: the coordinator crashes between the answer and its own fsync, and loses what was not synced.
    CoordinatorAcksAtMint = "coordinator-acks-at-mint", "H3 RocksDB PR 10560", "P1", Cluster,
        "the coordinator's own write counts before it is durable";

    /// A replica that says Refused is counted as one that says Durable (`src/coordinator/operations`).
    /// Circumstance: a replica with a full disk, an overflowing queue, or on its way down.
    RefusedCountsAsAck = "refused-counts-as-ack", "B4 scylla#24415", "P1", Cluster,
        "a replica that refuses a record counts as an acknowledgement";

    /// A level that was not reached in time is told as one that could not be tried (`src/coordinator/running_put`).
    /// Circumstance: replicas lost between admission and answer, so that a put ends Unknown and stays readable.
    UnknownSaidUnavailable = "unknown-said-unavailable", "D3 Jepsen Scylla 4.2-rc3", "P11", Cluster,
        "an unknown outcome is reported as Unavailable, which means not applied";

    /// A relay acknowledges when it has forwarded, before it has written (`src/service/peer`).
    /// Circumstance: several datacenters; a relay that crashes or has a full disk at that moment.
    RelayAcksBeforeWrite = "relay-acks-before-write", "F12 riak_kv PR#223", "P1", Cluster,
        "a relay acknowledges a record before its own copy is durable";

    /// Replicas compare four bits of a record's digest (`src/service/peer`).
    /// Circumstance: two replicas that differ, and whose digests agree by chance: one divergent read in sixteen.
    DigestTruncated = "digest-truncated", "D6 scylla#19101", "P3", Cluster,
        "a replica with another record answers Same when four bits of the digests agree";

    /// A forwarded put whose link broke is forwarded again, to the next replica (`src/service/forward`).
    /// Circumstance: a client at a node that does not replicate the key; the link breaks between request and reply.
    ForwardRetried = "forward-retried", "D11 Aerospike retransmission", "P2", Cluster,
        "a forwarded put that may have been applied is sent again and minted twice";

    /// An unclean stop keeps the incarnation, with counters from zero (`src/meta`).
    /// Circumstance: a crash and a restart on the same disk, then a put.
    IncarnationKept = "incarnation-kept", "A11 syncthing#6335", "P2 (a dot is minted once)", Cluster,
        "after a crash dots are minted again under the old incarnation";

    /// The clean marker stays when a life begins (`src/meta`).
    /// Circumstance: a clean stop, a start, puts, a crash, a start.
    CleanMarkerKept = "clean-marker-kept", "A5 riak_kv_vnode_status_mgr", "P2 (a dot is minted once)", Cluster,
        "a crash after a clean stop reuses the incarnation with the counters of that stop";

    /// A clean marker is written when stopping begins, not only when it ends (`src/node`).
    /// Circumstance: a crash during a graceful stop that drains puts.
    CleanMarkerEarly = "clean-marker-early", "H14 etcd 3.5", "P2 (a dot is minted once)", Cluster,
        "the clean marker is written before the drain: a crash there reuses its counters";

    /// Keyspaces are published and not stored (`src/cluster`).
    /// Circumstance: every node restarts after a keyspace was created.
    KeyspaceNotStored = "keyspace-not-stored", "C4 CASSANDRA-16815", "P1", Cluster,
        "a new keyspace lives in memory only: when all nodes restart it is gone, with its data";

    /// Request ids count to sixteen (`src/net/calls`).
    /// Circumstance: a reply that comes after its caller gave up, while a later call under the same id waits.
    RequestIdReused = "request-id-reused", "H7 commonware#4260", "P3", Cluster,
        "a late reply answers another call: a get returns another key's record";

    /// A coordinator's operation ids begin at the same number in every life (`src/coordinator`).
    /// Circumstance: an acknowledgement for the last life arrives in this one. The simulator found it in Atoll itself.
    OperationIdsRestart = "operation-ids-restart", "Atoll 2026-11", "P1", Cluster,
        "an acknowledgement that was meant for a coordinator's last life counts for this one's operation";

    /// A record that was shipped and then refused by the engine is forgotten (`src/replica/stripe`).
    /// Circumstance: a full disk, and another put of the key through the same node. The simulator found it in Atoll itself.
    RefusedMintForgotten = "refused-mint-forgotten", "Atoll 2026-11", "P2", Cluster,
        "a context claims a write that its coordinator shipped and never stored";

    /// Records of other coordinators do not mark their leaves (`src/replica/stripe`).
    /// Circumstance: a tree that was hashed before the record came.
    LeafMarkLost = "leaf-mark-lost", "E1 riak_kv PR#473", "P7", Cluster,
        "a leaf is not hashed again after a record from a peer: replicas look equal and are not";

    /// Repair fetches what is lacking here and sends nothing (`src/repair/exchange`).
    /// Circumstance: a replica that lacks something, of a partition that its peer asks about.
    RepairNeverSends = "repair-never-sends", "C8 Dynomite#649", "P7", Cluster,
        "a replica that was away is compared with others and not mended";

    /// A key that only one of two replicas holds is no difference (`protocol/merkle/compare`).
    /// Circumstance: a replica that missed every write of a key.
    AbsentIsEqual = "absent-is-equal", "E2 riak_core PR#828", "P7", Cluster,
        "keys that a replica lacks altogether are never repaired";

    /// A group is made visible and acknowledged without an fsync (`storage/engine/commit`).
    /// Circumstance: a crash that loses what was not synced.
    AckBeforeFsync = "ack-before-fsync", "H6 fjall#282", "P1", Cluster,
        "a write is acknowledged before the log is synced";

    /// A failed fsync is tried once more, and the engine goes on (`storage/engine/commit`).
    /// Circumstance: an fsync of the log that fails once and drops the pages, then a crash.
    FsyncRetried = "fsync-retried", "H1 ATC'20 fsync study", "P1", Disk,
        "a failed fsync of the log is retried instead of poisoning the engine";

    /// The segment of a memtable is removed before the flush is in the manifest (`storage/engine/maintain`).
    /// Circumstance: a crash, or a full disk and then a crash, between the two. The store does not open, or has a hole.
    WalRemovedBeforeManifest = "wal-removed-before-manifest", "H8 CASSANDRA-11828", "P1", Cluster,
        "a log segment is removed before the manifest says that its memtable was flushed";

    /// A get looks at the active memtable and the tables, not at sealed memtables (`storage/engine/view`).
    /// Circumstance: a get or a put of a key between the sealing of its memtable and the end of the flush.
    SealedMemtableUnread = "sealed-memtable-unread", "B10 scylla test_data_resurrection_in_memtable", "P3", Cluster,
        "what is being flushed is invisible to gets until the flush is installed";

    /// A part of a record that a full disk took stays behind the log's end (`storage/wal/segment`).
    /// Circumstance: the disk fills up within an append, space returns, less is appended or the segment is sealed, and a
    /// crash comes before the flush: recovery takes the rest for damage.
    PartialAppendKept = "partial-append-kept", "H11 scylla#6653", "P1", Disk,
        "after a full disk the log keeps half a record, and does not open after a crash";

    /// A segment gets its name before its content is synced (`storage/wal/segment`).
    /// Circumstance: a crash, a recovery, and a second crash before the next fsync of the log.
    DraftNotSynced = "draft-not-synced", "H6 fjall#317", "P1", Cluster,
        "recovery logs the tail again without syncing it, and a second crash loses it";

    /// A bad record before valid ones is cut off like a torn tail (`storage/wal/replay`).
    /// Circumstance: bit rot within the last log segment, then a restart after a crash.
    MidLogDamageTruncated = "mid-log-damage-truncated", "H2 FAST'17 CORDS", "P1", OwnTests,
        "damage in the middle of the log passes for a torn tail: what follows is dropped";

    /// The name of a new segment is not synced (`storage/files`).
    /// Circumstance: a crash after a memtable was sealed and before its table's name is synced.
    SegmentNameNotSynced = "segment-name-not-synced", "H4 mongo-rocks#35", "P1", Cluster,
        "a new log segment is used before the directory is synced: a crash loses its name";

    /// The renaming of `CURRENT` is not synced (`storage/files`).
    /// Circumstance: a crash soon after an open or a rewrite of the manifest, where the removal of the old manifest
    /// reaches the disk and the renaming does not.
    CurrentNameNotSynced = "current-name-not-synced", "H4 leveldb#195", "P1", Cluster,
        "CURRENT is switched without a directory sync: a crash leaves it naming a removed file";

    /// The data of a new table are not synced (`storage/sstable/writer`).
    /// Circumstance: a crash after a flush or a compaction.
    TableNotSynced = "table-not-synced", "H9 CASSANDRA-10709", "P1", Cluster,
        "a table enters the manifest before its content is synced";

    /// The names of new tables are not synced (`storage/compaction/outputs`).
    /// Circumstance: a crash after a flush or a compaction, before anything else syncs the directory.
    TableNameNotSynced = "table-name-not-synced", "H4 tiflash#1930", "P1", Cluster,
        "a table enters the manifest before the directory is synced";

    /// An edit of the manifest is not synced (`storage/manifest/log`).
    /// Circumstance: a crash after a flush or a compaction, where the removal of its inputs reaches the disk.
    ManifestEditNotSynced = "manifest-edit-not-synced", "H9 CASSANDRA-5535", "P1", Cluster,
        "inputs are removed although the manifest edit that replaces them is not durable";

    /// The checksum of a block is not compared (`storage/sstable/frame`).
    /// Circumstance: bit rot in a table, then a read of that block.
    BlockChecksumSkipped = "block-checksum-skipped", "H2 FAST'17 CORDS", "P8", Disk,
        "a damaged block is read as if it were sound";

    /// Checksums do not cover the place where bytes belong (`storage/checksum`).
    /// Circumstance: a misdirected write or read of well-formed bytes.
    ChecksumWithoutPlace = "checksum-without-place", "H7 commonware#4260", "P8", OwnTests,
        "a sound block in the wrong place passes its check";

    /// Operands that are folded above older entries become a put, which hides those (`storage/fold`).
    /// Circumstance: two operands of one key in one memtable or compaction, and older siblings of it in a table.
    OperandsBecomePut = "operands-become-put", "B14 CASSANDRA-14513", "P2", Cluster,
        "folding merge operands hides the older entries of the key below them";

    /// A compaction that moves down does not look below its outputs (`storage/compaction/pick`).
    /// Circumstance: tables of three levels that overlap in a key, with operands above and a base at the bottom.
    DeeperLevelIgnored = "deeper-level-ignored", "B1 CASSANDRA-18507", "P2", Disk,
        "a compaction takes its outputs for the bottom although deeper levels hold the key";

    /// An input whose last key is the one that a unit stopped at leaves for good (`storage/compaction/execute`).
    /// Circumstance: a unit whose budget ends right before the last key of an input. A node's budget of 32 MiB makes
    /// that unreachable for small clusters.
    CompactionForgetsLastKey = "compaction-forgets-last-key", "B1 CASSANDRA-18507", "P1", Enumerator,
        "a partial compaction drops the last key of an input that it has not moved";

    /// The leader of a partition has its owners agree without mending them (`src/purge`).
    /// Circumstance: an owner that missed a deletion, and nobody has told it by the time that the others purge.
    PurgeUnrepaired = "purge-unrepaired", "B1 scylla#8970", "P6", Cluster,
        "deletions are purged before every owner has seen them";

    /// A round goes on without the nodes that are away, or cannot answer (`src/purge`).
    /// Circumstance: an owner away for longer than `purge_after` while others delete.
    PurgeWhileAway = "purge-while-away", "B4 CASSANDRA-6117", "P6", Cluster,
        "deletions are purged while an owner is away";

    /// A round does not ask whether anybody keeps hints (`src/purge`).
    /// Circumstance: hints that wait while every node is up.
    HintsForgottenInPurge = "hints-forgotten-in-purge", "B5 CASSANDRA-4905", "P6", Cluster,
        "deletions are purged while a hint for an owner waits";

    /// A hint ends although its target did not answer (`src/handoff/deliver`).
    /// Circumstance: a put that misses a replica, and a target that is lost, busy or slow as its hints are delivered.
    HintRemovedUnacked = "hint-removed-unacked", "C1 scylla#4122", "P7", Cluster,
        "hints are removed once they were sent, whether or not they are held";

    /// A hint ends because somebody else was asked to bring its record (`src/handoff/deliver`).
    /// Circumstance: two holders of hints for one key, of whom the one that was asked is lost before it delivers. Clusters had
    /// a record promised 512 times without that: it came, or anti-entropy brought it.
    ComingCountsAsHeld = "coming-counts-as-held", "C1 scylla#4122", "P7", OwnTests,
        "hints are removed because another holder promised to deliver";

    /// A put that misses the target while its hint is in flight leaves no trace (`src/handoff/writer`).
    /// Circumstance: a put that misses the target between the reading of the record of an earlier hint and the target's
    /// answer. Clusters came there 439 times without what was missed being lost: it had been read, or came another way.
    TouchedHintForgotten = "touched-hint-forgotten", "C3 garage Merkle todo", "P7", OwnTests,
        "a hint that was added again while it was delivered is removed all the same";

    /// A fallback acknowledges what it has not kept (`src/handoff`).
    /// Circumstance: a sloppy put, and a fallback that dies, or has no room, before the record is written.
    HeldBeforeWritten = "held-before-written", "D2 riak_kv sloppy", "P1", Cluster,
        "a fallback acknowledges before the record that it keeps is durable";

    /// The data of a new value file are not synced (`storage/value_log/writer`).
    /// Circumstance: a crash after a flush or a compaction that joined values, or after a relocation.
    ValueFileNotSynced = "value-file-not-synced", "H7 badger#1954", "P1", Cluster,
        "tables point into a value file whose content is not synced";

    /// A flush does not sync the segment that its table points into (`storage/engine/flush`).
    /// Circumstance: `periodic` durability, a flush before the next sync of the log, then a power loss. Plans that are
    /// drawn have none there.
    FlushedSegmentNotSynced = "flushed-segment-not-synced", "H6 fjall#282", "P1", Enumerator,
        "a table enters the manifest before the log segment is synced that it points into";

    /// The segment of a flushed memtable is removed although the table points into it (`storage/engine/flush`).
    /// Circumstance: a value that is long enough to be separated, a flush, a start.
    PointedSegmentUnlinked = "pointed-segment-unlinked", "H8 badger#926", "P1", Cluster,
        "a log segment is removed after its flush although values in it are alive";

    /// The files that are being emptied are removed after the first unit, before its edit (`storage/engine/compact`).
    /// Circumstance: a crash between the two; or a pass of more than one unit, and a start before its end.
    EmptiedFileUnlinkedEarly = "emptied-file-unlinked-early", "H8 titan#81", "P1", Cluster,
        "a value file is removed before the edit is durable that drops its last reference";

    /// The digest of a value is not compared (`storage/value_log/file`).
    /// Circumstance: bit rot in a value file, then a read of that value.
    ValueDigestSkipped = "value-digest-skipped", "H2 FAST'17 CORDS", "P8", Disk,
        "a damaged value is read as if it were sound";

    /// A relocation takes its table for the bottom (`storage/compaction/execute`).
    /// Circumstance: an operand or a delete in a table that is relocated, with older entries of the key a level deeper.
    /// Clusters relocate everywhere but in such a table.
    RelocationTakesBottom = "relocation-takes-bottom", "B1 CASSANDRA-18507", "P2", OwnTests,
        "a relocation drops deletes and floors although deeper levels hold the key";

    /// A value that cannot be read is relocated as something else, under the digest of that (`storage/compaction/outputs`).
    /// Circumstance: bit rot in a value, its relocation, then a read.
    RelocationBlessesDamage = "relocation-blesses-damage", "H2 lsm-tree#300", "P8", OwnTests,
        "a relocation writes a damaged value anew as if it were sound";

    /// A flush that a full disk kept out of the manifest removes the segment of its memtable (`storage/engine/install`).
    /// Circumstance: the disk fills up between a table and its edit, then a crash before the next flush. Faults of a
    /// cluster begin between jobs, never within one.
    AbandonedFlushUnlinksSegment = "abandoned-flush-unlinks-segment", "H13 CASSANDRA-18336", "P1", OwnTests,
        "a flush that a full disk stopped removes the log segment that it points into";

    /// Values are looked for at the beginning of their record (`storage/wal/segment`).
    /// Circumstance: a separated value, and a read after its flush.
    PointerWithoutHeader = "pointer-without-header", "H7 badger#434", "P1", Cluster,
        "a pointer into the log is computed without the header of the record";

    /// Recovery forgets where in the new segment a record is (`storage/engine/recovery`).
    /// Circumstance: a crash with separated values in the log, a start, a flush.
    RelogForgetsPlace = "relog-forgets-place", "H6 fjall#317", "P1", Cluster,
        "after a recovery all values in the log are taken to be in its first record";

    /// A segment that is sealed with unsynced bytes is not synced any more (`storage/wal/log`).
    /// Circumstance: `periodic` durability, a memtable sealed between two syncs, then a power loss before its flush.
    SealedSegmentForgotten = "sealed-segment-forgotten", "H6 fjall#282", "P1", Enumerator,
        "a sync of the log does not cover the segment before the active one";

    /// A record vouches for earlier segments before they are durable (`storage/wal/log`).
    /// Circumstance: `periodic` durability, a memtable sealed, a write, then a power loss that keeps only the latter.
    UnsyncedVouchedFor = "unsynced-vouched-for", "H3 RocksDB PR 10185", "P1", Enumerator,
        "a record says that the log before it is durable when it is not: a crash passes for damage";

    /// No record says what was durable when it was written (`storage/wal/log`).
    /// Circumstance: bit rot within the log, then a restart after a crash.
    RecordsVouchForNothing = "records-vouch-for-nothing", "H2 FAST'17 CORDS", "P1", OwnTests,
        "no record vouches for the log before it: damage passes for a torn tail";

    /// Each round of maintenance prepares another segment, and forgets the one before (`storage/engine/maintain`).
    /// Circumstance: two rounds while the active memtable is half full. The files go at the next start.
    SpareForgotten = "spare-forgotten", "H11 tikv#16256", "P9", Enumerator,
        "log segments that were prepared ahead are forgotten: files without end";

    /// Cached bytes are named by their offset only (`storage/cache`).
    /// Circumstance: a cache, and two files that are read at one offset.
    CacheForgetsFile = "cache-forgets-file", "H7 RocksDB#7405", "P3", Cluster,
        "the cache answers with bytes of another file";

    /// A suspicion becomes a conviction without anybody's testimony (`src/membership/detector`).
    /// Circumstance: a suspect that others hear: a lossy network, or a cut within a datacenter of two nodes.
    OneObserverConvicts = "one-observer-convicts", "U17 scylladb#5677", "P3", Cluster,
        "one node's unanswered probes convict a node that others hear";

    /// The detector takes its own pause for the silence of others (`src/membership/detector`).
    /// Circumstance: a process that stands still for longer than others may be silent.
    PauseUnguarded = "pause-unguarded", "U17 scylladb#2014", "P3", Cluster,
        "a node that stood still suspects everybody when it goes on";

    /// The word of a convict does not overrule the conviction, and a convict takes no next generation (`src/membership`).
    /// Circumstance: a node that was convicted and comes back.
    ConvictionStays = "conviction-stays", "U17 scylladb#7815", "P3", Cluster,
        "a node that was convicted once stays convicted after its return";

    /// A generation that others know of this node is not outgrown (`src/membership/swim`).
    /// Circumstance: a restart after the wall clock was set back.
    GenerationNotOutgrown = "generation-not-outgrown", "F4 CASSANDRA-10969", "P3", Cluster,
        "a node that starts with its clock set back never joins again";
}
