//! What is typed wrong ends with exit code 2, the cause and the fix; it needs no cluster.

use crate::cluster::{Outcome, loadgen};
use crate::ended;

fn run(arguments: &[&str]) -> Outcome {
    let folder = tempfile::TempDir::new().unwrap();
    loadgen(folder.path(), arguments)
}

#[test]
fn mistakes_end_with_code_2_and_the_fix() {
    let base = ["run", "--rate", "1k", "--mix", "get=1"];
    for (arguments, words) in [
        (&["run", "--mix", "get=1"][..], &["--rate"][..]),
        (&["run", "--rate", "x", "--mix", "get=1"], &["`x` is not a count", "20k"]),
        (&["run", "--rate", "1k"], &["--workload a", "--mix get=95,put=5"]),
        (&["run", "--rate", "1k", "--workload", "e"], &["no scan yet"]),
        (&["run", "--rate", "1k", "--mix", "read=1"], &["`read` is not an operation"]),
        (&["run", "--rate", "1k", "--mix", "get=1", "--dist", "pareto"], &["zipf:0.99"]),
        (&["run", "--rate", "1k", "--mix", "get=1", "--event", "boom"], &["30s:"]),
        (
            &["run", "--rate", "1k", "--mix", "get=1", "--node-pid", "4000000000"],
            &["no such process"],
        ),
        (&["run", "--rate", "1k", "--mix", "get=1", "--dev", "nowhere"], &["--dev takes"]),
        (&["run", "--rate", "1k", "--closed", "3", "--mix", "get=1"], &["cannot be used with"]),
        (&["sweep", "--rates", "1k..2k", "--mix", "get=1"], &["--slo"]),
        (&["sweep", "--slo", "p99>1ms", "--rates", "1k..2k"], &["p99<10ms"]),
        (&["show", "nowhere"], &["nowhere", "--out"]),
        (&["compare", "nowhere", "nowhere"], &["nowhere"]),
        (&["hdr", "nowhere"], &["nowhere"]),
        (&["frobnicate"], &["frobnicate"]),
    ] {
        let outcome = run(arguments).expect(2);
        for word in words {
            assert!(outcome.stderr.contains(word), "{arguments:?}: {outcome:?}");
        }
    }
    let lost = run(&base).expect(2);
    assert!(lost.stderr.contains("client.toml"), "{lost:?}");
}

#[test]
fn the_generator_alone_needs_no_cluster() {
    let folder = tempfile::TempDir::new().unwrap();
    let quick =
        ["--no-cluster", "--duration", "500ms", "--warmup", "100ms", "--force", "-o", "json"];
    let mixed = ["run", "--mix", "get=2,put=1,insert=1,update=1,delete=1", "--rate", "2k"];
    // On a busy machine more than a hundredth may be late; then the run says so.
    let open = loadgen(folder.path(), &[&mixed[..], &quick].concat());
    assert!(matches!(open.code, Some(0 | 8)), "{open:?}");
    let summary = open.json();
    assert_eq!(summary["arrivals"], 1_000, "{summary}");
    assert!(summary["warnings"].to_string().contains("NO CLUSTER"), "{summary}");
    assert_eq!(ended(&summary).1, 0, "nothing fails that nobody answers: {summary}");
    assert_eq!(ended(&summary).0 + summary["dropped"].as_u64().unwrap(), 1_000, "{summary}");
    let sweep =
        ["sweep", "--rates", "1k..1k:x2", "--mix", "get=1", "--slo", "scheduling.max<0.001us"];
    let sweep = loadgen(folder.path(), &[&sweep[..], &quick].concat()).expect(8);
    assert!(sweep.stderr.contains("scheduling.max"), "nobody is as precise: {sweep:?}");
    let checked = ["run", "--mix", "put=1", "--rate", "1k", "--validate"];
    let checked = loadgen(folder.path(), &[&checked[..], &quick].concat()).expect(2);
    assert!(checked.stderr.contains("--validate"), "{checked:?}");
}

#[test]
fn help_and_version_are_data() {
    assert!(run(&["--help"]).expect(0).text().contains("sweep"));
    assert!(run(&["--version"]).expect(0).text().starts_with("loadgen "));
    assert!(!run(&["--help"]).text().contains("agent"), "it is not for people");
}

#[test]
fn files_of_other_kinds_are_refused() {
    let folder = tempfile::TempDir::new().unwrap();
    std::fs::write(folder.path().join("x.hlog"), "hello").unwrap();
    std::fs::write(folder.path().join("x.hgrm"), "hello").unwrap();
    std::fs::write(folder.path().join("report.json"), r#"{"schema": "other/9"}"#).unwrap();
    for (arguments, word) in [
        (["hdr", "x.hlog"], "interval"),
        (["hdr", "x.hgrm"], "percentile"),
        (["show", "report.json"], "other/9"),
    ] {
        let outcome = loadgen(folder.path(), &arguments).expect(2);
        assert!(outcome.stderr.contains(word), "{outcome:?}");
    }
}
