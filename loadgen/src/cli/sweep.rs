//! `sweep`: short runs at rates of a range, until the highest that meets the objectives is known.
//!
//! The search is `search.rs`; here its steps are run, told, and kept.

use std::sync::Arc;

use atoll_client::Client;

use super::args::{Format, SweepArgs};
use super::setup::{Wanted, folder, prepare};
use crate::conduct::{Orders, conduct};
use crate::console::{data, table, talk};
use crate::error::Error;
use crate::plan::{Pace, Plan};
use crate::report::{self, Report, SCHEMA, Sweep, SweepStep};
use crate::search::{Judgement, knee};
use crate::slo::Objective;
use crate::units::{grouped, percentage, share};

/// Finds the highest rate.
///
/// # Errors
/// [`Error::Missed`] if not even the lowest rate meets the objectives; those of a run.
pub(super) async fn sweep(args: SweepArgs) -> Result<(), Error> {
    let first = args.rates.rates().first().copied().unwrap_or(1);
    let spacing = args.measured.pace.arrivals;
    let pace = Pace::Open { rate: first as f64, spacing };
    let (plan, control) = prepare(Wanted::measured(&args.measured, pace)?).await?;
    let folder = folder(args.output.out.clone());
    let mut sweep = Sweep {
        schema: SCHEMA.to_owned(),
        kind: "sweep".to_owned(),
        began: humantime::format_rfc3339_seconds(std::time::UNIX_EPOCH + crate::clock::wall())
            .to_string(),
        machine: crate::system::machine(),
        plan: (*plan).clone(),
        range: args.rates,
        objectives: args.objectives.clone(),
        steps: Vec::new(),
        knee: None,
    };
    while let Some(rate) = args.rates.next(&judgements(&sweep.steps), args.resolution) {
        let plan = Plan { pace: Pace::Open { rate: rate as f64, spacing }, ..(*plan).clone() };
        let report = step(plan, control.clone(), rate).await?;
        let name = format!("step-{:02}-{rate}", sweep.steps.len() + 1);
        report::write(&report, &folder.join(&name))?;
        let step = judge(&report, rate, &args.objectives, name);
        let met = if step.missed.is_empty() { "met".to_owned() } else { step.missed.join("; ") };
        talk(&format!("{}/s: {met}", grouped(rate)));
        sweep.steps.push(step);
        sweep.knee = knee(&judgements(&sweep.steps));
        report::write_sweep(&sweep, &folder)?;
    }
    match args.output.output {
        Format::Table => data(&text(&sweep))?,
        Format::Json => crate::console::json(&sweep)?,
    }
    talk(&format!("wrote {}: sweep.json sweep.html, and a folder for each step", folder.display()));
    match sweep.knee {
        Some(_) => Ok(()),
        None => Err(Error::Missed {
            reasons: vec![format!("{}/s, the lowest rate, misses the objectives", grouped(first))],
        }),
    }
}

async fn step(plan: Plan, control: Option<Client>, rate: u64) -> Result<Report, Error> {
    let (plan, title) = (Arc::new(plan), format!("{}/s", grouped(rate)));
    conduct(Orders { plan, control, events: Vec::new(), nodes: Vec::new(), title }).await
}

fn judgements(steps: &[SweepStep]) -> Vec<(u64, Judgement)> {
    steps.iter().map(|step| (step.rate, step.judgement)).collect()
}

/// An invalid step misses, too: nobody knows what the cluster would have done.
fn judge(report: &Report, rate: u64, objectives: &[Objective], folder: String) -> SweepStep {
    let total = &report.total;
    let mut missed: Vec<String> = report.verdict.invalid.clone();
    missed.extend(objectives.iter().filter_map(|objective| objective.missed(total)));
    let sum = total.sum(None);
    let at = |quantile| sum.latency.at(quantile) as f64 / 1e6;
    SweepStep {
        rate,
        judgement: if missed.is_empty() { Judgement::Met } else { Judgement::Missed },
        missed,
        throughput: report.throughput(),
        milliseconds: [at(0.5), at(0.9), at(0.99), at(0.999), at(1.0)],
        errors: sum.failed(),
        late: share(total.late + total.dropped, total.arrivals),
        scheduling: total.scheduling.at(0.999) as f64 / 1e6,
        folder,
    }
}

fn text(sweep: &Sweep) -> String {
    let mut steps: Vec<&SweepStep> = sweep.steps.iter().collect();
    steps.sort_by_key(|step| step.rate);
    let row = |step: &&SweepStep| {
        let mut row = vec![grouped(step.rate), grouped(crate::units::floor(step.throughput))];
        row.extend(step.milliseconds.iter().map(|value| format!("{value:.3}")));
        row.push(grouped(step.errors));
        row.push(percentage(step.late));
        row.push(format!("{:.3}", step.scheduling));
        row.push(if step.judgement == Judgement::Met { "met" } else { "MISSED" }.to_owned());
        row
    };
    let rows: Vec<Vec<String>> = steps.iter().map(row).collect();
    let header = [
        "rate",
        "ok/s",
        "p50",
        "p90",
        "p99",
        "p99.9",
        "max ms",
        "errors",
        "late",
        "p99.9 error",
        "",
    ];
    let objectives: Vec<String> = sweep.objectives.iter().map(ToString::to_string).collect();
    let found = match sweep.knee {
        Some(rate) => format!("{}/s is the highest rate measured that meets", grouped(rate)),
        None => "no rate meets".to_owned(),
    };
    format!("{}\n\n{found} {}", table(0, &header, &rows), objectives.join(" "))
}
