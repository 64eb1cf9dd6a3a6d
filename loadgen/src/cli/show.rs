//! `show`: a report as a table, or its summary as JSON.

use serde_json::{Value, json};

use super::args::{Format, ShowArgs};
use crate::console::{self, data, printable, table};
use crate::error::Error;
use crate::measure::{Histo, Precedence, Tally};
use crate::plan::{Pace, Plan};
use crate::report::{self, Report};
use crate::units::{grouped, millis, percentage, share, size};

/// Quantiles of every table, with their names.
pub(super) const QUANTILES: [(&str, f64); 6] =
    [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999), ("p99.99", 0.9999), ("max", 1.0)];

/// Prints a report.
///
/// # Errors
/// [`Error::File`] if there is none.
pub(super) fn show(args: &ShowArgs) -> Result<(), Error> {
    let report = report::load(&args.report)?;
    match args.output {
        Format::Table => data(&text(&report)),
        Format::Json => console::json(&summary(&report)),
    }
}

/// A report for people.
pub(super) fn text(report: &Report) -> String {
    let mut lines = vec![headline(report)];
    lines.extend(report.verdict.invalid.iter().map(|reason| format!("INVALID: {reason}")));
    lines.extend(report.verdict.warnings.iter().cloned());
    lines.push(String::new());
    lines.push(latencies(report));
    lines.push(String::new());
    lines.push(service(report));
    lines.push(facts(report));
    lines.push(effort(report));
    lines.extend(failures(report));
    for event in &report.events {
        let code = event.exit_code.map_or("no exit code".to_owned(), |code| format!("exit {code}"));
        lines.push(format!("event at {:.1}s: {} ({code})", event.began, printable(&event.command)));
    }
    lines.join("\n")
}

/// What `-o json` prints: numbers without histograms; spans in milliseconds.
pub(super) fn summary(report: &Report) -> Value {
    let series: Vec<Value> =
        report.total.series.iter().map(|(name, tally)| of_series(name, tally, report)).collect();
    let total = &report.total;
    json!({
        "schema": report.schema,
        "began": report.began,
        "seconds": report.seconds,
        "valid": report.verdict.invalid.is_empty(),
        "invalid": report.verdict.invalid,
        "warnings": report.verdict.warnings,
        "throughput": report.throughput(),
        "arrivals": total.arrivals,
        "late": total.late,
        "dropped": total.dropped,
        "retries": total.retries,
        "scheduling_ms": quantiles(&total.scheduling),
        "waited_for_room": total.waited,
        "pacing_ms": quantiles(&total.pacing),
        "series": series,
        "cluster": report.cluster,
        "events": report.events,
    })
}

fn of_series(name: &str, tally: &Tally, report: &Report) -> Value {
    json!({
        "series": name,
        "ok": tally.latency.len(),
        "per_second": tally.latency.len() as f64 / report.seconds.max(1e-9),
        "errors": tally.errors,
        "first_error": tally.first_error,
        "latency_ms": quantiles(&tally.latency),
        "service_ms": quantiles(&tally.service),
        "facts": tally.facts,
    })
}

fn quantiles(histo: &Histo) -> Value {
    let at = |(name, quantile): &(&str, f64)| {
        ((*name).to_owned(), (histo.at(*quantile) as f64 / 1e6).into())
    };
    Value::Object(QUANTILES.iter().map(at).collect())
}

fn headline(report: &Report) -> String {
    let Plan { workload, warmup_seconds, target, processes, .. } = &report.plan;
    let pace = match report.plan.pace {
        Pace::Open { rate, spacing } => {
            format!("rate {}/s open loop, {spacing}", grouped(crate::units::floor(rate)))
        }
        Pace::Closed { callers } => format!("CLOSED LOOP of {callers}"),
    };
    format!(
        "{}  {pace}  {:.1}s (+{warmup_seconds:.0}s warm-up)  {}  {} keys {}  {}  from {} in {processes} process(es)",
        report.began,
        report.seconds,
        workload.mix,
        grouped(workload.keys),
        workload.distribution,
        workload.lengths,
        target.dcs.join(","),
    )
}

fn latencies(report: &Report) -> String {
    let mut header = vec!["op", "level", "dc", "ops", "per s", "ok%"];
    header.extend(QUANTILES.iter().map(|(name, _)| *name));
    header.push("ms");
    let row = |(name, tally): (&String, &Tally)| {
        let mut row: Vec<String> = name.splitn(3, '/').map(str::to_owned).collect();
        row.push(grouped(tally.total()));
        let rate = tally.latency.len() as f64 / report.seconds.max(1e-9);
        row.push(grouped(crate::units::floor(rate)));
        row.push(format!("{:.2}", share(tally.latency.len(), tally.total()) * 100.0));
        row.extend(QUANTILES.iter().map(|(_, quantile)| millis(tally.latency.at(*quantile))));
        row
    };
    let rows: Vec<Vec<String>> = report.total.series.iter().map(row).collect();
    table(3, &header, &rows)
}

fn service(report: &Report) -> String {
    let part = |op: crate::workload::mix::Op| {
        let tally = report.total.sum(Some(op));
        format!(
            "{} p50 {} p99 {}",
            op.name(),
            millis(tally.service.at(0.5)),
            millis(tally.service.at(0.99))
        )
    };
    let parts: Vec<String> = report.total.ops().into_iter().map(part).collect();
    let total = &report.total;
    let mut text = format!(
        "service time (since begun, not since due): {} ms\nscheduling error of the generator: {}",
        parts.join(", "),
        errors(&total.scheduling),
    );
    if total.waited > 0 {
        let (waited, others) = (grouped(total.waited), errors(&total.pacing));
        text.push_str(&format!(
            "\n{waited} waited for room (--max-inflight); of the others: {others}"
        ));
    }
    text
}

fn errors(histo: &Histo) -> String {
    let at = |quantile| millis(histo.at(quantile));
    format!("p50 {} p99 {} p99.9 {} max {} ms", at(0.5), at(0.99), at(0.999), at(1.0))
}

fn facts(report: &Report) -> String {
    let total = &report.total;
    let sum = total.sum(None);
    let facts = sum.facts;
    let late = format!(
        "arrivals {}  late {} ({})  dropped {}",
        grouped(total.arrivals),
        grouped(total.late),
        percentage(share(total.late, total.arrivals)),
        grouped(total.dropped),
    );
    let mut line = format!(
        "{late}  retries {}  siblings seen {}  stale reads {}  behind {}  corrupt {}  missing {}  context reads {}",
        grouped(total.retries),
        grouped(facts.siblings),
        grouped(facts.stale),
        grouped(facts.behind),
        grouped(facts.corrupt),
        grouped(facts.missing),
        grouped(facts.context_reads),
    );
    if let Some(cluster) = &report.cluster {
        line.push_str(&format!(
            "\nnodes {} of {} up  hedged reads {} (won {})  replicas repaired {}  replicas that missed a put {}",
            cluster.nodes_up,
            cluster.nodes,
            grouped(cluster.speculative),
            grouped(cluster.speculative_won),
            grouped(cluster.repaired),
            grouped(cluster.missed),
        ));
    }
    line
}

fn effort(report: &Report) -> String {
    let facts = report.total.sum(None).facts;
    let (mut spent, mut memory) = (0.0, 0);
    let pacer = match report.measured().filter_map(|interval| interval.pacer).min() {
        None => "",
        Some(Precedence::Plain) => ", priority not raised (not permitted)",
        Some(Precedence::Raised) => ", priority raised (real-time not permitted)",
        Some(Precedence::Realtime) => ", real-time pacer",
    };
    for interval in report.measured() {
        spent += interval.usage.cpu_seconds;
        memory = memory.max(interval.usage.memory_bytes);
    }
    let mut line = format!(
        "read {}  written {}  generator: {:.2} cores, {}{}",
        size(facts.bytes_read),
        size(facts.bytes_written),
        spent / report.seconds.max(1e-9),
        size(memory),
        pacer,
    );
    for node in &report.nodes {
        let cores: f64 = node.seconds.iter().map(|second| second.cores).sum();
        let memory = node.seconds.iter().map(|second| second.memory_bytes).max().unwrap_or(0);
        let mean = cores / node.seconds.len().max(1) as f64;
        line.push_str(&format!("  {}: {mean:.2} cores, {}", printable(&node.name), size(memory)));
    }
    line
}

fn failures(report: &Report) -> Vec<String> {
    let line = |(name, tally): (&String, &Tally)| {
        let kinds: Vec<String> = tally
            .errors
            .iter()
            .map(|(kind, count)| format!("{kind} {}", grouped(*count)))
            .collect();
        let first = tally.first_error.as_deref().map(printable).unwrap_or_default();
        (!kinds.is_empty())
            .then(|| format!("errors of {name}: {}; first: {first}", kinds.join(", ")))
    };
    report.total.series.iter().filter_map(line).collect()
}
