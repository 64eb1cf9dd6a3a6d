//! What the audience sees: headings, results with their time, a summary at the end.
//!
//! 1. [`Stage::begin`] prints a heading and starts the clock.
//! 2. [`Stage::say`] prints a line below it.
//! 3. [`Stage::done`] prints the result with a check mark and keeps it for the summary.
//!
//! Invariants
//! - A step without a result has failed; the summary then says so.
//! - Every line is flushed: the audience watches while it happens.

use std::io::{self, Write};
use std::time::Duration;

use atoll_protocol::time::MonoTime;
use comfy_table::CellAlignment::{self, Left, Right};

use super::DemoError;
use crate::dev::table;
use crate::env::Env;

/// One step that was carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Its heading.
    pub title: String,
    /// Its result; `None` if it failed.
    pub result: Option<String>,
    /// How long it took.
    pub took: Duration,
}

/// What the demo did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// The steps in order.
    pub steps: Vec<Step>,
    /// Writes that were acknowledged and found again.
    pub acked: usize,
    /// How long it took in all.
    pub took: Duration,
}

/// The place where the demo prints.
pub(super) struct Stage<'a> {
    env: Env,
    out: &'a mut dyn Write,
    opened: MonoTime,
    steps: Vec<Step>,
    current: Option<(String, MonoTime)>,
}

impl<'a> Stage<'a> {
    /// A stage that prints to `out`.
    pub(super) fn new(env: Env, out: &'a mut dyn Write) -> Self {
        let opened = env.mono();
        Self { env, out, opened, steps: Vec::new(), current: None }
    }

    /// Begins a step.
    pub(super) fn begin(&mut self, title: &str) -> io::Result<()> {
        debug_assert!(self.current.is_none(), "one step at a time");
        self.current = Some((title.to_owned(), self.env.mono()));
        let number = self.steps.len() + 1;
        writeln!(self.out, "\n{number}. {title}")?;
        self.out.flush()
    }

    /// Prints `text` below the current step, line by line.
    pub(super) fn say(&mut self, text: &str) -> io::Result<()> {
        for line in text.lines() {
            writeln!(self.out, "   {line}")?;
        }
        self.out.flush()
    }

    /// Ends a step well.
    pub(super) fn done(&mut self, result: String) -> io::Result<()> {
        let Some((title, begun)) = self.current.take() else {
            return Ok(());
        };
        let took = self.env.mono().since(begun);
        let seconds = took.as_secs_f64();
        writeln!(self.out, "   ✓ {result} ({seconds:.1} s)")?;
        self.steps.push(Step { title, result: Some(result), took });
        self.out.flush()
    }

    /// The failure of the current step's expectation.
    pub(super) fn failure(&self, what: impl Into<String>) -> DemoError {
        let title = self.current.as_ref().map(|(title, _)| title.clone());
        DemoError::Failed { step: title.unwrap_or_default(), what: what.into() }
    }

    /// Prints the summary; a step that is still open has failed.
    pub(super) fn finish(mut self, acked: usize) -> io::Result<Summary> {
        let now = self.env.mono();
        if let Some((title, begun)) = self.current.take() {
            self.steps.push(Step { title, result: None, took: now.since(begun) });
        }
        let took = now.since(self.opened);
        writeln!(self.out, "\n{}", summary(&self.steps, took))?;
        self.out.flush()?;
        Ok(Summary { steps: self.steps, acked, took })
    }
}

/// Step, result, seconds.
pub(super) fn summary(steps: &[Step], took: Duration) -> String {
    const COLUMNS: [(&str, CellAlignment); 4] =
        [("", Left), ("STEP", Left), ("SECONDS", Right), ("RESULT", Left)];
    let seconds = |took: Duration| format!("{:.1}", took.as_secs_f64());
    let row = |step: &Step| {
        let (mark, result) = match &step.result {
            Some(result) => ("✓", result.as_str()),
            None => ("✗", "FAILED"),
        };
        let title = step.title.clone();
        [mark.to_owned(), title, seconds(step.took), result.to_owned()]
    };
    let all = [String::new(), "in all".to_owned(), seconds(took), String::new()];
    table(COLUMNS, steps.iter().map(row).chain([all]))
}
