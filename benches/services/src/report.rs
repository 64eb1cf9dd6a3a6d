//! What was measured, and how it is shown: medians of the rounds, and ratios that were taken within a round.

use rig::{Run, median};

/// One measurement of one service.
pub(crate) struct Measured {
    rate: f64,
    p50: f64,
    p99: f64,
    p999: f64,
    processor_micros: f64,
    errors: u64,
    /// Share of one processor that the other service took meanwhile, in percent.
    other_percent: f64,
    /// Share of one processor that everything else took, in percent.
    rest_percent: f64,
}

/// Processor time of a measurement, in microseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spent {
    /// By the client and the servers that were asked.
    pub(crate) asked: f64,
    /// By the servers of the other service.
    pub(crate) other: f64,
    /// By everything else: the kernel for both, and strangers.
    pub(crate) rest: f64,
}

/// What is promised of the ratio of Atoll to etcd.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Targets {
    /// Of the rates.
    pub(crate) rate_min: f64,
    /// Of the 99th percentiles.
    pub(crate) p99_max: Option<f64>,
}

impl Measured {
    /// Of a run, and the processor time during it.
    pub(crate) fn of(run: &Run, spent: Spent) -> Self {
        let percent = |micros: f64| micros / (run.took.as_secs_f64().max(0.001) * 10_000.0);
        let at = |quantile| run.micros.value_at_quantile(quantile) as f64;
        Self {
            rate: run.rate(),
            p50: at(0.5),
            p99: at(0.99),
            p999: at(0.999),
            processor_micros: spent.asked / run.micros.len().max(1) as f64,
            errors: run.errors,
            other_percent: percent(spent.other),
            rest_percent: percent(spent.rest),
        }
    }
}

pub(crate) fn print_header() {
    println!(
        "request            service  rate/s  p50 us  p99 us  p99.9 us  CPU us  errors  other CPU %  rest CPU %"
    );
}

/// The rounds of one service.
pub(crate) fn print_rounds((request, service): (&str, &str), rounds: &[Measured]) {
    let of = |what: fn(&Measured) -> f64| median(rounds.iter().map(what));
    println!(
        "{request:<18} {service:<7} {:>7.0} {:>7.0} {:>7.0} {:>9.0} {:>7.0} {:>7} {:>12.1} {:>11.1}",
        of(|of| of.rate),
        of(|of| of.p50),
        of(|of| of.p99),
        of(|of| of.p999),
        of(|of| of.processor_micros),
        rounds.iter().map(|of| of.errors).sum::<u64>(),
        of(|of| of.other_percent),
        of(|of| of.rest_percent),
    );
}

/// Atoll's rounds divided by etcd's.
pub(crate) fn print_ratios(atoll: &[Measured], etcd: &[Measured], targets: Targets) {
    let of = |what: fn(&Measured) -> f64| -> Vec<f64> {
        atoll.iter().zip(etcd).map(|(ours, theirs)| what(ours) / what(theirs).max(1.0)).collect()
    };
    let (rates, tails) = (of(|of| of.rate), of(|of| of.p99));
    let verdict = |is_met| if is_met { "met" } else { "missed" };
    let met = verdict(median(rates.iter().copied()) >= targets.rate_min);
    println!("  rate {}, target at least {}: {met}", spread(&rates), targets.rate_min);
    let wanted = targets.p99_max.map_or(String::new(), |most| {
        let met = verdict(median(tails.iter().copied()) <= most);
        format!(", target at most {most}: {met}")
    });
    println!("  p99 {}{wanted}", spread(&tails));
}

/// Median, least and greatest.
fn spread(ratios: &[f64]) -> String {
    let least = ratios.iter().copied().fold(f64::INFINITY, f64::min);
    let greatest = ratios.iter().copied().fold(0.0, f64::max);
    format!("{:.2}x ({least:.2} to {greatest:.2})", median(ratios.iter().copied()))
}
