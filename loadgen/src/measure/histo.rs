//! A histogram of nanoseconds, and its text form: base64 of HdrHistogram's V2 encoding, deflated.
//!
//! Values are kept with three significant digits, and below a microsecond not at all: a request over a network takes
//! longer. The range grows with what is recorded.
//!
//! Invariants
//! - Text to histogram to text is the identity of counts; adding two is exact.

use std::io::Cursor;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Deserializer, Serializer, V2DeflateSerializer};
use serde::{Deserialize, Serialize};

#[cfg(test)]
mod tests;

/// Shortest span that is told from its neighbours, in nanoseconds: a microsecond.
const LEAST_NS: u64 = 1_000;

/// Range of a new histogram, in nanoseconds: 4 ms; it grows from there.
const RANGE_NS: u64 = 4_000_000;

/// Longest span that is recorded, in nanoseconds: an hour. Anything longer counts as that.
const SPAN_MAX_NS: u64 = 3_600_000_000_000;

/// Significant digits: 0.1 % is finer than any two runs agree.
const DIGITS: u8 = 3;

/// A histogram of nanoseconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Histo(Histogram<u64>);

impl Default for Histo {
    fn default() -> Self {
        let histogram = Histogram::new_with_bounds(LEAST_NS, RANGE_NS, DIGITS);
        let mut histogram = histogram.expect("the bounds are constants, and sound");
        histogram.auto(true);
        Self(histogram)
    }
}

impl Histo {
    /// Notes one span.
    pub(crate) fn record(&mut self, nanos: u64) {
        // It grows up to the cap, so nothing is out of range.
        let _ = self.0.record(nanos.min(SPAN_MAX_NS));
    }

    /// Adds all of `other`.
    pub(crate) fn add(&mut self, other: &Self) {
        // It grows as far as the other one has.
        let _ = self.0.add(&other.0);
    }

    /// Spans that were noted.
    pub(crate) fn len(&self) -> u64 {
        self.0.len()
    }

    /// True if there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The value that a share of `quantile` does not exceed, in nanoseconds; 1 is the maximum, 0 if there is none.
    pub(crate) fn at(&self, quantile: f64) -> u64 {
        if self.is_empty() {
            return 0;
        }
        if quantile >= 1.0 { self.0.max() } else { self.0.value_at_quantile(quantile) }
    }

    /// The mean, in nanoseconds.
    pub(crate) fn mean(&self) -> f64 {
        self.0.mean()
    }

    /// The standard deviation, in nanoseconds.
    pub(crate) fn deviation(&self) -> f64 {
        self.0.stdev()
    }

    /// Recorded values with their counts, in order.
    pub(crate) fn counts(&self) -> impl Iterator<Item = (u64, u64)> {
        self.0.iter_recorded().map(|value| {
            (self.0.median_equivalent(value.value_iterated_to()), value.count_at_value())
        })
    }

    /// The histogram itself, for writers of its formats.
    pub(crate) fn inner(&self) -> &Histogram<u64> {
        &self.0
    }

    /// A histogram that somebody else has written.
    pub(crate) fn from_text(text: &str) -> Result<Self, String> {
        let bytes = STANDARD.decode(text).map_err(|error| format!("not base64: {error}"))?;
        let decoded = Deserializer::new().deserialize::<u64, _>(&mut Cursor::new(bytes));
        let mut histogram = decoded.map_err(|error| format!("not a histogram: {error}"))?;
        histogram.auto(true);
        Ok(Self(histogram))
    }

    fn to_text(&self) -> String {
        let mut bytes = Vec::new();
        // Writing to memory fails only beyond 2^31 counters; three digits of an hour need 24 576.
        let _ = V2DeflateSerializer::new().serialize(&self.0, &mut bytes);
        STANDARD.encode(bytes)
    }
}

impl TryFrom<String> for Histo {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        Self::from_text(&text)
    }
}

impl From<Histo> for String {
    fn from(histo: Histo) -> Self {
        histo.to_text()
    }
}
