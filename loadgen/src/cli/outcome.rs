//! Whether a run did what it should: valid, its objectives met, no promise broken. Pure.

use crate::error::Error;
use crate::report::Report;
use crate::slo::Objective;

/// Judges a run that was made.
///
/// # Errors
/// [`Error::InvalidRun`] if its numbers say nothing; [`Error::Missed`] if an objective was missed, or a read was stale or
/// corrupt.
pub(super) fn judge(report: &Report, objectives: &[Objective]) -> Result<(), Error> {
    if !report.verdict.invalid.is_empty() {
        return Err(Error::InvalidRun { reasons: report.verdict.invalid.clone() });
    }
    let mut reasons: Vec<String> =
        objectives.iter().filter_map(|objective| objective.missed(&report.total)).collect();
    let facts = report.total.sum(None).facts;
    if facts.stale > 0 {
        reasons.push(format!("{} stale reads at levels that exclude them", facts.stale));
    }
    if facts.corrupt > 0 {
        reasons.push(format!("{} values that were not written for their key", facts.corrupt));
    }
    if reasons.is_empty() { Ok(()) } else { Err(Error::Missed { reasons }) }
}
