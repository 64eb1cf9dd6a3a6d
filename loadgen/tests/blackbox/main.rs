//! The binary against a cluster of real processes: what it measures adds up, in every file that it writes.
//!
//! Nothing here depends on how fast a machine is: latencies are not looked at, and an open loop may be found invalid where
//! its generator had to wait for a processor.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test's helpers may panic like its tests; clippy exempts only the latter"
)]

mod cluster;
mod usage;

use serde_json::Value;

use cluster::Cluster;

/// The sum of what succeeded and what failed in a summary.
fn ended(summary: &Value) -> (u64, u64) {
    let series = summary["series"].as_array().unwrap();
    let ok = series.iter().map(|one| one["ok"].as_u64().unwrap()).sum();
    let errors = series.iter().flat_map(|one| one["errors"].as_object().unwrap().values());
    (ok, errors.map(|count| count.as_u64().unwrap()).sum())
}

/// The sum of one fact over all series.
fn fact(summary: &Value, name: &str) -> u64 {
    let series = summary["series"].as_array().unwrap();
    series.iter().map(|one| one["facts"][name].as_u64().unwrap()).sum()
}

#[test]
fn what_is_measured_adds_up() {
    let cluster = Cluster::start();
    load(&cluster);
    let report = closed_loop_of_two_processes(&cluster);
    files_agree(&cluster, &report);
    open_loop(&cluster);
    too_little_room(&cluster);
    sweep(&cluster);
}

fn load(cluster: &Cluster) {
    let load = cluster.loadgen(&[
        "load",
        "--keys",
        "301",
        "--closed",
        "8",
        "--validate",
        "--value",
        "fixed:100",
        "--out",
        "load",
        "-o",
        "json",
    ]);
    let summary = load.expect(0).json();
    assert_eq!(ended(&summary), (301, 0), "{summary}");
    assert_eq!(fact(&summary, "siblings"), 0, "every key was written once");
    let get = cluster.loadgen(&[
        "run",
        "--mix",
        "get=1",
        "--ops",
        "600",
        "--closed",
        "4",
        "--keys",
        "301",
        "--warmup",
        "0s",
        "--force",
        "--validate",
        "--out",
        "all",
        "-o",
        "json",
    ]);
    let summary = get.expect(0).json();
    assert_eq!(fact(&summary, "missing"), 0, "every key is there");
}

/// Two processes, all operations but deletes; returns the summary.
fn closed_loop_of_two_processes(cluster: &Cluster) -> Value {
    let run = cluster.loadgen(&[
        "run",
        "--mix",
        "get=50,put=30,insert=10,update=10",
        "--closed",
        "8",
        "--ops",
        "601",
        "--processes",
        "2",
        "--keys",
        "301",
        "--dist",
        "zipf:0.99",
        "--value",
        "uniform:64..200",
        "--validate",
        "--warmup",
        "0s",
        "--force",
        "--level",
        "get=LOCAL_ONE:50,QUORUM:50",
        "--event",
        "0s:echo hello",
        "--dev",
        "dev",
        "--out",
        "mixed",
        "-o",
        "json",
    ]);
    let summary = run.expect(0).json();
    let (ok, failed) = ended(&summary);
    assert_eq!(ok + failed, 601, "{summary}");
    // Two processes may overtake each other at a popular key until an update gives up; nothing else may fail.
    for series in summary["series"].as_array().unwrap() {
        let kinds: Vec<&String> = series["errors"].as_object().unwrap().keys().collect();
        let may_fail = series["series"].as_str().unwrap().starts_with("update/");
        assert!(kinds.iter().all(|kind| may_fail && *kind == "Conflict"), "{series}");
    }
    assert_eq!((fact(&summary, "stale"), fact(&summary, "corrupt")), (0, 0), "{summary}");
    assert_eq!(summary["arrivals"], 601);
    let warnings = summary["warnings"].to_string();
    assert!(warnings.contains("CLOSED LOOP"), "{warnings}");
    assert_eq!(summary["events"][0]["exit_code"], 0);
    assert_eq!(summary["events"][0]["output"], "hello\n");
    assert!(summary["cluster"]["gets"].as_u64().unwrap() > 0, "{summary}");
    summary
}

/// Every file of a run says the same.
fn files_agree(cluster: &Cluster, summary: &Value) {
    let report: Value = serde_json::from_slice(&cluster.read("mixed/report.json")).unwrap();
    assert_eq!(report["schema"], "atoll-loadgen/1");
    assert_eq!(report["plan"]["processes"], 2);
    assert!(report["machine"]["cores"].as_u64().unwrap() > 0);
    let page = String::from_utf8(cluster.read("mixed/report.html")).unwrap();
    assert!(page.contains("<svg") || page.contains("createElementNS"), "it draws");
    for op in ["get", "put", "insert", "update"] {
        let of_op = |one: &&Value| one["series"].as_str().unwrap().starts_with(&format!("{op}/"));
        let series = summary["series"].as_array().unwrap();
        let ok: u64 = series.iter().filter(of_op).map(|one| one["ok"].as_u64().unwrap()).sum();
        let log =
            cluster.loadgen(&["hdr", &format!("mixed/{op}.hlog"), "-o", "json"]).expect(0).json();
        let tags = log.as_object().unwrap();
        let logged: u64 = tags.values().map(|tag| tag["count"].as_u64().unwrap()).sum();
        assert_eq!(logged, ok, "{op}: {log}");
        assert!(tags.keys().all(|tag| tag.starts_with(&format!("{op}."))), "{log}");
        let path = format!("mixed/{op}.hgrm");
        let distribution = cluster.loadgen(&["hdr", &path, "-o", "json"]).expect(0).json();
        assert_eq!(distribution["count"].as_u64(), Some(ok), "{op}: {distribution}");
    }
    let shown = cluster.loadgen(&["show", "mixed", "-o", "json"]).expect(0).json();
    assert_eq!(&shown, summary, "what was printed is what was kept");
    let table = cluster.loadgen(&["show", "mixed"]).expect(0).text();
    assert!(table.contains("CLOSED LOOP") && table.contains("QUORUM"), "{table}");
    let same = cluster.loadgen(&["compare", "mixed", "mixed/report.json"]).expect(0).text();
    assert!(same.contains("get") && same.contains("+0.0%"), "{same}");
}

fn open_loop(cluster: &Cluster) {
    let run = cluster.loadgen(&[
        "run",
        "--workload",
        "b",
        "--rate",
        "200",
        "--arrivals",
        "constant",
        "--duration",
        "1s",
        "--warmup",
        "500ms",
        "--force",
        "--keys",
        "301",
        "--processes",
        "2",
        "--slo",
        "stale<=0",
        "--out",
        "open",
        "-o",
        "json",
    ]);
    // On a busy machine more than a hundredth may be late; then the run says so.
    assert!(matches!(run.code, Some(0 | 8)), "{run:?}");
    let summary = run.json();
    assert_eq!(summary["arrivals"], 200, "a rate is a rate, whatever happens: {summary}");
    let (ok, errors) = ended(&summary);
    assert_eq!(ok + errors + summary["dropped"].as_u64().unwrap(), 200, "{summary}");
    assert_eq!(run.code == Some(0), summary["valid"].as_bool().unwrap(), "{run:?}");
}

fn too_little_room(cluster: &Cluster) {
    let run = cluster.loadgen(&[
        "run",
        "--mix",
        "get=1",
        "--rate",
        "20k",
        "--max-inflight",
        "1",
        "--duration",
        "1s",
        "--warmup",
        "0s",
        "--force",
        "--keys",
        "301",
        "--out",
        "full",
    ]);
    let run = run.expect(8);
    assert!(run.stderr.contains("INVALID") && run.stderr.contains("--max-inflight"), "{run:?}");
    assert!(run.text().contains("INVALID") && run.text().contains("waited for room"), "{run:?}");
    let compared = cluster.loadgen(&["compare", "mixed", "full"]).expect(8);
    assert!(compared.stderr.contains("full: "), "{compared:?}");
}

fn sweep(cluster: &Cluster) {
    let sweep = cluster.loadgen(&[
        "sweep",
        "--slo",
        "get.p50<1us",
        "--rates",
        "50..100:x2",
        "--duration",
        "500ms",
        "--warmup",
        "0s",
        "--force",
        "--mix",
        "get=1",
        "--keys",
        "301",
        "--out",
        "sweep",
        "-o",
        "json",
    ]);
    // No cluster answers within a microsecond.
    let sweep = sweep.expect(8).json();
    assert_eq!(sweep["knee"], Value::Null);
    assert_eq!(sweep["steps"].as_array().map(Vec::len), Some(1), "{sweep}");
    assert!(!cluster.read("sweep/sweep.html").is_empty());
    assert!(!cluster.read("sweep/step-01-50/report.json").is_empty());
}
