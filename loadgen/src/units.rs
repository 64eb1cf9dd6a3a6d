//! Numbers as people write and read them: counts, bytes, percentages, spans.
//!
//! | what | forms | means |
//! |---|---|---|
//! | count, rate | `500` `20k` `1.5M` `2G` | powers of 1 000 |
//! | bytes | `100` `1k` `4KiB` `1M` | powers of 1 024 |
//! | percent | `95` `0.1%` | of a hundred |
//!
//! Invariants
//! - Every error names the text and a form that works.

use std::time::Duration;

#[cfg(test)]
mod tests;

/// Nanoseconds in a second.
pub(crate) const NANOS: f64 = 1e9;

/// Reads a count above zero: `500`, `20k`, `1.5M`.
pub(crate) fn count(text: &str) -> Result<u64, String> {
    let scale = |suffix: &str| match suffix {
        "" => Some(1.0),
        "k" | "K" => Some(1e3),
        "m" | "M" => Some(1e6),
        "g" | "G" => Some(1e9),
        _ => None,
    };
    let value = scaled(text, scale).ok_or_else(|| {
        format!("`{text}` is not a count; write a number such as 500, 20k or 1.5M")
    })?;
    whole(value).filter(|value| *value > 0).ok_or_else(|| {
        format!("`{text}` is not a whole number from 1 to 9 quadrillion; write one such as 20k")
    })
}

/// Reads a size in bytes above zero: `100`, `1k` (1 024), `4KiB`.
pub(crate) fn bytes(text: &str) -> Result<u32, String> {
    let scale = |suffix: &str| match suffix.to_ascii_lowercase().as_str() {
        "" | "b" => Some(1.0),
        "k" | "kb" | "kib" => Some(1_024.0),
        "m" | "mb" | "mib" => Some(1_048_576.0),
        _ => None,
    };
    let value = scaled(text, scale).and_then(whole).and_then(|value| u32::try_from(value).ok());
    value.filter(|value| *value > 0).ok_or_else(|| {
        format!("`{text}` is not a size; write bytes such as 100, 1k (1 024) or 4KiB")
    })
}

/// Reads a percentage, as a fraction: `5%` and `5` are 0.05.
pub(crate) fn percent(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix('%').unwrap_or(text).trim();
    match number.parse::<f64>() {
        Ok(value) if value.is_finite() && (0.0..=100.0).contains(&value) => Ok(value / 100.0),
        _ => Err(format!("`{text}` is not a percentage; write one such as 5% or 0.1%")),
    }
}

/// Reads a span, such as `500ms`, `30s`, `0s`.
pub(crate) fn span(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|error| {
        format!("{error}; write a number with its unit, such as 500us, 10ms, 30s or 5m")
    })
}

/// Reads a span above zero.
pub(crate) fn positive_span(text: &str) -> Result<Duration, String> {
    span(text).and_then(|span| match span.is_zero() {
        true => Err("it must be above zero".to_owned()),
        false => Ok(span),
    })
}

/// A count with a space between groups of three digits.
pub(crate) fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let mut out = String::with_capacity(digits.len() * 4 / 3);
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            out.push(' ');
        }
        out.push(digit);
    }
    out
}

/// Nanoseconds as milliseconds with three significant digits.
pub(crate) fn millis(nanos: u64) -> String {
    let value = nanos as f64 / 1e6;
    match value {
        v if v < 10.0 => format!("{v:.3}"),
        v if v < 100.0 => format!("{v:.2}"),
        v if v < 1_000.0 => format!("{v:.1}"),
        v => format!("{v:.0}"),
    }
}

/// Bytes as powers of 1 024 with one decimal.
pub(crate) fn size(bytes: u64) -> String {
    let mut value = bytes as f64;
    let mut unit = "B";
    for larger in ["KiB", "MiB", "GiB", "TiB"] {
        if value < 1_024.0 {
            break;
        }
        value /= 1_024.0;
        unit = larger;
    }
    if unit == "B" { format!("{bytes} B") } else { format!("{value:.1} {unit}") }
}

/// A fraction as a percentage.
pub(crate) fn percentage(fraction: f64) -> String {
    format!("{:.2}%", fraction * 100.0)
}

/// A span as nanoseconds; 584 years are the most.
pub(crate) fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

/// A share of a whole; 0 of nothing.
pub(crate) fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// `value` as a whole number, if it is one below 2^53.
pub(crate) fn whole(value: f64) -> Option<u64> {
    let is_whole = value.fract() == 0.0 && (0.0..9.007e15).contains(&value);
    #[expect(clippy::cast_possible_truncation, reason = "checked in the line above")]
    is_whole.then_some(value as u64)
}

/// `value` without its fraction, clamped to what fits.
#[expect(
    clippy::cast_possible_truncation,
    reason = "casts from float saturate, which is what clamping means"
)]
pub(crate) fn floor(value: f64) -> u64 {
    value as u64
}

/// A number before a suffix that `scale` knows.
fn scaled(text: &str, scale: impl Fn(&str) -> Option<f64>) -> Option<f64> {
    let text = text.trim().replace('_', "");
    let end = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    let (number, suffix) = text.split_at_checked(end)?;
    let value: f64 = number.parse().ok()?;
    // 1.1k is 1100.0000000000002 in floating point.
    let scaled = value * scale(suffix.trim())?;
    let rounded = scaled.round();
    Some(if (scaled - rounded).abs() < 1e-6 { rounded } else { scaled })
}
