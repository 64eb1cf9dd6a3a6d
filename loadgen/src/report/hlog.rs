//! HdrHistogram's interval log, V2: a line for every second and tag, histograms in nanoseconds.
//!
//! The tag is `get.LOCAL_ONE.eu`: operation, level, datacenter of the client. Only the measured phase is written.

use std::collections::BTreeMap;
use std::io;
use std::time::{Duration, UNIX_EPOCH};

use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{
    IntervalLogIterator, IntervalLogWriterBuilder, IntervalLogWriterError, LogEntry, Tag,
};

use super::schema::Report;
use crate::measure::Histo;
use crate::workload::mix::Op;

#[cfg(test)]
pub(super) mod tests;

/// Nanoseconds in the unit of the column of maxima, which only people read.
const MAX_UNIT: f64 = 1e6;

/// The log of all intervals of `op`.
pub(super) fn render(report: &Report, op: Op) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut serializer = V2DeflateSerializer::new();
    let start = UNIX_EPOCH + Duration::from_secs_f64(report.began_unix.max(0.0));
    let mut log = IntervalLogWriterBuilder::new()
        .add_comment("[Histogram log format version 1.3]")
        .add_comment("[Latencies since requests were due, in nanoseconds; maxima in milliseconds]")
        .with_start_time(start)
        .with_max_value_divisor(MAX_UNIT)
        .begin_log_with(&mut bytes, &mut serializer)?;
    for interval in report.measured() {
        let begin = Duration::from_secs_f64(interval.begin.max(0.0));
        let length = Duration::from_secs_f64(interval.seconds);
        for (series, tally) in &interval.sample.series {
            if series.split('/').next() != Some(op.name()) || tally.latency.is_empty() {
                continue;
            }
            let tag = series.replace('/', ".");
            let written = log.write_histogram(tally.latency.inner(), begin, length, Tag::new(&tag));
            written.map_err(|error| match error {
                IntervalLogWriterError::IoError(error) => error,
                IntervalLogWriterError::SerializeError(error) => {
                    io::Error::other(error.to_string())
                }
            })?;
        }
    }
    Ok(bytes)
}

/// Reads such a log: the sum of the intervals of each tag.
pub(crate) fn parse(bytes: &[u8]) -> Result<BTreeMap<String, Histo>, String> {
    let mut sums: BTreeMap<String, Histo> = BTreeMap::new();
    for entry in IntervalLogIterator::new(bytes) {
        let entry = entry.map_err(|error| format!("not an interval log ({error:?})"))?;
        if let LogEntry::Interval(interval) = entry {
            let tag = interval.tag().map_or("(no tag)", |tag| tag.as_str()).to_owned();
            let histo = Histo::from_text(interval.encoded_histogram())
                .map_err(|error| format!("an interval of `{tag}`: {error}"))?;
            sums.entry(tag).or_default().add(&histo);
        }
    }
    if sums.is_empty() {
        return Err("no interval in it".to_owned());
    }
    Ok(sums)
}
