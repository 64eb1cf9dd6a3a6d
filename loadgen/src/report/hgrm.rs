//! HdrHistogram's percentile distribution as text, in milliseconds: what `HistogramLogProcessor` writes and plotters read.
//!
//! ```text
//!        Value     Percentile TotalCount 1/(1-Percentile)
//!
//!        0.400 0.000000000000          1           1.00
//!        ...
//! #[Mean    =        0.512, StdDeviation   =        0.101]
//! #[Max     =        1.203, Total count    =         1000]
//! #[Buckets =           22, SubBuckets     =         2048]
//! ```

use std::fmt::Write as _;

use crate::measure::Histo;

#[cfg(test)]
mod tests;

/// Nanoseconds in the unit of the file.
const UNIT: f64 = 1e6;

/// Lines for each halving of the distance to 100 %: what the other tools take.
const TICKS_PER_HALF: u32 = 5;

/// The text of `histo`.
pub(super) fn render(histo: &Histo) -> String {
    let histogram = histo.inner();
    let mut out = format!(
        "{:>12} {:>14} {:>10} {:>14}\n\n",
        "Value", "Percentile", "TotalCount", "1/(1-Percentile)"
    );
    let mut below = 0;
    for value in histogram.iter_quantiles(TICKS_PER_HALF) {
        below += value.count_since_last_iteration();
        let (at, quantile) =
            (value.value_iterated_to() as f64 / UNIT, value.quantile_iterated_to());
        // Writing to a string cannot fail.
        let _ = if quantile < 1.0 {
            writeln!(
                out,
                "{at:>12.3} {quantile:>14.12} {below:>10} {:>14.2}",
                1.0 / (1.0 - quantile)
            )
        } else {
            writeln!(out, "{at:>12.3} {quantile:>14.12} {below:>10}")
        };
    }
    let (mean, deviation) = (histo.mean() / UNIT, histo.deviation() / UNIT);
    let max = histogram.max() as f64 / UNIT;
    let _ = writeln!(out, "#[Mean    = {mean:>12.3}, StdDeviation   = {deviation:>12.3}]");
    let _ = writeln!(out, "#[Max     = {max:>12.3}, Total count    = {:>12}]", histo.len());
    let _ = writeln!(
        out,
        "#[Buckets = {:>12}, SubBuckets     = {:>12}]",
        histogram.buckets(),
        histogram.distinct_values().next_power_of_two()
    );
    out
}

/// Reads such a text: values in its unit with their quantiles, and the total count.
pub(crate) fn parse(text: &str) -> Result<(Vec<(f64, f64)>, u64), String> {
    let mut rows = Vec::new();
    let mut total = None;
    for (number, line) in text.lines().enumerate() {
        let words: Vec<&str> = line.split_whitespace().collect();
        if let Some((_, count)) = line.split_once("Total count") {
            let digits: String = count.chars().filter(char::is_ascii_digit).collect();
            total = digits.parse().ok();
        }
        match words.as_slice() {
            [] | ["Value", ..] => {}
            [first, ..] if first.starts_with('#') => {}
            [value, quantile, ..] => match (value.parse(), quantile.parse()) {
                (Ok(value), Ok(quantile)) => rows.push((value, quantile)),
                _ => return Err(format!("line {}: not a value and a percentile", number + 1)),
            },
            [_] => return Err(format!("line {}: not a value and a percentile", number + 1)),
        }
    }
    if rows.is_empty() {
        return Err("no line with a value and a percentile".to_owned());
    }
    Ok((rows, total.unwrap_or_default()))
}
