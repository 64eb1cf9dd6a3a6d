//! `compare`: what changed between two runs, how surely, and whether that is worse.

use serde::Serialize;

use super::args::{CompareArgs, Format};
use crate::console::{self, data, table, talk};
use crate::error::Error;
use crate::report::{self, Report};
use crate::stats::{self, Difference, INTERVALS_MIN, Measure, Second};
use crate::units::{grouped, millis, share};
use crate::workload::mix::Op;

#[cfg(test)]
mod tests;

/// What is compared for each operation.
const MEASURES: [(&str, Measure); 5] = [
    ("per second", Measure::Throughput),
    ("p50", Measure::Quantile(0.5)),
    ("p90", Measure::Quantile(0.9)),
    ("p99", Measure::Quantile(0.99)),
    ("p99.9", Measure::Quantile(0.999)),
];

/// Growth of the share of failures that counts as worse: one request in a thousand.
const ERRORS_TOLERANCE: f64 = 0.001;

/// One line of the comparison.
#[derive(Debug, Serialize)]
struct Row {
    op: &'static str,
    measure: &'static str,
    #[serde(flatten)]
    difference: Difference,
    verdict: &'static str,
}

/// Compares two runs.
///
/// # Errors
/// [`Error::Missed`] if the second is worse; [`Error::File`] if one is no report; [`Error::InvalidRun`] if one says
/// nothing.
pub(super) fn compare(args: &CompareArgs) -> Result<(), Error> {
    let (before, after) = (report::load(&args.before)?, report::load(&args.after)?);
    for difference in differing(&before, &after) {
        talk(&format!("note: {difference}"));
    }
    let rows = rows(&before, &after, args.fail_over);
    match args.output {
        Format::Table => {
            data(&text(&rows))?;
            talk(
                "change with its 95 % interval: moving block bootstrap over intervals of one second, 1000 resamples",
            );
            if rows.iter().any(|row| row.difference.interval.is_none()) {
                talk(&format!(
                    "no interval where a run has fewer than {INTERVALS_MIN} seconds: nothing is called worse there"
                ));
            }
        }
        Format::Json => console::json(&rows)?,
    }
    let mut invalid = Vec::new();
    for (path, report) in [(&args.before, &before), (&args.after, &after)] {
        let reasons = report.verdict.invalid.iter();
        invalid.extend(reasons.map(|reason| format!("{}: {reason}", path.display())));
    }
    if !invalid.is_empty() {
        return Err(Error::InvalidRun { reasons: invalid });
    }
    let mut worse: Vec<String> = rows
        .iter()
        .filter(|row| row.verdict == "WORSE")
        .map(|row| format!("{} {}: {:+.1}%", row.op, row.measure, row.difference.change * 100.0))
        .collect();
    worse.extend(more_failures(&before, &after));
    if worse.is_empty() { Ok(()) } else { Err(Error::Missed { reasons: worse }) }
}

fn rows(before: &Report, after: &Report, tolerance: f64) -> Vec<Row> {
    let mut rows = Vec::new();
    let ops = before.total.ops().into_iter().filter(|op| after.total.ops().contains(op));
    for op in ops {
        let (x, y) = (seconds(before, op), seconds(after, op));
        for (name, measure) in MEASURES {
            let Some(difference) = stats::compare(&x, &y, measure) else { continue };
            let is_worse = difference.is_worse(measure, tolerance);
            let is_sure = difference.interval.is_some_and(|(low, high)| low > 0.0 || high < 0.0);
            let verdict = match (is_worse, is_sure) {
                (true, _) => "WORSE",
                (false, true) => "differs",
                (false, false) => "",
            };
            rows.push(Row { op: op.name(), measure: name, difference, verdict });
        }
    }
    rows
}

/// The seconds of `op`, all levels and datacenters together.
fn seconds(report: &Report, op: Op) -> Vec<Second> {
    let second = |interval: &crate::measure::Interval| {
        let tally = interval.sample.sum(Some(op));
        Second { counts: tally.latency.counts().collect(), seconds: interval.seconds }
    };
    report.measured().map(second).collect()
}

fn text(rows: &[Row]) -> String {
    let cell = |row: &Row, value: f64| {
        let whole = crate::units::floor(value);
        if row.measure == "per second" { grouped(whole) } else { format!("{} ms", millis(whole)) }
    };
    let line = |row: &Row| {
        let Difference { before, after, change, interval } = row.difference;
        let interval = interval.map_or("-".to_owned(), |(low, high)| {
            format!("{:+.1}% … {:+.1}%", low * 100.0, high * 100.0)
        });
        vec![
            row.op.to_owned(),
            row.measure.to_owned(),
            cell(row, before),
            cell(row, after),
            format!("{:+.1}%", change * 100.0),
            interval,
            row.verdict.to_owned(),
        ]
    };
    let lines: Vec<Vec<String>> = rows.iter().map(line).collect();
    table(2, &["op", "measure", "before", "after", "change", "95% interval", "verdict"], &lines)
}

/// Operations that fail more often than before.
fn more_failures(before: &Report, after: &Report) -> Vec<String> {
    let failed = |report: &Report, op| {
        let tally = report.total.sum(Some(op));
        share(tally.failed(), tally.total())
    };
    let line = |op: Op| {
        let (x, y) = (failed(before, op), failed(after, op));
        let text =
            format!("{} errors: {:.2}% before, {:.2}% after", op.name(), x * 100.0, y * 100.0);
        (y > x + ERRORS_TOLERANCE).then_some(text)
    };
    after.total.ops().into_iter().filter_map(line).collect()
}

/// What makes two runs hard to compare.
fn differing(before: &Report, after: &Report) -> Vec<String> {
    let mut notes = Vec::new();
    let mut note = |what: &str, x: String, y: String| {
        if x != y {
            notes.push(format!("{what} differs: {x} before, {y} after"));
        }
    };
    let (x, y) = (&before.plan, &after.plan);
    note("pace", format!("{:?}", x.pace), format!("{:?}", y.pace));
    note("mix", x.workload.mix.to_string(), y.workload.mix.to_string());
    note("keys", x.workload.keys.to_string(), y.workload.keys.to_string());
    note("popularity", x.workload.distribution.to_string(), y.workload.distribution.to_string());
    note("values", x.workload.lengths.to_string(), y.workload.lengths.to_string());
    note("clients", x.target.dcs.join(","), y.target.dcs.join(","));
    note("processes", x.processes.to_string(), y.processes.to_string());
    note("machine", before.machine.host.clone(), after.machine.host.clone());
    note("kernel", before.machine.kernel.clone(), after.machine.kernel.clone());
    notes
}
