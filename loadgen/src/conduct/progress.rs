//! What is seen while a run goes on, on stderr: a line that changes on a terminal, a line every ten seconds elsewhere.

use std::io::{IsTerminal, stderr};

use indicatif::{ProgressBar, ProgressStyle};

use crate::console::talk;
use crate::measure::{Interval, Phase, Sample};
use crate::plan::Plan;
use crate::units;

/// Seconds between two lines where there is no terminal.
const LINE_SECONDS: u64 = 10;

/// The progress of one run.
pub(super) struct Progress {
    title: String,
    /// Length of the measured phase, in seconds, as far as it is known.
    seconds: Option<f64>,
    bar: Option<ProgressBar>,
    /// What was seen since the last line.
    since: Sample,
    span: f64,
}

impl Progress {
    /// Nothing is shown yet.
    pub(super) fn new(plan: &Plan, title: String) -> Self {
        let bar = stderr().is_terminal().then(|| {
            let bar = ProgressBar::new_spinner();
            // The template is a constant; without it the default one is shown.
            if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
                bar.set_style(style);
            }
            bar
        });
        let (since, seconds) = (Sample::default(), plan.expected_seconds());
        Self { title, seconds, bar, since, span: 0.0 }
    }

    /// Another second is complete.
    pub(super) fn show(&mut self, interval: &Interval) {
        if let Some(bar) = &self.bar {
            bar.set_message(self.line(interval, &interval.sample, interval.seconds));
            bar.tick();
            return;
        }
        self.since.add(&interval.sample);
        self.span += interval.seconds;
        if (interval.index + 1).is_multiple_of(LINE_SECONDS) {
            talk(&self.line(interval, &self.since, self.span));
            self.since = Sample::default();
            self.span = 0.0;
        }
    }

    /// The run is over.
    pub(super) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    fn line(&self, interval: &Interval, sample: &Sample, span: f64) -> String {
        let sum = sample.sum(None);
        let rate = units::floor(sum.latency.len() as f64 / span.max(1e-3));
        let at = interval.begin + interval.seconds;
        let when = match (interval.phase, self.seconds) {
            (Phase::Warmup, _) => format!("warm-up, {:.0}s left", -at),
            (Phase::Measured, Some(all)) => format!("{at:.0}s, {:.0}s left", (all - at).max(0.0)),
            (Phase::Measured, None) => format!("{at:.0}s"),
        };
        format!(
            "{} {when}  {}/s  p50 {} p99 {} ms  errors {}  late {}",
            self.title,
            units::grouped(rate),
            units::millis(sum.latency.at(0.5)),
            units::millis(sum.latency.at(0.99)),
            units::grouped(sum.failed()),
            units::percentage(units::share(sample.late + sample.dropped, sample.arrivals)),
        )
    }
}
