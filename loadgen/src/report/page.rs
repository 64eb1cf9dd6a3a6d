//! `report.html` and `sweep.html`: one file with its data, style and script inside; it fetches nothing.
//!
//! The numbers are computed here, the drawing is done by `assets/report.js` in the browser, as SVG.
//!
//! Invariants
//! - Whatever a run can be named after (commands, datacenters, error texts) reaches the page as data of a script element, in
//!   which nothing can end that element, and from there as text.

use serde_json::{Value, json};

use super::schema::{Report, Sweep};
use crate::error::Error;
use crate::measure::{Histo, Interval, Tally};
use crate::plan::Pace;
use crate::units;

#[cfg(test)]
mod tests;

const TEMPLATE: &str = include_str!("../../assets/report.html");
const STYLE: &str = include_str!("../../assets/report.css");
const SCRIPT: &str = include_str!("../../assets/report.js");

/// Rows of the heatmap for each doubling of latency: 19 % each.
const ROWS_PER_DOUBLING: f64 = 4.0;

/// Bottom of the heatmap, in nanoseconds: 50 µs.
const BOTTOM_NS: f64 = 50_000.0;

/// Nanoseconds in a millisecond.
const MILLI: f64 = 1e6;

/// The page of a run.
pub(super) fn render(report: &Report) -> Result<String, Error> {
    let events: Vec<Value> = report
        .events
        .iter()
        .map(|event| {
            json!({ "at": event.began, "end": event.ended, "command": event.command,
                    "code": event.exit_code, "output": event.output })
        })
        .collect();
    page(&json!({
        "kind": "run",
        "title": format!("loadgen {}", report.began),
        "config": config(report),
        "invalid": report.verdict.invalid,
        "warnings": report.verdict.warnings,
        "table": table(report),
        "counts": counts(report),
        "percentiles": percentiles(report),
        "seconds": seconds(report),
        "heatmap": heatmap(report),
        "nodes": report.nodes,
        "events": events,
        "links": report.cluster.as_ref().map(|cluster| &cluster.links),
        "scheduling": quantiles(&report.total.scheduling),
    }))
}

/// The page of a sweep.
pub(super) fn render_sweep(sweep: &Sweep) -> Result<String, Error> {
    page(&json!({
        "kind": "sweep",
        "title": format!("loadgen sweep {}", sweep.began),
        "objectives": sweep.objectives,
        "steps": sweep.steps,
        "knee": sweep.knee,
        "config": [
            ["operations", sweep.plan.workload.mix.to_string()],
            ["keys", format!("{} {}", units::grouped(sweep.plan.workload.keys), sweep.plan.workload.distribution)],
            ["values", sweep.plan.workload.lengths.to_string()],
            ["clients", sweep.plan.target.dcs.join(", ")],
            ["machine", format!("{} cores, {} {}", sweep.machine.cores, sweep.machine.system, sweep.machine.kernel)],
        ],
    }))
}

fn page(data: &Value) -> Result<String, Error> {
    let text =
        serde_json::to_string(data).map_err(|error| Error::io("encode the page")(error.into()))?;
    // Inside a script element only `</` and `<!--` mean anything.
    let text = text.replace('<', "\\u003c");
    // The data come last: a text in them that looks like a place of the template stays a text.
    Ok(TEMPLATE
        .replace("/*STYLE*/", STYLE)
        .replace("/*SCRIPT*/", SCRIPT)
        .replace("/*DATA*/", &text))
}

fn config(report: &Report) -> Value {
    let plan = &report.plan;
    let pace = match plan.pace {
        Pace::Open { rate, spacing } => {
            format!("{}/s, open loop, {spacing}", units::grouped(units::floor(rate)))
        }
        Pace::Closed { callers } => format!("CLOSED LOOP of {callers} callers"),
    };
    let machine = &report.machine;
    json!([
        ["load", pace],
        [
            "measured",
            format!("{:.1} s after {:.1} s of warm-up", report.seconds, plan.warmup_seconds)
        ],
        ["operations", plan.workload.mix.to_string()],
        ["keys", format!("{} {}", units::grouped(plan.workload.keys), plan.workload.distribution)],
        ["values", plan.workload.lengths.to_string()],
        ["clients", plan.target.dcs.join(", ")],
        ["processes", plan.processes.to_string()],
        ["in flight", format!("at most {}", units::grouped(plan.inflight_max))],
        [
            "machine",
            format!(
                "{} cores, {}, {} {}",
                machine.cores, machine.processor, machine.system, machine.kernel
            )
        ],
        ["version", format!("{} {}", report.version, report.commit.as_deref().unwrap_or(""))],
    ])
}

fn quantiles(histo: &Histo) -> Vec<f64> {
    [0.5, 0.9, 0.99, 0.999, 0.9999, 1.0].iter().map(|q| histo.at(*q) as f64 / MILLI).collect()
}

fn table(report: &Report) -> Vec<Value> {
    let row = |(name, tally): (&String, &Tally)| {
        let parts: Vec<&str> = name.splitn(3, '/').collect();
        json!({ "name": parts, "ok": tally.latency.len(), "failed": tally.failed(),
                "rate": tally.latency.len() as f64 / report.seconds.max(1e-9),
                "ms": quantiles(&tally.latency), "service": quantiles(&tally.service),
                "errors": tally.errors, "first": tally.first_error })
    };
    report.total.series.iter().map(row).collect()
}

fn counts(report: &Report) -> Value {
    let (total, facts) = (&report.total, report.total.sum(None).facts);
    let mut counts = vec![
        json!(["arrivals", total.arrivals]),
        json!(["late", total.late]),
        json!(["dropped", total.dropped]),
        json!(["retries", total.retries]),
        json!(["siblings seen", facts.siblings]),
        json!(["stale reads", facts.stale]),
        json!(["corrupt values", facts.corrupt]),
        json!(["missing", facts.missing]),
    ];
    if let Some(cluster) = &report.cluster {
        counts.push(json!(["hedged reads", cluster.speculative]));
        counts.push(json!(["replicas repaired", cluster.repaired]));
    }
    Value::Array(counts)
}

/// A curve for each operation: of latency, and of service time.
fn percentiles(report: &Report) -> Vec<Value> {
    let points = |histo: &Histo| -> Vec<[f64; 2]> {
        let values = histo.inner().iter_quantiles(8);
        let point = |value: hdrhistogram::iterators::IterationValue<u64>| {
            [value.quantile_iterated_to(), value.value_iterated_to() as f64 / MILLI]
        };
        // The last one stands at 100 %, which has no place on the axis.
        values.map(point).filter(|point| point[0] < 1.0).collect()
    };
    let curve = |op: crate::workload::mix::Op| {
        let tally = report.total.sum(Some(op));
        json!({ "name": op.name(), "count": tally.latency.len(), "latency": points(&tally.latency),
                "service": points(&tally.service) })
    };
    report.total.ops().into_iter().map(curve).collect()
}

/// The series over time, the warm-up included.
fn seconds(report: &Report) -> Vec<Value> {
    let second = |interval: &Interval| {
        let sum = interval.sample.sum(None);
        let span = interval.seconds.max(1e-3);
        let at = |quantile| sum.latency.at(quantile) as f64 / MILLI;
        json!({ "t": interval.begin, "s": interval.seconds, "ok": sum.latency.len() as f64 / span,
                "failed": sum.failed() as f64 / span,
                "late": (interval.sample.late + interval.sample.dropped) as f64 / span,
                "p50": at(0.5), "p99": at(0.99), "p999": at(0.999), "max": at(1.0),
                "cores": interval.usage.cpu_seconds / span, "memory": interval.usage.memory_bytes })
    };
    report.intervals.iter().filter(|interval| interval.seconds > 0.05).map(second).collect()
}

/// Counts by second and row of latency: `[second, row, count]`.
fn heatmap(report: &Report) -> Value {
    let mut cells: Vec<[u64; 3]> = Vec::new();
    let intervals = report.intervals.iter().filter(|interval| interval.seconds > 0.05);
    for (column, interval) in intervals.enumerate() {
        let mut rows: std::collections::BTreeMap<u64, u64> = std::collections::BTreeMap::new();
        for (value, count) in interval.sample.sum(None).latency.counts() {
            let doublings = (value as f64 / BOTTOM_NS).max(1.0).log2();
            *rows.entry(units::floor(doublings * ROWS_PER_DOUBLING)).or_default() += count;
        }
        cells.extend(rows.into_iter().map(|(row, count)| [column as u64, row, count]));
    }
    json!({ "bottom": BOTTOM_NS / MILLI, "rows": ROWS_PER_DOUBLING, "cells": cells })
}
