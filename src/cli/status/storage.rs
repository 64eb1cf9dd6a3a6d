//! `atoll status --storage`: what each node's storage engine holds, does in the background, and waits for.
//!
//! Three tables, a line per node in each; the JSON document has the same facts and more of them.
//!
//! Invariants
//! - Counters are since the start of the node; a node that does not answer says why in the first table.
//! - Member names of the document are stable: scripts depend on them.

use std::time::Duration;

use atoll_client::{StorageReport, StorageStatus};
use atoll_protocol::wire::{
    CacheUsageStatus, FilesStatus, ScrubStatus, SyncKind, SyncSpans, SyncStatus, WorkStatus,
};
use serde::Serialize;

use super::super::output::{Align, Columns, NOTHING, round_trip, size};

/// The tables.
pub(super) fn lines(reports: &[StorageReport]) -> Vec<String> {
    let mut lines = Vec::new();
    for (title, table) in [
        ("what it holds", holdings(reports)),
        ("what it did since it started", work(reports)),
        ("what it waited for: misses of the cache, syncs of the log", waits(reports)),
    ] {
        if !lines.is_empty() {
            lines.push(String::new());
        }
        lines.push(title.to_owned());
        lines.extend(table.lines(2));
    }
    lines
}

fn holdings(reports: &[StorageReport]) -> Columns {
    let mut table = Columns::new(&[
        ("NODE", Align::Left),
        ("DC", Align::Left),
        ("LEVELS", Align::Left),
        ("TABLES", Align::Right),
        ("VALUES", Align::Right),
        ("GARBAGE", Align::Right),
        ("MEMTABLES", Align::Right),
        ("SEALED", Align::Right),
        ("LOG", Align::Right),
        ("CACHE", Align::Right),
        ("SPACE AMP", Align::Right),
        ("NOTE", Align::Left),
    ]);
    for report in reports {
        let names = [report.node.to_string(), report.dc.to_string()];
        let facts = match &report.told {
            Ok(status) => {
                let garbage = status.value_files.bytes.saturating_sub(status.value_live_bytes);
                [
                    levels(&status.levels),
                    size(status.levels.iter().map(|level| level.bytes).sum()),
                    size(status.value_files.bytes),
                    size(garbage),
                    size(status.memtable_bytes),
                    status.memtables_sealed.to_string(),
                    size(status.wal_bytes),
                    size(status.cache_bytes),
                    thousandths(status.space_amplification_per_mille),
                    note(status),
                ]
            }
            Err(reason) => {
                let mut facts = [(); 10].map(|()| NOTHING.to_owned());
                if let Some(last) = facts.last_mut() {
                    last.clone_from(reason);
                }
                facts
            }
        };
        table.row(names.into_iter().chain(facts));
    }
    table
}

fn work(reports: &[StorageReport]) -> Columns {
    let mut table = Columns::new(&[
        ("NODE", Align::Left),
        ("ENTRIES", Align::Right),
        ("WRITTEN", Align::Right),
        ("GROUPS", Align::Right),
        ("FLUSHES", Align::Right),
        ("COMPACTIONS", Align::Right),
        ("RELOCATIONS", Align::Right),
        ("WRITE AMP", Align::Right),
        ("STALLS", Align::Right),
    ]);
    for (report, status) in told(reports) {
        table.row([
            report.node.to_string(),
            status.entries.to_string(),
            size(status.written_bytes),
            status.groups.to_string(),
            units(status.flushes),
            units(status.compactions),
            units(status.relocations),
            thousandths(status.write_amplification_per_mille),
            status.stalls.to_string(),
        ]);
    }
    table
}

fn waits(reports: &[StorageReport]) -> Columns {
    let mut table = Columns::new(&[
        ("NODE", Align::Left),
        ("BLOCK HITS", Align::Right),
        ("VALUE HITS", Align::Right),
        ("SYNCS", Align::Right),
        ("P50", Align::Right),
        ("P99", Align::Right),
        ("MAX", Align::Right),
        ("LAST MINUTE", Align::Right),
        ("P50", Align::Right),
        ("P99", Align::Right),
        ("MAX", Align::Right),
    ]);
    for (report, status) in told(reports) {
        let log = status.syncs.iter().find(|syncs| syncs.kind == SyncKind::Log);
        let hits = [share(status.cache_blocks), share(status.cache_values)];
        let all = spans(log.map(|syncs| syncs.since_start).unwrap_or_default());
        let last = spans(log.map(|syncs| syncs.last_minute).unwrap_or_default());
        let node = report.node.to_string();
        table.row(std::iter::once(node).chain(hits).chain(all).chain(last));
    }
    table
}

fn told(reports: &[StorageReport]) -> impl Iterator<Item = (&StorageReport, &StorageStatus)> {
    reports.iter().filter_map(|report| Some((report, report.told.as_ref().ok()?)))
}

/// Tables by level, from level 0, without the empty levels at the end.
fn levels(levels: &[FilesStatus]) -> String {
    let used = levels.iter().rposition(|level| level.files > 0).map_or(1, |last| last + 1);
    let counts = levels.iter().take(used).map(|level| level.files.to_string());
    counts.collect::<Vec<_>>().join("/")
}

fn units(work: WorkStatus) -> String {
    format!("{}, {}", work.units, size(work.bytes))
}

fn thousandths(number: u64) -> String {
    let hundredths = number.saturating_add(5) / 10;
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}

fn share(usage: CacheUsageStatus) -> String {
    let all = u128::from(usage.hits) + u128::from(usage.misses);
    match (u128::from(usage.hits) * 1_000).checked_div(all) {
        Some(per_mille) => format!("{}.{}%", per_mille / 10, per_mille % 10),
        None => NOTHING.to_owned(),
    }
}

fn spans(spans: SyncSpans) -> [String; 4] {
    if spans.count == 0 {
        return ["0", NOTHING, NOTHING, NOTHING].map(str::to_owned);
    }
    let shown = |micros| round_trip(Duration::from_micros(micros));
    [spans.count.to_string(), shown(spans.p50_us), shown(spans.p99_us), shown(spans.max_us)]
}

/// What an operator should look at.
fn note(status: &StorageStatus) -> String {
    let findings = [
        (status.scrub.damaged, "damaged file(s)"),
        (status.scrub.unmendable, "damaged file(s) that no other replica can mend"),
        (status.scrub.mended, "damaged file(s) mended"),
        (status.damaged_values, "damaged value(s)"),
        (status.merge_failures, "key(s) not joined"),
        (status.removals_pending, "file(s) to remove"),
        (status.torn_bytes, "torn byte(s) of log cut off"),
    ];
    let found = findings.iter().filter(|(count, _)| *count > 0);
    found.map(|(count, what)| format!("{count} {what}")).collect::<Vec<_>>().join(", ")
}

/// The document.
#[derive(Serialize)]
pub(super) struct StorageJson<'a> {
    nodes: Vec<NodeJson<'a>>,
}

#[derive(Serialize)]
struct NodeJson<'a> {
    node: &'a str,
    dc: &'a str,
    #[serde(flatten)]
    state: StateJson<'a>,
}

#[derive(Serialize)]
#[serde(tag = "state", rename_all = "lowercase")]
enum StateJson<'a> {
    Up(Box<UpJson>),
    Silent { reason: &'a str },
}

#[derive(Serialize)]
struct UpJson {
    levels: Vec<FilesJson>,
    value_files: FilesJson,
    value_live_bytes: u64,
    memtable_bytes: u64,
    memtables_sealed: u64,
    wal_bytes: u64,
    entries: u64,
    written_bytes: u64,
    groups: u64,
    fsyncs: u64,
    flushes: WorkJson,
    compactions: WorkJson,
    relocations: WorkJson,
    stalls: u64,
    merge_failures: u64,
    damaged_values: u64,
    removals_pending: u64,
    torn_bytes: u64,
    write_amplification_per_mille: u64,
    space_amplification_per_mille: u64,
    cache: CacheJson,
    scrub: ScrubJson,
    syncs: Vec<SyncJson>,
}

#[derive(Serialize)]
struct ScrubJson {
    cycles: u64,
    files: u64,
    bytes: u64,
    found: u64,
    mended: u64,
    gathered: u64,
    damaged: u64,
    unmendable: u64,
}

#[derive(Serialize)]
struct FilesJson {
    files: u64,
    bytes: u64,
}

#[derive(Serialize)]
struct WorkJson {
    units: u64,
    bytes: u64,
}

#[derive(Serialize)]
struct CacheJson {
    bytes: u64,
    block_hits: u64,
    block_misses: u64,
    value_hits: u64,
    value_misses: u64,
}

#[derive(Serialize)]
struct SyncJson {
    kind: &'static str,
    since_start: SpansJson,
    last_minute: SpansJson,
}

#[derive(Serialize)]
struct SpansJson {
    count: u64,
    p50_us: u64,
    p99_us: u64,
    max_us: u64,
}

/// The document of `status --storage`.
pub(super) fn document(reports: &[StorageReport]) -> StorageJson<'_> {
    StorageJson { nodes: reports.iter().map(node).collect() }
}

fn node(report: &StorageReport) -> NodeJson<'_> {
    let state = match &report.told {
        Ok(status) => StateJson::Up(Box::new(up(status))),
        Err(reason) => StateJson::Silent { reason },
    };
    NodeJson { node: report.node.as_str(), dc: report.dc.as_str(), state }
}

fn scrub(scrub: ScrubStatus) -> ScrubJson {
    let ScrubStatus { cycles, files, bytes, found, mended, gathered, damaged, unmendable } = scrub;
    ScrubJson { cycles, files, bytes, found, mended, gathered, damaged, unmendable }
}

fn up(status: &StorageStatus) -> UpJson {
    let files = |files: &FilesStatus| FilesJson { files: files.files, bytes: files.bytes };
    let work = |work: WorkStatus| WorkJson { units: work.units, bytes: work.bytes };
    UpJson {
        levels: status.levels.iter().map(files).collect(),
        value_files: files(&status.value_files),
        value_live_bytes: status.value_live_bytes,
        memtable_bytes: status.memtable_bytes,
        memtables_sealed: status.memtables_sealed,
        wal_bytes: status.wal_bytes,
        entries: status.entries,
        written_bytes: status.written_bytes,
        groups: status.groups,
        fsyncs: status.fsyncs,
        flushes: work(status.flushes),
        compactions: work(status.compactions),
        relocations: work(status.relocations),
        stalls: status.stalls,
        merge_failures: status.merge_failures,
        damaged_values: status.damaged_values,
        removals_pending: status.removals_pending,
        torn_bytes: status.torn_bytes,
        write_amplification_per_mille: status.write_amplification_per_mille,
        space_amplification_per_mille: status.space_amplification_per_mille,
        cache: CacheJson {
            bytes: status.cache_bytes,
            block_hits: status.cache_blocks.hits,
            block_misses: status.cache_blocks.misses,
            value_hits: status.cache_values.hits,
            value_misses: status.cache_values.misses,
        },
        scrub: scrub(status.scrub),
        syncs: status.syncs.iter().map(syncs).collect(),
    }
}

fn syncs(syncs: &SyncStatus) -> SyncJson {
    let spans = |SyncSpans { count, p50_us, p99_us, max_us }: SyncSpans| SpansJson {
        count,
        p50_us,
        p99_us,
        max_us,
    };
    let kind = match syncs.kind {
        SyncKind::Log => "log",
        SyncKind::Table => "table",
        SyncKind::Values => "values",
        SyncKind::Manifest => "manifest",
        SyncKind::Other => "other",
    };
    let (since_start, last_minute) = (spans(syncs.since_start), spans(syncs.last_minute));
    SyncJson { kind, since_start, last_minute }
}
